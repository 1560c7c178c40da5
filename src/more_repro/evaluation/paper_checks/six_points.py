"""What the six reward models of the paper's Table 1 can and cannot show: the table "published_checks"."""

import itertools
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import ndtr
from scipy.stats import binomtest

from more_repro import tables
from more_repro.evaluation.paper import printed_numbers as printed
from more_repro.evaluation.paper_checks.printed_noise import BINS
from more_repro.evaluation.paper_checks.printed_null import null_pairs
from more_repro.evaluation.regression.design import PERPLEXITY, published_design
from more_repro.evaluation.regression.fixed_effects import demeaned, t_test
from more_repro.evaluation.regression.permutation import group_permutations
from more_repro.params import Stats
from more_repro.schemes import PAPER
from more_repro.stats.intervals import NAN, Vector, normal_interval
from more_repro.stats.random import generator, numbered

JUDGED = (100, 300)  # prompts per base; the paper does not print how many it judged
Row = dict[str, Any]


def published_checks(stats: Stats) -> pd.DataFrame:
    """Table "published_checks": direction of each outcome by base, correlations, ECE against and beside a
    scheme dummy, floors, reliability, what noise leaves of the differences in accuracy and of the duels.

    n: bases, points or judged prompts, as the sentence says.
    """
    design = published_design()
    outcomes = [name for name in design.columns if name.startswith(PERPLEXITY)]
    rows = [_direction(design, name) for name in (*outcomes, "accuracy", "ece")]
    rows += [row for name in outcomes for row in (_correlation(design, name), *_fits(design, name, stats))]
    rows += [_floor(design), _reliability(design, stats), *_accuracies(stats), *_duels()]
    missing = {"estimate": NAN, "low": NAN, "high": NAN, "p": NAN}
    return tables.check(pd.DataFrame([missing | row for row in rows]), "published_checks")


def _direction(design: pd.DataFrame, name: str) -> Row:
    """MORE less MultiTask, base by base; no interval, for three bases bear no t."""
    wide = design.pivot_table(index="base", columns="scheme", values=name)
    change = (wide[PAPER.method] - wide[PAPER.reference]).to_numpy(np.float64)
    lower = int((change < 0).sum())
    word = "lower" if lower >= change.size - lower else "higher"
    many = max(lower, change.size - lower)
    sentence = (
        f"{_plain(name)}: {word} with MORE in {many} of {change.size} bases. Three bases cannot reach a sign-flip p "
        f"below {2 / 2**change.size:g}."
    )
    return {
        "check": "direction",
        "outcome": name,
        "estimate": float(change.mean()),
        "p": sign_flip_p(change),
        "n": change.size,
    } | {"sentence": sentence}


def sign_flip_p(differences: Vector) -> float:
    """Two-sided p of the mean of differences (n,) by all 2^n sign flips; never below 2 / 2^n."""
    signs = np.array(list(itertools.product((1.0, -1.0), repeat=differences.size)))
    return float((np.abs(signs @ differences) >= abs(differences.sum()) - 1e-12).mean())


def _correlation(design: pd.DataFrame, name: str) -> Row:
    """Pearson's r with ECE over all points, base ignored: exact permutation p; the range without each point in turn."""
    y, error = design[name].to_numpy(np.float64), design["ece"].to_numpy(np.float64)
    orders = np.array(list(itertools.permutations(range(y.size))))
    seen = float(np.corrcoef(error, y)[0, 1])
    centred, length = y - y.mean(), np.linalg.norm(y - y.mean()) * np.linalg.norm(error - error.mean())
    p = float((np.abs(centred[orders] @ (error - error.mean())) >= abs(seen) * length * (1 - 1e-9)).mean())
    without = [np.corrcoef(np.delete(error, row), np.delete(y, row))[0, 1] for row in range(y.size)]
    text = (
        f"{_plain(name)}: r = {seen:+.2f} with ECE over {y.size} points, exact p = {p:.3f}; without one point "
        f"{min(without):+.2f} to {max(without):+.2f}. Base and scheme are in it."
    )
    return {"check": "correlation", "outcome": name, "estimate": seen, "p": p, "n": y.size, "sentence": text}


def _fits(design: pd.DataFrame, name: str, stats: Stats) -> list[Row]:
    """R squared within base of ECE alone and of a MORE dummy alone, and ECE's coefficient beside the dummy."""
    y = design[name].to_numpy(np.float64)
    error, dummy = design["ece"].to_numpy(np.float64), design["scheme"].eq(PAPER.method).astype(np.float64).to_numpy()
    total = float(np.square(y - y.mean()).sum())
    shares = {}
    for label, column in (("ECE", error), ("a MORE dummy", dummy)):
        data = demeaned(y, np.asarray(column, dtype=np.float64)[:, None], list(design["group"]))
        fit = np.linalg.lstsq(data.x, data.y, rcond=None)[0]
        shares[label] = 1 - float(np.square(data.y - data.x @ fit).sum()) / total
    both = demeaned(y, np.column_stack([error, dummy]), list(design["group"]))
    beside = t_test(both, 0, stats.confidence)
    said = " and ".join(f"{share:.3f} with {label}" for label, share in shares.items())
    text = f"{_plain(name)}: R squared with base effects is {said}; ECE and scheme go together in these points."
    rows: list[Row] = [
        {"check": f"R squared, {label}", "outcome": name, "estimate": share, "n": len(y), "sentence": text}
        for label, share in shares.items()
    ]
    held = (
        f"{_plain(name)} per unit of ECE with the MORE dummy held: {beside.estimate:+.0f} "
        f"[{beside.low:+.0f}, {beside.high:+.0f}], p = {beside.p:.2f}, on {both.df} degree of freedom."
    )
    return [*rows, {"check": "ECE beside a MORE dummy", "outcome": name} | beside.columns() | {
        "p": beside.p, "n": len(y), "sentence": held,
    }]  # fmt: skip


def _floor(design: pd.DataFrame) -> Row:
    groups = demeaned(np.zeros(len(design)), np.ones((len(design), 1)), list(design["group"])).groups
    orders = len(group_permutations(groups, 1 << 16, numbered(0))[0])
    floor = 2 / orders
    text = f"{orders} permutations within base: no p of the exact test is below {floor:g}, whatever the six points say."
    return {"check": "smallest p", "outcome": "any", "p": floor, "n": len(design), "sentence": text}


def _reliability(design: pd.DataFrame, stats: Stats) -> Row:
    """1 - noise variance / observed variance of the six printed ECEs."""
    paper = printed.load()
    sizes = [paper.pairs[source].test for source in ("helpful", "harmless")]
    noise = []
    for _, row in design.iterrows():
        rng = generator(stats.seed, "reliability", row["base"], row["scheme"])
        shares = [float(row["accuracy"])] * len(sizes)
        noise.append(null_pairs(shares, shares, sizes, BINS, stats.null_draws, rng)[0].var())
    seen: Vector = design["ece"].to_numpy(np.float64)
    value = 1 - float(np.mean(noise)) / float(seen.var(ddof=1))
    text = f"Reliability of the printed ECEs over the six points: {value:.2f}; a slope on them is attenuated so much."
    return {"check": "reliability", "outcome": "ece", "estimate": value, "n": len(design), "sentence": text}


def _accuracies(stats: Stats) -> list[Row]:
    """Mean accuracy of MORE less multitask in Table 2, with the interval of two models whose errors are unrelated."""
    paper = printed.load()
    table = printed.table2(paper).set_index(["base", "scheme"])
    sources = list(paper.pairs)
    sizes = np.array([paper.pairs[source].test for source in sources])
    rows = []
    for base in paper.bases:
        pair = (PAPER.method, PAPER.reference)
        more, other = (table.loc[(base, scheme), sources].to_numpy(np.float64) for scheme in pair)
        error = float(np.sqrt(((more * (1 - more) + other * (1 - other)) / sizes).sum())) / sizes.size
        seen = float((more - other).mean())
        interval = normal_interval(seen, error, stats.confidence, int(sizes.sum()))
        p = float(2 * ndtr(-abs(seen) / error))
        text = f"{base}: mean accuracy of MORE less multitask over {sizes.size} sources; errors taken as unrelated."
        rows.append(
            {"check": "mean accuracy", "outcome": f"accuracy {base}", **interval.columns()}
            | {"p": p, "n": interval.n, "sentence": text}
        )
    return rows


def _duels() -> list[Row]:
    """Sign test of wins against losses, for numbers of judged prompts that might have been."""
    table = printed.table1(printed.load()).dropna(subset=["win"])
    rows = []
    for _, row in table.iterrows():
        for n in JUDGED:
            wins, losses = round(row["win"] * n), round(row["lose"] * n)
            p = float(binomtest(wins, wins + losses).pvalue)
            text = f"{row['base']}: {wins} wins, {losses} losses if {n} prompts were judged, a number not printed."
            rows.append(
                {"check": f"win rate if n = {n}", "outcome": f"net_win {row['base']}", "p": p, "n": n}
                | {"estimate": float(row["win"] - row["lose"]), "sentence": text}
            )
    return rows


def _plain(name: str) -> str:
    words = name.replace("_", " ")
    return "ECE" if name == "ece" else words[0].upper() + words[1:]
