"""Best-of-n against n: what choosing harder by a reward model does to the judge's score, for n = 1 to N.

N candidates of each prompt give the exact expectation over all their subsets of n (as in arXiv 2112.09332 and
2210.10760): no subset is drawn. Choosing the best of n moves a policy by at most log n - (n - 1)/n nats.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from more_repro import tables
from more_repro.alignment.judging.scored import compare
from more_repro.alignment.judging.win_rates import by_source
from more_repro.alignment.sampling.best_of_n import reference_key
from more_repro.alignment.sampling.best_of_n_expectation import choice_shares, kl_bound_nats
from more_repro.params import Stats
from more_repro.records import MODEL_KEY, RewardModelId
from more_repro.schemes import BEST, ORACLE, ORACLE_CHOICE, RANDOM, RANDOM_CHOICE, WORST
from more_repro.stats.bootstrap import percentile_interval, resample_counts
from more_repro.stats.intervals import satterthwaite_df, t_quantile

REFERENCE = 0  # number of the sample that choices are judged against; candidates are numbers 1 to N
_KEY = list(MODEL_KEY)
_SCHEME = ["base", "regime", "scheme", "choice"]
_VALUES = ("gold", "win", "lose")  # of which tie and net follow
_WITH_INTERVAL = ("gold", "net")
_CHUNK = 32  # curves whose resamples are held at a time
Ends = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True, slots=True)
class _Judged:
    """What the judge says of each candidate. said: (3, prompts, N): its score, and whether it wins and loses."""

    prompts: pd.DataFrame  # [prompt_id, source], in the samples' order
    said: np.ndarray


def best_of_n_tables(
    rewards: pd.DataFrame, samples: pd.DataFrame, gold: pd.Series, tie_width: float, stats: Stats
) -> dict[str, pd.DataFrame]:
    """Tables "best_of_n" (each reward model) and "best_of_n_schemes" (means over seeds), per source and for "all".

    rewards: table "rewards" of every sample. samples: table "samples", numbers 0 to N of each prompt. gold: the judge's
    score of each row of `samples` (same index). tie_width: how near two scores are a tie. Once each for the whole study
    stand `random_choice`, the same for every n, and `oracle_choice`, by the judge's own score.
    Intervals of best_of_n are a bootstrap over prompts, candidates and reference of a prompt together. Those of
    best_of_n_schemes also hold the spread over seeds; with one seed they are of that one model. Neither holds another
    base, nor an error of the judge.
    Raises ValueError naming the prompt or the reward model whose rows are not those of numbers 0 to N.
    """
    judged = _judge(samples, gold, tie_width)
    models, scores = _scores(rewards, judged.prompts["prompt_id"], judged.said.shape[2])
    keys, curves = _curves(models, scores, judged)
    groups = {key: rows.index.to_numpy() for key, rows in keys.groupby(_SCHEME, sort=False)}
    of_models, of_schemes = [], []
    for source, prompts in by_source(judged.prompts):
        own = curves[:, :, prompts.index]
        counts = resample_counts(own.shape[2], stats)
        ends = _ends(own, counts, stats)
        of_models.append(_rows(keys, own, ends).assign(source=source))
        of_schemes.append(_scheme_rows(groups, own, ends, counts, stats).assign(source=source))
    return {
        "best_of_n": tables.check(pd.concat(of_models, ignore_index=True), "best_of_n"),
        "best_of_n_schemes": tables.check(pd.concat(of_schemes, ignore_index=True), "best_of_n_schemes"),
    }


def _curves(models: pd.DataFrame, scores: np.ndarray, judged: _Judged) -> tuple[pd.DataFrame, np.ndarray]:
    """Keys (a row per curve, with its choice) and expectations (curves, 3, prompts, n) of every reward model's best and
    worst, of chance and of the oracle.
    """
    gold = judged.said[0]
    size = gold.shape[1]
    shares = [choice_shares(sign * rewards) for rewards in scores for sign in (1.0, -1.0)]
    shares += [np.full((*gold.shape, size), 1.0 / size), choice_shares(gold)]
    references = pd.DataFrame([reference_key(RANDOM_CHOICE), reference_key(ORACLE_CHOICE)])[_KEY]
    keys = pd.concat([models.loc[models.index.repeat(2)], references], ignore_index=True)
    choices = [BEST, WORST] * len(models) + [RANDOM, ORACLE]
    curves = np.empty((len(shares), len(_VALUES), *gold.shape))
    for place, share in enumerate(shares):
        curves[place] = np.einsum("vpc,pcn->vpn", judged.said, share, optimize=True)
    return keys.assign(choice=choices), curves


def _ends(curves: np.ndarray, counts: np.ndarray, stats: Stats) -> Ends:
    """Bounds (curves, 2, n) of gold and net by resampled prompts; curves: (curves, 3, prompts, n)."""
    n_prompts = curves.shape[2]
    found = []
    for start in range(0, len(curves), _CHUNK):
        values = _with_interval(curves[start : start + _CHUNK])
        # One product for all of them: (draws, prompts) x (prompts, curves x 2 x n).
        wide = np.ascontiguousarray(values.transpose(2, 0, 1, 3)).reshape(n_prompts, -1)
        low, high = percentile_interval(counts @ wide / n_prompts, stats.confidence)
        found.append([end.reshape(len(values), len(_WITH_INTERVAL), -1) for end in (low, high)])
    low, high = (np.concatenate(part) for part in zip(*found, strict=True))
    return low, high


def _seed_ends(values: np.ndarray, counts: np.ndarray, stats: Stats) -> Ends:
    """Bounds (2, n) of the mean over seeds: the variance of the mean over prompts plus that of the mean over seeds.

    values: gold and net (seeds, 2, prompts, n). What a seed's model makes of these very prompts stands in both terms,
    so the interval is cautious. Degrees of freedom of the sum by Satterthwaite, and no more than those of the seeds
    where their part is the larger.
    """
    n_seeds, _, n_prompts, _ = values.shape
    draws = counts @ values.mean(axis=0) / n_prompts  # (2, draws, n)
    within = draws.var(axis=1, ddof=1)
    between = values.mean(axis=2).var(axis=0, ddof=1) / n_seeds
    df = satterthwaite_df([within, between], [max(n_prompts - 1, 1), n_seeds - 1])
    df = np.where(between > within, np.minimum(df, n_seeds - 1), df)
    half = t_quantile(stats.confidence, np.maximum(df, 1)) * np.sqrt(within + between)
    middle = values.mean(axis=(0, 2))
    return middle - half, middle + half


def _scheme_rows(
    groups: Mapping[Any, np.ndarray], curves: np.ndarray, ends: Ends, counts: np.ndarray, stats: Stats
) -> pd.DataFrame:
    """Rows of the means over seeds; groups: base, regime, scheme and choice -> places among the curves."""
    means, lows, highs = [], [], []
    for places in groups.values():
        own = curves[places]
        several = len(places) > 1
        low, high = _seed_ends(_with_interval(own), counts, stats) if several else (end[places[0]] for end in ends)
        means.append(own.mean(axis=0))
        lows.append(low)
        highs.append(high)
    keys = pd.DataFrame(list(groups), columns=_SCHEME).assign(n_seeds=[len(places) for places in groups.values()])
    return _rows(keys, np.stack(means), (np.stack(lows), np.stack(highs)))


def _with_interval(curves: np.ndarray) -> np.ndarray:
    """gold and net (curves, 2, prompts, n) of gold, win and lose (curves, 3, prompts, n)."""
    return np.stack([curves[:, 0], curves[:, 1] - curves[:, 2]], axis=1)


def _rows(keys: pd.DataFrame, curves: np.ndarray, ends: Ends) -> pd.DataFrame:
    """A row for each curve and n = 1 to N, without the source."""
    _, _, n_prompts, size = curves.shape
    means = curves.mean(axis=2)
    gold, win, lose = (means[:, place].ravel() for place in range(len(_VALUES)))
    n = np.tile(np.arange(1, size + 1), len(keys))
    bounds = {
        f"{name}_{side}": end[:, place].ravel()
        for place, name in enumerate(_WITH_INTERVAL)
        for side, end in zip(("low", "high"), ends, strict=True)
    }
    repeated = keys.loc[keys.index.repeat(size)].reset_index(drop=True)
    return repeated.assign(
        n=n, kl_bound_nats=kl_bound_nats(n), gold=gold, win=win, tie=1.0 - win - lose, lose=lose, net=win - lose,
        n_prompts=n_prompts, **bounds,
    )  # fmt: skip


def _judge(samples: pd.DataFrame, gold: pd.Series, tie_width: float) -> _Judged:
    if not samples.index.equals(gold.index):
        raise ValueError(f"{len(gold)} scores of the judge for {len(samples)} samples, or another index")
    prompts = samples[["prompt_id", "source"]].drop_duplicates("prompt_id", ignore_index=True)
    # pivot refuses a number that stands twice.
    wide = samples.assign(gold=gold).pivot(index="prompt_id", columns="number", values="gold")  # noqa: PD010
    wide = wide.loc[prompts["prompt_id"]].sort_index(axis="columns")
    numbers = [int(number) for number in wide.columns]
    if numbers != list(range(len(numbers))) or len(numbers) < 2:
        raise ValueError(f"samples have the numbers {numbers}; expected 0 (the reference) and 1 to N")
    values = wide.to_numpy(dtype=np.float64)
    bad = ~np.isfinite(values)
    if bad.any():
        row, number = np.argwhere(bad)[0]
        raise ValueError(f"prompt {wide.index[row]} number {number}: the judge's score is {values[row, number]}")
    candidates = values[:, 1:]
    verdicts = compare(candidates, values[:, [REFERENCE]], tie_width)
    return _Judged(prompts, np.stack([candidates, verdicts == 1, verdicts == -1]).astype(np.float64))


def _scores(rewards: pd.DataFrame, prompt_ids: pd.Series, size: int) -> tuple[pd.DataFrame, np.ndarray]:
    """Keys of the models in the order of their first row, and the rewards of candidates (models, prompts, N)."""
    models = rewards[_KEY].drop_duplicates(ignore_index=True)
    values = np.empty((len(models), len(prompt_ids), size))
    for place, (key, rows) in enumerate(rewards.groupby(_KEY, sort=False)):
        name = RewardModelId(*key)  # type: ignore[arg-type]
        known = rows[rows["number"] != REFERENCE]
        if known.duplicated(["prompt_id", "number"]).any():
            raise ValueError(f"{name}: a prompt and number stand twice in the rewards")
        wide = known.pivot(index="prompt_id", columns="number", values="reward")  # noqa: PD010
        wide = wide.reindex(index=prompt_ids, columns=np.arange(1, size + 1))
        values[place] = wide.to_numpy(dtype=np.float64)
        if len(known) != values[place].size or not np.isfinite(values[place]).all():
            raise ValueError(
                f"{name}: {len(known)} rewards of candidates, {int(np.isfinite(values[place]).sum())} of them finite "
                f"and of known samples; expected {values[place].size}"
            )
    return models, values
