"""Token pairs of five pseudo-sources: from text-score files, or synthetic with the same length statistics."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path

import numpy as np
import torch

from more_repro.data.sources.transcripts import parse_transcript
from more_repro.engine.batching.token_pairs import TokenSequences, starts_of
from more_repro.lm.encoding import encode_prompt, encode_response
from more_repro.lm.tokenizers import make_tokenizer
from more_repro.records import Message

MAX_LENGTH, VOCABULARY, WORDS = 512, 32_000, 16_000
# File stem and how many pseudo-sources its pairs are dealt to.
FILES = (("helpful", 2), ("harmless", 2), ("webgpt", 1))
TokenPair = tuple[list[int], list[int]]
TextPair = tuple[tuple[Message, ...], str, str]


@dataclass(frozen=True, slots=True)
class Law:
    """Log-normal lengths in tokens: median and spread of the common prefix, and of each response."""

    prefix: float
    prefix_spread: float
    response: float
    response_spread: float


# Fitted to the percentiles of the public test sets (helpful, harmless, webgpt) under the GPT-NeoX tokenizer.
_LAWS = {
    "helpful": Law(92, 0.75, 55, 0.75),
    "harmless": Law(91, 0.70, 47, 0.75),
    "webgpt": Law(40, 0.70, 122, 0.45),
}


def real_pairs(folder: Path) -> dict[str, list[TokenPair]]:
    """Pairs of <folder>/{helpful,harmless,webgpt}.train.json as tokens of a byte-level BPE trained on these texts.

    Ties are left out. Raises FileNotFoundError naming the missing file.
    """
    texts = {stem: list(_text_pairs(folder / f"{stem}.train.json")) for stem, _ in FILES}
    corpus = [f"{message.content}\n\n{chosen}" for rows in texts.values() for p, chosen, _ in rows for message in p]
    tokenizer = make_tokenizer("bpe", corpus, WORDS, MAX_LENGTH)
    return _dealt(
        {
            stem: [
                (_joined(prompt, encode_response(tokenizer, a)), _joined(prompt, encode_response(tokenizer, b)))
                for prompt, a, b in ((encode_prompt(tokenizer, p), a, b) for p, a, b in rows)
            ]
            for stem, rows in texts.items()
        }
    )


def synthetic_pairs(seed: int, n: int = 400) -> dict[str, list[TokenPair]]:
    """Random tokens whose prefixes and responses have the lengths of the real sets; n pairs of each file."""
    rng = np.random.default_rng(seed)

    def tokens(median: float, spread: float) -> list[int]:
        length = max(2, round(median * np.exp(spread * rng.standard_normal())))
        return rng.integers(2, VOCABULARY, length).tolist()

    def pair(law: Law) -> TokenPair:
        prefix = tokens(law.prefix, law.prefix_spread)
        chosen, rejected = (tokens(law.response, law.response_spread) for _ in range(2))
        return _joined(prefix, chosen), _joined(prefix, rejected)

    return _dealt({stem: [pair(_LAWS[stem]) for _ in range(n)] for stem, _ in FILES})


@dataclass(frozen=True, slots=True)
class Steps:
    """Optimizer steps over the pairs: rows[t] is (2, K, B) into `sequences`."""

    sequences: TokenSequences
    rows: list[torch.Tensor]

    def pairs(self, step: int) -> list[TokenPair]:
        """The pairs of a step in an order that mixes the sources, as a trainer without sources sees them."""
        flat = self.rows[step].reshape(2, -1)
        order = np.random.default_rng(step).permutation(flat.shape[1])
        return [(self._tokens(int(flat[0, i])), self._tokens(int(flat[1, i]))) for i in order]

    def _tokens(self, row: int) -> list[int]:
        start = int(self.sequences.starts[row])
        return self.sequences.flat[start : start + int(self.sequences.lengths[row])].tolist()


def make_steps(pairs: dict[str, list[TokenPair]], n_steps: int, per_source: int, seed: int) -> Steps:
    """n_steps batches of `per_source` pairs of each source, drawn without replacement until a source is used up."""
    rng = np.random.default_rng(seed)
    flat: list[list[int]] = []
    orders = {}
    for name, found in pairs.items():
        passes = -(-n_steps * per_source // len(found))
        orders[name] = list(chain.from_iterable(rng.permutation(len(found)).tolist() for _ in range(passes)))
    rows = []
    for step in range(n_steps):
        sides: list[list[list[int]]] = [[], []]
        for name, found in pairs.items():
            drawn = [found[i] for i in orders[name][step * per_source : (step + 1) * per_source]]
            for side in range(2):
                sides[side].append(list(range(len(flat), len(flat) + len(drawn))))
                flat.extend(pair[side] for pair in drawn)
        rows.append(torch.tensor(sides))
    lengths = torch.tensor([len(tokens) for tokens in flat])
    values = torch.tensor(list(chain.from_iterable(flat)), dtype=torch.int32)
    return Steps(TokenSequences(values, starts_of(lengths), lengths), rows)


def common_prefix(chosen: list[int], rejected: list[int]) -> int:
    """Number of leading tokens that both sides share."""
    same = (a == b for a, b in zip(chosen, rejected, strict=False))
    return next((n for n, equal in enumerate(same) if not equal), min(len(chosen), len(rejected)))


def statistics(pairs: dict[str, list[TokenPair]]) -> str:
    """Lengths and common prefixes over all pairs, in tokens."""
    every = [pair for found in pairs.values() for pair in found]
    lengths = np.array([len(tokens) for pair in every for tokens in pair])
    prefixes = np.array([common_prefix(*pair) for pair in every])
    p50, p90 = np.percentile(lengths, [50, 90])
    return (
        f"{len(every)} pairs, tokens a sequence: mean {lengths.mean():.0f}, p50 {p50:.0f}, p90 {p90:.0f}; "
        f"common prefix: mean {prefixes.mean():.0f}, tokens saved by sharing it {prefixes.sum() / lengths.sum():.1%}"
    )


def _joined(prompt: list[int], response: list[int]) -> list[int]:
    return (prompt + response)[-MAX_LENGTH:]


def _dealt(pairs: dict[str, list[TokenPair]]) -> dict[str, list[TokenPair]]:
    """Pseudo-sources: the pairs of a file dealt in turn; pairs that are equal after the cut are left out."""
    dealt = {}
    for stem, parts in FILES:
        kept = [(a, b) for a, b in pairs[stem] if a != b]
        for part in range(parts):
            dealt[f"{stem}{part}" if parts > 1 else stem] = list(islice(kept, part, None, parts))
    return dealt


def _text_pairs(path: Path) -> Iterable[TextPair]:
    for number, row in enumerate(json.loads(path.read_text(encoding="utf-8"))):
        (a, b), (score_a, score_b) = row["text"], row["score"]
        if score_a == score_b:
            continue
        chosen, rejected = (parse_transcript(text, f"{path}, row {number}") for text in (a, b))
        if score_b > score_a:
            chosen, rejected = rejected, chosen
        if chosen[:-1] == rejected[:-1]:
            yield chosen[:-1], chosen[-1].content, rejected[-1].content
