"""The audit: each comparison that was read is kept, or dropped for exactly one counted reason.

Every function takes Rows and gives Rows with the same number read, so the law `kept + dropped = read` cannot break.
Readers count tie, empty, identical, different_prompts, multi_turn, other_language, deleted and unranked.
"""

from collections.abc import Callable, Collection, Iterable

import numpy as np
import pandas as pd

from more_repro.data.rows import Rows
from more_repro.data.streams import order_by_hash
from more_repro.records import Message, PreferencePair
from more_repro.tables import check

Prompt = tuple[Message, ...]


def drop_repeats(rows: Rows) -> Rows:
    """Drop `contradictory` pairs (the same responses both ways round: every copy) and later copies as `duplicate`."""
    orders: dict[tuple[Prompt, frozenset[str]], set[str]] = {}
    for pair in rows.pairs:
        orders.setdefault(_comparison(pair), set()).add(pair.chosen)
    seen: set[tuple[Prompt, frozenset[str]]] = set()

    def reason(pair: PreferencePair) -> str | None:
        comparison = _comparison(pair)
        if len(orders[comparison]) > 1:
            return "contradictory"
        if comparison in seen:
            return "duplicate"
        seen.add(comparison)
        return None

    return _sift(rows, reason)


def drop_prompts(rows: Rows, prompts: Collection[Prompt], reason: str) -> Rows:
    """Drop every pair whose prompt is one of `prompts`."""
    return _sift(rows, lambda pair: reason if pair.prompt in prompts else None)


def drop_over_cap(rows: Rows, most: int | None, rng: np.random.Generator) -> Rows:
    """Keep a random `most` of the pairs in their order, the rest being `over_cap`; None keeps all."""
    if most is None or len(rows.pairs) <= most:
        return rows
    kept = np.zeros(len(rows.pairs), dtype=bool)
    kept[rng.permutation(len(rows.pairs))[:most]] = True
    flags = iter(kept)
    return _sift(rows, lambda _: None if next(flags) else "over_cap")


def split_off(rows: Rows, most: int, seed: int, split: str) -> tuple[Rows, Rows]:
    """Move whole prompts, at most `most` pairs, into another split: (the rest with `to_<split>` counted, the part).

    A prompt's turn comes from its own hash, so sources that share prompts give up the same ones.
    """
    sizes: dict[str, int] = {}
    ids = [pair.prompt_id for pair in rows.pairs]
    for key in ids:
        sizes[key] = sizes.get(key, 0) + 1
    moved: set[str] = set()
    room = most
    for key in order_by_hash(sizes, seed, f"split off {split}"):
        if sizes[key] <= room:
            moved.add(key)
            room -= sizes[key]
        if room == 0:
            break
    flags = iter([key in moved for key in ids])
    rest = _sift(rows, lambda _: f"to_{split}" if next(flags) else None)
    return rest, Rows(rows.source, [pair for pair, key in zip(rows.pairs, ids, strict=True) if key in moved])


def prompts_of(groups: Iterable[Rows]) -> set[Prompt]:
    """The different prompts of several Rows."""
    return {pair.prompt for rows in groups for pair in rows.pairs}


def audit_table(split_rows: Iterable[tuple[str, Rows]]) -> pd.DataFrame:
    """Table `audit` of (split, rows): read, kept, and each reason that occurred, for each source and split."""
    lines = []
    for split, rows in split_rows:
        counts = {"read": rows.n_read, "kept": len(rows.pairs)} | dict(sorted(rows.dropped.items()))
        lines += [(rows.source, split, reason, count) for reason, count in counts.items()]
    return check(pd.DataFrame(lines, columns=["source", "split", "reason", "n_pairs"]), "audit")


def _comparison(pair: PreferencePair) -> tuple[Prompt, frozenset[str]]:
    return pair.prompt, frozenset((pair.chosen, pair.rejected))


def _sift(rows: Rows, reason_of: Callable[[PreferencePair], str | None]) -> Rows:
    """Rows without the pairs that have a reason to go; `reason_of` is asked once for each pair, in order."""
    left = Rows(rows.source, [], rows.dropped.copy())
    for pair in rows.pairs:
        reason = reason_of(pair)
        if reason is None:
            left.pairs.append(pair)
        else:
            left.drop(reason)
    return left
