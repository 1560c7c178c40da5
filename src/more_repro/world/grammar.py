"""The seeded grammar that writes prompts, responses, preference pairs and a corpus."""

import hashlib
from dataclasses import dataclass, fields

import numpy as np

from more_repro.records import Message, PreferencePair, Split
from more_repro.world import oracle, vocabulary
from more_repro.world.oracle import SOURCES, Attributes

# Shares of the prompt space; a prompt's split follows from its text, so no prompt stands in two splits.
_SPLIT_ENDS: tuple[tuple[Split, float], ...] = (("train", 0.6), ("validation", 0.75), ("test", 1.0))
_HARMFUL_SHARE = {"helpful": 0.05, "harmless": 0.7, "oasst1": 0.15, "webgpt": 0.0, "summarize": 0.0}
_MAX_TRIES = 1000  # in a row, without anything new: the space is used up

Prompt = tuple[Message, ...]
_BENIGN, _HARMFUL = tuple(vocabulary.BENIGN_TOPICS), tuple(vocabulary.HARMFUL_TOPICS)
_TOPICS = tuple(vocabulary.TOPICS)


@dataclass(frozen=True, slots=True)
class Written:
    """A response, and the attributes that the grammar meant to put in."""

    text: str
    attributes: Attributes


def split_of(text: str) -> Split:
    """The split that a prompt's text belongs to."""
    position = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") / 2**64
    return next(split for split, end in _SPLIT_ENDS if position < end or end == 1.0)


def make_prompts(source: str, n: int, split: Split, rng: np.random.Generator) -> list[Prompt]:
    """n different prompts of a source and split. Raises ValueError where the space has fewer."""
    found: dict[Prompt, None] = {}
    tries = 0
    while len(found) < n:
        prompt = draw_prompt(source, split, rng)
        tries = tries + 1 if prompt in found else 0
        _check_tries(tries, source, split, n, len(found), "prompts")
        found[prompt] = None
    return list(found)


def make_pairs(source: str, n: int, split: Split, drift: float, rng: np.random.Generator) -> list[PreferencePair]:
    """n pairs with different pair_ids, labelled by one Bradley-Terry draw each; none repeats another's responses."""
    pairs: list[PreferencePair] = []
    seen: set[tuple[Prompt, str, str]] = set()
    tries = 0
    while len(pairs) < n:
        prompt = draw_prompt(source, split, rng)
        first, second = draw_response(prompt, rng).text, draw_response(prompt, rng).text
        key = (prompt, min(first, second), max(first, second))
        tries = tries + 1 if first == second or key in seen else 0
        _check_tries(tries, source, split, n, len(pairs), "pairs")
        if tries:
            continue
        seen.add(key)
        pairs.append(_label(source, prompt, first, second, drift, rng))
    return pairs


def make_corpus(n: int, drift: float, rng: np.random.Generator) -> list[tuple[Prompt, str]]:
    """n train-split prompts, the sources in turn, each with one response.

    drift: texts carry no label, so it changes nothing; it is here because every maker has it.
    """
    prompts = (draw_prompt(SOURCES[number % len(SOURCES)], "train", rng) for number in range(n))
    return [(prompt, draw_response(prompt, rng).text) for prompt in prompts]


def draw_prompt(source: str, split: Split, rng: np.random.Generator) -> Prompt:
    """One prompt: a question on a topic, or for `summarize` three facts to sum up."""
    if source not in SOURCES:
        raise ValueError(f"the embedded world has no source {source!r}; it has {', '.join(SOURCES)}")
    while True:
        topic = _pick(_HARMFUL if rng.random() < _HARMFUL_SHARE[source] else _BENIGN, rng)
        person = _pick(vocabulary.PERSONS, rng)
        if source == "summarize":
            first, second, third = _pick_some(vocabulary.TOPICS[topic], 3, rng)
            text = vocabulary.POST.format(topic=topic, person=person, first=first, second=second, third=third)
        else:
            occasion = _pick(vocabulary.OCCASIONS, rng)
            text = _pick(vocabulary.QUESTIONS, rng).format(topic=topic, person=person, occasion=occasion)
        if split_of(text) == split:
            return (Message("user", text),)


def draw_response(prompt: Prompt, rng: np.random.Generator) -> Written:
    """One response to a prompt of the world: opener, insult, then a refusal or facts, then filler."""
    topic = oracle.topic_of(prompt)
    if topic is None:
        raise ValueError(f"this prompt names no topic of the embedded world: {prompt!r}")
    parts: list[str] = []
    meant = dict.fromkeys((field.name for field in fields(Attributes)), 0)
    if rng.random() < 0.40:
        meant["polite"] = 1
        parts.append(_pick(vocabulary.POLITE_OPENERS, rng))
    if rng.random() < 0.15:
        meant["insult"] = 1
        parts.append(_pick(vocabulary.INSULTS, rng))
    if rng.random() < (0.40 if topic in vocabulary.HARMFUL_TOPICS else 0.15):
        meant["refusal"] = 1
        parts.append(_pick(vocabulary.REFUSALS, rng))
    else:
        parts.extend(_draw_facts(topic, meant, rng))
    meant["filler"] = int(rng.integers(5))
    parts.extend(_pick(vocabulary.FILLER, rng) for _ in range(meant["filler"]))
    return Written(" ".join(parts), Attributes(**meant))


def _draw_facts(topic: str, meant: dict[str, int], rng: np.random.Generator) -> list[str]:
    """1 to 3 different facts, each of the prompt's topic with probability .65; counts go into `meant`."""
    draw = rng.random()
    n_facts = 1 if draw < 0.30 else 2 if draw < 0.65 else 3
    cites = rng.random() < 0.35
    facts: list[str] = []
    parts: list[str] = []
    while len(facts) < n_facts:
        on_topic = rng.random() < 0.65
        about = topic if on_topic else _pick(tuple(other for other in _TOPICS if other != topic), rng)
        fact = _pick(tuple(fact for fact in vocabulary.TOPICS[about] if fact not in facts), rng)
        facts.append(fact)
        meant["on_topic" if on_topic else "off_topic"] += 1
        parts.append(_pick(vocabulary.FACT_PHRASES, rng).format(fact=fact))
        if cites and rng.random() < 0.70:
            meant["citations"] += 1
            parts.append(_pick(vocabulary.REFERENCES, rng))
    return parts


def _label(
    source: str, prompt: Prompt, first: str, second: str, drift: float, rng: np.random.Generator
) -> PreferencePair:
    preference = oracle.true_preference(source, prompt, first, second, drift)
    chosen, rejected = first, second
    if rng.random() >= preference:
        chosen, rejected, preference = second, first, 1.0 - preference
    margin = oracle.shared_utility(prompt, chosen) - oracle.shared_utility(prompt, rejected)
    return PreferencePair(source, prompt, chosen, rejected, preference, margin)


def _pick(options: tuple[str, ...], rng: np.random.Generator) -> str:
    return options[int(rng.random() * len(options))]


def _pick_some(options: tuple[str, ...], n: int, rng: np.random.Generator) -> list[str]:
    return [options[index] for index in rng.permutation(len(options))[:n]]


def _check_tries(tries: int, source: str, split: Split, asked: int, made: int, what: str) -> None:
    if tries >= _MAX_TRIES:
        raise ValueError(f"source {source!r}, split {split!r}: asked for {asked} different {what}, found only {made}")
