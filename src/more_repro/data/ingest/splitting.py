"""Three splits of every source, no prompt of one split standing in another split of any source."""

import math

from more_repro.data.ingest import audit
from more_repro.data.ingest.audit import Part
from more_repro.files.rows import InputError
from more_repro.params import Params
from more_repro.records import SPLITS, Split
from more_repro.stats.random import stream

# Most of a source's pairs that a split made here may take, and the test share of webgpt in the paper's Table 3,
# used where a source has no test part of its own and data.test_pairs asks for no number.
_MOST_SHARE = 0.20
_TEST_SHARE = 0.05

Parts = dict[Split, Part]
Splits = dict[str, Parts]  # by source


def split_sources(params: Params, found: Splits) -> Splits:
    """Three splits of each source, no prompt of one split standing in another split of ANY source.

    All sources are trained on together, so a prompt that one source tests and another trains on would leak.
    """
    data, done = params.data, {name: dict(parts) for name, parts in found.items()}
    for name, parts in done.items():
        asked = params.sources[name].test_pairs or data.test_pairs
        if "test" not in parts:
            most = _at_most(name, "test", parts["train"], asked, _TEST_SHARE)
            parts["train"], parts["test"] = audit.split_off(parts["train"], most, data.seed, "test")
        parts["test"] = audit.drop_over_cap(parts["test"], asked, stream(data.seed, "cap", name, "test"))
    tested = audit.prompts_of(parts["test"] for parts in done.values())
    for parts in done.values():
        for split in [split for split in parts if split != "test"]:
            parts[split] = audit.drop_prompts(parts[split], tested, "leaked")
        if "validation" not in parts:
            most = _at_most(name, "validation", parts["train"], data.validation_pairs, _MOST_SHARE)
            parts["train"], parts["validation"] = audit.split_off(parts["train"], most, data.seed, "validation")
    validated = audit.prompts_of(parts["validation"] for parts in done.values())
    for name, parts in done.items():
        train = audit.drop_prompts(parts["train"], validated, "in_validation")
        parts["train"] = audit.drop_over_cap(train, data.train_pairs, stream(data.seed, "cap", name, "train"))
        _check_not_empty(name, parts)
    return done


def _at_most(source: str, split: Split, part: Part, asked: int | None, share: float) -> int:
    """Pairs that a new split may take. Raises InputError where the pairs that are left are too few to give one up."""
    pairs, used = len(part.pairs), share if asked is None else _MOST_SHARE
    if 0 < pairs * used < 1:
        counts = {"left": pairs, "read": part.n_read, **part.dropped}
        expected = f"at least {math.ceil(1 / used)} pairs, of which {used:.0%} become the {split} split"
        raise InputError(f"source {source!r}", split, counts, expected)
    return int(pairs * used) if asked is None else min(asked, int(pairs * used))


def _check_not_empty(name: str, parts: Parts) -> None:
    for split in SPLITS:
        if parts[split].pairs.empty:
            counts = {"read": parts[split].n_read, **parts[split].dropped}
            raise InputError(
                f"source {name!r}", split, counts, "at least one pair that is kept; a prompt moves with all its pairs"
            )
