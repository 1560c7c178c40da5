"""Beside each ECE of the paper's tables, ours and printed, the ECE of a calibrated model at that number of pairs."""

import pandas as pd

from more_repro.evaluation.metrics.ece import NULL_GAP
from more_repro.report.formatting import BLANK, number
from more_repro.report.html import UNDER
from more_repro.report.paper_tables.paper import PRINTED, THIS_RUN
from more_repro.report.row_selection import data_sets, of_regime, whole
from more_repro.report.run_tables import Study
from more_repro.schemes import ALIGN, MEAN, PAPER, TOP, Roles

MARK = "†"  # of an ECE that cannot be held against multitask's as it stands
FAR = NULL_GAP
_NOISE = {"difference": "ece_difference", "noise_low": "ece_noise_low", "noise_high": "ece_noise_high"}
_COLUMNS = ["ece_null", "ece_null_low", "ece_null_high"]
_FROM = {"ece_null_mean": "ece_null", "ece_null_low": "ece_null_low", "ece_null_high": "ece_null_high"}


def with_null(study: Study, tables: dict[str, pd.DataFrame], regime: str) -> dict[str, pd.DataFrame]:
    """The tables that have an ECE, with columns ece_null, ece_null_low, ece_null_high behind it.

    Ours: means over seeds of the null mean and band (for a mean over sources, the mean alone: bands do not average).
    Printed: table "published_noise", with ece_difference (from multitask) and its noise band ece_noise_low, _high.
    Two ECEs whose nulls lie more than .005 apart are not comparable as they stand.
    """
    rows = _own(study, regime)
    found = {"table1": rows[rows["source"] == ALIGN], "table2": rows[rows["source"] == MEAN]}
    outliers = data_sets(rows).replace({"scheme": {TOP: study.roles.single}})
    renamed = {f"null_{end}": f"ece_null_{end}" for end in ("mean", "low", "high")}
    printed = study["published_noise"].rename(columns=renamed)
    made = {}
    for name, table in tables.items():
        known = name if name in found else "tables4_6"
        if "ece" not in table.columns:
            made[name] = table
            continue
        theirs = printed[printed["table"] == known]
        made[name] = _joined(table, found.get(name, outliers), theirs, ["source"] * (known == "tables4_6"))
    return made


def _own(study: Study, regime: str) -> pd.DataFrame:
    """[base, scheme, source, null columns] of this run, and source "mean"; single models on their own source: `top`."""
    rows = whole(of_regime(study.every("metrics"), regime))
    rows = rows[rows["ece"].notna() & ((rows["scheme"] != study.roles.single) | (rows["trained_on"] == rows["source"]))]
    rows = rows.assign(scheme=rows["scheme"].where(rows["scheme"] != study.roles.single, TOP))
    means = rows.groupby(["base", "scheme", "source"], sort=False)[list(_FROM)].mean().reset_index()
    plain = data_sets(means).groupby(["base", "scheme"], sort=False)["ece_null_mean"].mean().reset_index()
    return pd.concat([means, plain.assign(source=MEAN)], ignore_index=True)


def _joined(table: pd.DataFrame, ours: pd.DataFrame, printed: pd.DataFrame, more: list[str]) -> pd.DataFrame:
    keys = ["base", "scheme", *more]
    parts = [
        part.reindex(columns=[*keys, *_FROM, *_NOISE]).rename(columns=_FROM | _NOISE).assign(is_ours=is_ours)
        for part, is_ours in ((ours, True), (printed, False))
    ]
    wanted = table.assign(is_ours=table["data"] == THIS_RUN)
    both = wanted.merge(pd.concat(parts), on=[*keys, "is_ours"], how="left", validate="many_to_one")
    added = [*_COLUMNS, *_NOISE.values()]
    names = [name for name in table.columns if name not in added]
    place = max(number for number, name in enumerate(names) if name in ("ece", "ece_low", "ece_high")) + 1
    return both[[*names[:place], *added, *names[place:]]]


def far_from_reference(rows: pd.DataFrame, roles: Roles) -> pd.Series:
    """Whether a row's null lies more than FAR from that of multitask in the same group (and source); n booleans.

    Printed rows call it by the paper's name.
    """
    keys = ["group", *(name for name in ("source",) if name in rows.columns)]
    names = rows["group"].map(lambda group: PAPER.reference if group.startswith(PRINTED) else roles.reference)
    own = rows[rows["scheme"] == names].drop_duplicates(keys)
    place = rows[keys].merge(own[[*keys, "ece_null"]], on=keys, how="left")
    return pd.Series((rows["ece_null"].to_numpy() - place["ece_null"].to_numpy()), index=rows.index).abs() > FAR


def folded(shown: pd.DataFrame, rows: pd.DataFrame, roles: Roles) -> pd.DataFrame:
    """The texts of a table with null columns, each ECE with its mark, its null and its printed difference below it."""
    marks = far_from_reference(rows, roles).map({True: MARK, False: ""})
    cells = []
    for text, null, mark, row in zip(shown["ece"], shown["ece_null"], marks, rows.to_dict("records"), strict=True):
        value, space, interval = text.partition(" ")
        lines = [f"{value}{mark if value != BLANK else ''}{space}{interval}"]
        lines += [f"null {null}"] if null != BLANK else []
        if pd.notna(row["ece_difference"]) and row["scheme"] == PAPER.method:
            low, high = (number(row[f"ece_noise_{end}"]) for end in ("low", "high"))
            lines += [f"to multitask {number(row['ece_difference'])}", f"noise {low} to {high}"]
        cells.append(UNDER.join(lines))
    return shown.assign(ece=cells).drop(columns=["ece_null", *_NOISE.values()])
