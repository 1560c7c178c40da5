"""What the notebooks call: every table of the calibration stage and of the regression stage. Nothing is written."""

import pandas as pd

from more_repro import tables
from more_repro.evaluation.claims.more_against_controls import controls_table
from more_repro.evaluation.comparisons.on_same_pairs import paired_table
from more_repro.evaluation.comparisons.over_seeds import comparisons
from more_repro.evaluation.comparisons.seed_summary import seed_summary
from more_repro.evaluation.metrics.length_bias import length_bias
from more_repro.evaluation.metrics.margins import margin_boxes, margin_histogram, outliers
from more_repro.evaluation.metrics.metrics_table import calibration_tables
from more_repro.evaluation.metrics.scored_models import scored_models
from more_repro.evaluation.paper_checks.printed_noise import published_noise
from more_repro.evaluation.paper_checks.six_points import published_checks
from more_repro.evaluation.regression.design import design_table, published_design
from more_repro.evaluation.regression.influence import influence_table
from more_repro.evaluation.regression.placebo import placebo_table
from more_repro.evaluation.regression.power import power_curve
from more_repro.evaluation.regression.regression import regression_table
from more_repro.evaluation.regression.split_half import half_table
from more_repro.params import Params
from more_repro.schemes import MIXTURE, NONE, control_schemes

THIS_RUN = "this run"
PUBLISHED = "published"


def evaluate_all(params: Params, scores: pd.DataFrame, truth: pd.DataFrame | None) -> dict[str, pd.DataFrame]:
    """Tables metrics, reliability, margin_boxes, margin_histogram, outliers, seed_summary, comparisons, controls,
    paired, length_bias.

    scores: the scores tables of all bases, one below the other. truth: [pair_id, true_preference, shared_margin] of the
    test pairs. Distributions of margins are of raw heads and of the models trained on the mixture or on one source (not
    of the length rule or the sweep over K); outliers are of the latter only, as in the paper.
    """
    controls, roles = control_schemes(params.schemes), params.roles
    models = scored_models(scores, truth)
    metrics, reliability = calibration_tables(models, params.stats, params.align.sources)
    trained_on = (MIXTURE, *params.sources)
    return {
        "metrics": metrics,
        "reliability": reliability,
        "margin_boxes": margin_boxes(models, (*trained_on, NONE)),
        "margin_histogram": margin_histogram(models, (*trained_on, NONE)),
        "outliers": outliers(models, trained_on, params.stats),
        "seed_summary": seed_summary(metrics, params.stats, roles),
        "comparisons": comparisons(metrics, params.stats, roles, controls),
        "controls": controls_table(metrics, params.stats, roles, controls),
        "paired": paired_table(models, params.stats, params.align.sources, roles),
        "length_bias": length_bias(models, params.stats, params.align.sources),
    }


def regress_all(
    params: Params,
    metrics: pd.DataFrame,
    win_rates: pd.DataFrame,
    perplexity: pd.DataFrame,
    rewards: pd.DataFrame,
    scores: pd.DataFrame,
) -> dict[str, pd.DataFrame]:
    """Tables regression, influence, power, placebo, published_noise, published_checks.

    regression: each regime within base ("this run: <regime>"), all regimes within base and regime ("this run"), and the
    paper's six points ("published"). influence: of "this run" and "published". power: of the analysis of all regimes.
    rewards: [MODEL_KEY, prompt_id, number, reward] of the samples of the align stage; scores: as for `evaluate_all`.
    """
    stats = params.stats
    design = design_table(
        metrics, win_rates, perplexity, half_table(scored_models(scores), stats, params.align.sources)
    )
    parts = [regression_table(design, THIS_RUN, stats)]
    for regime, rows in design.groupby("regime", sort=True):
        parts.append(regression_table(rows, f"{THIS_RUN}: {regime}", stats))
    parts.append(regression_table(published_design(), PUBLISHED, stats))
    return {
        "regression": tables.check(pd.concat([part for part in parts if len(part)]), "regression"),
        "influence": pd.concat(
            [influence_table(design, THIS_RUN, stats), influence_table(published_design(), PUBLISHED, stats)],
            ignore_index=True,
        ),
        "power": power_curve(design, stats),
        "placebo": placebo_table(rewards, scores, stats, params.align.sources),
        "published_noise": published_noise(stats),
        "published_checks": published_checks(stats),
    }
