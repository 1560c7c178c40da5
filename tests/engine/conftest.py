from collections.abc import Iterator

import pytest
from transformers import PreTrainedModel

from more_repro.lm.device import pinned_threads
from tiny_models import tiny_model


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Models of a few thousand weights are slower, and rounded differently, on more threads."""
    with pinned_threads():
        yield


@pytest.fixture(params=["gpt_neox", "llama"])
def model(request: pytest.FixtureRequest) -> PreTrainedModel:
    return tiny_model(request.param)
