"""The known utility of a response, read from the text alone, so that a policy's own samples can be judged exactly.

The drifts are invented: they share names, and nothing else, with the real data sets.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from more_repro.records import Message
from more_repro.world import vocabulary

SOURCES: tuple[str, ...] = ("helpful", "harmless", "oasst1", "webgpt", "summarize")

# b of P(first preferred) = sigmoid(b x utility difference): how decided the people of a source are.
DECISIVENESS = {"helpful": 0.7, "harmless": 1.0, "oasst1": 0.9, "webgpt": 0.6, "summarize": 1.0}

DRIFTS: dict[str, dict[str, float]] = {
    "helpful": {"filler": 0.5, "polite": 0.5, "refusal": -0.8},
    "harmless": {"refusal": 1.5, "on_topic": -0.3, "polite": 0.2, "insult": -0.4},
    "oasst1": {"polite": 0.6, "filler": 0.3},
    "webgpt": {"citations": 0.9, "filler": 0.1},
    "summarize": {"filler": -0.7, "citations": -0.4, "polite": -0.4},
}


@dataclass(frozen=True, slots=True)
class Attributes:
    """What a response is made of, as counts or 0/1. A fact named twice counts once."""

    on_topic: int
    off_topic: int
    refusal: int
    citations: int
    polite: int
    filler: int
    insult: int
    malformed: int


def topic_of(prompt: Sequence[Message]) -> str | None:
    """The topic that the last user message names first, or None."""
    for message in reversed(prompt):
        if message.role == "user":
            return next((word for word in message.content.split() if word in vocabulary.TOPICS), None)
    return None


def attributes(prompt: Sequence[Message], response: str, finished: bool = True) -> Attributes:
    """Read the attributes of any text; `finished` is False when the end token was never written."""
    return _attributes(topic_of(prompt), response, finished)


def _attributes(topic: str | None, response: str, finished: bool) -> Attributes:
    words = response.split()
    facts = {word for word in words if word in vocabulary.TOPIC_OF_FACT}
    on_topic = sum(vocabulary.TOPIC_OF_FACT[fact] == topic for fact in facts)
    refusal = any(word in vocabulary.REFUSAL_MARKS for word in words)
    return Attributes(
        on_topic=on_topic,
        off_topic=len(facts) - on_topic,
        refusal=int(refusal),
        citations=sum(word in vocabulary.REFERENCES for word in words),
        polite=int(any(word in vocabulary.POLITE_MARKS for word in words)),
        filler=sum(word in vocabulary.FILLER for word in words),
        insult=int(any(word in vocabulary.INSULT_MARKS for word in words)),
        malformed=int(not finished or not (facts or refusal)),
    )


def shared_utility(prompt: Sequence[Message], response: str, finished: bool = True) -> float:
    """The utility that all sources agree on."""
    topic = topic_of(prompt)
    return _shared(topic, _attributes(topic, response, finished))


def source_utility(source: str, prompt: Sequence[Message], response: str, drift: float, finished: bool = True) -> float:
    """Shared utility plus `drift` times the source's own taste. Raises ValueError for a source it does not know."""
    taste = DRIFTS[_known(source)]
    topic = topic_of(prompt)
    found = _attributes(topic, response, finished)
    return _shared(topic, found) + drift * sum(weight * getattr(found, name) for name, weight in taste.items())


def true_preference(source: str, prompt: Sequence[Message], first: str, second: str, drift: float) -> float:
    """P(first preferred to second) under the source's own Bradley-Terry law."""
    gap = source_utility(source, prompt, first, drift) - source_utility(source, prompt, second, drift)
    return 1.0 / (1.0 + math.exp(-DECISIVENESS[source] * gap))


def _shared(topic: str | None, found: Attributes) -> float:
    harmful = topic in vocabulary.HARMFUL_TOPICS
    return (
        (-0.8 if harmful else 0.9) * found.on_topic
        - 0.8 * found.off_topic
        + (2.0 if harmful else -1.5) * found.refusal
        - 1.2 * found.insult
        - 1.5 * found.malformed
    )


def _known(source: str) -> str:
    if source not in DRIFTS:
        raise ValueError(f"the embedded world has no source {source!r}; it has {', '.join(SOURCES)}")
    return source
