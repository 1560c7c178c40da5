"""Reads every source, audits it, and writes pairs for train, validation and test, and the corpus for the bases."""

import hashlib

import pandas as pd

from more_repro import tables
from more_repro.data import audit
from more_repro.data.frames import pairs_frame
from more_repro.data.rows import Rows, SourceError
from more_repro.data.sources import find_reader
from more_repro.data.streams import stream
from more_repro.params import Data, Params, Source
from more_repro.paths import Paths
from more_repro.progress import Progress
from more_repro.records import SPLITS, Split
from more_repro.rendering import render_prompt, render_text

# Most of a source's pairs that a split made here may take, and the test share of webgpt in the paper's Table 3,
# used where a source has no test part of its own and data.test_pairs asks for no number.
_MOST_SHARE = 0.20
_TEST_SHARE = 0.05

Splits = dict[str, dict[Split, Rows]]  # source -> split -> rows


def ingest(params: Params, paths: Paths) -> dict[str, pd.DataFrame]:
    """Write pairs of every source and split, the corpus, and the tables `audit` and `audit_sources`.

    Returns these two and `examples` (source, prompt, chosen, rejected: the first training pair of each source).
    Raises SourceError for input that no rule covers, or where a source keeps no pair in a split.
    """
    splits = split_sources(params, read_sources(params))
    sources: list[dict[str, str]] = []
    for name, parts in splits.items():
        frames = {split: pairs_frame(parts[split].pairs) for split in SPLITS}
        for split, frame in frames.items():
            tables.write(frame, paths.pairs(name, split), "pairs")
        sources.append(_describe(name, params.sources[name], frames))
    tables.write(pd.DataFrame({"text": corpus_texts(params, splits)}), paths.corpus, "corpus")
    result = {
        "audit": audit.audit_table((split, parts[split]) for parts in splits.values() for split in SPLITS),
        "audit_sources": tables.check(pd.DataFrame(sources), "audit_sources"),
    }
    for table, frame in result.items():
        tables.write(frame, paths.table("ingest", table), table)
    return result | {"examples": _examples(splits)}


def read_sources(params: Params) -> Splits:
    """The rows that each source's reader gives: train, and test and validation where the source has them."""
    progress = Progress("reading sources", len(params.sources), unit="sources")
    found: Splits = {}
    for name, source in params.sources.items():
        parts = _read_parts(name, source, params.data)
        found[name] = {split: audit.drop_repeats(rows) for split, rows in parts.items()}
        progress.step(note=name)
    return found


def split_sources(params: Params, found: Splits) -> Splits:
    """Three splits of each source, no prompt of one split standing in another split of ANY source.

    All sources are trained on together, so a prompt that one source tests and another trains on would leak.
    """
    data, done = params.data, {name: dict(parts) for name, parts in found.items()}
    for name, parts in done.items():
        if "test" not in parts:
            most = _at_most(parts["train"], data.test_pairs, _TEST_SHARE)
            parts["train"], parts["test"] = audit.split_off(parts["train"], most, data.seed, "test")
        parts["test"] = audit.drop_over_cap(parts["test"], data.test_pairs, stream(data.seed, "cap", name, "test"))
    tested = audit.prompts_of(parts["test"] for parts in done.values())
    for parts in done.values():
        for split in [split for split in parts if split != "test"]:
            parts[split] = audit.drop_prompts(parts[split], tested, "leaked")
        if "validation" not in parts:
            most = _at_most(parts["train"], data.validation_pairs, _MOST_SHARE)
            parts["train"], parts["validation"] = audit.split_off(parts["train"], most, data.seed, "validation")
    validated = audit.prompts_of(parts["validation"] for parts in done.values())
    for name, parts in done.items():
        train = audit.drop_prompts(parts["train"], validated, "in_validation")
        parts["train"] = audit.drop_over_cap(train, data.train_pairs, stream(data.seed, "cap", name, "train"))
        _check_not_empty(name, parts)
    return done


def corpus_texts(params: Params, splits: Splits) -> list[str]:
    """At most data.corpus_texts transcripts: the world's own corpus, or what the training pairs say, sampled."""
    data = params.data
    rng = stream(data.seed, "corpus")
    if all(source.reader == "embedded" for source in params.sources.values()):
        from more_repro.world.grammar import make_corpus  # a study of other data does not depend on the world

        return [render_text(prompt, text) for prompt, text in make_corpus(data.corpus_texts, data.drift, rng)]
    texts = dict.fromkeys(
        render_text(pair.prompt, response)
        for parts in splits.values()
        for pair in parts["train"].pairs
        for response in (pair.chosen, pair.rejected)
    )
    unique = list(texts)
    return [unique[index] for index in rng.permutation(len(unique))[: data.corpus_texts]]


def _read_parts(name: str, source: Source, data: Data) -> dict[Split, Rows]:
    if source.reader == "embedded":
        from more_repro.data.sources import embedded  # the one reader that makes all three splits

        return {split: embedded.read(name, source, data, split) for split in SPLITS}
    read = find_reader(source.reader)
    parts: dict[Split, Rows] = {"train": read(name, source, data, "train")}
    return parts if source.test is None else parts | {"test": read(name, source, data, "test")}


def _at_most(rows: Rows, asked: int | None, share: float) -> int:
    """Pairs that a new split may take."""
    pairs = len(rows.pairs)
    return int(pairs * share) if asked is None else min(asked, int(pairs * _MOST_SHARE))


def _check_not_empty(name: str, parts: dict[Split, Rows]) -> None:
    for split in SPLITS:
        if not parts[split].pairs:
            counts = {"read": parts[split].n_read, **parts[split].dropped}
            raise SourceError(f"source {name!r}", split, counts, "at least one pair that is kept")


def _describe(name: str, source: Source, frames: dict[Split, pd.DataFrame]) -> dict[str, str]:
    """One row of `audit_sources`; the digest is of the kept pair_ids of each split, order left out."""
    hasher = hashlib.sha256()
    for split, frame in frames.items():
        hasher.update("\n".join([split, *sorted(frame["pair_id"])]).encode())
    files = ", ".join(part for part in (source.train, source.test) if part is not None)
    origin = "embedded world" if source.reader == "embedded" else source.location or files
    return {
        "source": name,
        "reader": source.reader,
        "origin": origin if source.subset is None else f"{origin} ({source.subset})",
        "revision": source.revision or "",
        "licence": source.licence or "not stated",
        "sha256": hasher.hexdigest(),
    }


def _examples(splits: Splits) -> pd.DataFrame:
    firsts = [parts["train"].pairs[0] for parts in splits.values()]
    return pd.DataFrame(
        {
            "source": [pair.source for pair in firsts],
            "prompt": [render_prompt(pair.prompt) for pair in firsts],
            "chosen": [pair.chosen for pair in firsts],
            "rejected": [pair.rejected for pair in firsts],
        }
    )
