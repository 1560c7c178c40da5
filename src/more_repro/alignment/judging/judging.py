"""The one door to all judges: verdicts on policies, and what is needed to add them up and to rank."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from more_repro import tables
from more_repro.alignment.judges.by_kind import make_judge
from more_repro.alignment.judges.errors import JudgeError
from more_repro.alignment.judges.judge import Judge, JudgeInputs, JudgeOfPairs, Scorer, ScoringJudge
from more_repro.alignment.judging.judge_statistics import judge_statistics
from more_repro.alignment.judging.match_ups import comparisons
from more_repro.alignment.judging.over_optimisation import best_of_n_tables
from more_repro.alignment.judging.pairwise import pair_points, pair_verdicts
from more_repro.alignment.judging.scored import scored_points, scored_verdicts
from more_repro.params import Params, Stats
from more_repro.paths import Paths


@dataclass(frozen=True, slots=True)
class Judgment:
    """judge, verdicts, statistics, replies: tables "judge", "verdicts", "judge_statistics", "judge_replies".

    policies: [policy, *MODEL_KEY], P rows. prompts: [prompt_id, source]. points: (prompts, P, P), of each policy
    against each other: 1 won, 0.5 tied, 0 lost, NaN where they did not meet or the verdict is invalid.
    score: the judge's own, None for a judge of pairs. tie_width: how near two scores are a tie.
    """

    judge: pd.DataFrame
    verdicts: pd.DataFrame
    statistics: pd.DataFrame
    replies: pd.DataFrame
    policies: pd.DataFrame
    prompts: pd.DataFrame
    points: np.ndarray
    score: Scorer | None = None
    tie_width: float = np.nan


def judge(params: Params, paths: Paths, responses: pd.DataFrame, held_out: Scorer) -> Judgment:
    """Let the judge of `params.judge` compare the policies of the table "responses".

    held_out: scores of the held-out reward model, used where that is the judge. A chat judge's replies are kept under
    paths.scratch / "judge": a killed run goes on where it was, and a finished one makes no call again.
    Raises JudgeError where the judge cannot be asked, its budget does not do, or more than judge.invalid_share of the
    verdicts are invalid; ValueError where responses are missing.
    """
    asked = make_judge(JudgeInputs(params, paths, held_out))
    if isinstance(asked, ScoringJudge):
        judged = _by_scores(params, responses, asked)
    elif isinstance(asked, JudgeOfPairs):
        judged = _by_pairs(params, responses, asked)
    else:
        raise TypeError(f"the judge {params.judge.kind!r} gives neither scores nor answers: {type(asked).__bases__}")
    _check_invalid(judged.verdicts, params.judge.invalid_share)
    return judged


def best_of_n(judged: Judgment, rewards: pd.DataFrame, samples: pd.DataFrame, stats: Stats) -> dict[str, pd.DataFrame]:
    """Tables "best_of_n" and "best_of_n_schemes" by the judge's own scores; empty for a judge of pairs.

    rewards, samples: the tables of every reward model's rewards of test prompts' samples, and of these samples.
    """
    if judged.score is None:
        return {name: tables.empty(name) for name in ("best_of_n", "best_of_n_schemes")}
    return best_of_n_tables(rewards, samples, judged.score(samples), judged.tie_width, stats)


def _by_scores(params: Params, responses: pd.DataFrame, judge: ScoringJudge) -> Judgment:
    met, scores = comparisons(responses, params.roles.reference), judge.scores(responses)
    width = judge.tie_width(scores)
    verdicts = scored_verdicts(met, scores, width)
    return Judgment(
        judge=_described(params, judge),
        verdicts=verdicts,
        statistics=judge_statistics(met, verdicts, params.stats, answers=None, tie_width=width),
        replies=tables.empty("judge_replies"),
        policies=met.policies,
        prompts=met.prompts,
        points=scored_points(met, scores, width),
        score=judge.scores,
        tie_width=width,
    )


def _by_pairs(params: Params, responses: pd.DataFrame, judge: JudgeOfPairs) -> Judgment:
    met = comparisons(responses, params.roles.reference, params.judge.prompts)
    # Two questions make a verdict: with more than this left unanswered the share of invalid ones is too high.
    most_unanswered = 2 * params.judge.invalid_share * len(met.rows)
    verdicts, answers = pair_verdicts(met, params.judge.criteria, lambda asked: judge.answers(asked, most_unanswered))
    replies = pd.DataFrame(sorted(answers.replies.items()), columns=["request", "reply"])
    return Judgment(
        judge=_described(params, judge),
        verdicts=verdicts,
        statistics=judge_statistics(met, verdicts, params.stats, answers=answers, tie_width=None),
        replies=tables.check(replies, "judge_replies"),
        policies=met.policies,
        prompts=met.prompts,
        points=pair_points(met, verdicts),
    )


def _described(params: Params, judge: Judge) -> pd.DataFrame:
    """The table "judge": what the report says of who judged."""
    return tables.check(pd.DataFrame([{"kind": params.judge.kind, "note": judge.note}]), "judge")


def _check_invalid(verdicts: pd.DataFrame, most: float) -> None:
    n, n_invalid = len(verdicts), int((verdicts["verdict"] == "invalid").sum())
    if n_invalid > most * n:
        raise JudgeError(
            f"{n_invalid} of {n} verdicts are invalid ({n_invalid / n:.1%}), judge.invalid_share allows {most:.1%}: "
            "the judge's scores are missing, or its replies do not end in a verdict line. Replies are kept"
        )
