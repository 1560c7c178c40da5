from collections.abc import Iterator
from pathlib import Path

import pytest
from tiny_study import write_study
from transformers import PreTrainedModel

from more_repro.lm.device import pinned_threads
from more_repro.params import Params
from more_repro.paths import Paths
from tiny_models import tiny_model


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Models of a few thousand weights are slower, and rounded differently, on more threads."""
    with pinned_threads():
        yield


@pytest.fixture
def study(tmp_path: Path) -> tuple[Params, Paths]:
    return write_study(tmp_path)


@pytest.fixture(params=["gpt_neox", "llama"])
def model(request: pytest.FixtureRequest) -> PreTrainedModel:
    return tiny_model(request.param)
