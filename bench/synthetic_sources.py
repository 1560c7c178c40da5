"""Preference files of realistic size and make, for measuring: invented words, nothing to learn from.

Lengths follow those measured on the helpful, harmless and webgpt test sets: prompt and response together about 160
tokens in the median and 380 at the ninth decile, words being 1.3 tokens. Frequencies of words follow Zipf's law.
"""

import csv
import gzip
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

VOCABULARY = 50_000
TOKENS_PER_WORD = 1.3
PROMPT_TOKENS = (56, 1.0)  # median, and standard deviation of the logarithm
RESPONSE_TOKENS = (80, 0.8)
REPEATED = 0.01  # share of rows that come twice, and of training prompts that are tested too
FILES = {  # the file of a split, by source
    "scores": "scores.{split}.json",
    "dialogues": "dialogues.{split}.jsonl",
    "parquet": "table.{split}.parquet",
    "csv": "table.{split}.csv.gz",
    "messages": "messages.{split}.jsonl",
}
SPLITS = ("train", "test")

Pair = tuple[list[str], str, str]  # the prompt's turns (user first, user last), chosen, rejected


def write_sources(folder: Path, n_train: int, n_test: int, seed: int) -> None:
    """Write both splits of every source of FILES. The same arguments give the same bytes."""
    words = _vocabulary(np.random.default_rng([seed, 0]))
    for number, (name, file) in enumerate(FILES.items()):
        rng = np.random.default_rng([seed, number + 1])
        tested = list(_pairs(n_test, words, rng))
        trained = list(_pairs(n_train, words, rng))
        for place in rng.integers(n_train, size=int(REPEATED * n_train)):
            prompt = tested[int(rng.integers(n_test))][0]
            trained[place] = (prompt, *trained[place][1:])
        for place in rng.integers(n_train // 2, n_train, size=int(REPEATED * n_train)):
            trained[place] = trained[int(rng.integers(n_train // 2))]
        for split, pairs in zip(SPLITS, (trained, tested), strict=True):
            _WRITERS[name](folder / file.format(split=split), pairs)


def _vocabulary(rng: np.random.Generator) -> np.ndarray:
    letters = np.array(list("etaoinshrdlucmfwypvbgkjqxz"))
    lengths = np.clip(rng.poisson(3.5, VOCABULARY) + 1, 1, 14)
    return np.array(["".join(letters[rng.integers(0, 26, length)]) for length in lengths], dtype=object)


def _pairs(n: int, words: np.ndarray, rng: np.random.Generator) -> Iterator[Pair]:
    frequent = np.cumsum(1.0 / (np.arange(VOCABULARY) + 2.7))
    frequent /= frequent[-1]
    prompts, chosen, rejected = (_lengths(n, *law, rng) for law in (PROMPT_TOKENS, RESPONSE_TOKENS, RESPONSE_TOKENS))
    for lengths in zip(prompts, chosen, rejected, strict=True):
        drawn = words[np.searchsorted(frequent, rng.random(sum(lengths)))]
        prompt, first, second = np.split(drawn, np.cumsum(lengths)[:2])
        turns = np.array_split(prompt, 3) if len(prompt) > 60 else [prompt]
        yield [_text(turn) for turn in turns], _text(first), _text(second)


def _lengths(n: int, median: float, spread: float, rng: np.random.Generator) -> list[int]:
    tokens = median * np.exp(rng.normal(0.0, spread, n))
    return [int(length) for length in np.clip(tokens / TOKENS_PER_WORD, 3, 1200)]


def _text(words: np.ndarray) -> str:
    """Sentences of twelve words."""
    parts = [" ".join(words[start : start + 12]) for start in range(0, len(words), 12)]
    return ". ".join(part.capitalize() for part in parts) + "."


def _turns(prompt: list[str], response: str) -> list[tuple[str, str]]:
    roles = ("user", "assistant")
    return [(roles[number % 2], text) for number, text in enumerate([*prompt, response])]


def _transcript(prompt: list[str], response: str, human: str, assistant: str, mark: str) -> str:
    marks = {"user": human, "assistant": assistant}
    return "".join(mark.format(name=marks[role], text=text) for role, text in _turns(prompt, response))


def _write_scores(path: Path, pairs: list[Pair]) -> None:
    form = ("Human", "Assistant", "## {name}:\n{text}\n\n")
    rows = [{"text": [_transcript(p, c, *form), _transcript(p, r, *form)], "score": [1.0, 0.0]} for p, c, r in pairs]
    path.write_text(json.dumps(rows), encoding="utf-8")


def _write_dialogues(path: Path, pairs: list[Pair]) -> None:
    form = ("Human", "Assistant", "\n\n{name}: {text}")
    rows = ({"chosen": _transcript(p, c, *form), "rejected": _transcript(p, r, *form)} for p, c, r in pairs)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def _write_messages(path: Path, pairs: list[Pair]) -> None:
    def messages(turns: list[tuple[str, str]]) -> list[dict[str, str]]:
        return [{"role": role, "content": text} for role, text in turns]

    rows = (
        {
            "prompt": messages(_turns(p, "")[:-1]),
            "chosen": messages([("assistant", c)]),
            "rejected": messages([("assistant", r)]),
        }
        for p, c, r in pairs
    )
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def _columns(pairs: list[Pair]) -> dict[str, list[str]]:
    columns = zip(*((" ".join(prompt), chosen, rejected) for prompt, chosen, rejected in pairs), strict=True)
    return dict(zip(("prompt", "chosen", "rejected"), (list(column) for column in columns), strict=True))


def _write_parquet(path: Path, pairs: list[Pair]) -> None:
    pq.write_table(pa.table(_columns(pairs)), path)


def _write_csv(path: Path, pairs: list[Pair]) -> None:
    text = io.StringIO(newline="")
    columns = _columns(pairs)
    writer = csv.writer(text)
    writer.writerow(columns)
    writer.writerows(zip(*columns.values(), strict=True))
    path.write_bytes(gzip.compress(text.getvalue().encode(), compresslevel=4, mtime=0))


_WRITERS: dict[str, Callable[[Path, list[Pair]], None]] = {
    "scores": _write_scores,
    "dialogues": _write_dialogues,
    "parquet": _write_parquet,
    "csv": _write_csv,
    "messages": _write_messages,
}
