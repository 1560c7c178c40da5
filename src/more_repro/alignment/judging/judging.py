"""The one door to all judges: verdicts on policies, and what is needed to add them up and to rank."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from more_repro import tables
from more_repro.alignment.judges import oracle, replay
from more_repro.alignment.judges.answers import Answers
from more_repro.alignment.judges.chat import endpoint
from more_repro.alignment.judges.chat import judge as chat
from more_repro.alignment.judges.errors import JudgeError
from more_repro.alignment.judges.questions import Question
from more_repro.alignment.judging.judge_statistics import judge_statistics
from more_repro.alignment.judging.match_ups import Comparisons, comparisons
from more_repro.alignment.judging.over_optimisation import best_of_n_tables
from more_repro.alignment.judging.pairwise import pair_points, pair_verdicts
from more_repro.alignment.judging.scored import TIE_WIDTHS, scored_points, scored_verdicts
from more_repro.params import Params, Stats
from more_repro.paths import Paths
from more_repro.stats.random import numbered

Scorer = Callable[[pd.DataFrame], pd.Series]  # rows with prompt, response, finished -> scores on their index


@dataclass(frozen=True, slots=True)
class Judgment:
    """verdicts, statistics, replies: tables "verdicts", "judge_statistics", "judge_replies".

    policies: [policy, *MODEL_KEY], P rows. prompts: [prompt_id, source]. points: (prompts, P, P), of each policy
    against each other: 1 won, 0.5 tied, 0 lost, NaN where they did not meet or the verdict is invalid.
    score: the judge's own, None for a judge of pairs. tie_width: how near two scores are a tie.
    """

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
    scorers: dict[str, Scorer] = {"oracle": oracle.scores, "held_out_reward_model": held_out}
    score = scorers.get(params.judge.kind)
    judged = _by_pairs(params, paths, responses) if score is None else _by_scores(params, responses, score)
    _check_invalid(judged.verdicts, params.judge.invalid_share)
    return judged


def best_of_n(judged: Judgment, rewards: pd.DataFrame, samples: pd.DataFrame, stats: Stats) -> dict[str, pd.DataFrame]:
    """Tables "best_of_n" and "best_of_n_schemes" by the judge's own scores; empty for a judge of pairs.

    rewards, samples: the tables of every reward model's rewards of test prompts' samples, and of these samples.
    """
    if judged.score is None:
        return {name: tables.empty(name) for name in ("best_of_n", "best_of_n_schemes")}
    return best_of_n_tables(rewards, samples, judged.score(samples), judged.tie_width, stats)


def _by_scores(params: Params, responses: pd.DataFrame, score: Scorer) -> Judgment:
    met, scores = comparisons(responses, params.roles.reference), score(responses)
    width = TIE_WIDTHS[params.judge.kind](scores)
    verdicts = scored_verdicts(met, scores, width)
    return Judgment(
        verdicts=verdicts,
        statistics=judge_statistics(met, verdicts, params.stats, answers=None, tie_width=width),
        replies=tables.empty("judge_replies"),
        policies=met.policies,
        prompts=met.prompts,
        points=scored_points(met, scores, width),
        score=score,
        tie_width=width,
    )


def _by_pairs(params: Params, paths: Paths, responses: pd.DataFrame) -> Judgment:
    met = comparisons(responses, params.roles.reference, params.judge.prompts)
    verdicts, answers = pair_verdicts(met, params.judge.criteria, lambda questions: _ask(params, paths, met, questions))
    replies = pd.DataFrame(sorted(answers.replies.items()), columns=["request", "reply"])
    return Judgment(
        verdicts=verdicts,
        statistics=judge_statistics(met, verdicts, params.stats, answers=answers, tie_width=None),
        replies=tables.check(replies, "judge_replies"),
        policies=met.policies,
        prompts=met.prompts,
        points=pair_points(met, verdicts),
    )


def _ask(params: Params, paths: Paths, met: Comparisons, questions: Sequence[Question]) -> Answers:
    asked, folder = params.judge.chat, paths.scratch / "judge"
    if params.judge.kind == "replay":
        path = replay.replay_path(params.data.folder, params.judge.replay or "")
        return replay.answer_questions(questions, asked.attempts, path, folder / "wanted.jsonl")
    return chat.answer_questions(
        questions,
        asked,
        endpoint.from_environment(),
        folder,
        # Two questions make a verdict: with more than this left unanswered the share of invalid ones is too high.
        most_unanswered=2 * params.judge.invalid_share * len(met.rows),
        rng=numbered(params.data.seed),
    )


def _check_invalid(verdicts: pd.DataFrame, most: float) -> None:
    n, n_invalid = len(verdicts), int((verdicts["verdict"] == "invalid").sum())
    if n_invalid > most * n:
        raise JudgeError(
            f"{n_invalid} of {n} verdicts are invalid ({n_invalid / n:.1%}), judge.invalid_share allows {most:.1%}: "
            "the judge's scores are missing, or its replies do not end in a verdict line. Replies are kept"
        )
