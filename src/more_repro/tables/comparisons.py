"""Tables of the calibration stage that compare schemes, over training seeds and on the same test pairs."""

from more_repro.tables.column import Column, Table, with_limits
from more_repro.tables.shared import (
    AGAINST,
    BASE,
    METRIC,
    MODEL_WITHOUT_SEED,
    N_PAIRS,
    N_PROMPTS,
    N_SEEDS,
    NOTE,
    NULL_HIGH,
    NULL_LOW,
    P_HOLM,
    POOLED_SOURCE,
    REGIME,
    SCHEME,
    SUMMARY_SOURCE,
    TRAINED_ON,
    P,
    interval,
)

_LOG_SLOPE = METRIC.noting(description="Also `log_slope`, the natural logarithm of a positive `slope`.")
_OVER_BASES = Column("int", description="Number of bases behind the row.")

COMPARISONS: dict[str, Table] = {
    "seed_summary": Table(
        stage="calibration",
        paths=("tables/calibration/seed_summary.parquet",),
        description="One metric of the models of one base, regime and scheme on one source: its mean over training "
        "seeds. Scheme `top` is each single-source model on its own source.",
        columns={
            **MODEL_WITHOUT_SEED,
            "source": SUMMARY_SOURCE,
            "metric": METRIC,
            **interval(description="Student's t over seeds; for the length rule, over prompts."),
            "sd": Column("float?", description="Standard deviation over seeds; NaN with fewer than two."),
            "n_seeds": N_SEEDS.noting(description="Those in which the metric is defined."),
            "n_pairs": N_PAIRS.noting(description="Test pairs of one seed, the fewest."),
        },
    ),
    "comparisons": Table(
        stage="calibration",
        paths=("tables/calibration/comparisons.parquet",),
        description="Difference in one metric between two schemes of one base and regime, paired over training seeds: "
        "every scheme minus `multitask`, and `more` minus each control.",
        columns={
            "base": BASE,
            "regime": REGIME,
            "trained_on": TRAINED_ON,
            "scheme": SCHEME,
            "against": AGAINST,
            "source": SUMMARY_SOURCE,
            "metric": _LOG_SLOPE,
            **interval(description="Paired Student's t over seeds."),
            "p": P,
            "p_holm": P_HOLM.noting(
                description="Family: accuracy, log loss, log slope and ECE of all schemes (or controls) of one base, "
                "regime and trained_on, on `align` or on `all`."
            ),
            "n_seeds": N_SEEDS,
            "n_pairs": N_PAIRS.noting(description="Test pairs of one seed, the fewest."),
        },
    ),
    "controls": Table(
        stage="calibration",
        paths=("tables/calibration/controls.parquet",),
        description="Scheme `more` minus one simpler scheme, on the test pairs of all sources, over all bases of a "
        "regime; with the conclusion of a rule that was written beforehand.",
        columns={
            "regime": REGIME,
            "against": AGAINST,
            **with_limits(
                "ece",
                Column(
                    "float?",
                    description="Difference in ECE: mean over bases of the mean over seeds; NaN if unknown.",
                    overrides=True,
                ),
                description="Student's t from the spread over seeds within base.",
            ),
            "p": P.noting(description="Of the difference in ECE."),
            "p_holm": P_HOLM.noting(description="Family: the rows of one regime."),
            **with_limits(
                "accuracy",
                Column(
                    "float?",
                    description="Difference in accuracy, averaged likewise; NaN if unknown.",
                    overrides=True,
                ),
                description="Student's t from the spread over seeds within base.",
                overrides=True,
            ),
            **with_limits(
                "mean_abs_margin",
                Column(
                    "float?",
                    description="Difference in the mean size of the margin; NaN if unknown.",
                    overrides=True,
                ),
                description="Student's t from the spread over seeds within base.",
            ),
            "n_bases": _OVER_BASES,
            "n_models": Column("int", description="Number of pairs of models: bases times seeds."),
            "n_pairs": N_PAIRS.noting(description="Test pairs of one model, the fewest."),
            "verdict": Column(
                "str",
                description="Conclusion by the rule: `more does more`, `more does less`, `no difference that matters` "
                "or `undecided`.",
                overrides=True,
            ),
        },
    ),
    "paired": Table(
        stage="calibration",
        paths=("tables/calibration/paired.parquet",),
        description="Difference in one metric between two mixed reward models on the same test pairs, for one seed or "
        "for all seeds combined.",
        columns={
            "base": BASE,
            "regime": REGIME,
            "source": POOLED_SOURCE.noting(
                description="Only `align` (the sources of `align.sources` pooled) and `all` (all pooled)."
            ),
            "scheme": SCHEME,
            "against": AGAINST,
            "seed": Column(
                "str",
                description="Training seed of both models, or `combined` for the mean over seeds.",
                overrides=True,
            ),
            "metric": _LOG_SLOPE.noting(description="Only accuracy, log_loss, log_slope and ece."),
            **interval(
                description="Student's t with the error of a bootstrap over prompts; combined, the spread over seeds "
                "is added. NaN for ECE, whose bootstrap is biased: see null_low."
            ),
            "null_low": NULL_LOW.noting(
                description="Of the difference in ECE where the two models are exchangeable: their margins are swapped "
                "prompt by prompt; combined, the spread over seeds is added. NaN for other metrics.",
                kind="float?",
            ),
            "null_high": NULL_HIGH.noting(description="As null_low; NaN for other metrics.", kind="float?"),
            "p": P.noting(description="For ECE: of the hypothesis that the two models are exchangeable."),
            "p_holm": P_HOLM.noting(
                description="Family: schemes and metrics of one base, regime, source, against and seed."
            ),
            "n_seeds": N_SEEDS,
            "n_pairs": N_PAIRS,
            "n_prompts": N_PROMPTS,
            "note": NOTE,
        },
    ),
}
