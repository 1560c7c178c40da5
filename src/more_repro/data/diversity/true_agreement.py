"""What the embedded world knows about its own sources: how often their true utilities order a pair alike."""

from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd

from more_repro.data.diversity.overlap import Line
from more_repro.data.diversity.preference_similarity import agreement, conflict
from more_repro.records import prompt_from_json
from more_repro.stats.intervals import Floats
from more_repro.world import oracle


def true_choices(
    source: str, frame: pd.DataFrame, known_as: Mapping[str, str], drift: float, confidence: float
) -> Iterator[Line]:
    """Lines true_agreement and true_conflict of table `source_similarity`: as for linear models, on a's test pairs.

    frame: the table `pairs` of source a; known_as: the name by which the embedded world knows each source.
    """
    gaps = {b: _gaps(frame, known, drift) for b, known in known_as.items()}
    clusters = pd.factorize(frame["prompt_id"])[0].astype(np.int64)
    for b in known_as:
        agreed = agreement(gaps[source], gaps[b], clusters, confidence)
        opposed, n_sure = conflict(gaps[source], gaps[b], clusters, confidence)
        yield (source, b, "true_agreement", *agreed.values(), len(frame))
        yield (source, b, "true_conflict", *opposed.values(), n_sure)


def _gaps(frame: pd.DataFrame, known: str, drift: float) -> Floats:
    """Utility of chosen minus utility of rejected, to a known source."""
    gaps = [
        oracle.source_utility(known, prompt, chosen, drift) - oracle.source_utility(known, prompt, rejected, drift)
        for prompt, chosen, rejected in zip(
            map(prompt_from_json, frame["prompt"]), frame["chosen"], frame["rejected"], strict=True
        )
    ]
    return np.array(gaps, dtype=np.float64).round(9)  # the same sum in another order may miss 0 by a rounding error
