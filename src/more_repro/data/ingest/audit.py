"""The audit: each comparison that was read is kept, or dropped for exactly one counted reason.

Every function takes Rows or a Part and gives one with the same number read, so the law `kept + dropped = read` cannot
break. Readers count unreadable, tie, empty, identical, different_prompts, no_answer, multi_turn, other_language,
deleted, unreviewed, unranked and no_prompt; here are contradictory, duplicate, leaked, in_validation, and what moves
elsewhere or is over a cap.
"""

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from more_repro.data.ingest.pairs_table import pairs_frame
from more_repro.data.sources.pair_collector import MOST_EXAMPLES, Example, Rows, shorten
from more_repro.records import Message, PreferencePair, Split, prompt_from_json
from more_repro.stats.random import order_by_hash
from more_repro.tables import SCHEMAS, check

Comparison = tuple[tuple[Message, ...], frozenset[str]]
Examples = dict[str, list[Example]]  # reason -> the first MOST_EXAMPLES


@dataclass(frozen=True, slots=True)
class Part:
    """One source and split: the table `pairs` of what is kept, how many were dropped for which reason, examples."""

    source: str
    pairs: pd.DataFrame
    dropped: Counter[str]
    examples: Examples

    @classmethod
    def of(cls, rows: Rows) -> "Part":
        return cls(rows.source, pairs_frame(rows.pairs), rows.dropped.copy(), dict(rows.examples))

    @property
    def n_read(self) -> int:
        return len(self.pairs) + sum(self.dropped.values())


def drop_repeats(rows: Rows) -> Rows:
    """Drop `contradictory` pairs (the same responses both ways round: every copy) and later copies as `duplicate`."""
    orders: dict[Comparison, set[str]] = {}
    for pair in rows.pairs:
        orders.setdefault(_comparison(pair), set()).add(pair.chosen)
    if len(orders) == len(rows.pairs):
        return rows
    seen: set[Comparison] = set()
    shown = {reason: list(examples) for reason, examples in rows.examples.items()}
    left = Rows(rows.source, [], rows.dropped.copy(), shown)
    for pair in rows.pairs:
        comparison = _comparison(pair)
        repeats = "contradictory" if len(orders[comparison]) > 1 else "duplicate" if comparison in seen else None
        if repeats is None:
            seen.add(comparison)
            left.pairs.append(pair)
        else:
            left.drop(repeats, texts=(pair.prompt, pair.chosen, pair.rejected))
    return left


def drop_prompts(part: Part, prompt_ids: Collection[str], reason: str) -> Part:
    """Drop every pair whose prompt is one of those named, with examples."""
    gone = part.pairs["prompt_id"].isin(prompt_ids).to_numpy()
    examples = dict(part.examples)
    if gone.any():
        first = part.pairs[gone].head(MOST_EXAMPLES)
        texts = zip(first["prompt"], first["chosen"], first["rejected"], strict=True)
        examples[reason] = [Example("", shorten(prompt_from_json(p)), shorten(c), shorten(r)) for p, c, r in texts]
    return _without(part, gone, reason, examples)


def drop_over_cap(part: Part, most: int | None, rng: np.random.Generator) -> Part:
    """Keep a random `most` of the pairs in their order, the rest being `over_cap`; None keeps all."""
    if most is None or len(part.pairs) <= most:
        return part
    gone = np.ones(len(part.pairs), dtype=np.bool_)
    gone[rng.permutation(len(part.pairs))[:most]] = False
    return _without(part, gone, "over_cap")


def split_off(part: Part, most: int, seed: int, split: str) -> tuple[Part, Part]:
    """Move whole prompts, at most `most` pairs, into another split: (the rest with `to_<split>` counted, the new part).

    A prompt's turn comes from its own hash, so sources that share prompts give up the same ones.
    """
    sizes = Counter(part.pairs["prompt_id"])
    moved: set[str] = set()
    room = most
    for key in order_by_hash(sizes, seed, f"split off {split}") if room else ():
        if sizes[key] <= room:
            moved.add(key)
            room -= sizes[key]
        if room == 0:
            break
    gone = part.pairs["prompt_id"].isin(moved).to_numpy()
    new = Part(part.source, part.pairs[gone].reset_index(drop=True), Counter(), {})
    return _without(part, gone, f"to_{split}"), new


def prompts_of(parts: Iterable[Part]) -> set[str]:
    """The prompt_ids of several parts."""
    return set().union(*(part.pairs["prompt_id"] for part in parts))


def audit_table(parts: Iterable[tuple[Split, Part]]) -> pd.DataFrame:
    """Table `audit` of (split, part): read, kept, and each reason that occurred, for each source and split."""
    lines = []
    for split, part in parts:
        counts = {"read": part.n_read, "kept": len(part.pairs)} | dict(sorted(part.dropped.items()))
        lines += [(part.source, split, reason, count) for reason, count in counts.items()]
    return check(pd.DataFrame(lines, columns=list(SCHEMAS["audit"])), "audit")


def examples_table(parts: Iterable[tuple[Split, Part]], folder: str) -> pd.DataFrame:
    """Table `audit_examples` of (split, part): the first pairs that were dropped for each reason, texts shortened.

    folder: of the local files; places are named from there, because a page may go where the path says too much.
    """
    lines = [
        (
            part.source,
            split,
            reason,
            _from_folder(shown.where, folder),
            shown.prompt,
            shown.chosen,
            shown.rejected,
        )
        for split, part in parts
        for reason, examples in sorted(part.examples.items())
        for shown in examples
    ]
    return check(pd.DataFrame(lines, columns=list(SCHEMAS["audit_examples"])), "audit_examples")


def _from_folder(where: str, folder: str) -> str:
    """A place, named from the folder; an absolute folder stands nowhere in it."""
    start = str(Path(folder) / "x")[:-1]  # as the paths of its files begin: "" where it is the working directory
    told = where.removeprefix(start)
    return told.replace(start, "") if Path(folder).is_absolute() and start != "/" else told


def _comparison(pair: PreferencePair) -> Comparison:
    return pair.prompt, frozenset((pair.chosen, pair.rejected))


def _without(part: Part, gone: NDArray[np.bool_], reason: str, examples: Examples | None = None) -> Part:
    """The part without some pairs, which are counted; the table itself is shared where none goes."""
    shown = part.examples if examples is None else examples
    if not gone.any():
        return Part(part.source, part.pairs, part.dropped.copy(), shown)
    dropped = part.dropped + Counter({reason: int(gone.sum())})
    return Part(part.source, part.pairs[~gone].reset_index(drop=True), dropped, shown)
