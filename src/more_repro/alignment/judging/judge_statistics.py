"""What the verdicts say about the judge: ties, length, and for pair judges agreement and position bias."""

import numpy as np
import pandas as pd

from more_repro import tables
from more_repro.alignment.judges.answers import Answers
from more_repro.alignment.judging.match_ups import Comparisons
from more_repro.alignment.judging.win_rates import by_source
from more_repro.params import Stats
from more_repro.schemes import ALL
from more_repro.stats.bootstrap import percentile_interval, resample_counts

Share = tuple[np.ndarray, np.ndarray]  # of each verdict: what counts, out of what


def judge_statistics(
    met: Comparisons, verdicts: pd.DataFrame, stats: Stats, *, answers: Answers | None, tie_width: float | None
) -> pd.DataFrame:
    """The table "judge_statistics": shares for "all" and each source, then facts of the run for "all".

    Shares are over verdicts (n of them), their intervals a bootstrap over prompts; one that is out of nothing is left
    out. invalid, tie, tie_identical (one and the same text), longer (of decided verdicts, those for the response of
    more words; 0.5 = length plays no part). With `answers`, also agreement (of the two orders), first_place (of the
    answers that name a winner, those that name the first place; 0.5 = no position bias), tie_judged (both orders say
    tie) and tie_disagreement. Facts are counts of replies and calls, and the tie width of scores.
    """
    shares = _shares(met, verdicts, paired=answers is not None)
    parts = [
        _row(source, name, *_share(rows["prompt_id"], counted[rows.index], out_of[rows.index], stats))
        for source, rows in by_source(verdicts)
        for name, (counted, out_of) in shares.items()
        if out_of[rows.index].any()
    ]
    facts = {} if tie_width is None else {"tie_width": (tie_width, len(met.responses))}
    facts |= {} if answers is None else _facts(answers)
    parts += [_row(ALL, name, value, np.nan, np.nan, n) for name, (value, n) in facts.items()]
    return tables.check(pd.DataFrame(parts), "judge_statistics")


def _shares(met: Comparisons, verdicts: pd.DataFrame, paired: bool) -> dict[str, Share]:
    verdict = verdicts["verdict"].to_numpy()
    valid = verdict != "invalid"
    texts, opponents = met.texts
    same = (texts == opponents) & valid
    shares: dict[str, Share] = {
        "invalid": (~valid * 1.0, np.ones(len(valid))),
        "tie": ((verdict == "tie") * 1.0, valid * 1.0),
        "tie_identical": (same * 1.0, valid * 1.0),
        "longer": _longer(verdict, texts, opponents),
    }
    if not paired:
        return shares
    first, second = verdicts["first"].to_numpy(), verdicts["second"].to_numpy()
    read = valid & ~same
    agree = read & (first == second)
    # Seen from the policy: "win" in first place and "lose" in second place both name the first place.
    named_first = (first == "win") * 1.0 + (second == "lose")
    named_any = np.isin(first, ["win", "lose"]) * 1.0 + np.isin(second, ["win", "lose"])
    return shares | {
        "tie_judged": ((agree & (verdict == "tie")) * 1.0, valid * 1.0),
        "tie_disagreement": ((read & ~agree) * 1.0, valid * 1.0),
        "agreement": (agree * 1.0, read * 1.0),
        "first_place": (named_first * read, named_any * read),
    }


def _longer(verdict: np.ndarray, texts: np.ndarray, opponents: np.ndarray) -> Share:
    n_words = {text: len(text.split()) for text in {*texts, *opponents}}
    longer = np.array([n_words[text] - n_words[other] for text, other in zip(texts, opponents, strict=True)])
    decided = np.isin(verdict, ["win", "lose"]) & (longer != 0)
    return (decided & ((verdict == "win") == (longer > 0))) * 1.0, decided * 1.0


def _share(
    prompt_ids: pd.Series, counted: np.ndarray, out_of: np.ndarray, stats: Stats
) -> tuple[float, float, float, int]:
    """A ratio of sums with its interval over prompts, and the sum below."""
    sums = pd.DataFrame({"counted": counted, "out_of": out_of}).groupby(prompt_ids.to_numpy(), sort=False).sum()
    above, below = sums["counted"].to_numpy(), sums["out_of"].to_numpy()
    counts = resample_counts(len(sums), stats)
    with np.errstate(invalid="ignore"):  # a resample may hold nothing of this kind
        low, high = percentile_interval((counts @ above) / (counts @ below), stats.confidence)
    return float(above.sum() / below.sum()), float(low), float(high), int(below.sum())


def _facts(answers: Answers) -> dict[str, tuple[float, int]]:
    n = len(answers.of)
    counts = {
        "questions": n, "replies": len(answers.replies), "unreadable_replies": answers.n_unreadable,
        "cached_replies": answers.n_cached, "calls": answers.n_calls, "failed_calls": answers.n_failed,
    }  # fmt: skip
    return {name: (float(count), n) for name, count in counts.items()}


def _row(source: str, statistic: str, estimate: float, low: float, high: float, n: int) -> dict[str, str | float | int]:
    return {"source": source, "statistic": statistic, "estimate": estimate, "low": low, "high": high, "n": n}
