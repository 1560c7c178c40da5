"""Every figure of the report: its title, what to see in it, how it is drawn, and the rows that it draws."""

from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd
from matplotlib.figure import Figure

from more_repro.evaluation.paper import printed_numbers
from more_repro.report.figures import alignment as alignment
from more_repro.report.figures import calibration as calibration
from more_repro.report.figures import calibration_controls as control
from more_repro.report.figures import data as data
from more_repro.report.figures import diversity as diversity
from more_repro.report.figures import margins as margins
from more_repro.report.figures import over_optimisation as over
from more_repro.report.figures import policies as policy
from more_repro.report.figures import ranking as ranked
from more_repro.report.figures import regression as regressed
from more_repro.report.figures import reliability as reliability
from more_repro.report.figures import reward as reward
from more_repro.report.figures import scheme as scheme
from more_repro.report.row_selection import of_regime
from more_repro.report.run_tables import Study
from more_repro.schemes import UNTUNED

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


def _measures(s: Study, *names: str) -> pd.DataFrame:
    return s["source_similarity"][s["source_similarity"]["measure"].isin(names)]


def _printed() -> pd.DataFrame:
    return printed_numbers.table1(printed_numbers.load())


def _k(s: Study) -> int:
    return len(s.params.sources)


def _reused(s: Study) -> tuple[str, ...]:
    """Schemes of the figure on re-use: multitask, more, and weights by the size of a source."""
    by_size = [name for name, one in s.params.schemes.items() if one.weighting == "proportional"]
    return s.roles.reference, s.roles.method, *by_size


DISAGREEMENT = (
    Entry("fig1_left", "Fig 1 left: accuracy of single-source reward models",
          "A panel for each base. A row is the source that a reward model was trained on, a column the source it is "
          "tested on; framed: its own. One half is chance; below it the model prefers what that source rejects. "
          "Small print: half-width of the interval over prompts. Seed {seed}; test pairs per source: {n_test}.",
          "Heat map of accuracy: trained on one source (rows) against tested on each source (columns)",
          lambda s, r: reward.fig1_left(s["metrics"], r, roles=s.roles),
          lambda s, r: reward.accuracy_rows(s["metrics"], r, roles=s.roles)),
    Entry("fig1_middle", "Fig 1 middle: margins of single-source reward models",
          "Reward of chosen minus reward of rejected, a panel for each test source; full colour: the model's own "
          "source. Compare spreads down a panel; the part right of the line is ordered correctly. Seed {seed}; test "
          "pairs per source: {n_test}.",
          "Ridge plots of the margin distribution of each single-source reward model on each source",
          lambda s, r: margins.fig1_middle(s["margin_histogram"], r, roles=s.roles),
          lambda s, r: margins.margin_rows(s["margin_histogram"], r, "", margins.singles(s.roles), roles=s.roles)),
    Entry("fig1_right", "Fig 1 right: margins of correctly and wrongly ordered pairs",
          "The same margins as boxes. A wide box of wrongly ordered pairs: the model is sure of itself where it is "
          "wrong. Seed {seed}; test pairs per source: {n_test}.",
          "Box plots of margins, correctly and wrongly ordered pairs apart, per reward model and source",
          lambda s, r: margins.fig1_right(s["margin_boxes"], r, roles=s.roles),
          lambda s, r: margins.margin_rows(s["margin_boxes"], r, "", margins.singles(s.roles), roles=s.roles)),
    Entry("transfer", "Transfer of a linear model of word counts",
          "The same question before any language model: a linear Bradley-Terry model on words and length of one "
          "source, tested on each. Small print: the longer side of the interval, which holds the choice of test pairs "
          "alone and not that of the training pairs.",
          "Heat map of accuracy of a linear model of one source on every source",
          lambda s, r: data.transfer(s["transfer"]), lambda s, r: s["transfer"], False),
    Entry("directions", "Directions of the linear models",
          "Cosine of the margins that linear models of two sources give to the same texts. Each is fitted to half of "
          "its source's prompts; the grey bar ends where two halves of one source would stand. Orange: noise taken "
          "out; left out where the fits are too noisy for that.",
          "Cosine between the linear models of every two sources, with intervals and the ceiling that noise sets",
          lambda s, r: diversity.directions(s["source_similarity"]),
          lambda s, r: _measures(s, "direction_cosine", "direction_cosine_corrected"), False),
    Entry("choices", "Agreement and conflict on the same pairs",
          "On test pairs of the first source: how often linear models of both order a pair alike, and how often they "
          "are opposite where both margins are in their larger half. One half: unrelated. Itself: two halves of one "
          "source. The models read responses only, so sources that differ in their prompts can seem to conflict; "
          "orange, in the embedded world, is the truth; black squares: training pairs that both sources hold.",
          "Agreement and conflict of linear models of every two sources, beside the truth where it is known",
          lambda s, r: diversity.choices(s["source_similarity"]),
          lambda s, r: _measures(s, "agreement", "conflict", "true_agreement", "true_conflict",
                                 "shared_opposed"), False),
    Entry("told_apart", "Sources told apart by their texts",
          "AUC of a linear classifier, cross-validated by prompt: one half is chance, 1 is never wrong. Framed: two "
          "random halves of one source. Small print: the longer side of the interval.",
          "Heat maps of the AUC at which prompts, and responses, of two sources are told apart",
          lambda s, r: diversity.told_apart(s["source_similarity"]),
          lambda s, r: _measures(s, "prompt_auc", "response_auc"), False),
    Entry("lengths", "Lengths of prompts and responses",
          "Words of the training pairs, on a logarithmic scale, and the share of prompts of several turns.",
          "Median and quantiles of the words of prompts, chosen and rejected responses of every source",
          lambda s, r: diversity.lengths(s["source_statistics"]),
          lambda s, r: diversity.spread_rows(s["source_statistics"]), False),
    Entry("length_rule", "The length rule",
          "Share of training pairs in which the longer response is the chosen one: what a reward model reaches that "
          "counts words only. Left of one half the shorter response wins.",
          "Bars: share of pairs of each source in which the longer response wins",
          lambda s, r: data.length_rule(s["source_statistics"]),
          lambda s, r: data.longer_wins_rows(s["source_statistics"]), False),
    Entry("word_divergence", "Do chosen and rejected responses differ in their words?",
          "Grey: the divergence if chosen and rejected were exchangeable: the two responses of random prompts are "
          "swapped. A point inside cannot be told from that; divergences of sources of different size compare by "
          "their excess only.",
          "Divergence of the words of chosen and rejected responses of every source, with its null band",
          lambda s, r: diversity.word_divergence(s["word_divergence"]), lambda s, r: s["word_divergence"], False),
    Entry("word_log_odds", "Words that each source rewards",
          "Words that stand more often in chosen responses of the training pairs point right, in rejected ones left. "
          "Grey: the largest z that chance would show among so many words, clustered by prompt.",
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
          "Top: one training step; blue is what MORE adds to multitask. Bottom: λ of each source in this run, a panel "
          "for each scheme whose λ moves, thin single steps, thick the mean of 15; dotted: multitask's 1/K. Between "
          "l2-normalised gradients MORE gives no source more than 1/2. Seed {seed}.",
          "Diagram of a training step of MORE, and curves of lambda per source against the training step",
          lambda s, r: scheme.fig2(s["training_log"], r, roles=s.roles),
          lambda s, r: scheme.fig2_rows(s["training_log"], r)),
    Entry("training_loss", "Loss of each source during training",
          "Thin: single steps, thick: the mean of 15; dotted: a model without preference. A source that falls far "
          "below the others is being learned by heart or is easier. Seed {seed}.",
          "Curves of the training loss of each source for multitask and MORE",
          lambda s, r: scheme.training_loss(s["training_log"], r, roles=s.roles),
          lambda s, r: scheme.fig2_rows(s["training_log"], r, None, (s.roles.reference, s.roles.method))),
)  # fmt: skip

CALIBRATION = (
    Entry("fig3", "Fig 3: accuracy of every scheme",
          "Means over {n_seeds} seeds, bars t intervals over seeds; test pairs per source: {n_test}. Dashed: the "
          "length rule, grey its interval over prompts.",
          "Accuracy of each scheme on each source and on their mean, a panel per base",
          lambda s, r: calibration.fig3(s["seed_summary"], s["metrics"], r, roles=s.roles),
          lambda s, r: calibration.summary_rows(s["seed_summary"], "accuracy", r, roles=s.roles)),
    Entry("fig4", "Fig 4: ECE of every scheme",
          "Means over {n_seeds} seeds, bars t intervals over seeds, cut at 0; test pairs per source: {n_test}. Grey: "
          "the ECE that a perfectly calibrated model of equal confidences shows at this number of pairs (the mean "
          "has none), for one model, while a point is a mean over seeds. A point inside cannot be told from "
          "calibrated.",
          "ECE of each scheme on each source and on their mean with null bands, a panel per base",
          lambda s, r: calibration.fig4(s["seed_summary"], s["metrics"], r, roles=s.roles),
          lambda s, r: calibration.summary_rows(s["seed_summary"], "ece", r, roles=s.roles)),
    Entry("reliability", "Reliability diagrams",
          "A panel for each base and scheme. Points below the diagonal: more confident than right. Full points and "
          "counts: seed {seed}, pale: the others. Raw heads are left out.",
          "Accuracy against confidence in bins for each scheme, with null band and counts",
          lambda s, r: reliability.reliability(s["reliability"], r, roles=s.roles),
          lambda s, r: reliability.reliability_rows(s["reliability"], r, roles=s.roles)),
    Entry("slopes", "Calibration slope and over-confidence",
          "One number for the direction of the error, test pairs of all sources pooled ({n_pooled}). Slope below 1, "
          "or a positive "
          "gap: margins too large (over-rewarding). Bars: t intervals over {n_seeds} seeds; a slope that is not "
          "defined in a seed leaves it out, "
          "the data has how many are left.",
          "Calibration slope and over-confidence of each scheme and base with intervals",
          lambda s, r: reliability.slopes(s["seed_summary"], r, roles=s.roles),
          lambda s, r: reliability.slope_rows(s["seed_summary"], r, roles=s.roles)),
    Entry("temperature", "ECE before and after one temperature",
          "Full: as trained; hollow: after the one temperature that fits the validation pairs. Bars: t intervals over "
          "{n_seeds} seeds, cut at 0; grey: null band of the margins so divided; test pairs pooled: {n_pooled}. What "
          "the arrow removes is scale, and "
          "best-of-n cannot see it.",
          "ECE of each scheme before and after temperature scaling with null band, a panel per base",
          lambda s, r: control.temperature(s["seed_summary"], s["metrics"], r, roles=s.roles),
          lambda s, r: control.temperature_rows(s["seed_summary"], s["metrics"], r, roles=s.roles)),
    Entry("length_bias", "Rewards and the length of responses",
          "Mean probability, by the model, that the longer response is preferred, less the share of pairs in which it "
          "was chosen; bars: interval of this paired difference, clustered by prompt. Above 0 a model leans on length "
          "more than the labels do, below less. Pairs of equal length are left out. Single models on their own source. "
          "Seed {seed}; test pairs per source: {n_test}; a table below has the correlations.",
          "How much more each scheme expects the longer response to win than the labels say, by source and base",
          lambda s, r: control.length(s["length_bias"], r, roles=s.roles),
          lambda s, r: control.length_rows(s["length_bias"], r, roles=s.roles)),
    Entry("reuse", "ECE against the re-use of small sources",
          "Each regime is a point: how often training used every pair of the source, and the ECE on its test pairs. "
          "Bars: t intervals over {n_seeds} seeds; grey: null band; test pairs per source: {n_test}. Regimes may "
          "differ in learning rate too.",
          "ECE on re-used sources against passes over their pairs, by scheme",
          lambda s, r: control.reuse(s["seed_summary"], s["mixture_summary"], _reused(s), s["metrics"], roles=s.roles),
          lambda s, r: control.reuse_rows(s["seed_summary"], s["mixture_summary"]), False),
    Entry("fig5", "Fig 5: margins on the alignment sources",
          "The wider the curve, the larger the rewards that the scheme learned. Seed {seed}; test pairs per source: "
          "{n_test}.",
          "Histograms of margins of single, multitask and more on the alignment sources",
          lambda s, r: margins.fig5(s["margin_histogram"], r, _align(s), roles=s.roles),
          lambda s, r: margins.fig5_rows(s["margin_histogram"], r, _align(s), roles=s.roles)),
    Entry("fig6", "Fig 6: ECE against the number of mixed sources",
          "Reward models of the first K sources, means over {n_seeds} seeds with t intervals, cut at 0. Dashed: the "
          "single model of that source; grey: null band; test pairs per source: {n_test}. With K = 2 and "
          "l2-normalised head gradients the min-norm weights are 1/2 "
          "each, so MORE equals multitask there. K and the re-use of small sources can grow together: see how often "
          "each pair is used.",
          "ECE against K for multitask and more on each alignment source, with intervals over seeds",
          lambda s, r: calibration.fig6(s["seed_summary"], r, _k(s), s["metrics"], roles=s.roles),
          lambda s, r: calibration.fig6_rows(s["seed_summary"], r, _k(s), roles=s.roles)),
    Entry("fig8", "Fig 8: boxes of margins, every base",
          "As Fig 1 right, with multitask and more; test pairs per source: {n_test}. Seed {seed}, regime {regime}.",
          "Box plots of margins of every reward model, base and source, correct and wrong pairs apart",
          lambda s, r: margins.fig8(s["margin_boxes"], r, roles=s.roles),
          lambda s, r: margins.margin_rows(s["margin_boxes"], r, None, margins.compared(s.roles), roles=s.roles),
          False),
    Entry("fig9", "Fig 9: distributions of margins, every base",
          "As Fig 1 middle, with multitask and more; test pairs per source: {n_test}. Seed {seed}, regime {regime}.",
          "Ridge plots of the margin distribution of every reward model, base and source",
          lambda s, r: margins.fig9(s["margin_histogram"], r, roles=s.roles),
          lambda s, r: margins.margin_rows(s["margin_histogram"], r, None, margins.compared(s.roles), roles=s.roles),
          False),
)  # fmt: skip

ALIGNMENT = (
    Entry("fig7", "Fig 7: win rate of aligned policies against the ECE of their reward model",
          "A point is a policy aligned by one reward model (one seed), judged against the SFT policy; filled by "
          "base. Left: wins; right: wins minus losses with the interval over prompts, n = {n_judged}; dotted: policies "
          "that are references, not schemes. Look for a slope among points of one base. The paper draws its Fig 7 and "
          "prints no number of it; what it prints of its duels is the next figure.",
          "Scatter of win rate and net win against the ECE of the reward model",
          lambda s, r: policy.fig7(s["win_rates"], s.every("metrics"), r, roles=s.roles),
          lambda s, r: alignment.fig7_rows(s["win_rates"], s.every("metrics"), r)),
    Entry("duels", "Duels with multitask, ours and printed",
          "Policies of one scheme against those of multitask of the same base, all seeds of a scheme together: wins "
          "minus losses on {n_judged} prompts with the interval over prompts, and how much lower the ECE of the reward "
          "model is. Hollow: Table 1 of the paper, whose number of prompts is not printed, so without interval; its "
          "ECE is the mean of two sources, ours that of both pooled. Upper left: better calibrated and preferred.",
          "Net win of each scheme against multitask by difference in ECE, with the printed duels of MORE",
          lambda s, r: ranked.duels(s["scheme_duels"], s.every("seed_summary"), _printed(), r, roles=s.roles),
          lambda s, r: ranked.duel_rows(s["scheme_duels"], s.every("seed_summary"), _printed(), r, roles=s.roles)),
    Entry("over_optimisation", "Over-optimisation: best-of-n against n",
          "What the best of n samples by each scheme's reward is worth to the judge, n = 1 to {most_n}, on {n_best_of} "
          "test prompts: exact expectation over all choices of n, means over seeds, bands over prompts and seeds (over "
          "prompts alone with one seed). A line that bends down while the oracle rises is over-optimised: harder "
          "choosing by that reward does harm. A ring marks a peak before the largest n; a ring within a flat line "
          "means little.",
          "Judge's score and net win against the KL bound of best-of-n for every scheme, with oracle, random and worst",
          lambda s, r: over.over_optimisation(s["best_of_n_schemes"], r, s.params.align.schemes[0], roles=s.roles),
          lambda s, r: over.over_optimisation_rows(s["best_of_n_schemes"], r)),
    Entry("ranking", "Ranking of all policies",
          "Bradley-Terry strength from all comparisons that were judged, a tie half a win each; a point per seed, its "
          "interval over prompts, the whole span of its seeds' rank intervals at the right. Where spans overlap, these "
          "prompts do not tell the policies apart; another seed may differ by more than an interval shows.",
          "Forest plot of the strength of every policy with intervals and ranks",
          lambda s, r: ranked.ranking(s["ranking"], r, roles=s.roles),
          lambda s, r: ranked.ranking_rows(s["ranking"], r)),
    Entry("perplexity", "Perplexity of aligned policies",
          "On the chosen responses of the test pairs, a point per seed, interval over texts. Lower: closer to those "
          "texts.",
          "Perplexity of each policy on each alignment source with intervals",
          lambda s, r: policy.perplexity(s["perplexity"], r, roles=s.roles),
          lambda s, r: of_regime(s["perplexity"], r)),
    Entry("regression", "Alignment against calibration, at equal accuracy",
          "Partial plot of the regression: net win over the untuned policy and ECE, both without what accuracy, base "
          "and regime explain. A falling line: at equal accuracy a lower ECE goes with more wins. All regimes.",
          "Partial regression plot of net win on ECE",
          lambda s, r: alignment.regression(s["influence"], roles=s.roles),
          lambda s, r: alignment.fig7_rows(s["win_rates"], s["metrics"], None, UNTUNED), False),
    Entry("coefficients", "The coefficient of ECE by every method",
          "How much the answer depends on the method: a row each, with its interval and p. For net win left of 0, "
          "for perplexity right of 0: a lower ECE goes with the better policy. Below: ECE in two parts, on two halves "
          "of the test prompts, and the slope, each by permutation. What one temperature removes best-of-n cannot "
          "see: its "
          "interval without 0 says that the coefficient of ECE is confounded. Panels have their own scales.",
          "Coefficients of ECE with intervals, one row per method, and of its parts, halves and the slope",
          lambda s, r: alignment.coefficients(s["regression"]),
          lambda s, r: alignment.coefficient_rows(s["regression"]), False),
    Entry("leave_one_out", "Reward models that the regression hangs on",
          "Left: the coefficient of ECE on net win, accuracy held, without each reward model in turn; line and grey: "
          "with all of them. Right: one point a model. A verdict that one model turns is none.",
          "Leave-one-out coefficients of ECE, and Cook's distance against leverage",
          lambda s, r: regressed.leave_one_out(s["influence"], roles=s.roles),
          lambda s, r: regressed.leave_one_out_rows(s["influence"]), False),
    Entry("published_noise", "The paper's ECE differences against noise",
          "Computed from the printed accuracies, ECEs and test-set sizes alone; no seed was varied in print. A point "
          "inside the grey band is a difference that two equally calibrated models show by chance.",
          "Printed differences in ECE of MORE and multitask with the band of chance, by base",
          lambda s, r: regressed.published(s["published_noise"]),
          lambda s, r: regressed.published_rows(s["published_noise"]), False),
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
