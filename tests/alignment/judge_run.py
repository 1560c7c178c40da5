"""A chat judge's run in a process of its own, to be killed: python judge_run.py PARAMS ROOT RESPONSES."""

import sys
from pathlib import Path

import pandas as pd

from more_repro.alignment.judging.judging import judge
from more_repro.params import load_params
from more_repro.paths import Paths


def chat_params(params, kind="chat", judge_changes=None, **changes):
    """The params with a chat judge; changes: of params.judge.chat."""
    chat = params.judge.chat.model_copy(update=changes)
    new = params.judge.model_copy(update={"kind": kind, "chat": chat, **(judge_changes or {})})
    return params.model_copy(update={"judge": new})


if __name__ == "__main__":
    study = chat_params(load_params(sys.argv[1]), concurrency=4)
    judge(study, Paths("tiny", Path(sys.argv[2])), pd.read_parquet(sys.argv[3]), None)
