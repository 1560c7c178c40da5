"""Tables of the stage that relates alignment to calibration, and concludes on the paper's claims."""

from more_repro.tables.column import Column, Table
from more_repro.tables.shared import (
    ECE,
    EVIDENCE,
    MODEL,
    N_PROMPTS,
    NOTE,
    OUTCOME,
    P_HOLM,
    SENTENCE,
    N,
    P,
    interval,
)

REGRESSION: dict[str, Table] = {
    "regression": Table(
        stage="regression",
        paths=("tables/regression/regression.parquet",),
        description="One coefficient of a regression of an outcome of aligned policies on calibration and accuracy of "
        "their reward models, within base and regime, by one method.",
        columns={
            "data": EVIDENCE,
            "outcome": OUTCOME,
            "term": Column(
                "str",
                description="Explanatory variable: `ece`, `accuracy`, `slope`, `ece_temperature` (the part of ECE that "
                "one temperature removes), `ece_shape` (what is left), or ECE of one half of the test prompts with "
                "accuracy of the other.",
            ),
            "method": Column("str", description="Method of estimate, interval and p."),
            **interval(description="By `method`. Unit: that of the outcome per 1.0 of the term."),
            "p": P,
            "p_holm": P_HOLM.noting(description="Family: the outcomes, for each term; of the primary method alone."),
            "vif": Column(
                "float?",
                description="Variance inflation of the term by the others, within groups; 1 = none. NaN where the "
                "coefficient does not exist.",
            ),
            "n": N.noting(description="Reward models."),
            "n_groups": Column("int", description="Number of groups: base and regime."),
            "note": NOTE,
        },
    ),
    "influence": Table(
        stage="regression",
        paths=("tables/regression/influence.parquet",),
        description="How much the coefficient of ECE at equal accuracy depends on one reward model.",
        columns={
            "data": EVIDENCE,
            "outcome": OUTCOME,
            **MODEL,
            "partial_term": Column("float", description="ECE without what groups and accuracy explain."),
            "partial_outcome": Column("float", description="Outcome without what groups and accuracy explain."),
            "leverage": Column("float", description="Leverage of the reward model, in [0, 1]."),
            "cooks_distance": Column(
                "float?", description="Cook's distance; NaN without degrees of freedom or at leverage 1."
            ),
            "estimate_without": Column(
                "float?", description="Coefficient without this reward model; NaN where it does not exist then."
            ),
            **interval(description="Of the coefficient with all reward models: fixed effects, Student's t."),
            "n": N.noting(description="Reward models."),
        },
    ),
    "power": Table(
        stage="regression",
        paths=("tables/regression/power.parquet",),
        description="Power of the primary test of ECE on the design of this run, by simulation.",
        columns={
            "effect": Column(
                "float", description="Effect: standard deviations of noise per standard deviation of ECE within groups."
            ),
            "power": Column(
                "float",
                description="Share of simulated outcomes with p of at most 1 - `stats.confidence`, in [0, 1]; at "
                "effect 0 the size of the test.",
            ),
            "low": Column("float", description="Lower limit of `power`: Wilson, over simulations.", overrides=True),
            "high": Column("float", description="Upper limit of `power`: Wilson, over simulations.", overrides=True),
            "n": N.noting(description="Reward models."),
        },
    ),
    "placebo": Table(
        stage="regression",
        paths=("tables/regression/placebo.parquet",),
        description="What multiplying every reward of one model by a factor does: its ECE changes, its picks do not.",
        columns={
            **MODEL,
            "factor": Column("float", description="Factor that rewards are multiplied by."),
            "ece": ECE.noting(
                description="On the sources of `align.sources` pooled, margins multiplied likewise.", kind="float"
            ),
            "changed_picks": Column("int", description="Prompts whose best sample is another one than at factor 1."),
            "n_prompts": N_PROMPTS,
        },
    ),
    "claims": Table(
        stage="regression",
        paths=("tables/regression/claims.parquet",),
        description="What the numbers of one regime, or those printed in the paper, say on one claim of the paper, by "
        "a rule written beforehand.",
        columns={
            "claim": Column("str", description="Claim, `C1` to `C7`."),
            "statement": Column("str", description="The claim in words."),
            "data": EVIDENCE,
            "verdict": Column(
                "str", description="Conclusion by the rule: `supported`, `not supported`, `undecided`.", overrides=True
            ),
            **interval(description="Of the effect that the rule puts first; Student's t over replicates as a rule."),
            "n": N.noting(description="Replicates behind the interval."),
            "rule": Column("str", description="The rule in words."),
            "sentence": SENTENCE,
        },
    ),
}
