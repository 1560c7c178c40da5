"""Every figure of the report: its title, what to see in it, how it is drawn, and the rows that it draws."""

from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd
from matplotlib.figure import Figure

from more_repro.report import alignment_figures as alignment
from more_repro.report import calibration_figures as calibration
from more_repro.report import data_figures as data
from more_repro.report import margin_figures as margins
from more_repro.report import policy_figures as policy
from more_repro.report import reliability_figures as reliability
from more_repro.report import reward_figures as reward
from more_repro.report import scheme_figures as scheme
from more_repro.report.rows import of_regime
from more_repro.report.study import Study

_EVERY = ("raw", "single", *margins.COMPARED)
Draw = Callable[[Study, str], Figure]
Rows = Callable[[Study, str], pd.DataFrame]


@dataclass(frozen=True, slots=True)
class Entry:
    """A figure. caption: what it shows and how to read it, never a result; {seed}, {n_seeds}, {n_test} and {regime} are
    filled in. alt: the same, shorter.
    """

    name: str
    title: str
    caption: str
    alt: str
    draw: Draw
    rows: Rows
    per_regime: bool = True


def _align(s: Study) -> tuple[str, ...]:
    return s.params.align.sources


def _k(s: Study) -> int:
    return len(s.params.sources)


DISAGREEMENT = (
    Entry("fig1_left", "Fig 1 left: accuracy of single-source reward models",
          "A row is the source that a reward model was trained on, a column the source it is tested on; framed: its "
          "own. One half is chance; below it the model prefers what that source rejects. Small print: half-width of "
          "the interval over prompts. Seed {seed}; test pairs per source: {n_test}.",
          "Heat map of accuracy: trained on one source (rows) against tested on each source (columns)",
          lambda s, r: reward.fig1_left(s["metrics"], r), lambda s, r: reward.accuracy_rows(s["metrics"], r)),
    Entry("fig1_middle", "Fig 1 middle: margins of single-source reward models",
          "Reward of chosen minus reward of rejected, a panel for each test source; full colour: the model's own "
          "source. Compare spreads down a panel; the part right of the line is ordered correctly. Seed {seed}.",
          "Ridge plots of the margin distribution of each single-source reward model on each source",
          lambda s, r: margins.fig1_middle(s["margin_histogram"], r),
          lambda s, r: margins.margin_rows(s["margin_histogram"], r, "", ("raw", "single"))),
    Entry("fig1_right", "Fig 1 right: margins of correctly and wrongly ordered pairs",
          "The same margins as boxes. A wide box of wrongly ordered pairs: the model is sure of itself where it is "
          "wrong. Seed {seed}.",
          "Box plots of margins, correctly and wrongly ordered pairs apart, per reward model and source",
          lambda s, r: margins.fig1_right(s["margin_boxes"], r),
          lambda s, r: margins.margin_rows(s["margin_boxes"], r, "", ("raw", "single"))),
    Entry("transfer", "Transfer of a linear model of word counts",
          "The same question before any language model: a linear Bradley-Terry model on words and length of one "
          "source, tested on each. Small print: half-width of the interval.",
          "Heat map of accuracy of a linear model of one source on every source",
          lambda s, r: data.transfer(s["transfer"]), lambda s, r: s["transfer"], False),
    Entry("similarity", "Directions of the linear models",
          "Cosine between what two linear models reward: 1 the same, 0 unrelated, below 0 opposed.",
          "Heat map of the cosine between the linear models of every two sources",
          lambda s, r: data.similarity(s["source_similarity"]), lambda s, r: s["source_similarity"], False),
    Entry("length_rule", "The length rule",
          "Share of training pairs in which the longer response is the chosen one: what a reward model reaches that "
          "counts words only. Left of one half the shorter response wins.",
          "Bars: share of pairs of each source in which the longer response wins",
          lambda s, r: data.length_rule(s["source_statistics"]),
          lambda s, r: data.length_rows(s["source_statistics"]), False),
    Entry("word_log_odds", "Words that each source rewards",
          "Words that stand more often in chosen responses of the training pairs point right, in rejected ones left. "
          "Grey: within noise.",
          "Bars: words of each source by the z of their log odds in chosen against rejected responses",
          lambda s, r: data.word_log_odds(s["word_log_odds"]), lambda s, r: s["word_log_odds"], False),
    Entry("passes", "How often each pair is used",
          "Sources are resampled to one size, so the pairs of a small source are repeated. Hold these numbers "
          "against the over-confidence of each regime below.",
          "Bars: passes over each pair of every source, per regime",
          lambda s, r: data.passes(s["mixture_summary"]), lambda s, r: s["mixture_summary"], False),
)  # fmt: skip

SCHEME = (
    Entry("fig2", "Fig 2: the MORE scheme, and the λ that it chose",
          "Top: one training step; blue is what MORE adds to multitask. Bottom: λ of each source in this run, thin "
          "single steps, thick the mean of 15; dotted: multitask's 1/K. Between l2-normalised gradients no λ can "
          "exceed 1/2. Seed {seed}.",
          "Diagram of a training step of MORE, and curves of lambda per source against the training step",
          lambda s, r: scheme.fig2(s["training_log"], r), lambda s, r: scheme.fig2_rows(s["training_log"], r)),
    Entry("training_loss", "Loss of each source during training",
          "Thin: single steps, thick: the mean of 15; dotted: a model without preference. A source that falls far "
          "below the others is being learned by heart or is easier. Seed {seed}.",
          "Curves of the training loss of each source for multitask and MORE",
          lambda s, r: scheme.training_loss(s["training_log"], r),
          lambda s, r: scheme.fig2_rows(s["training_log"], r, None, ("multitask", "more"))),
)  # fmt: skip

CALIBRATION = (
    Entry("fig3", "Fig 3: accuracy of every scheme",
          "Means over {n_seeds} seeds, bars t intervals over seeds; test pairs per source: {n_test}. Dashed: the "
          "length rule, grey its interval (its mean has none).",
          "Accuracy of each scheme on each source and on their mean, a panel per base",
          lambda s, r: calibration.fig3(s["seed_summary"], s["metrics"], r),
          lambda s, r: calibration.summary_rows(s["seed_summary"], "accuracy", r)),
    Entry("fig4", "Fig 4: ECE of every scheme",
          "Means over {n_seeds} seeds, bars t intervals over seeds, cut at 0; test pairs per source: {n_test}. Grey: "
          "the ECE that a perfectly calibrated model of equal confidences shows at this number of pairs (the mean "
          "has none); a point inside shows no miscalibration.",
          "ECE of each scheme on each source and on their mean with null bands, a panel per base",
          lambda s, r: calibration.fig4(s["seed_summary"], s["metrics"], r),
          lambda s, r: calibration.summary_rows(s["seed_summary"], "ece", r)),
    Entry("reliability", "Reliability diagrams",
          "Points below the diagonal: more confident than right. Full points and counts: seed {seed}, pale: the "
          "others. Raw heads are left out.",
          "Accuracy against confidence in bins for each scheme, with null band and counts",
          lambda s, r: reliability.reliability(s["reliability"], r),
          lambda s, r: reliability.reliability_rows(s["reliability"], r)),
    Entry("slopes", "Calibration slope and over-confidence",
          "One number for the direction of the error, test pairs of all sources pooled. Slope below 1, or a positive "
          "gap: margins too large (over-rewarding). Bars: t intervals over {n_seeds} seeds.",
          "Calibration slope and over-confidence of each scheme and base with intervals",
          lambda s, r: reliability.slopes(s["seed_summary"], r),
          lambda s, r: reliability.slope_rows(s["seed_summary"], r)),
    Entry("fig5", "Fig 5: margins on the alignment sources",
          "The wider the curve, the larger the rewards that the scheme learned. Seed {seed}.",
          "Histograms of margins of single, multitask and more on the alignment sources",
          lambda s, r: margins.fig5(s["margin_histogram"], r, _align(s)),
          lambda s, r: margins.fig5_rows(s["margin_histogram"], r, _align(s))),
    Entry("fig6", "Fig 6: ECE against the number of mixed sources",
          "Reward models of the first K sources, means over {n_seeds} seeds with t intervals, cut at 0. Dashed: the "
          "single model of that source. With K = 2 and l2-normalised head gradients the min-norm weights are 1/2 "
          "each, so MORE equals multitask there. K and the re-use of small sources can grow together: see how often "
          "each pair is used.",
          "ECE against K for multitask and more on each alignment source, with intervals over seeds",
          lambda s, r: calibration.fig6(s["seed_summary"], r, _k(s)),
          lambda s, r: calibration.fig6_rows(s["seed_summary"], r, _k(s))),
    Entry("fig8", "Fig 8: boxes of margins, every base",
          "As Fig 1 right, with multitask and more. Seed {seed}, regime {regime}.",
          "Box plots of margins of every reward model, base and source, correct and wrong pairs apart",
          lambda s, r: margins.fig8(s["margin_boxes"], r),
          lambda s, r: margins.margin_rows(s["margin_boxes"], r, None, _EVERY), False),
    Entry("fig9", "Fig 9: distributions of margins, every base",
          "As Fig 1 middle, with multitask and more. Seed {seed}, regime {regime}.",
          "Ridge plots of the margin distribution of every reward model, base and source",
          lambda s, r: margins.fig9(s["margin_histogram"], r),
          lambda s, r: margins.margin_rows(s["margin_histogram"], r, None, _EVERY), False),
)  # fmt: skip

ALIGNMENT = (
    Entry("fig7", "Fig 7: win rate of aligned policies against the ECE of their reward model",
          "A point is a policy aligned by one reward model (one seed), judged against the SFT policy; filled by "
          "base. Left: wins; right: wins minus losses with the interval over prompts; dotted: policies that no "
          "reward model chose for. Look for a slope among points of one base.",
          "Scatter of win rate and net win against the ECE of the reward model",
          lambda s, r: policy.fig7(s["win_rates"], s["metrics"], r),
          lambda s, r: alignment.fig7_rows(s["win_rates"], s["metrics"], r)),
    Entry("perplexity", "Perplexity of aligned policies",
          "On the chosen responses of the test pairs, a point per seed, interval over texts. Lower: closer to those "
          "texts.",
          "Perplexity of each policy on each alignment source with intervals",
          lambda s, r: policy.perplexity(s["perplexity"], r), lambda s, r: of_regime(s["perplexity"], r)),
    Entry("regression", "Alignment against calibration, at equal accuracy",
          "Partial plot of the regression: net win over the untuned policy and ECE, both without what accuracy, base "
          "and regime explain. A falling line: at equal accuracy a lower ECE goes with more wins. All regimes.",
          "Partial regression plot of net win on ECE",
          lambda s, r: alignment.regression(alignment.fig7_rows(s["win_rates"], s["metrics"], None, "untuned")),
          lambda s, r: alignment.fig7_rows(s["win_rates"], s["metrics"], None, "untuned"), False),
    Entry("coefficients", "The coefficient of ECE by every method",
          "How much the answer depends on the method: a row each, with its interval and p. For net win left of 0, "
          "for perplexity right of 0: a lower ECE goes with the better policy. Panels have their own scales.",
          "Coefficients of ECE with intervals, one row per method",
          lambda s, r: alignment.coefficients(s["regression"]),
          lambda s, r: alignment.coefficient_rows(s["regression"]), False),
    Entry("power", "What the regression could have seen",
          "Share of simulated studies of this size in which the primary test finds an effect of the size on the "
          "axis. What lies below the upper dotted line could well have been missed.",
          "Power of the permutation test against the effect size",
          lambda s, r: alignment.power(s["power"]), lambda s, r: s["power"], False),
)  # fmt: skip

SECTIONS = (
    ("disagreement", "Do the sources disagree?", DISAGREEMENT),
    ("scheme", "How the sources are mixed", SCHEME),
    ("calibration", "Accuracy and calibration", CALIBRATION),
    ("alignment", "Aligned policies", ALIGNMENT),
)
