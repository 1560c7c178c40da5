"""The grid of reward models that the params ask for, and training all of one base and scheme over workers."""

import itertools
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from more_repro import tables
from more_repro.params import Params
from more_repro.paths import Paths
from more_repro.records import MODEL_KEY, RewardModelId
from more_repro.reward.jobs import PRELOAD, EncodeJob, TrainJob, TrainResult, encoded_path
from more_repro.reward.torchrun import train_together
from more_repro.schemes import DERIVED, EACH, LENGTH, MIXTURE, NONE, RAW, TrainedOn, first_k
from more_repro.workers import run_jobs

LENGTH_RULE = RewardModelId(NONE, NONE, LENGTH, NONE, 0)  # the words of a response: one for the whole study


def model_ids(params: Params, base: str) -> list[RewardModelId]:
    """Every trained reward model of a base, from the params alone: nothing is globbed."""
    return [model for scheme in params.schemes for model in scheme_model_ids(params, base, scheme)]


def scheme_model_ids(params: Params, base: str, scheme: str) -> list[RewardModelId]:
    """The models of a base and scheme: every regime and seed, each source (single) or the mixture and the sweep."""
    if params.schemes[scheme].trained_on == EACH:
        trained_on = list(params.sources)
    else:
        trained_on = [MIXTURE, *(first_k(count) for count in sweep_counts(params, base, scheme))]
    grid = itertools.product(trained_on, params.regimes, params.seeds)
    return [RewardModelId(base, regime, scheme, name, seed) for name, regime, seed in grid]


def raw_ids(params: Params, base: str) -> list[RewardModelId]:
    """The untrained head of each seed of a base."""
    return [RewardModelId(base, NONE, RAW, NONE, seed) for seed in params.seeds]


def aligned_models(params: Params) -> list[RewardModelId]:
    """The reward models that align a policy: align.schemes of every base, regime and seed, on the whole mixture."""
    return _mixture_models(params, params.align.schemes, "align.schemes")


def best_of_models(params: Params) -> list[RewardModelId]:
    """The reward models of the best-of-n curves: align.best_of.schemes of every base, regime and seed."""
    return _mixture_models(params, params.align.best_of.schemes, "align.best_of.schemes")


def _mixture_models(params: Params, schemes: Sequence[str], where: str) -> list[RewardModelId]:
    """Each model once: `raw` is the same in every regime, `length` in the whole study.

    Raises ValueError naming the key that asks for a scheme which makes no single reward function of all sources.
    """
    for scheme in schemes:
        if scheme not in DERIVED and params.schemes[scheme].trained_on == EACH:
            raise ValueError(
                f"{where} names {scheme!r}, which is one model for each source; averaging and the ensembles are made "
                "of them"
            )
    models: list[RewardModelId] = []
    for base, regime, scheme in itertools.product(params.bases, params.regimes, schemes):
        if scheme == LENGTH:
            models.append(LENGTH_RULE)
        elif scheme == RAW:
            models += raw_ids(params, base)
        else:
            models += [RewardModelId(base, regime, scheme, MIXTURE, seed) for seed in params.seeds]
    return list(dict.fromkeys(models))


def sweep_counts(params: Params, base: str, scheme: str) -> list[int]:
    """Numbers of sources of the Fig 6 sweep, largest first; all sources are the mixture itself and are left out."""
    sweep = params.rm.sweep
    if base not in sweep.bases or scheme not in sweep.schemes:
        return []
    return sorted({count for count in sweep.counts if count < len(params.sources)}, reverse=True)


def jobs(params: Params, paths: Paths, base: str, scheme: str) -> list[TrainJob]:
    """One job per model of a base and scheme, the longest first. Raises ValueError where N < B leaves no step."""
    drawn = itertools.product(params.regimes, params.seeds)
    mixtures = {(regime, seed): mixture_rows(paths, regime, seed) for regime, seed in drawn}
    models = scheme_model_ids(params, base, scheme)
    return [_job(params, paths, model, mixtures[model.regime, model.seed]) for model in models]


def train_all(params: Params, paths: Paths, base: str, scheme: str) -> dict[str, pd.DataFrame]:
    """Train every model of a base and scheme over workers and write the models and the training log.

    Returns the tables "training_log" and "training_summary"; the log is written to paths.training_log.
    """
    todo = jobs(params, paths, base, scheme)
    encode_tables(params, paths, base, [path for job in todo for path in job.pairs])
    label = f"reward models of {base}, {scheme}"
    train_together(todo, label)
    results: list[TrainResult] = run_jobs("more_repro.reward.training:train_reward_model", todo, label, PRELOAD)
    log = tables.check(pd.concat([log_rows(result) for result in results]), "training_log")
    tables.write(log, paths.training_log(base, scheme), "training_log")
    summary = pd.DataFrame([_summary_row(result) for result in results])
    return {"training_log": log, "training_summary": tables.check(summary, "training_summary")}


def encode_tables(params: Params, paths: Paths, base: str, pairs: Sequence[Path]) -> list[EncodeJob]:
    """Encode pairs tables once for all workers of this and later stages; one job per distinct table, in order."""
    todo = [EncodeJob(paths.base(base), path, params.rm.max_length, paths.scratch) for path in dict.fromkeys(pairs)]
    missing = [job for job in todo if not encoded_path(job).exists()]
    run_jobs("more_repro.reward.token_store:ensure_encoded", missing, f"tokens of {base}", PRELOAD)
    return todo


def _job(params: Params, paths: Paths, model: RewardModelId, mixture: dict[str, tuple[str, ...]]) -> TrainJob:
    sources = TrainedOn.parse(model.trained_on).sources(tuple(params.sources))
    rows = tuple(mixture[source] for source in sources)
    size = params.rm.pairs_per_source_per_batch
    steps = params.rm.epochs * len(rows[0]) // size
    if steps < 1:
        raise ValueError(
            f"data.pairs_per_source gives {len(rows[0])} pairs, rm.pairs_per_source_per_batch asks for {size}"
        )
    return TrainJob(
        model=model,
        base=paths.base(model.base),
        sources=sources,
        pairs=tuple(paths.pairs(source, "train") for source in sources),
        rows=rows,
        rm=params.rm,
        scheme=params.schemes[model.scheme],
        learning_rate=params.regimes[model.regime].learning_rate,
        steps=steps,
        out=paths.reward_model(model.base, model.regime, model.scheme, model.trained_on, model.seed),
        scratch=paths.scratch,
    )


def mixture_rows(paths: Paths, regime: str, seed: int) -> dict[str, tuple[str, ...]]:
    """pair_ids of each source in the order of training, repeats included."""
    table = tables.read(paths.mixture(regime, seed), "mixture").sort_values(["source", "position"])
    return {str(source): tuple(rows["pair_id"]) for source, rows in table.groupby("source", sort=False)}


def model_key(model: RewardModelId) -> dict[str, str | int]:
    """The model-key columns of a row."""
    return {name: getattr(model, name) for name in MODEL_KEY}


def log_rows(result: TrainResult) -> pd.DataFrame:
    """Rows of the table "training_log": one per step and source."""
    n_sources = len(result.sources)
    per_source = {
        name: list(itertools.chain.from_iterable(result.log[name]))
        for name in ("loss", "lambda", "margin", "head_gradient_norm")
    }
    return pd.DataFrame(
        {
            **model_key(result.model),
            "step": [step for step in range(1, result.n_steps + 1) for _ in range(n_sources)],
            "source": list(result.sources) * result.n_steps,
            **per_source,
            "learning_rate": [rate for rate in result.log["learning_rate"] for _ in range(n_sources)],
        }
    )


def _summary_row(result: TrainResult) -> dict[str, object]:
    names = ("n_steps", "n_pairs", "n_tokens", "padding_share", "n_truncated_pairs", "n_equal_pairs")
    return {**model_key(result.model), **{name: getattr(result, name) for name in names}}
