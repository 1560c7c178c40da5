"""What the evaluation stages read: the scores and the size of every base, and the truth of the test pairs."""

import pandas as pd

from more_repro import tables
from more_repro.lm import base_files
from more_repro.params import Params
from more_repro.paths import Paths
from more_repro.records import MODEL_KEY
from more_repro.schemes import NONE


def read_scores(params: Params, paths: Paths) -> pd.DataFrame:
    """Table "scores" of all bases in the params; what belongs to no base (the length rule) stands once.

    Bases that the params no longer name are left out, whatever lies on the disk.
    """
    scores = pd.concat([tables.read(paths.scores(base), "scores") for base in params.bases], ignore_index=True)
    shared = scores["base"].eq(NONE) & scores.duplicated([*MODEL_KEY, "split", "pair_id"])
    return scores[~shared].reset_index(drop=True)


def read_truth(params: Params, paths: Paths) -> pd.DataFrame:
    """Test pairs of all sources as [pair_id, true_preference, shared_margin]; NaN where there is no known truth."""
    columns = ["pair_id", "true_preference", "shared_margin"]
    parts = [tables.read(paths.pairs(source, "test"), "pairs")[columns] for source in params.sources]
    return pd.concat(parts, ignore_index=True)


def read_base_sizes(params: Params, paths: Paths) -> dict[str, int]:
    """Number of parameters of every base, as counted when it was made."""
    return {base: base_files.n_parameters(paths.base(base)) for base in params.bases}
