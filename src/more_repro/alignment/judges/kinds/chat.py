"""A model behind a chat endpoint as judge; address, model and key come from the environment alone."""

import os
from collections.abc import Sequence

from more_repro.alignment.judges.answers import Answers
from more_repro.alignment.judges.chat import judge as asking
from more_repro.alignment.judges.chat.endpoint import BASE_URL, MODEL, from_environment, public_url
from more_repro.alignment.judges.judge import JudgeOfPairs
from more_repro.alignment.judges.questions import Question
from more_repro.params import Params
from more_repro.stats.random import numbered


class Judge(JudgeOfPairs):
    """Replies are kept in the scratch folder: a killed run goes on where it was, a finished one makes no call again."""

    note = (
        "Judge: a model behind a chat endpoint, asked twice with the places swapped; agreement decides, disagreement "
        "is a tie. It is no person."
    )

    @classmethod
    def identity(cls, params: Params) -> dict[str, str]:
        model, url = (os.environ.get(name, "") for name in (MODEL, BASE_URL))
        return {"model": model.strip(), "base_url": public_url(url)}

    def answers(self, questions: Sequence[Question], most_unanswered: float) -> Answers:
        params, folder = self.inputs.params, self.inputs.paths.scratch / "judge"
        return asking.answer_questions(
            questions,
            params.judge.chat,
            from_environment(),
            folder,
            most_unanswered=most_unanswered,
            rng=numbered(params.data.seed),
        )
