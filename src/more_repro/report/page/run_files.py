"""What the stages of a run left on disk, as the report reads it: their tables, and what each run cost."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from more_repro import tables as schemas
from more_repro.params import Params
from more_repro.paths import Paths, stage_names


class RunTables(Mapping[str, pd.DataFrame]):
    """The tables of a run by name, each read when it is first asked for from the folder of the stage that wrote it.

    What figures and tables ask for is what is read: there is no list to keep. Raises TableError for one that is not
    there, or that several stages wrote.
    """

    def __init__(self, params: Params, paths: Paths) -> None:
        self._params, self._paths = params, paths
        self._read: dict[str, pd.DataFrame] = {}

    def __getitem__(self, name: str) -> pd.DataFrame:
        if name not in schemas.SCHEMAS:
            raise KeyError(name)
        if name not in self._read:
            self._read[name] = self._training_log() if name == "training_log" else self._of_stage(name)
        return self._read[name]

    def __iter__(self) -> Iterator[str]:
        return iter(schemas.SCHEMAS)

    def __len__(self) -> int:
        return len(schemas.SCHEMAS)

    def _of_stage(self, name: str) -> pd.DataFrame:
        places = [self._paths.table(stage, name) for stage in stage_names(self._params)]
        found = [place for place in places if place.exists()]
        if len(found) != 1:
            by = ", ".join(place.parent.name for place in found)
            what = f"written by {by}; expected one stage" if found else "no such table; `dvc repro` makes it"
            raise schemas.TableError(f"{self._paths.table('*', name)}: {what}")
        return schemas.read(found[0], name)

    def _training_log(self) -> pd.DataFrame:
        grid = ((base, scheme) for base in self._params.bases for scheme in self._params.schemes)
        logs = [schemas.read(self._paths.training_log(base, scheme), "training_log") for base, scheme in grid]
        return pd.concat(logs, ignore_index=True) if logs else schemas.empty("training_log")


def load_runs(params: Params, paths: Paths) -> list[dict[str, Any]]:
    """Facts of every stage that ran, in the pipeline's order; the report's own run is not over yet."""
    stages = [stage for stage in stage_names(params) if stage != "report" and paths.run(stage).exists()]
    return [json.loads(paths.run(stage).read_text(encoding="utf-8")) for stage in stages]
