"""One regime's rows, as the rules on claims read them: values by base and seed, and their differences."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from more_repro.params import Params
from more_repro.schemes import EACH, MIXTURE, TOP, Roles
from more_repro.stats.intervals import NAN, Interval, stratified_mean, t_interval

UNIT = ["base", "seed"]


@dataclass(frozen=True, slots=True)
class Study:
    """One regime's rows, and what the rules read from them."""

    params: Params
    sizes: Mapping[str, int]  # parameters of each base
    regime: str
    long: pd.DataFrame  # per_seed
    outliers: pd.DataFrame
    regression: pd.DataFrame

    def values(self, scheme: str, source: str, metric: str, trained_on: str | None = None) -> pd.Series:
        """Values indexed by (base, seed); undefined ones left out."""
        rows = self.long[
            (self.long["scheme"] == scheme) & (self.long["source"] == source) & (self.long["metric"] == metric)
        ]
        wanted = trained_on or (EACH if scheme == TOP else MIXTURE)
        return rows[rows["trained_on"] == wanted].set_index(UNIT)["value"].dropna()

    def mean(self, units: pd.Series) -> Interval:
        """Mean over bases with the spread over seeds; units indexed by (base, seed)."""
        units = units.dropna()
        return stratified_mean(units.to_numpy(), list(units.index.get_level_values("base")), self.confidence)

    def difference(self, scheme: str, against: str, source: str, metric: str, log: bool = False) -> Interval:
        first, second = self.values(scheme, source, metric), self.values(against, source, metric)
        return self.mean(np.log(first) - np.log(second) if log else first - second)

    @property
    def confidence(self) -> float:
        return self.params.stats.confidence

    @property
    def roles(self) -> Roles:
        return self.params.roles


def size_trend(sizes: Sequence[int], change: pd.Series, confidence: float) -> Interval:
    """Least-squares slope of a change, averaged by size, on the rank of the size (0, 1, ...): bases are the replicates.

    n: sizes; 0 where there is one. Two sizes: no interval.
    """
    codes = np.unique(sizes, return_inverse=True)[1]
    if not codes.size or codes.max() < 1:
        return Interval(NAN)
    y = np.bincount(codes, change.to_numpy(np.float64)) / np.bincount(codes)
    centred = np.arange(y.size) - (y.size - 1) / 2
    slope = float(centred @ y / (centred @ centred))
    residual = y - y.mean() - slope * centred
    df = y.size - 2
    error = float(np.sqrt(residual @ residual / df / (centred @ centred))) if df > 0 else NAN
    return t_interval(slope, error, df, confidence, y.size)
