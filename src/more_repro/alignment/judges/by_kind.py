"""From `judge.kind` of the params to the judge."""

from more_repro.alignment.judges.judge import Judge, JudgeInputs
from more_repro.registry import Registry

JUDGES = Registry("more_repro.alignment.judges.kinds", "judge")


def find_judge(kind: str) -> type[Judge]:
    """The class `Judge` of a judge's module. Raises UnknownNameError."""
    found: type[Judge] = JUDGES.load(kind).Judge
    return found


def make_judge(inputs: JudgeInputs) -> Judge:
    """The judge of `params.judge`."""
    return find_judge(inputs.params.judge.kind)(inputs)
