"""Tables of an invented study: every column of SCHEMAS, with numbers of plausible sizes. For tests of drawing only."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from more_repro import tables
from more_repro.schemes import ENSEMBLES

SCHEMES = ("multitask", "more", "more_slow", "proportional", "random")
METRICS = (
    "accuracy", "ece", "ece_excess", "slope", "log_loss", "brier", "overconfidence", "mean_abs_margin",
    "ece_after_temperature",
)  # fmt: skip
MEASURES = (
    "prompt_overlap", "vocabulary_jaccard", "prompt_auc", "response_auc", "direction_cosine",
    "direction_cosine_corrected", "agreement", "conflict", "true_agreement", "true_conflict",
)  # fmt: skip
_ACCURACY = {"raw": 0.5, "single": 0.6, "averaging": 0.61, "length": 0.52}
_ECE = {"raw": 0.06, "single": 0.1, "averaging": 0.06, "multitask": 0.072, "more": 0.049, "more_slow": 0.047}


def models(sources: Sequence[str], bases: Sequence[str], regimes: Sequence[str], seeds: Sequence[int]) -> list[dict]:
    rows: list[dict] = [dict(base="none", regime="none", scheme="length", trained_on="none", seed=0)]
    for base in bases:
        rows += [dict(base=base, regime="none", scheme="raw", trained_on="none", seed=s) for s in seeds]
        for regime in regimes:
            for seed in seeds:
                key = dict(base=base, regime=regime, seed=seed)
                rows += [key | dict(scheme="single", trained_on=s) for s in sources]
                rows += [key | dict(scheme=s, trained_on="mixture") for s in ("averaging", *ENSEMBLES, *SCHEMES)]
                rows += [
                    key | dict(scheme=s, trained_on=f"first{k}")
                    for s in ("multitask", "more")
                    for k in range(2, len(sources))
                ]
    return rows


def study(
    sources: Sequence[str] = ("helpful", "harmless", "oasst1", "webgpt", "summarize"),
    bases: Sequence[str] = ("tiny", "small"),
    regimes: Sequence[str] = ("balanced", "resampled"),
    seeds: Sequence[int] = (0, 1, 2),
    align: Sequence[str] | None = None,
) -> dict[str, pd.DataFrame]:
    rng = np.random.default_rng(5)
    align = list(align if align is not None else sources[:2])
    ids = models(sources, bases, regimes, seeds)
    made = {
        "metrics": _metrics(ids, sources, align, rng),
        "reliability": _reliability(ids, sources, rng),
        "margin_boxes": _boxes(ids, sources, rng),
        "margin_histogram": _histogram(ids, sources, rng),
        "outliers": _outliers(ids, sources, rng),
        "training_log": _training(ids, sources, rng),
        **_alignment(bases, regimes, seeds, align, rng),
        **_data(sources, regimes, rng),
        **_regression(bases, regimes, seeds),
        "length_bias": _length_bias(ids, sources, rng),
        "paired": _paired(bases, regimes, seeds),
        "claims": _claims(regimes),
    }
    made["seed_summary"] = _summary(made["metrics"], sources)
    made["comparisons"] = _comparisons(made["seed_summary"])
    made["controls"] = _controls(regimes, bases, seeds)
    return {name: tables.check(table, name) for name, table in made.items()}


def _sources_of(model: dict, sources: Sequence[str], align: Sequence[str]) -> list[str]:
    if model["trained_on"].startswith("first"):
        return [*align, "align"]
    return [*sources, "align", "all"]


def _metrics(ids: list[dict], sources: Sequence[str], align: Sequence[str], rng: np.random.Generator) -> pd.DataFrame:
    rows = []
    for model in ids:
        for source in _sources_of(model, sources, align):
            n = 1000 * (len(sources) if source == "all" else len(align) if source == "align" else 1)
            accuracy = _ACCURACY.get(model["scheme"], 0.67) + rng.normal(0, 0.012)
            accuracy += 0.09 * (model["scheme"] == "single" and model["trained_on"] == source)
            ece = max(0.005, _ECE.get(model["scheme"], 0.06) + rng.normal(0, 0.01))
            nan = np.nan if model["scheme"] == "length" else 1.0
            half = 0.98 / np.sqrt(n)
            rows.append(
                model
                | dict(
                    source=source,
                    n_pairs=n,
                    n_prompts=n - 10,
                    n_margin_ties=0,
                    accuracy=accuracy,
                    accuracy_low=accuracy - half,
                    accuracy_high=accuracy + half,
                    ece=ece * nan,
                    ece_sd=0.3 / np.sqrt(n) * nan,
                    ece_null_mean=0.7 / np.sqrt(n) * nan,
                    ece_null_sd=0.2 / np.sqrt(n) * nan,
                    ece_p=0.03 * nan,
                    ece_not_beside="all" if n == 1000 else "",
                    ece_null_low=0.4 / np.sqrt(n) * nan,
                    ece_null_high=1.2 / np.sqrt(n) * nan,
                    ece_excess=(ece - 0.02) * nan,
                    mce=2 * ece * nan,
                    ece_equal_mass=ece * nan,
                    l2_debiased=ece * nan,
                    slope=(0.7 + rng.normal(0, 0.1)) * nan,
                    slope_low=0.5 * nan,
                    slope_high=0.9 * nan,
                    brier=0.22 * nan,
                    brier_low=0.21 * nan,
                    brier_high=0.23 * nan,
                    log_loss=0.6 * nan,
                    log_loss_low=0.58 * nan,
                    log_loss_high=0.62 * nan,
                    overconfidence=(ece - 0.03) * nan,
                    mean_abs_margin=0.8,
                    temperature=1.2 * nan,
                    ece_after_temperature=(0.02 + 0.1 * ece) * nan,
                    ece_after_temperature_null_mean=0.7 / np.sqrt(n) * nan,
                    ece_after_temperature_null_low=0.4 / np.sqrt(n) * nan,
                    ece_after_temperature_null_high=1.2 / np.sqrt(n) * nan,
                    log_loss_after_temperature=0.58 * nan,
                    ece_true=0.03 * nan,
                    pairwise_drift=0.7,
                )
            )
    return pd.DataFrame(rows)


def _whole(ids: list[dict]) -> list[dict]:
    return [m for m in ids if not m["trained_on"].startswith("first") and m["scheme"] != "length"]


def _reliability(ids: list[dict], sources: Sequence[str], rng: np.random.Generator) -> pd.DataFrame:
    rows = []
    for model in _whole(ids):
        for source in (*sources, "all"):
            for low, n in zip(np.arange(0.5, 1.0, 0.1), (310, 260, 200, 150, 80), strict=True):
                middle = low + 0.05
                rows.append(
                    model
                    | dict(
                        source=source,
                        bin_low=low,
                        bin_high=low + 0.1,
                        n_pairs=n,
                        mean_confidence=middle,
                        accuracy=min(1.0, middle - 0.1 * (middle - 0.5) + rng.normal(0, 0.03)),
                        null_low=middle - 0.06,
                        null_high=min(1.0, middle + 0.06),
                    )
                )
    return pd.DataFrame(rows)


def _spread(model: dict) -> float:
    return {"raw": 0.15, "averaging": 0.5, "multitask": 1.4, "more": 1.1, "more_slow": 0.9}.get(model["scheme"], 1.2)


def _boxes(ids: list[dict], sources: Sequence[str], rng: np.random.Generator) -> pd.DataFrame:
    rows = []
    for model in _whole(ids):
        for source in sources:
            for ordering, sign in (("correct", 1), ("wrong", -1)):
                s = _spread(model) * rng.uniform(0.8, 1.2)
                edges = np.sort(sign * s * np.array([0.02, 0.35, 0.8, 1.4, 2.8]))
                box = dict(zip(("whisker_low", "q1", "median", "q3", "whisker_high"), edges, strict=True))
                rows.append(model | dict(source=source, ordering=ordering, n_pairs=500, mean=sign * s * 0.9) | box)
    return pd.DataFrame(rows)


def _histogram(ids: list[dict], sources: Sequence[str], rng: np.random.Generator) -> pd.DataFrame:
    edges = np.linspace(-5, 5, 41)
    rows = []
    for model in _whole(ids):
        for source in sources:
            centre, spread = rng.normal(0.4, 0.2), _spread(model)
            counts = rng.poisson(
                1000 * 0.25 / spread / 2.5 * np.exp(-0.5 * ((edges[:-1] + 0.125 - centre) / spread) ** 2)
            )
            density = counts / max(counts.sum(), 1) / 0.25
            rows += [
                model | dict(source=source, bin_low=a, bin_high=b, n_pairs=int(c), density=d)
                for a, b, c, d in zip(edges[:-1], edges[1:], counts, density, strict=True)
            ]
    return pd.DataFrame(rows)


def _outliers(ids: list[dict], sources: Sequence[str], rng: np.random.Generator) -> pd.DataFrame:
    return pd.DataFrame(
        [
            m
            | dict(
                source=s,
                n_pairs=1000,
                positive_count=int(rng.integers(5, 40)),
                positive_mean=2.6,
                negative_count=int(rng.integers(3, 20)),
                negative_mean=-2.2,
                ece=_ECE.get(m["scheme"], 0.06),
            )
            for m in _whole(ids)
            for s in sources
        ]
    )


def _training(ids: list[dict], sources: Sequence[str], rng: np.random.Generator) -> pd.DataFrame:
    frames = []
    for model in ids:
        if model["scheme"] not in SCHEMES or model["trained_on"] != "mixture":
            continue
        weights = rng.dirichlet(np.full(len(sources), 3.0), size=150)
        if model["scheme"] == "more_slow":
            weights = pd.DataFrame(weights).ewm(alpha=0.05).mean().to_numpy()
        if model["scheme"] == "multitask":
            weights = np.full_like(weights, 1 / len(sources))
        for number, source in enumerate(sources):
            loss = 0.69 - (0.1 + 0.02 * number) * (1 - np.exp(-np.arange(150) / 40)) + rng.normal(0, 0.05, 150)
            frames.append(
                pd.DataFrame(
                    {
                        **model,
                        "step": np.arange(1, 151),
                        "source": source,
                        "loss": loss,
                        "lambda": weights[:, number],
                        "margin": 0.5,
                        "head_gradient_norm": 0.4,
                        "learning_rate": 1e-3,
                    }
                )
            )
    return pd.concat(frames, ignore_index=True)


def _summary(metrics: pd.DataFrame, sources: Sequence[str]) -> pd.DataFrame:
    keys = ["base", "regime", "scheme", "trained_on", "source"]
    long = metrics.melt(id_vars=[*keys, "seed", "n_pairs"], value_vars=list(METRICS), var_name="metric")
    top = long[(long["scheme"] == "single") & (long["trained_on"] == long["source"])]
    long = pd.concat([long, top.assign(scheme="top", trained_on="own")])
    mean_keys = ["base", "regime", "scheme", "trained_on", "seed", "metric"]
    means = (
        long[long["source"].isin(list(sources))]
        .groupby(mean_keys, as_index=False)
        .agg({"value": "mean", "n_pairs": "sum"})
    )
    long = pd.concat([long, means[means["scheme"] != "single"].assign(source="mean")])
    grouped = long.groupby([*keys, "metric"], sort=False)
    out = grouped.agg(
        estimate=("value", "mean"), sd=("value", "std"), n_seeds=("seed", "nunique"), n_pairs=("n_pairs", "first")
    )
    half = 4.3 * out["sd"] / np.sqrt(out["n_seeds"])
    return out.assign(low=out["estimate"] - half, high=out["estimate"] + half).reset_index()


def _comparisons(summary: pd.DataFrame) -> pd.DataFrame:
    rows = summary[(summary["trained_on"] == "mixture") & summary["metric"].isin(["accuracy", "ece"])]
    return rows.assign(against="multitask", p=0.03, p_holm=0.12).drop(columns="sd")


def _controls(regimes: Sequence[str], bases: Sequence[str], seeds: Sequence[int]) -> pd.DataFrame:
    verdicts = {
        "multitask": "more does more",
        "proportional": "more does less",
        "random": "more does more",
        "smoothed": "undecided",
        "centered": "no difference that matters",
    }
    values = {"multitask": -0.02, "proportional": 0.01, "random": -0.015, "smoothed": -0.004, "centered": 0.001}
    sizes = dict(n_bases=len(bases), n_models=len(bases) * len(seeds), n_pairs=5000)
    rows = []
    for regime in regimes:
        for against, verdict in verdicts.items():
            row = dict(regime=regime, against=against, p=0.01, p_holm=0.04, verdict=verdict) | sizes
            for name in ("ece", "accuracy", "mean_abs_margin"):
                value = values[against]
                row |= {name: value, f"{name}_low": value - 0.004, f"{name}_high": value + 0.004}
            rows.append(row)
    return pd.DataFrame(rows)


def _alignment(
    bases: Sequence[str], regimes: Sequence[str], seeds: Sequence[int], align: Sequence[str], rng: np.random.Generator
) -> dict[str, pd.DataFrame]:
    policies = [
        dict(policy=p, base="none", regime="none", scheme=p, trained_on="none", seed=0)
        for p in ("untuned", "sft", "random_choice", "worst_choice", "oracle_choice")
    ]
    policies += [
        dict(policy=f"{b}/{r}/{s}/mixture/seed{n}", base=b, regime=r, scheme=s, trained_on="mixture", seed=n)
        for b in bases
        for r in regimes
        for s in SCHEMES[:4]
        for n in seeds
    ]
    perplexity, wins, duels = [], [], []
    for policy in policies:
        for source in align:
            value = 2.8 + rng.normal(0, 0.03)
            perplexity.append(
                policy
                | dict(
                    source=source,
                    perplexity=value,
                    perplexity_low=value - 0.04,
                    perplexity_high=value + 0.04,
                    median_perplexity=value - 0.1,
                    n_texts=1000,
                    n_tokens=12000,
                    n_outliers=0,
                    n_long=0,
                    mean_perplexity=value + 0.3,
                )
            )
        for opponent in ("untuned", "sft"):
            for source in (*align, "all"):
                net = rng.normal(0.2, 0.04)
                wins.append(
                    policy
                    | dict(
                        opponent=opponent,
                        source=source,
                        n_prompts=800,
                        n_invalid=0,
                        win=0.375 + net / 2,
                        tie=0.25,
                        lose=0.375 - net / 2,
                        net=net,
                        net_low=net - 0.06,
                        net_high=net + 0.06,
                    )
                )
    for base in bases:
        for regime in regimes:
            for scheme in SCHEMES[1:4]:
                for source in (*align, "all"):
                    net = rng.normal(-0.01, 0.02)
                    duels.append(
                        dict(
                            base=base,
                            regime=regime,
                            scheme=scheme,
                            against="multitask",
                            source=source,
                            n_seeds=len(seeds),
                            n_prompts=800,
                            win=0.3 + net / 2,
                            tie=0.4,
                            lose=0.3 - net / 2,
                            net=net,
                            net_low=net - 0.04,
                            net_high=net + 0.04,
                        )
                    )
    return {
        "perplexity": pd.DataFrame(perplexity),
        "win_rates": pd.DataFrame(wins),
        "scheme_duels": pd.DataFrame(duels),
        "ranking": _ranking(policies, align, rng),
        "judge": pd.DataFrame([{"kind": "oracle", "note": "Judge: the shared utility of an invented world."}]),
        "judge_statistics": _judge_statistics(align),
        "best_of_n_schemes": _best_of_n(bases, regimes, len(seeds), align),
    }


def _ranking(policies: list[dict], align: Sequence[str], rng: np.random.Generator) -> pd.DataFrame:
    rows = []
    for source in ("all", *align):
        strength = np.sort(rng.normal(0, 0.3, len(policies)))[::-1]
        for place, (policy, value) in enumerate(zip(policies, strength, strict=True), start=1):
            rank = dict(rank=place, rank_low=max(1, place - 3), rank_high=min(len(policies), place + 3))
            ends = dict(strength=value, strength_low=value - 0.1, strength_high=value + 0.1)
            rows.append(policy | dict(source=source, n_opponents=len(policies) - 1, n_prompts=800) | ends | rank)
    return pd.DataFrame(rows)


def _judge_statistics(align: Sequence[str]) -> pd.DataFrame:
    shares = (("invalid", 0.0), ("tie", 0.25), ("tie_identical", 0.05), ("longer", 0.52))
    rows = [
        dict(source=source, statistic=name, estimate=value, low=max(0, value - 0.01), high=value + 0.01, n=9000)
        for source in ("all", *align)
        for name, value in shares
    ]
    rows.append(dict(source="all", statistic="tie_width", estimate=1e-9, low=np.nan, high=np.nan, n=9000))
    return pd.DataFrame(rows)


def _best_of_n(bases: Sequence[str], regimes: Sequence[str], n_seeds: int, align: Sequence[str]) -> pd.DataFrame:
    """Curves of schemes that see more or less of the truth; averaging bends down, as an over-optimised one does."""
    n = np.arange(1, 17)
    kl = np.log(n) - (n - 1) / n
    rise = np.sqrt(kl / kl[-1])
    skills = dict(zip(("averaging", *ENSEMBLES, *SCHEMES[:4]), np.linspace(0.3, 0.7, 8), strict=True))
    curves = [
        (dict(base=base, regime=regime, scheme=scheme, choice=choice), sign * (0.6 * skill + 0.1 * place) * rise)
        for place, base in enumerate(bases)
        for regime in regimes
        for scheme, skill in skills.items()
        for choice, sign in (("best", 1), ("worst", -1))
    ]
    for key, gain in curves:
        if key["scheme"] == "averaging" and key["choice"] == "best":
            gain -= 0.3 * rise**4
    none = dict(base="none", regime="none")
    curves += [(none | dict(scheme="random_choice", choice="random"), 0 * rise)]
    curves += [(none | dict(scheme="oracle_choice", choice="oracle"), 0.75 * rise)]
    frames = []
    for source in ("all", *align):
        for key, gain in curves:
            net = 0.8 * gain
            shares = dict(win=0.4 + net / 2, tie=0.2, lose=0.4 - net / 2, net=net, net_low=net - 0.05)
            row = key | dict(source=source, n=n, kl_bound_nats=kl, gold=1 + gain, gold_low=0.95 + gain)
            row |= shares | dict(gold_high=1.05 + gain, net_high=net + 0.05, n_prompts=200)
            frames.append(pd.DataFrame(row | dict(n_seeds=1 if key["base"] == "none" else n_seeds)))
    return pd.concat(frames, ignore_index=True)


def _data(sources: Sequence[str], regimes: Sequence[str], rng: np.random.Generator) -> dict[str, pd.DataFrame]:
    words = ["please", "cite", "[1]", "sorry", "idiot", "well", "anyway", "thanks", "$x_{", "refuse", "the", "and"]
    audit = [
        dict(source=s, split=p, reason=r, n_pairs=n)
        for s in sources
        for p, kept in (("train", 2400), ("validation", 500), ("test", 1000))
        for r, n in (("read", kept + 17), ("kept", kept), ("tie", 14), ("duplicate", 3))
    ]
    statistics = [
        dict(source=s, statistic=name, estimate=value, low=value - 0.03, high=value + 0.03, n=1000, n_prompts=900)
        for s in sources
        for name, value in (("longer_wins", rng.uniform(0.4, 0.7)), *_spreads(rng))
    ]
    transfer, similar = [], []
    for a in sources:
        for b in sources:
            value = rng.uniform(0.45, 0.6) + 0.12 * (a == b)
            transfer.append(
                dict(
                    trained_on=a,
                    tested_on=b,
                    estimate=value,
                    low=value - 0.03,
                    high=value + 0.03,
                    n=1000,
                    n_prompts=900,
                )
            )
            for measure in MEASURES:
                value = rng.uniform(0.6, 0.9) if a == b else rng.uniform(0.05, 0.6)
                similar.append(
                    dict(
                        source_a=a,
                        source_b=b,
                        measure=measure,
                        estimate=value,
                        low=value - 0.1,
                        high=value + 0.1,
                        n=1000,
                    )
                )
    return {
        "audit": pd.DataFrame(audit),
        "audit_sources": pd.DataFrame(
            [
                dict(
                    source=s,
                    reader="embedded",
                    origin="embedded world",
                    revision="",
                    licence="CC0-1.0",
                    sha256="ab" * 32,
                )
                for s in sources
            ]
        ),
        **_audit_details(sources, regimes),
        "mixture_summary": pd.DataFrame(
            [
                dict(
                    regime=r,
                    source=s,
                    available_pairs=2400,
                    unique_pairs=150 * (8 if r == "balanced" else 1) if n in (2, 3) else 2400,
                    resampled_pairs=2400,
                    mean_passes=16.0 / (8 if r == "balanced" else 1) if n in (2, 3) else 1.0,
                )
                for r in regimes
                for n, s in enumerate(sources)
            ]
        ),
        "source_statistics": pd.DataFrame(statistics),
        "transfer": pd.DataFrame(transfer),
        "source_similarity": pd.DataFrame(similar),
        "word_divergence": pd.DataFrame(
            [
                dict(
                    source=s,
                    divergence_bits=0.08,
                    null_mean=0.07,
                    null_low=0.068,
                    null_high=0.072,
                    excess_bits=0.01,
                    p=0.002,
                    n_pairs=1000,
                    n_prompts=900,
                )
                for s in sources
            ]
        ),
        "word_log_odds": pd.DataFrame(
            [
                dict(
                    source=s,
                    word=w,
                    log_odds=z / 8,
                    low=z / 8 - 0.25,
                    high=z / 8 + 0.25,
                    z=z,
                    z_limit=4.1,
                    n_chosen=40,
                    n_rejected=30,
                )
                for s in sources
                for w, z in zip(words, rng.normal(0, 6, len(words)), strict=True)
            ]
        ),
    }


def _spreads(rng: np.random.Generator) -> list[tuple[str, float]]:
    """Quantiles of lengths, in rising order."""
    return [
        (f"{name}_{what}_words", value)
        for what in ("prompt", "chosen", "rejected")
        for name, value in zip(("q10", "q25", "median", "q75", "q90"), np.sort(rng.uniform(1, 200, 5)), strict=True)
    ]


def _audit_details(sources: Sequence[str], regimes: Sequence[str]) -> dict[str, pd.DataFrame]:
    texts = dict(prompt="is it <b>so</b>?", chosen="yes\n\nit is", rejected="no")
    near = dict(estimate=0.02, low=0.01, high=0.04, n=900, n_near=18, n_same_dialogue=11)
    file = dict(
        container="JSON Lines", format="HH transcripts", n_rows=2417, bytes=10**6, sha256="cd" * 32, revision=""
    )
    return {
        "audit_examples": pd.DataFrame(
            [dict(source=s, split="train", reason="tie", place="t.jsonl:7", **texts) for s in sources]
        ),
        "audit_files": pd.DataFrame([dict(source=s, split="train", file="t.jsonl", **file) for s in sources]),
        "near_duplicates": pd.DataFrame(
            [dict(tested_on=a, trained_on=b, **near) for a in sources for b in (*sources, "all")]
        ),
        "near_duplicate_examples": pd.DataFrame(
            [
                dict(tested_on=s, trained_on=s, share=0.7, same_dialogue=n == 0, test_prompt="a", training_prompt="a b")
                for n, s in enumerate(sources)
            ]
        ),
        "mixture_manifest": pd.DataFrame(
            [
                dict(regime=r, seed=0, k=k, sources=", ".join(sources[:k]), n_pairs=k, n_unique=k, sha256="ef" * 32)
                for r in regimes
                for k in range(2, len(sources) + 1)
            ]
        ),
    }


def _length_bias(ids: list[dict], sources: Sequence[str], rng: np.random.Generator) -> pd.DataFrame:
    rows = []
    for model in ids:
        if model["trained_on"].startswith("first"):
            continue
        for source in (*sources, "all"):
            for statistic, middle in (
                ("prefers_longer", 0.55),
                ("expects_longer", 0.53),
                ("longer_excess", 0.02),
                ("correlation", 0.1),
            ):
                value = middle + rng.normal(0, 0.03)
                limits = dict(estimate=value, low=value - 0.03, high=value + 0.03)
                rows.append(
                    model | dict(source=source, statistic=statistic, n_pairs=1000, n_prompts=990, n_equal=12) | limits
                )
    return pd.DataFrame(rows)


def _paired(bases: Sequence[str], regimes: Sequence[str], seeds: Sequence[int]) -> pd.DataFrame:
    rows = []
    for base in bases:
        for regime in regimes:
            for source in ("align", "all"):
                for seed in (*map(str, seeds), "combined"):
                    for metric, value in (("accuracy", 0.01), ("log_loss", -0.02), ("log_slope", 0.2), ("ece", -0.02)):
                        banded = metric == "ece"
                        key = dict(base=base, regime=regime, source=source, scheme="more", against="multitask")
                        rows.append(
                            key
                            | dict(seed=seed, metric=metric, estimate=value, p=0.04, p_holm=0.12, n_seeds=1, note="")
                            | dict(low=np.nan if banded else value - 0.03, high=np.nan if banded else value + 0.03)
                            | dict(null_low=-0.01 if banded else np.nan, null_high=0.01 if banded else np.nan)
                            | dict(n_pairs=2000, n_prompts=1980)
                        )
    return pd.DataFrame(rows)


def _influence(bases: Sequence[str], regimes: Sequence[str], seeds: Sequence[int]) -> pd.DataFrame:
    rng = np.random.default_rng(3)
    rows = []
    for base in bases:
        for regime in regimes:
            for scheme in SCHEMES[:4]:
                for seed in seeds:
                    key = dict(base=base, regime=regime, scheme=scheme, trained_on="mixture", seed=seed)
                    rows.append(
                        key
                        | dict(data="this run", outcome="net_win", estimate=-0.5, low=-1.4, high=0.4, n=24)
                        | dict(partial_term=rng.normal(0, 0.01), partial_outcome=rng.normal(0, 0.02), leverage=0.3)
                        | dict(cooks_distance=abs(rng.normal(0, 0.1)), estimate_without=-0.5 + rng.normal(0, 0.1))
                    )
    return pd.DataFrame(rows)


def _published() -> dict[str, pd.DataFrame]:
    noise = [
        dict(table=table, base=base, scheme=scheme, source=source, ece=0.02, null_mean=0.015, null_low=0.008)
        | dict(null_high=0.024, p=0.2, n=4664, scale=1.0)
        | dict(difference=-0.007, noise_low=-0.012, noise_high=0.012, p_difference=0.25, p_correlated=0.2)
        for table, source in (("table1", "align"), ("table2", "mean"), ("tables4_6", "helpful"))
        for base in ("pythia-1_4b", "llama2-7b")
        for scheme in ("more", "single")
    ]
    check = dict(check="direction", outcome="accuracy", estimate=-0.004, low=-0.01, high=0.004, p=0.25, n=3)
    return {
        "published_noise": pd.DataFrame(noise),
        "published_checks": pd.DataFrame([check | dict(sentence="Accuracy: lower with MORE in 3 of 3 bases.")]),
    }


def _regression(bases: Sequence[str], regimes: Sequence[str], seeds: Sequence[int]) -> dict[str, pd.DataFrame]:
    rows = [
        dict(
            data=d,
            outcome="net",
            term=t,
            method=m,
            estimate=e,
            low=e - w,
            high=e + w,
            p=0.4,
            p_holm=0.8,
            vif=1.3,
            n=24,
            n_groups=4,
            note=note,
        )
        for d in ("this run", "published")
        for t, e in (("ece", 0.3), ("accuracy", 0.5))
        for m, w, note in (("permutation within base", 0.9, ""), ("FE-OLS HC3", 0.7, ""), ("pooled OLS", 0.4, "naive"))
    ]
    power = [
        dict(effect=e, power=min(1, 0.05 + 0.5 * e), low=max(0, 0.5 * e), high=min(1, 0.1 + 0.5 * e), n=24)
        for e in (0, 0.5, 1, 1.5)
    ]
    return {
        "regression": pd.DataFrame(rows),
        "influence": _influence(bases, regimes, seeds),
        **_published(),
        "power": pd.DataFrame(power),
        "placebo": pd.DataFrame(
            [
                dict(
                    base="tiny",
                    regime="resampled",
                    scheme="more",
                    trained_on="mixture",
                    seed=0,
                    factor=f,
                    ece=0.05 * f,
                    changed_picks=0,
                    n_prompts=600,
                )
                for f in (0.5, 1.0, 2.0)
            ]
        ),
    }


def _claims(regimes: Sequence[str]) -> pd.DataFrame:
    verdicts = ("supported", "not supported", "undecided")
    return pd.DataFrame(
        [
            dict(
                claim=f"C{c}",
                statement=f"Statement of claim {c}.",
                data=data,
                verdict=verdicts[(c + n) % 3],
                estimate=0.02 * c,
                low=0.01,
                high=np.nan if n == 2 else 0.05,
                n=15,
                rule=f"Rule {c}: lower bound above zero.",
                sentence=f"Measured sentence {c}.",
            )
            for c in range(1, 8)
            for n, data in enumerate([*(f"this run: {r}" for r in regimes), "published"])
        ]
    )
