"""Tables of the regression stage that are made of the paper's printed numbers alone."""

from more_repro.tables.column import Column, Table
from more_repro.tables.shared import NULL_HIGH, NULL_LOW, NULL_MEAN, OUTCOME, SENTENCE, SUMMARY_SOURCE, N, P, interval

PAPER: dict[str, Table] = {
    "published_noise": Table(
        stage="regression",
        paths=("tables/regression/published_noise.parquet",),
        description="One ECE that the paper prints, beside the noise of its test pairs, by simulation of reward models "
        "of the printed accuracies.",
        columns={
            "table": Column("str", description="Table of the paper: `table1`, `table2` or `tables4_6`."),
            "base": Column("str", description="Base model of the paper.", overrides=True),
            "scheme": Column("str", description="Scheme of the paper.", overrides=True),
            "source": SUMMARY_SOURCE,
            "ece": Column("float", description="ECE as printed, over 10 bins.", overrides=True),
            "null_mean": NULL_MEAN.noting(
                description="Of ECE, for a calibrated model; NaN where an accuracy is not above 1/2.", kind="float?"
            ),
            "null_low": NULL_LOW.noting(description="As null_mean, NaN likewise.", kind="float?"),
            "null_high": NULL_HIGH.noting(description="As null_mean, NaN likewise.", kind="float?"),
            "p": Column(
                "float?",
                description="Share of null draws with an ECE at least as large, the printed one counted among them; "
                "NaN as null_mean.",
                overrides=True,
            ),
            "difference": Column("float?", description="Printed ECE minus that of `multitask`; NaN for `multitask`."),
            "noise_low": Column(
                "float?",
                description="Lower limit of the middle `stats.confidence` of differences between two models that are "
                "equally over-confident, with unrelated errors; NaN as `difference`.",
            ),
            "noise_high": Column("float?", description="Upper limit of the same; NaN as `difference`."),
            "scale": Column(
                "float?",
                description="Factor of calibrated margins at which such models show the mean of the two printed ECEs; "
                "1 = calibrated. NaN as `difference`.",
            ),
            "p_difference": Column(
                "float?", description="Two-sided p of the difference, errors unrelated; NaN as `difference`."
            ),
            "p_correlated": Column(
                "float?", description="The same with errors correlated by 0.8; NaN as `difference`."
            ),
            "n": N.noting(description="Test pairs, as printed."),
        },
    ),
    "published_checks": Table(
        stage="regression",
        paths=("tables/regression/published_checks.parquet",),
        description="One check of what the six reward models of the paper's Table 1, and its Table 2, can show.",
        columns={
            "check": Column("str", description="Name of the check."),
            "outcome": OUTCOME.noting(description="Also `accuracy`, `ece` and `any`; some with the name of a base."),
            **interval(description="By the check; NaN for most."),
            "p": P,
            "n": N.noting(description="Bases, points or judged prompts, as `sentence` says."),
            "sentence": SENTENCE,
        },
    ),
}
