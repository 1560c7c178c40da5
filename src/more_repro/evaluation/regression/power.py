"""What the regression could have seen: power of its primary test, by simulation on the design it was run on."""

import numpy as np
import pandas as pd

from more_repro import tables
from more_repro.evaluation.regression.design import MAIN
from more_repro.evaluation.regression.fixed_effects import Within, demean, demeaned
from more_repro.evaluation.regression.permutation import block_permutations, freedman_lane
from more_repro.evaluation.regression.regression import cells
from more_repro.params import Stats
from more_repro.stats.intervals import normal_quantile, wilson
from more_repro.stats.random import generator

EFFECTS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.5)  # noise standard deviations per within-group standard deviation of ECE
_ORDERS = 399
SHARED = 0.5  # of the noise variance, by the seeds of a scheme in one group


def power_curve(design: pd.DataFrame, stats: Stats, simulations: int = 300) -> pd.DataFrame:
    """Table "power": share of simulated outcomes whose permutation p of `ece` is below 1 - confidence.

    Outcome = effect x standardised ECE within its group + standard normal noise, half of its variance common to the
    seeds of a scheme in one group; accuracy is a control without effect. At effect 0 the curve shows the test's size.
    low, high: Wilson's interval over simulations. Empty where the terms do not vary within groups.
    """
    complete = design.dropna(subset=list(MAIN))
    x = complete[list(MAIN)].to_numpy(np.float64)
    if not len(x):
        return tables.empty("power")
    data = demeaned(np.zeros(len(x)), x, list(complete["group"]))
    if not data.solvable or data.df <= 0:
        return tables.empty("power")
    draws = min(_ORDERS, stats.permutation_draws)
    groups, blocks, seeds = cells(complete)
    orders, exact = block_permutations(groups, blocks, seeds, draws, generator(stats.seed, "power orders"))
    rng = generator(stats.seed, "power noise")
    signal = data.x[:, 0] / data.x[:, 0].std()
    rows = []
    for effect in EFFECTS:
        common = rng.standard_normal((simulations, int(blocks.max()) + 1))[:, blocks]
        noise = np.sqrt(SHARED) * common + np.sqrt(1 - SHARED) * rng.standard_normal((simulations, len(x)))
        outcomes = effect * signal + noise
        centred = demean(outcomes.T, data.groups).T
        p = np.array([freedman_lane(Within(y, data.x, data.groups), 0, orders, exact) for y in centred])
        share = float((p <= 1 - stats.confidence + 1e-12).mean())
        low, high = wilson(share, simulations, normal_quantile(stats.confidence))
        rows.append({"effect": effect, "power": share, "low": low, "high": high, "n": len(x)})
    return tables.check(pd.DataFrame(rows), "power")
