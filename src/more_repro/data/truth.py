"""What the embedded world knows about its own sources: how often their true utilities order a pair alike."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from more_repro.data.intervals import clustered_share
from more_repro.data.linear import same_side
from more_repro.records import prompt_from_json
from more_repro.tables import SCHEMAS
from more_repro.world import oracle


def true_agreement(
    pairs: Mapping[str, pd.DataFrame], known_as: Mapping[str, str], drift: float, confidence: float
) -> pd.DataFrame:
    """true_agreement: share of a's pairs that the known utilities of a and of b order the same way.

    pairs: table `pairs` of each embedded source; known_as: the name by which the embedded world knows it.
    """
    lines: list[tuple[str, str, str, float, float, float, int]] = []
    for a, frame in pairs.items():
        prompts = [prompt_from_json(text) for text in frame["prompt"]]
        gaps = {}
        for b, known in known_as.items():
            gaps[b] = np.array(
                [
                    oracle.source_utility(known, prompt, chosen, drift)
                    - oracle.source_utility(known, prompt, rejected, drift)
                    for prompt, chosen, rejected in zip(prompts, frame["chosen"], frame["rejected"], strict=True)
                ]
            ).round(9)  # the same sum in another order may miss 0 by a rounding error
        clusters = pd.factorize(frame["prompt_id"])[0].astype(np.int64)
        for b in known_as:
            share = clustered_share(same_side(gaps[a], gaps[b]), clusters, confidence)
            lines.append((a, b, "true_agreement", *share, len(frame)))
    return pd.DataFrame(lines, columns=list(SCHEMAS["source_similarity"]))
