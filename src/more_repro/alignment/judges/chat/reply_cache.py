"""Replies of a chat judge on disk, each under the digest of all that was sent: what was paid for once is kept."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from more_repro.store.atomic import write_text


@dataclass(frozen=True, slots=True)
class ReplyCache:
    """One file for each reply, in folders by the first two digits of its name. Threads and processes may share it.

    settings: what is sent beside the messages (model, temperature, max_tokens). No header and no address is kept.
    """

    folder: Path
    settings: Mapping[str, Any]

    def get(self, messages: Sequence[Mapping[str, str]]) -> str | None:
        """The reply, None where there is none or its file is damaged: it is then asked for again."""
        try:
            entry = json.loads(self._path(messages).read_bytes())
            reply, digest = entry["reply"], entry["sha256"]
        except (OSError, ValueError, TypeError, KeyError):
            return None
        return reply if isinstance(reply, str) and digest == _sha256(reply) else None

    def put(self, messages: Sequence[Mapping[str, str]], reply: str) -> None:
        """Keep a reply, whole or not at all."""
        write_text(self._path(messages), json.dumps({"reply": reply, "sha256": _sha256(reply)}, ensure_ascii=False))

    def _path(self, messages: Sequence[Mapping[str, str]]) -> Path:
        sent = json.dumps([self.settings, messages], sort_keys=True, ensure_ascii=False)
        name = _sha256(sent)
        return self.folder / name[:2] / f"{name}.json"


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
