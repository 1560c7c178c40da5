"""Reads every source, audits it, and writes pairs for train, validation and test, and the corpus for the bases."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TypeVar

import pandas as pd

from more_repro import tables
from more_repro.data.ingest import audit, near_duplicates
from more_repro.data.ingest.audit import Part
from more_repro.data.ingest.corpus import corpus_texts
from more_repro.data.ingest.splitting import Parts, Splits, split_sources
from more_repro.data.reading.read_source import FileFacts, read_source
from more_repro.data.sources import pair_maker
from more_repro.params import Data, Params, Source
from more_repro.paths import Paths
from more_repro.progress import Progress
from more_repro.records import SPLITS, prompt_from_json
from more_repro.rendering import render_prompt
from more_repro.workers import run_jobs

# Workers take a second to start: it pays from here on, in bytes of local files.
_LARGE_BYTES = 64 * 2**20

Job = TypeVar("Job")
Result = TypeVar("Result")


def ingest(params: Params, paths: Paths) -> dict[str, pd.DataFrame]:
    """Write pairs of every source and split, the corpus, and the tables of the audit.

    These are `audit`, `audit_sources`, `audit_files`, `audit_examples`, `near_duplicates` and
    `near_duplicate_examples`. Returns them and `examples` (source, prompt, chosen, rejected: the first training pair of
    each source). Raises InputError for input that no rule covers, or where a source keeps no pair in a split.
    """
    found, files = read_sources(params)
    splits = split_sources(params, found)
    del found  # with the pairs that were dropped it is as large as what is kept
    trained = [parts["train"].pairs for parts in splits.values()]
    described = []
    for name, parts in splits.items():
        for split in SPLITS:
            tables.write(parts[split].pairs, paths.pairs(name, split), "pairs")
        described.append(_describe(name, params.sources[name], parts))
    tables.write(pd.DataFrame({"text": corpus_texts(params, trained)}), paths.corpus, "corpus")
    every = [(split, parts[split]) for parts in splits.values() for split in SPLITS]
    result = {
        "audit": audit.audit_table(every),
        "audit_sources": tables.check(pd.DataFrame(described), "audit_sources"),
        "audit_files": files,
        "audit_examples": audit.examples_table(every, params.data.folder),
        **_near_duplicates(params, splits),
    }
    for table, frame in result.items():
        tables.write(frame, paths.table("ingest", table), table)
    return result | {"examples": _first_pairs(splits)}


def read_sources(params: Params) -> tuple[Splits, pd.DataFrame]:
    """What each source's reader gives without repeats, and the table `audit_files`.

    A source has train, and test and validation where it comes with them.
    """
    jobs = [(name, source, params.data) for name, source in params.sources.items()]
    read = _over_sources(_read, jobs, params, "reading sources")
    facts = pd.DataFrame(
        [asdict(one) for _, files in read for one in files], columns=list(tables.SCHEMAS["audit_files"])
    )
    found = {name: parts for name, (parts, _) in zip(params.sources, read, strict=True)}
    return found, tables.check(facts, "audit_files")


def _read(job: tuple[str, Source, Data]) -> tuple[Parts, list[FileFacts]]:
    rows, facts = read_source(*job)
    parts = {}
    for split in list(rows):
        parts[split] = Part.of(audit.drop_repeats(rows.pop(split)))  # one split's objects at a time
    return parts, facts


def _near_duplicates(params: Params, splits: Splits) -> dict[str, pd.DataFrame]:
    tests = {name: near_duplicates.distinct_prompts(parts["test"].pairs) for name, parts in splits.items()}
    every = pd.concat(tests.values(), ignore_index=True)
    jobs = [(every, near_duplicates.distinct_prompts(parts["train"].pairs)) for parts in splits.values()]
    found = _over_sources(_find, jobs, params, "near-duplicates")
    matches = dict(zip(splits, found, strict=True))
    return near_duplicates.summarize(tests, matches, params.stats.confidence)


def _find(job: tuple[pd.Series, pd.Series]) -> near_duplicates.Matches:
    return near_duplicates.find(*job)


def _over_sources(function: Callable[[Job], Result], jobs: Sequence[Job], params: Params, label: str) -> list[Result]:
    """One job for each source: over workers where the sources are large, else here."""
    if len(jobs) > 1 and _is_large(params):
        return run_jobs(function, jobs, label, preload=(__name__,), uses_torch=False)
    progress = Progress(label, len(jobs), unit="sources")
    results = []
    for job in jobs:
        results.append(function(job))
        progress.step()
    return results


def _is_large(params: Params) -> bool:
    sources = params.sources.values()
    folder = Path(params.data.folder)
    files = {folder / name for source in sources for name in (source.train, source.test) if name is not None}
    on_hub = any(source.location is not None for source in sources)
    return on_hub or sum(file.stat().st_size for file in files if file.is_file()) > _LARGE_BYTES


def _describe(name: str, source: Source, parts: Parts) -> dict[str, str]:
    """One row of `audit_sources`; the digest is of the kept pair_ids of each split, order left out."""
    hasher = hashlib.sha256()
    for split in SPLITS:
        hasher.update("\n".join([split, *sorted(parts[split].pairs["pair_id"])]).encode())
    files = ", ".join(part for part in (source.train, source.test) if part is not None)
    maker = pair_maker(source.reader)
    origin = source.location or files if maker is None else maker.origin
    return {
        "source": name,
        "reader": source.reader,
        "origin": origin if source.subset is None else f"{origin} ({source.subset})",
        "revision": source.revision or "",
        "licence": source.licence or "not stated",
        "sha256": hasher.hexdigest(),
    }


def _first_pairs(splits: Splits) -> pd.DataFrame:
    firsts = pd.concat([parts["train"].pairs.head(1) for parts in splits.values()], ignore_index=True)
    prompts = pd.Series([render_prompt(prompt_from_json(text)) for text in firsts["prompt"]], dtype="str")
    return firsts[["source", "prompt", "chosen", "rejected"]].assign(prompt=prompts)
