"""The rows that travel between stages, one type each. Light: no table library is needed to import them."""

import hashlib
import json
from dataclasses import dataclass
from math import nan
from typing import Literal

Role = Literal["user", "assistant", "system"]
Split = Literal["train", "validation", "test"]
Outcome = Literal["win", "tie", "lose", "invalid"]

SPLITS: tuple[Split, ...] = ("train", "validation", "test")


@dataclass(frozen=True, slots=True)
class Message:
    role: Role
    content: str


@dataclass(frozen=True, slots=True)
class PreferencePair:
    """One comparison. `true_preference` and `shared_margin` are known in the embedded world only (else NaN).

    true_preference: P(chosen preferred to rejected) under the source's own law.
    shared_margin: shared utility of chosen minus that of rejected.
    score_margin: score of chosen minus that of rejected, or the data set's own margin; NaN where it gives none.
    """

    source: str
    prompt: tuple[Message, ...]
    chosen: str
    rejected: str
    true_preference: float = nan
    shared_margin: float = nan
    score_margin: float = nan

    @property
    def prompt_id(self) -> str:
        return prompt_id(self.prompt)

    @property
    def pair_id(self) -> str:
        return pair_digest(self.source, prompt_json(self.prompt), self.chosen, self.rejected)


@dataclass(frozen=True, slots=True)
class RewardModelId:
    """What names a reward model.

    trained_on: "mixture" (all sources), one source's name, "first<K>" (the first K sources), or "none".
    """

    base: str
    regime: str
    scheme: str
    trained_on: str
    seed: int

    def __str__(self) -> str:
        return f"{self.base}/{self.regime}/{self.scheme}/{self.trained_on}/seed{self.seed}"


_JSON = json.JSONEncoder(ensure_ascii=False)  # json.dumps with an option makes a new one each time

MODEL_KEY = ("base", "regime", "scheme", "trained_on", "seed")


def prompt_json(prompt: tuple[Message, ...]) -> str:
    """A prompt as text for tables: a JSON list of [role, content]."""
    return _JSON.encode([[m.role, m.content] for m in prompt])


def prompt_from_json(text: str) -> tuple[Message, ...]:
    return tuple(Message(role, content) for role, content in json.loads(text))


def prompt_id(prompt: tuple[Message, ...]) -> str:
    return prompt_digest(prompt_json(prompt))


def prompt_digest(prompt: str) -> str:
    """The prompt_id of a prompt that is JSON already."""
    return _digest(prompt)


def pair_digest(source: str, prompt: str, chosen: str, rejected: str) -> str:
    """The pair_id of a pair whose prompt is JSON already."""
    return _digest(source, prompt, chosen, rejected)


def _digest(*parts: str) -> str:
    """16 hex digits; the length of each part keeps ("ab", "c") apart from ("a", "bc")."""
    hasher = hashlib.sha256()
    for part in parts:
        data = part.encode("utf-8")
        hasher.update(f"{len(data)}:".encode())
        hasher.update(data)
    return hasher.hexdigest()[:16]
