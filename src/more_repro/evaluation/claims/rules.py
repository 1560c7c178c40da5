"""The rules by which claims are judged, written before any number is seen, and the small parts they are made of."""

from collections.abc import Sequence
from dataclasses import dataclass

from more_repro.stats.intervals import NAN, Interval

SUPPORTED, NOT_SUPPORTED, UNDECIDED = "supported", "not supported", "undecided"

# Smallest effects of interest: a claim whose interval excludes so much is not supported.
OFF_SOURCE = 0.02  # accuracy lost off the own source
KEPT = 0.03  # accuracy that mixing may cost and still "keep" it
COMPARABLE = 0.02  # accuracy that MORE may cost and still be comparable
ECE = 0.005
LOG_MARGIN = 0.05  # 5 % of the size of margins or outliers
PER_SOURCE = 0.002  # ECE per source added
PER_SIZE = 0.005  # accuracy per step in base size
SLOPE = 1.0  # net win per unit of ECE: .01 less ECE gives .01 more net win
AVERAGED = 0.02  # accuracy lost by averaging

STATEMENTS = {
    "C1": "Single-source reward models disagree: each spreads rewards its own way and loses accuracy off its source.",
    "C2": "Vanilla mixing keeps accuracy but worsens calibration; larger bases lose less accuracy.",
    "C3": "MORE has a lower ECE than MultiTask at comparable accuracy, on the shared preferences above all.",
    "C4": "Vanilla training over-rewards: its margins are larger than MORE's, with more extreme outliers.",
    "C5": "MORE's ECE falls as the number of mixed sources grows.",
    "C6": "A reward model with lower ECE gives better RJS alignment at equal accuracy.",
    "C7": "Averaging the rewards of single-source models loses accuracy.",
}

_READING = (
    "Supported: every part's interval lies wholly on the claimed side of zero. Not supported: some part's interval "
    "excludes an effect as large as its smallest effect of interest; a part that meets both (an effect beyond zero and "
    "yet smaller than that) counts as supported. Undecided: neither, or a part is missing."
)
_SEEDS = (
    "Intervals: mean over bases of the mean over seeds, t from the spread over seeds within base; none where seeds "
    "do not differ at all. The test pairs, which seeds share, are taken as they are: their noise is not in it. "
    + _READING
)

RULES = {
    "C1": f"Parts: own-source minus off-source accuracy of the singles (> 0, smallest {OFF_SOURCE}); F test over seeds "
    f"that log mean |margin| differs between singles (p below 1 - confidence, else undecided). {_SEEDS}",
    "C2": f"Parts: MultiTask minus top in mean ECE (> 0, smallest {ECE}); in mean accuracy (> -{KEPT}, refuted when "
    f"wholly below it); slope of the latter, a mean for each base, on the rank of base size (> 0, smallest {PER_SIZE}; "
    f"undecided below 3 bases). {_SEEDS}",
    "C3": f"Parts: MORE minus MultiTask in ECE on align (< 0, smallest {ECE}); in accuracy on align (> -{COMPARABLE}, "
    f"refuted when wholly below it). {_SEEDS}",
    "C4": f"Parts: MultiTask minus MORE in log mean |margin| on all (> 0, smallest {LOG_MARGIN}); in log mean size of "
    f"outliers, averaged over sources (> 0, smallest {LOG_MARGIN}). {_SEEDS}",
    "C5": f"Part: slope of MORE's ECE on align over K (< 0, smallest {PER_SOURCE} per source); at K = 2 MORE with "
    f"l2-normalised gradients is MultiTask. {_SEEDS}",
    "C6": "Slope of net win on ECE with accuracy held, within base. Supported: negative; p of the permutation of whole "
    "schemes below 1 - confidence, by Holm over outcomes and also where a scheme moves alike in all bases; and the "
    "placebo (the slope on the part of ECE that a temperature removes, which best-of-n cannot see) cannot be told from "
    f"zero: where its interval excludes zero, the slope on ECE is confounded. Not supported: the interval, clustered "
    f"by scheme, excludes -{SLOPE:g}. Undecided: neither, or fewer than 12 reward models.",
    "C7": f"Part: averaging minus top in mean accuracy (< 0, smallest {AVERAGED}). {_SEEDS}",
}

_BASES = "Printed numbers of the bases are the replicates (t interval); no seed was varied. " + _READING

PUBLISHED_RULES = {
    "C1": "Not applied: the transfer accuracies are printed as a figure only.",
    "C2": f"Parts as in a run, from Table 2, the mean accuracy taken over its row. {_BASES}",
    "C3": "Table 1. Supported: the mean difference in ECE lies below the noise of two models equally over-confident "
    "(simulated at the printed accuracies, mean ECE and test sizes, as in the table of printed differences), each "
    f"base's difference does so by itself, and mean accuracy falls by less than {COMPARABLE}. Not supported: the "
    f"interval so made excludes -{ECE}, or accuracy falls by more.",
    "C4": f"Tables 4-6: the part on outliers only, for mean |margin| is not printed; so at best undecided. {_BASES}",
    "C5": "Not applied: ECE against the number of sources is printed as a figure only.",
    "C6": "Table 1: slope of helpful perplexity on ECE, accuracy held, within base. Undecided below 12 reward models.",
    "C7": f"Part as in a run, from Table 2, the mean accuracy taken over its row. {_BASES}",
}


@dataclass(frozen=True, slots=True)
class Finding:
    verdict: str
    interval: Interval
    sentence: str


def judge(interval: Interval, sign: int, smallest: float) -> str:
    """Verdict on "the effect has this sign", three-valued; NaN limits are undecided."""
    low, high = sorted((sign * interval.low, sign * interval.high))
    if low > 0:
        return SUPPORTED
    return NOT_SUPPORTED if high < smallest else UNDECIDED


def at_least(interval: Interval, bound: float) -> str:
    """Verdict on "the effect is above the bound"."""
    if interval.low > bound:
        return SUPPORTED
    return NOT_SUPPORTED if interval.high < bound else UNDECIDED


def combine(verdicts: Sequence[str]) -> str:
    """One refuted part refutes a claim; all parts must be supported to support it."""
    if NOT_SUPPORTED in verdicts:
        return NOT_SUPPORTED
    return SUPPORTED if all(one == SUPPORTED for one in verdicts) else UNDECIDED


def missing(reason: str) -> Finding:
    """What is said where the rows a rule needs are not there."""
    return Finding(UNDECIDED, Interval(NAN), f"Undecided: {reason}.")


def told(label: str, interval: Interval, digits: int = 3) -> str:
    """An effect with its interval, for a sentence."""
    # "+ 0.0" after rounding: a small negative number reads +0.000, not -0.000.
    estimate, low, high = (
        f"{round(x, digits) + 0.0:+.{digits}f}" for x in (interval.estimate, interval.low, interval.high)
    )
    if interval.low != interval.low:
        return f"{label} {estimate} (no interval: too few replicates, or no spread)"
    return f"{label} {estimate} [{low}, {high}]"
