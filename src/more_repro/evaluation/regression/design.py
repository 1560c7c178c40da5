"""One row per reward model that aligned a policy: its calibration and accuracy beside what its policy achieved."""

import pandas as pd

from more_repro import tables
from more_repro.evaluation.paper import printed_numbers
from more_repro.records import MODEL_KEY
from more_repro.schemes import ALIGN, ALL, ENSEMBLES, NONE, UNTUNED

NET_WIN = "net_win"  # win minus lose against the policy before alignment
PERPLEXITY = "perplexity_"  # of the aligned policy on chosen responses, by source
OPPONENT = UNTUNED
MAIN = ("ece", "accuracy")
# Best-of-n cannot see the first: it has no effect. Its coefficient is 0 where nothing else moves both it and the
# outcome; one that is not 0 says that the coefficients of calibration are confounded.
SPLIT = ("ece_temperature", "ece_shape", "accuracy")
SLOPE = ("slope", "accuracy")
HALVES = (("ece_first_half", "accuracy_second_half"), ("ece_second_half", "accuracy_first_half"))  # share no noise


def design_table(
    metrics: pd.DataFrame, win_rates: pd.DataFrame, perplexity: pd.DataFrame, halves: pd.DataFrame | None = None
) -> pd.DataFrame:
    """[MODEL_KEY, group, ece, ece_sd, ece_temperature, ece_shape, slope, accuracy, net_win, perplexity_...].

    ece and accuracy on the source "align"; ece_shape is what is left after the temperature fitted on validation pairs,
    ece_temperature what that temperature removes. halves: table of `half_table`, its columns join. group: base and
    regime. Policies without a reward model are left out; so are those of ensembles: several functions of the same
    single models are no further reward models, and cannot change places with trained ones.
    Raises ValueError: a policy whose reward model has no metrics on "align".
    """
    keys = list(MODEL_KEY)
    metrics = tables.check(metrics, "metrics")
    win_rates, perplexity = tables.check(win_rates, "win_rates"), tables.check(perplexity, "perplexity")
    measured = metrics.loc[metrics["source"] == ALIGN, _measured(keys)]
    against = (win_rates["opponent"] == OPPONENT) & (win_rates["source"] == ALL) & (win_rates["base"] != NONE)
    against &= ~win_rates["scheme"].isin(ENSEMBLES)
    wins = win_rates.loc[against, [*keys, "net"]].rename(columns={"net": NET_WIN})
    table = wins.merge(measured, on=keys, how="left", validate="one_to_one", indicator=True)
    lost = (table["_merge"] != "both").to_numpy()
    if lost.any():
        first = "/".join(str(table.iloc[int(lost.argmax())][name]) for name in keys)
        raise ValueError(f"win_rates: the reward model {first} has no metrics on {ALIGN!r}")
    for source in sorted(perplexity["source"].unique()):
        column = perplexity.loc[perplexity["source"] == source, [*keys, "perplexity"]]
        column = column[column["base"] != NONE].rename(columns={"perplexity": PERPLEXITY + source})
        table = table.merge(column, on=keys, how="left", validate="one_to_one")
    if halves is not None:
        table = table.merge(halves, on=keys, how="left", validate="one_to_one")
    return table.drop(columns="_merge").assign(
        group=table["base"] + "/" + table["regime"],
        ece_shape=table["ece_after_temperature"],
        ece_temperature=table["ece"] - table["ece_after_temperature"],
    )


def _measured(keys: list[str]) -> list[str]:
    return [*keys, "ece", "ece_sd", "ece_after_temperature", "slope", "accuracy"]


def published_design() -> pd.DataFrame:
    """The six reward models of the paper's Table 1 in the same columns, where they exist; no judge rate per model."""
    rows = printed_numbers.table1(printed_numbers.load())
    rows = rows[rows["base"] != NONE].drop(columns=["win", "tie", "lose"])
    return rows.assign(group=rows["base"]).reset_index(drop=True)


def outcomes(design: pd.DataFrame) -> list[str]:
    """Outcome columns of a design, net win first."""
    judged = [NET_WIN] if NET_WIN in design.columns else []
    return judged + sorted(name for name in design.columns if name.startswith(PERPLEXITY))
