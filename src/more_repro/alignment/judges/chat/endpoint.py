"""Where a chat judge is, which model it is, and the key: from the environment alone, never from params or a file."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit, urlunsplit

from more_repro.alignment.judges.errors import JudgeError

BASE_URL, MODEL, KEY = "MORE_REPRO_JUDGE_BASE_URL", "MORE_REPRO_JUDGE_MODEL", "MORE_REPRO_JUDGE_API_KEY"
_SHORTEST_SECRET = 8


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An OpenAI-compatible endpoint. Its repr shows neither the key nor what a base URL may carry of one."""

    base_url: str = field(repr=False)
    model: str
    key: str = field(repr=False)

    def redact(self, text: str) -> str:
        """The text without the key, whoever wrote it there. A few letters are no key, and may be part of any word."""
        return text.replace(self.key, "***") if len(self.key) >= _SHORTEST_SECRET else text


def from_environment(environment: Mapping[str, str] = os.environ) -> Endpoint:
    """Raises JudgeError that names every variable which is missing or cannot be used, never what it holds."""
    missing = [name for name in (BASE_URL, MODEL, KEY) if not environment.get(name, "").strip()]
    if missing:
        raise JudgeError(
            f"the judge `chat` needs {', '.join(missing)} in the environment"
            + (f" (any word where the server asks for no key: {KEY}=none)" if KEY in missing else "")
        )
    url, model, key = (environment[name].strip() for name in (BASE_URL, MODEL, KEY))
    if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).netloc:
        raise JudgeError(f"{BASE_URL} must be an http or https address, such as https://host/v1")
    if not key.isascii() or not key.isprintable() or " " in key:
        raise JudgeError(f"{KEY} holds characters that no header can carry")
    return Endpoint(url, model, key)


def public_url(url: str) -> str:
    """A base URL without user, password, query and fragment: what may stand in a file. "" for what is no address."""
    try:
        parts = urlsplit(url.strip())
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return ""
    host = f"[{host}]" if ":" in host else host
    where = host if port is None else f"{host}:{port}"
    return urlunsplit((parts.scheme, where, parts.path.rstrip("/"), "", "")) if host else ""
