"""Tables 1 to 6 of the paper from this run, with the published rows beside ours: tidy numbers, no formatting.

A row's `data` is "this run" or "published: <base>"; rates and accuracies are shares. Intervals are columns
<name>_low and <name>_high.
"""

from collections.abc import Sequence

import pandas as pd

from more_repro.report.row_selection import bases_of, of_regime, sources_of, whole
from more_repro.report.style import scheme_order
from more_repro.schemes import ALIGN, ALL, MEAN, NONE, Roles

THIS_RUN, PRINTED = "this run", "published"
_KEY = ["data", "base", "regime", "scheme"]


def table1(
    seed_summary: pd.DataFrame,
    perplexity: pd.DataFrame,
    scheme_duels: pd.DataFrame,
    published: pd.DataFrame | None,
    regime: str,
    *,
    roles: Roles,
) -> pd.DataFrame:
    """Per base and scheme: accuracy and ECE on the alignment sources pooled, perplexity, the duel against multitask.

    Perplexity is that of the printed table, the mean over texts of each one's own; mean over seeds, its ends the lowest
    and highest seed. The duel of a scheme stands in its own row.
    """
    rows = _summary(seed_summary, regime, ("accuracy", "ece"), (ALIGN,))
    ours = _wide(rows, {(ALIGN, "accuracy"): "accuracy", (ALIGN, "ece"): "ece"}, roles)
    texts = _perplexity(of_regime(perplexity, regime))
    table = texts[_KEY[1:]].merge(ours, on=_KEY[1:], how="left").merge(texts, on=_KEY[1:], how="left")
    table = ours if texts.empty else table.assign(data=THIS_RUN)[[*ours.columns, *texts.columns.drop(_KEY[1:])]]
    duels = of_regime(scheme_duels, regime)
    duels = duels[(duels["source"] == ALL) & (duels["against"] == roles.reference)]
    columns = ["base", "regime", "scheme", "win", "tie", "lose", "net", "net_low", "net_high", "n_prompts"]
    table = table.merge(duels[columns], on=_KEY[1:], how="left")
    sizes = ["n_seeds", "n_pairs", "n_prompts"]
    return _stack(table[[*table.columns.drop(sizes), *sizes]], published)


def _perplexity(rows: pd.DataFrame) -> pd.DataFrame:
    """[base, regime, scheme, perplexity_<source>, .._low, .._high, ...]: mean, lowest and highest seed."""
    out = rows[["base", "regime", "scheme"]].drop_duplicates().reset_index(drop=True)
    for source in dict.fromkeys(rows["source"]):
        groups = rows[rows["source"] == source].groupby(["base", "regime", "scheme"], sort=False)["mean_perplexity"]
        name = f"perplexity_{source}"
        found = groups.agg(["mean", "min", "max"]).reset_index()
        found = found.rename(columns={"mean": name, "min": f"{name}_low", "max": f"{name}_high"})
        out = out.merge(found, on=["base", "regime", "scheme"], how="left")
    return out


def table2(seed_summary: pd.DataFrame, published: pd.DataFrame | None, regime: str, *, roles: Roles) -> pd.DataFrame:
    """Accuracy per source, mean accuracy and mean ECE of every base and scheme, the length rule included."""
    rows = _summary(seed_summary, regime, ("accuracy", "ece"), (*sources_of(whole(seed_summary)), MEAN))
    names = {(source, "accuracy"): source for source in dict.fromkeys(rows["source"])}
    table = _wide(rows, names | {(MEAN, "ece"): "ece"}, roles)
    return _stack(table, None if published is None else published.drop(columns="row_mean", errors="ignore"))


def table3(
    audit: pd.DataFrame, mixture_summary: pd.DataFrame, published: pd.DataFrame | None, regime: str
) -> pd.DataFrame:
    """Pairs per source: kept for each split, different ones in the mixture, drawn after resampling; published.

    The published counts include pairs of equal scores, which are dropped here: ties_<split> is how many.
    """
    kept, ties = (audit[audit["reason"] == reason] for reason in ("kept", "tie"))
    table = pd.DataFrame({"source": list(dict.fromkeys(audit["source"]))}, dtype="str")
    for split in dict.fromkeys(kept["split"]):
        counts = kept[kept["split"] == split].groupby("source")["n_pairs"].sum()
        table[split] = table["source"].map(counts).astype("Int64")
    for split in [split for split in ("train", "test") if split in table.columns]:
        counts = ties[ties["split"] == split].groupby("source")["n_pairs"].sum()
        table[f"ties_{split}"] = table["source"].map(counts).fillna(0).astype("Int64")
    mixed = mixture_summary[mixture_summary["regime"] == regime].set_index("source")
    for column in ("unique_pairs", "resampled_pairs", "mean_passes"):
        table[column] = table["source"].map(mixed[column])
    if published is not None:
        printed = published.set_index("source")
        for column in printed.columns:
            table[f"published_{column}"] = table["source"].map(printed[column]).astype("Int64")
    return table


def tables4_6(
    outliers: pd.DataFrame,
    published: pd.DataFrame | None,
    regime: str,
    align_sources: Sequence[str],
    *,
    roles: Roles,
) -> dict[str, pd.DataFrame]:
    """Tables 4, 5, 6 as "table4", ...: one per base in the order given, and more where there are more bases.

    Outliers of the margin on the alignment sources for single (of that source), multitask and more, with ECE; counts
    and means are averaged over seeds. Where this run has fewer bases than three, published bases fill the rest.
    """
    rows = whole(of_regime(outliers, regime))
    schemes = (roles.single, roles.reference, roles.method)
    rows = rows[rows["source"].isin(list(align_sources)) & rows["scheme"].isin(schemes)]
    rows = rows[(rows["scheme"] != roles.single) | (rows["trained_on"] == rows["source"])]
    values = ["positive_count", "positive_mean", "negative_count", "negative_mean", "ece"]
    groups = rows.groupby(["base", "source", "scheme"], sort=False)
    table = (
        groups[values].mean().join(groups.agg(n_pairs=("n_pairs", "min"), n_seeds=("seed", "nunique"))).reset_index()
    )
    printed = pd.DataFrame(columns=["base", "source", "scheme", *values]) if published is None else published
    ours, theirs = bases_of(table), list(dict.fromkeys(printed["base"]))
    made = {}
    for number in range(max(3, len(ours), len(theirs))):
        parts = [table[table["base"] == b].assign(data=THIS_RUN) for b in ours[number : number + 1]]
        parts += [printed[printed["base"] == b].assign(data=f"{PRINTED}: {b}") for b in theirs[number : number + 1]]
        full = pd.concat(parts, ignore_index=True) if parts else table.head(0).assign(data=[])
        made[f"table{4 + number}"] = full[[c for c in ("data", *table.columns) if c in full.columns]]
    return made


def _summary(table: pd.DataFrame, regime: str, metrics: Sequence[str], sources: Sequence[str]) -> pd.DataFrame:
    rows = of_regime(whole(table), regime)
    return rows[rows["metric"].isin(list(metrics)) & rows["source"].isin(list(sources))]


def _wide(rows: pd.DataFrame, columns: dict[tuple[str, str], str], roles: Roles) -> pd.DataFrame:
    """One row per model family: each (source, metric) becomes <name>, <name>_low, <name>_high."""
    rows = rows[rows["scheme"] != roles.single]
    n_rows = rows.groupby(["base", "regime", "scheme"], sort=False).agg(
        n_seeds=("n_seeds", "max"), n_pairs=("n_pairs", "max")
    )
    out = n_rows.reset_index()
    for (source, metric), name in columns.items():
        part = rows[(rows["source"] == source) & (rows["metric"] == metric)]
        part = part[["base", "regime", "scheme", "estimate", "low", "high"]]
        part = part.rename(columns={"estimate": name, "low": f"{name}_low", "high": f"{name}_high"})
        out = out.merge(part, on=["base", "regime", "scheme"], how="left")
    order = {scheme: number for number, scheme in enumerate(scheme_order(out["scheme"], roles))}
    bases = {base: number for number, base in enumerate([*bases_of(out), NONE])}
    keys = pd.DataFrame({"base": out["base"].map(bases), "scheme": out["scheme"].map(order)})
    out = out.loc[keys.sort_values(["base", "scheme"], kind="stable").index].reset_index(drop=True)
    named = [c for name in columns.values() for c in (name, f"{name}_low", f"{name}_high")]
    return out.assign(data=THIS_RUN)[[*_KEY, *named, "n_seeds", "n_pairs"]]


def _stack(ours: pd.DataFrame, published: pd.DataFrame | None) -> pd.DataFrame:
    """Our rows, then the published ones, labelled; columns that we do not have stay out."""
    if published is None or published.empty:
        return ours
    labelled = published.assign(
        data=[PRINTED if b == NONE else f"{PRINTED}: {b}" for b in published["base"]], regime=NONE
    )
    shared = [column for column in labelled.columns if column in ours.columns]
    return pd.concat([ours, labelled[shared]], ignore_index=True)[list(ours.columns)]
