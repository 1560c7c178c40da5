"""Time and memory of the data stages on five sources of realistic length, and reading them against `datasets`.

Each stage runs in a process of its own, as in the pipeline; its time holds the start of Python and the imports, its
memory the workers (resident pages, those that processes share counted once for each). The files are written before
the clock starts. The last line is one JSON object; read_ratio_vs_datasets is our speed in taking every raw row of
every file, checked, as Python objects, over that of `datasets` with the same files and rows and an empty cache: above
1 we are faster.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from more_repro.nb.runner.memory import PeakMemory
from more_repro.params import Params, Regime, Source, load_params
from more_repro.paths import Paths
from synthetic_sources import FILES, SPLITS, write_sources

STAGES = ("ingest", "mix", "diversity")
READERS = ("ours", "datasets")
OWN = Path(__file__).parents[1] / "params" / "own.yaml"


def study(folder: Path, n_pairs: int) -> Params:
    """The params of a study of the files in `folder`: two regimes, three seeds, every source resampled to n_pairs."""
    known = load_params(OWN)
    empty = {"location": None, "revision": None, "subset": None, "licence": None}
    files = {name: [file.format(split=split) for split in SPLITS] for name, file in FILES.items()}
    sources = {name: Source(reader="auto", train=train, test=test, **empty) for name, (train, test) in files.items()}
    small = {name: max(n_pairs // 20, 1) for name in ("csv", "messages")}
    regimes = {
        name: Regime(learning_rate=1e-3, unique_pairs=kept) for name, kept in (("natural", {}), ("resampled", small))
    }
    data = known.data.model_copy(update={"folder": str(folder), "pairs_per_source": n_pairs})
    return known.model_copy(update={"sources": sources, "regimes": regimes, "data": data})


def run_stage(name: str, params: Params, paths: Paths) -> None:
    """One stage, as its notebook calls it."""
    if name == "ingest":
        from more_repro.data.ingest.ingest import ingest as stage
    elif name == "mix":
        from more_repro.data.mixing import mix_all as stage
    else:
        from more_repro.data.diversity.measure_all import measure_all as stage
    stage(params, paths)


def read_ours(folder: Path) -> int:
    """Every raw row of every file, checked; how many there are."""
    from more_repro.data.sources import columns_of_json
    from more_repro.files.local_files import open_file

    n_rows = 0
    for file in FILES.values():
        for split in SPLITS:
            for _, row in open_file(folder / file.format(split=split), json_columns=columns_of_json).rows:
                n_rows += isinstance(row, dict)
    return n_rows


def read_with_datasets(folder: Path) -> int:
    """Every row of every file through `datasets`, with an empty cache; how many there are."""
    import datasets

    datasets.disable_progress_bars()
    n_rows = 0
    for file in FILES.values():
        kind = "parquet" if ".parquet" in file else "csv" if ".csv" in file else "json"
        for split in SPLITS:
            path = str(folder / file.format(split=split))
            with tempfile.TemporaryDirectory(dir=folder) as cache:
                rows = datasets.load_dataset(kind, data_files=path, split="train", cache_dir=cache)
                n_rows += sum(isinstance(row, dict) for row in rows)
    return n_rows


def timed_reading(reader: str, folder: Path) -> dict[str, float]:
    read: Callable[[Path], int] = read_ours if reader == "ours" else read_with_datasets
    if reader == "datasets":
        import datasets  # noqa: F401 - importing is not reading
    else:
        import more_repro.files.local_files  # noqa: F401
    started = time.perf_counter()
    n_rows = read(folder)
    return {"seconds": time.perf_counter() - started, "rows": n_rows}


@dataclass(frozen=True)
class Done:
    """What a process took, its workers included."""

    seconds: float
    peak_mib: float
    output: str


def in_process(*arguments: str) -> Done:
    """Run this file with these arguments in a process of its own."""
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}
    started = time.perf_counter()
    with PeakMemory(every_s=0.05) as memory:
        command = [sys.executable, __file__, *arguments]
        done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    return Done(time.perf_counter() - started, memory.peak_rss_mib, done.stdout)


def measure(folder: Path, n_pairs: int, n_test: int, repeats: int) -> dict[str, float]:
    common = ("--folder", str(folder), "--pairs", str(n_pairs), "--test", str(n_test))
    print(f"files written in {in_process(*common, '--part', 'write').seconds:.1f} s, not counted", flush=True)
    stages = []
    for stage in STAGES:
        done = in_process(*common, "--part", stage)
        stages.append(done)
        print(f"{stage}: {done.seconds:.1f} s, peak {done.peak_mib:.0f} MiB", flush=True)
    reads: dict[str, list[float]] = {reader: [] for reader in READERS}
    rows = set()
    for _ in range(repeats):
        for reader in READERS:
            found = json.loads(in_process(*common, "--part", reader).output)
            reads[reader].append(found["seconds"])
            rows.add(found["rows"])
    if len(rows) > 1:
        raise RuntimeError(f"the two readers found different numbers of rows: {sorted(rows)}")
    for reader, times in reads.items():
        print(f"reading, {reader}: {', '.join(f'{time:.2f}' for time in times)} s", flush=True)
    ratios = [theirs / ours for ours, theirs in zip(*reads.values(), strict=True)]
    return {
        "seconds": round(sum(done.seconds for done in stages), 1),
        "peak_mib": round(max(done.peak_mib for done in stages)),
        "pairs": n_pairs * len(FILES),
        "read_ratio_vs_datasets": round(statistics.median(ratios), 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=40_000, help="training pairs of each of the five sources")
    parser.add_argument("--test", type=int, default=2_000, help="test pairs of each source")
    parser.add_argument("--repeats", type=int, default=3, help="readings by each side, in turns")
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--part", choices=("write", *STAGES, *READERS), help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.part is None:
        with tempfile.TemporaryDirectory() as folder:
            print(json.dumps(measure(Path(folder), asked.pairs, asked.test, asked.repeats)))
    elif asked.part == "write":
        write_sources(asked.folder, asked.pairs, asked.test, seed=0)
    elif asked.part in STAGES:
        run_stage(asked.part, study(asked.folder, asked.pairs), Paths("bench", asked.folder))
    else:
        print(json.dumps(timed_reading(asked.part, asked.folder)))


if __name__ == "__main__":
    main()
