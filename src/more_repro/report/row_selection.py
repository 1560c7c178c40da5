"""Choosing and ordering the rows that a figure or table shows."""

from collections.abc import Iterable, Sequence

import pandas as pd

from more_repro.params import Params
from more_repro.report.style import NotMeasured, scheme_order
from more_repro.schemes import NONE, POOLED, Roles, TrainedOn, is_first_k


def order_tables(tables: dict[str, pd.DataFrame], params: Params) -> dict[str, pd.DataFrame]:
    """The same tables with rows in the order of the study: figures draw in the order of appearance."""
    sources = params.sources
    ranks = {
        "regime": _ranks(params.regimes),
        "base": _ranks(params.bases),
        "source": _ranks((*sources, *POOLED)),
        "trained_on": _ranks(sources),
        "tested_on": _ranks(sources),
        "source_a": _ranks(sources),
        "source_b": _ranks(sources),
    }
    return {name: _ordered(table, ranks, params.roles) for name, table in tables.items()}


def _ordered(table: pd.DataFrame, ranks: dict[str, dict[str, int]], roles: Roles) -> pd.DataFrame:
    keys = {c: table[c].map(lambda v, r=ranks[c]: r.get(v, len(r))) for c in ranks if c in table.columns}
    if "scheme" in table.columns:
        known = _ranks(scheme_order(table["scheme"], roles))
        keys["scheme"] = table["scheme"].map(known)
    if not keys or table.empty:
        return table
    order = pd.DataFrame(keys).sort_values(list(keys), kind="stable").index
    return table.loc[order].reset_index(drop=True)


def _ranks(names: Iterable[str]) -> dict[str, int]:
    return {name: number for number, name in enumerate(names)}


def need(table: pd.DataFrame, reason: str) -> pd.DataFrame:
    """The table, if it has rows. Raises NotMeasured(reason) otherwise."""
    if table.empty:
        raise NotMeasured(reason)
    return table


def of_regime(table: pd.DataFrame, regime: str | None) -> pd.DataFrame:
    """Rows of a regime, with those that belong to none (raw heads, the length rule); None keeps all."""
    return table if regime is None else table[table["regime"].isin((regime, NONE))]


def of_base(table: pd.DataFrame, base: str) -> pd.DataFrame:
    return table[table["base"] == base]


def of_align(table: pd.DataFrame, align_sources: Sequence[str] | None) -> pd.DataFrame:
    """Rows of the sources that policies are aligned on; None keeps every data set."""
    return data_sets(table) if align_sources is None else table[table["source"].isin(list(align_sources))]


def data_sets(table: pd.DataFrame) -> pd.DataFrame:
    """Rows of real sources, none pooled."""
    return table[~table["source"].isin(POOLED)]


def whole(table: pd.DataFrame) -> pd.DataFrame:
    """Rows of models of every source or of one; those of the first K sources (Fig 6) left out."""
    return table[~table["trained_on"].map(is_first_k).astype(bool)]


def subset_size(trained_on: str, n_sources: int) -> int | None:
    """K of "first<K>", or of the whole mixture; None for anything else."""
    return TrainedOn.parse(trained_on).n_mixed(n_sources)


def bases_of(table: pd.DataFrame) -> list[str]:
    return [b for b in dict.fromkeys(table["base"]) if b != NONE]


def sources_of(table: pd.DataFrame) -> list[str]:
    return list(dict.fromkeys(data_sets(table)["source"]))


def first_seed(table: pd.DataFrame) -> pd.DataFrame:
    """Of each model, the rows of its lowest seed."""
    if table.empty:
        return table
    lowest = table.groupby(["base", "regime", "scheme", "trained_on"])["seed"].transform("min")
    return table[table["seed"] == lowest]


def model_label(scheme: str, trained_on: str, roles: Roles) -> str:
    """A reward model's name inside one base and regime: "single: helpful", "multitask"."""
    return f"{scheme}: {trained_on}" if scheme == roles.single else scheme


def labelled(table: pd.DataFrame, roles: Roles) -> pd.DataFrame:
    """With a column `model`, in the house order of schemes."""
    order = scheme_order(table["scheme"], roles)
    ranked = table.assign(
        model=[model_label(s, t, roles) for s, t in zip(table["scheme"], table["trained_on"], strict=True)],
        _rank=table["scheme"].map({s: n for n, s in enumerate(order)}),
    )
    return ranked.sort_values("_rank", kind="stable").drop(columns="_rank")


def one_base(rows: pd.DataFrame, base: str | None) -> pd.DataFrame:
    """Rows of the named base, or of the first one."""
    names = bases_of(rows)
    return of_base(rows, base) if base else of_base(rows, names[0]) if names else rows
