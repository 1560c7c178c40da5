"""Tables that cross a stage border: each has a schema, checked when it is written and when it is read."""

from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from more_repro.store.atomic import replacing

Kind = Literal["str", "int", "float", "float?", "bool"]  # float? may be NaN: not defined for that row
Schema = dict[str, Kind]

_MODEL: Schema = {"base": "str", "regime": "str", "scheme": "str", "trained_on": "str", "seed": "int"}
_MODELS: Schema = {"base": "str", "regime": "str", "scheme": "str", "trained_on": "str"}
_POLICY: Schema = {"policy": "str", **_MODEL}
_INTERVAL: Schema = {"estimate": "float?", "low": "float?", "high": "float?"}

SCHEMAS: dict[str, Schema] = {
    # data
    "pairs": {
        "pair_id": "str", "prompt_id": "str", "source": "str", "prompt": "str", "chosen": "str", "rejected": "str",
        "true_preference": "float?", "shared_margin": "float?", "score_margin": "float?",
    },
    "corpus": {"text": "str"},
    "audit": {"source": "str", "split": "str", "reason": "str", "n_pairs": "int"},
    "audit_sources": {"source": "str", "reader": "str", "origin": "str", "revision": "str", "licence": "str",
                      "sha256": "str"},
    "audit_files": {"source": "str", "split": "str", "file": "str", "container": "str", "format": "str",
                    "n_rows": "int", "bytes": "int", "sha256": "str", "revision": "str"},
    "audit_examples": {"source": "str", "split": "str", "reason": "str", "place": "str", "prompt": "str",
                       "chosen": "str", "rejected": "str"},
    "near_duplicates": {"tested_on": "str", "trained_on": "str", "n_near": "int", "n_same_dialogue": "int",
                        **_INTERVAL, "n": "int"},
    "near_duplicate_examples": {"tested_on": "str", "trained_on": "str", "share": "float", "same_dialogue": "bool",
                                "test_prompt": "str", "training_prompt": "str"},
    "mixture": {"source": "str", "position": "int", "pair_id": "str", "pass_number": "int"},
    "mixture_manifest": {"regime": "str", "seed": "int", "k": "int", "sources": "str", "n_pairs": "int",
                         "n_unique": "int", "sha256": "str"},
    "mixture_summary": {"regime": "str", "source": "str", "available_pairs": "int", "unique_pairs": "int",
                        "resampled_pairs": "int", "mean_passes": "float"},
    "source_statistics": {"source": "str", "statistic": "str", **_INTERVAL, "n": "int", "n_prompts": "int"},
    "transfer": {"trained_on": "str", "tested_on": "str", **_INTERVAL, "n": "int", "n_prompts": "int"},
    "source_similarity": {"source_a": "str", "source_b": "str", "measure": "str", **_INTERVAL, "n": "int"},
    "word_divergence": {"source": "str", "divergence_bits": "float", "null_mean": "float", "null_low": "float",
                        "null_high": "float", "excess_bits": "float", "p": "float", "n_pairs": "int",
                        "n_prompts": "int"},
    "word_log_odds": {"source": "str", "word": "str", "log_odds": "float", "low": "float", "high": "float",
                      "z": "float", "z_limit": "float", "n_chosen": "int", "n_rejected": "int"},
    # lm
    "base_training": {"base": "str", "step": "int", "loss": "float", "learning_rate": "float"},
    # reward
    "training_log": {**_MODEL, "step": "int", "source": "str", "loss": "float", "lambda": "float",
                     "margin": "float", "head_gradient_norm": "float", "learning_rate": "float"},
    "training_summary": {**_MODEL, "n_steps": "int", "n_pairs": "int", "n_tokens": "int", "padding_share": "float",
                         "n_truncated_pairs": "int", "n_equal_pairs": "int"},
    "scores": {**_MODEL, "split": "str", "source": "str", "pair_id": "str", "prompt_id": "str",
               "reward_chosen": "float", "reward_rejected": "float"},
    # evaluation
    "metrics": {
        **_MODEL, "source": "str", "n_pairs": "int", "n_prompts": "int", "n_margin_ties": "int",
        "accuracy": "float", "accuracy_low": "float", "accuracy_high": "float",
        "ece": "float?", "ece_sd": "float?", "ece_null_mean": "float?", "ece_null_sd": "float?",
        "ece_null_low": "float?", "ece_null_high": "float?", "ece_p": "float?", "ece_excess": "float?",
        "ece_not_beside": "str",
        "mce": "float?", "ece_equal_mass": "float?", "l2_debiased": "float?",
        "slope": "float?", "slope_low": "float?", "slope_high": "float?",
        "brier": "float?", "brier_low": "float?", "brier_high": "float?",
        "log_loss": "float?", "log_loss_low": "float?", "log_loss_high": "float?",
        "overconfidence": "float?", "mean_abs_margin": "float",
        "temperature": "float?", "ece_after_temperature": "float?", "ece_after_temperature_null_mean": "float?",
        "ece_after_temperature_null_low": "float?", "ece_after_temperature_null_high": "float?",
        "log_loss_after_temperature": "float?",
        "ece_true": "float?", "pairwise_drift": "float?",
    },
    "reliability": {**_MODEL, "source": "str", "bin_low": "float", "bin_high": "float", "n_pairs": "int",
                    "mean_confidence": "float", "accuracy": "float", "null_low": "float", "null_high": "float"},
    "margin_boxes": {**_MODEL, "source": "str", "ordering": "str", "n_pairs": "int", "mean": "float",
                     "whisker_low": "float", "q1": "float", "median": "float", "q3": "float",
                     "whisker_high": "float"},
    "margin_histogram": {**_MODEL, "source": "str", "bin_low": "float", "bin_high": "float", "n_pairs": "int",
                         "density": "float"},
    "outliers": {**_MODEL, "source": "str", "n_pairs": "int", "positive_count": "int", "positive_mean": "float?",
                 "negative_count": "int", "negative_mean": "float?", "ece": "float?"},
    "seed_summary": {**_MODELS, "source": "str", "metric": "str", **_INTERVAL, "sd": "float?", "n_seeds": "int",
                     "n_pairs": "int"},
    "comparisons": {"base": "str", "regime": "str", "trained_on": "str", "scheme": "str", "against": "str",
                    "source": "str", "metric": "str", **_INTERVAL, "p": "float?", "p_holm": "float?",
                    "n_seeds": "int", "n_pairs": "int"},
    "controls": {"regime": "str", "against": "str", "ece": "float?", "ece_low": "float?", "ece_high": "float?",
                 "p": "float?", "p_holm": "float?", "accuracy": "float?", "accuracy_low": "float?",
                 "accuracy_high": "float?", "mean_abs_margin": "float?", "mean_abs_margin_low": "float?",
                 "mean_abs_margin_high": "float?", "n_bases": "int", "n_models": "int", "n_pairs": "int",
                 "verdict": "str"},
    "paired": {"base": "str", "regime": "str", "source": "str", "scheme": "str", "against": "str", "seed": "str",
               "metric": "str", **_INTERVAL, "null_low": "float?", "null_high": "float?", "p": "float?",
               "p_holm": "float?", "n_seeds": "int", "n_pairs": "int", "n_prompts": "int", "note": "str"},
    "length_bias": {**_MODEL, "source": "str", "statistic": "str", **_INTERVAL, "n_pairs": "int",
                    "n_prompts": "int", "n_equal": "int"},
    "claims": {"claim": "str", "statement": "str", "data": "str", "verdict": "str", **_INTERVAL, "n": "int",
               "rule": "str", "sentence": "str"},
    # alignment
    # settings: JSON of all that a text was drawn with (policy, sampler, temperature, length, seed)
    "samples": {"prompt_id": "str", "source": "str", "prompt": "str", "number": "int", "response": "str",
                "n_tokens": "int", "finished": "bool", "settings": "str"},
    "rewards": {**_MODEL, "prompt_id": "str", "number": "int", "reward": "float"},
    "picks": {**_POLICY, "prompt_id": "str", "source": "str", "number": "int", "reward": "float?"},
    "responses": {**_POLICY, "prompt_id": "str", "source": "str", "prompt": "str", "response": "str",
                  "n_tokens": "int", "finished": "bool", "settings": "str"},
    # mean_perplexity: mean over texts of each one's own; n_long: texts longer than a window, read by stride
    "perplexity": {**_POLICY, "source": "str", "perplexity": "float", "perplexity_low": "float",
                   "perplexity_high": "float", "mean_perplexity": "float", "median_perplexity": "float",
                   "n_texts": "int", "n_tokens": "int", "n_long": "int", "n_outliers": "int"},
    # kl_bound_nats: log n - (n - 1) / n. choice: best, worst (by the model's reward), random, oracle (by the judge's)
    "best_of_n": {**_MODEL, "choice": "str", "source": "str", "n": "int", "kl_bound_nats": "float",
                  "gold": "float", "gold_low": "float", "gold_high": "float", "win": "float", "tie": "float",
                  "lose": "float", "net": "float", "net_low": "float", "net_high": "float", "n_prompts": "int"},
    "best_of_n_schemes": {"base": "str", "regime": "str", "scheme": "str", "choice": "str", "source": "str", "n": "int",
                          "kl_bound_nats": "float", "gold": "float", "gold_low": "float", "gold_high": "float",
                          "win": "float", "tie": "float", "lose": "float", "net": "float", "net_low": "float",
                          "net_high": "float", "n_seeds": "int", "n_prompts": "int"},
    # first, second: what the judge said with the policy's response in first and in second place, seen from the
    # policy; empty for judges that give scores
    "verdicts": {**_POLICY, "opponent": "str", "prompt_id": "str", "source": "str", "verdict": "str",
                 "first": "str", "second": "str", "score": "float?", "opponent_score": "float?"},
    # note: what the report says of who judged
    "judge": {"kind": "str", "note": "str"},
    "judge_statistics": {"source": "str", "statistic": "str", **_INTERVAL, "n": "int"},
    # request: digest of the messages sent; what makes a run repeatable from a file, without a call
    "judge_replies": {"request": "str", "reply": "str"},
    "ranking": {**_POLICY, "source": "str", "strength": "float", "strength_low": "float", "strength_high": "float",
                "rank": "int", "rank_low": "int", "rank_high": "int", "n_opponents": "int", "n_prompts": "int"},
    "win_rates": {**_POLICY, "opponent": "str", "source": "str", "n_prompts": "int", "n_invalid": "int",
                  "win": "float", "tie": "float", "lose": "float", "net": "float", "net_low": "float",
                  "net_high": "float"},
    "scheme_duels": {"base": "str", "regime": "str", "scheme": "str", "against": "str", "source": "str",
                     "n_seeds": "int", "n_prompts": "int", "win": "float", "tie": "float", "lose": "float",
                     "net": "float", "net_low": "float", "net_high": "float"},
    # regression
    "regression": {"data": "str", "outcome": "str", "term": "str", "method": "str", **_INTERVAL, "p": "float?",
                   "p_holm": "float?", "vif": "float?", "n": "int", "n_groups": "int", "note": "str"},
    "influence": {"data": "str", "outcome": "str", **_MODEL, "partial_term": "float", "partial_outcome": "float",
                  "leverage": "float", "cooks_distance": "float?", "estimate_without": "float?", **_INTERVAL,
                  "n": "int"},
    "published_noise": {"table": "str", "base": "str", "scheme": "str", "source": "str", "ece": "float",
                        "null_mean": "float?", "null_low": "float?", "null_high": "float?", "p": "float?",
                        "difference": "float?", "noise_low": "float?", "noise_high": "float?", "scale": "float?",
                        "p_difference": "float?", "p_correlated": "float?", "n": "int"},
    "published_checks": {"check": "str", "outcome": "str", **_INTERVAL, "p": "float?", "n": "int",
                         "sentence": "str"},
    "power": {"effect": "float", "power": "float", "low": "float", "high": "float", "n": "int"},
    "placebo": {**_MODEL, "factor": "float", "ece": "float", "changed_picks": "int", "n_prompts": "int"},
}  # fmt: skip


class TableError(ValueError):
    """A table does not have the columns or values its schema asks for; the message names table, column and row."""


def check(table: pd.DataFrame, name: str, where: str = "") -> pd.DataFrame:
    """Return the table with the schema's columns in the schema's order and types; raise TableError otherwise."""
    schema, where = SCHEMAS[name], where or name
    missing = [column for column in schema if column not in table.columns]
    extra = [column for column in table.columns if column not in schema]
    if missing or extra:
        raise TableError(f"{where}: columns missing {missing}, not expected {extra}")
    return pd.DataFrame({column: _column(table[column], kind, where) for column, kind in schema.items()})


def write(table: pd.DataFrame, path: str | Path, name: str) -> Path:
    """Check a table and write it as Parquet, whole or not at all."""
    checked = check(table, name, str(path))
    with replacing(path) as part:
        checked.to_parquet(part, index=False, compression="zstd")
    return Path(path)


def read(path: str | Path, name: str) -> pd.DataFrame:
    """Read a table and check it. Raises TableError that names the file, and the command that makes it."""
    if not Path(path).exists():
        raise TableError(f"{path}: no such table; `dvc repro` makes it")
    return check(pd.read_parquet(path), name, str(path))


def read_columns(path: str | Path, name: str, columns: list[str]) -> pd.DataFrame:
    """Some columns of a table, as they were checked when it was written: where the rest would take room for nothing.

    Raises TableError where the file is not there or lacks one of them.
    """
    if not Path(path).exists():
        raise TableError(f"{path}: no such table; `dvc repro` makes it")
    schema = SCHEMAS[name]
    try:
        table = pd.read_parquet(path, columns=columns)
    except (ValueError, KeyError) as error:
        raise TableError(f"{path}: {error}") from None
    return pd.DataFrame({column: _column(table[column], schema[column], str(path)) for column in columns})


def empty(name: str) -> pd.DataFrame:
    """A table without rows, for a part of the study that the params leave out."""
    return check(pd.DataFrame({column: [] for column in SCHEMAS[name]}), name)


def _column(values: pd.Series, kind: Kind, where: str) -> pd.Series:
    where = f"{where}: column {values.name!r}"
    if kind == "str":
        if values.dtype == "str" and not values.hasnans:
            return values.reset_index(drop=True)
        bad = ~values.map(lambda value: isinstance(value, str)).astype(bool)
        if bad.any():
            raise TableError(f"{where}: row {int(bad.to_numpy().argmax())} is not text")
        return values.astype(object).reset_index(drop=True).astype("str")
    try:
        numbers = values.to_numpy(dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise TableError(f"{where}: {error}") from None
    bad_number = np.isinf(numbers) | (np.isnan(numbers) if kind != "float?" else False)
    if kind in ("int", "bool"):
        bad_number |= numbers != np.round(numbers)
    if bad_number.any():
        row = int(np.argmax(bad_number))
        raise TableError(f"{where}: row {row} holds {numbers[row]}, which a column of kind {kind!r} cannot")
    dtype = {"int": np.int64, "bool": np.bool_}.get(kind, np.float64)
    return pd.Series(numbers.astype(dtype), name=values.name)
