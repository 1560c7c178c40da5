"""Tables of the calibration stage that hold one reward model a row: metrics, bins, margins, length."""

from more_repro.tables.column import Column, Table, with_limits
from more_repro.tables.shared import (
    ACCURACY,
    BIN_HIGH,
    BIN_LOW,
    ECE,
    MODEL,
    N_PAIRS,
    N_PROMPTS,
    NULL_HIGH,
    NULL_LOW,
    POOLED_SOURCE,
    SOURCE,
    STATISTIC,
    interval,
)

_METRICS: dict[str, Column] = {
    **MODEL,
    "source": POOLED_SOURCE,
    "n_pairs": N_PAIRS,
    "n_prompts": N_PROMPTS,
    "n_margin_ties": Column("int", description="Pairs whose two responses have the same reward."),
    **with_limits("accuracy", ACCURACY, description="Wilson, at the number of pairs that clustering by prompt leaves."),
    "ece": ECE.noting(description="NaN for the length rule, which claims no probability, as all calibration is."),
    "ece_sd": Column(
        "float?",
        description="Standard deviation of `ece` over other test pairs of the same law: the noise of the null around "
        "the gaps as they are. NaN for the length rule.",
    ),
    "ece_null_mean": Column(
        "float?",
        description="Mean of the ECE that a perfectly calibrated model with the same confidences shows on as many "
        "pairs, labels of one prompt going together. NaN for the length rule.",
    ),
    "ece_null_sd": Column("float?", description="Standard deviation of that null distribution of ECE; NaN as there."),
    "ece_null_low": Column(
        "float?", description="Lower limit of the middle `stats.confidence` of that null distribution; NaN as there."
    ),
    "ece_null_high": Column(
        "float?", description="Upper limit of the middle `stats.confidence` of that null distribution; NaN as there."
    ),
    "ece_p": Column(
        "float?",
        description="Share of null draws with an ECE at least as large, the observed one counted among them; NaN for "
        "the length rule.",
    ),
    "ece_excess": Column("float?", description="`ece` minus `ece_null_mean`; NaN for the length rule."),
    "ece_not_beside": Column(
        "str",
        description="Values of `source` of the same model whose ECE cannot be compared with this one, because the "
        "number of pairs alone puts their null means more than 0.005 apart; separated by commas.",
    ),
    "mce": Column(
        "float?", description="Maximum calibration error: the largest gap of a bin, in [0, 1]; NaN as `ece`."
    ),
    "ece_equal_mass": Column("float?", description="ECE over bins of equal count, in [0, 1]; NaN as `ece`."),
    "l2_debiased": Column(
        "float?",
        description="Debiased L2 calibration error over the bins of equal count, in [0, 1]; NaN as `ece`, and where a "
        "bin has fewer than two pairs.",
    ),
    **with_limits(
        "slope",
        Column(
            "float?",
            description="Calibration slope: the b that maximises the sum of log sigmoid(b margin); 1 = calibrated, "
            "below 1 = over-confident. NaN where all margins have one sign, and for the length rule.",
        ),
        description="Wald, clustered by prompt.",
    ),
    **with_limits(
        "brier",
        Column("float?", description="Brier score, mean of (1 - p)^2 with p the sigmoid of the margin; NaN as `ece`."),
        description="Student's t, clustered by prompt.",
    ),
    **with_limits(
        "log_loss",
        Column("float?", description="Mean of -log sigmoid(margin), in nats; NaN for the length rule."),
        description="Student's t, clustered by prompt.",
    ),
    "overconfidence": Column("float?", description="Mean confidence minus accuracy, in [-0.5, 1]; NaN as `ece`."),
    "mean_abs_margin": Column(
        "float",
        description="Mean size of the margin |reward of chosen - reward of rejected|; words for the length rule.",
    ),
    "temperature": Column(
        "float?",
        description="Number that divides all margins: 1 / slope of the validation pairs of all sources. NaN where that "
        "slope is undefined or not positive, without validation pairs, and for the length rule.",
    ),
    "ece_after_temperature": Column("float?", description="ECE of the margins divided by `temperature`; NaN as there."),
    "ece_after_temperature_null_mean": Column(
        "float?", description="Mean of the null distribution of ECE for the margins so divided; NaN as there."
    ),
    "ece_after_temperature_null_low": Column(
        "float?", description="Lower limit of the middle `stats.confidence` of that distribution; NaN as there."
    ),
    "ece_after_temperature_null_high": Column(
        "float?", description="Upper limit of the middle `stats.confidence` of that distribution; NaN as there."
    ),
    "log_loss_after_temperature": Column(
        "float?", description="Log loss of the margins divided by `temperature`, in nats; NaN as there."
    ),
    "ece_true": Column(
        "float?",
        description="ECE with the true preference probability in place of the label: a perfect model has 0. NaN "
        "outside the embedded world and for the length rule.",
    ),
    "pairwise_drift": Column(
        "float?",
        description="Square root of 1 - cos^2 between the margins and the margins of the shared utility, in [0, 1]: "
        "0 = the shared utility up to scale. NaN outside the embedded world and for the length rule.",
    ),
}

CALIBRATION: dict[str, Table] = {
    "metrics": Table(
        stage="calibration",
        paths=("tables/calibration/metrics.parquet",),
        description="Accuracy and calibration of one reward model on the test pairs of one source, or of several "
        "pooled. Pools only for models that are scored on all of their sources.",
        columns=_METRICS,
    ),
    "reliability": Table(
        stage="calibration",
        paths=("tables/calibration/reliability.parquet",),
        description="One bin of confidence that holds pairs, of one reward model and source: a point of a reliability "
        "diagram. No row for the length rule.",
        columns={
            **MODEL,
            "source": POOLED_SOURCE,
            "bin_low": BIN_LOW.noting(description="Of confidence, in [0, 1]."),
            "bin_high": BIN_HIGH.noting(description="Of confidence, in [0, 1]."),
            "n_pairs": N_PAIRS.noting(description="In the bin."),
            "mean_confidence": Column("float", description="Mean confidence of the bin's pairs, in [0.5, 1]."),
            "accuracy": ACCURACY.noting(description="Of the bin's pairs."),
            "null_low": NULL_LOW.noting(description="Of the bin's accuracy, for a perfectly calibrated model."),
            "null_high": NULL_HIGH.noting(description="Of the bin's accuracy, for a perfectly calibrated model."),
        },
    ),
    "margin_boxes": Table(
        stage="calibration",
        paths=("tables/calibration/margin_boxes.parquet",),
        description="Box statistics of the margins of one reward model on one source, correctly and wrongly ordered "
        "pairs apart; ties are in neither. Models of all sources or of one, and raw heads.",
        columns={
            **MODEL,
            "source": SOURCE,
            "ordering": Column("str", description="`correct` (margin above 0) or `wrong` (below 0)."),
            "n_pairs": N_PAIRS,
            "mean": Column("float", description="Mean margin."),
            "whisker_low": Column("float", description="Lowest margin within 1.5 interquartile ranges of the box."),
            "q1": Column("float", description="First quartile of the margin."),
            "median": Column("float", description="Median of the margin."),
            "q3": Column("float", description="Third quartile of the margin."),
            "whisker_high": Column("float", description="Highest margin within 1.5 interquartile ranges of the box."),
        },
    ),
    "margin_histogram": Table(
        stage="calibration",
        paths=("tables/calibration/margin_histogram.parquet",),
        description="One bin of the histogram of margins of one reward model on one source; all models of a base have "
        "the same bins, empty ones among them.",
        columns={
            **MODEL,
            "source": SOURCE,
            "bin_low": BIN_LOW.noting(description="Of the margin."),
            "bin_high": BIN_HIGH.noting(description="Of the margin."),
            "n_pairs": N_PAIRS.noting(description="In the bin."),
            "density": Column("float", description="Share of the model's pairs in the bin, per unit of margin."),
        },
    ),
    "outliers": Table(
        stage="calibration",
        paths=("tables/calibration/outliers.parquet",),
        description="Margins of one reward model on one source beyond 1.5 interquartile ranges of the box of all "
        "margins, as in the paper's Tables 4 to 6.",
        columns={
            **MODEL,
            "source": SOURCE,
            "n_pairs": N_PAIRS,
            "positive_count": Column("int", description="Outliers above the box."),
            "positive_mean": Column(
                "float?", description="Mean margin of the outliers above; NaN where there are none."
            ),
            "negative_count": Column("int", description="Outliers below the box."),
            "negative_mean": Column(
                "float?", description="Mean margin of the outliers below; NaN where there are none."
            ),
            "ece": ECE.noting(description="Of all the row's pairs.", kind="float"),
        },
    ),
    "length_bias": Table(
        stage="calibration",
        paths=("tables/calibration/length_bias.parquet",),
        description="One statistic of how far a reward model follows the length of responses, on the test pairs of one "
        "source or of several pooled. No row for models of the first K sources.",
        columns={
            **MODEL,
            "source": POOLED_SOURCE,
            "statistic": STATISTIC.noting(
                description="`prefers_longer` (share of pairs whose longer response has the higher reward; for the "
                "length rule: is the chosen one), `expects_longer` (mean probability, by the model, that the longer "
                "one is preferred), `longer_excess` (that minus the share of labels for the longer one) or "
                "`correlation` (of margin and difference in words)."
            ),
            **interval(
                description="Clustered by prompt: Wilson for shares, Student's t for means, Fisher's z for the "
                "correlation."
            ),
            "n_pairs": N_PAIRS,
            "n_prompts": N_PROMPTS,
            "n_equal": Column(
                "int", description="Pairs of responses of equal length; they enter the correlation alone."
            ),
        },
    ),
}
