"""A small base on a made-up corpus, pretrained once for the room's tests."""

import random

import pytest

from more_repro.lm import bases
from more_repro.params import Base, Pretraining
from more_repro.records import Message
from more_repro.rendering import render_text

WORDS = [f"w{number}" for number in range(30)]


def settings(**changes) -> Base:
    values = {"hidden_size": 16, "intermediate_size": 64, "layers": 2, "heads": 2, "steps": 30, "batch_size": 16}
    return Base(pretrain=Pretraining(**{**values, "learning_rate": 3e-3, **changes}))


def make_transcripts(n: int, seed: int = 0) -> list[tuple[tuple[Message, ...], str]]:
    rng = random.Random(seed)
    rows = []
    for _ in range(n):
        prompt = (Message("user", " ".join(rng.choices(WORDS, k=rng.randint(2, 6)))),)
        rows.append((prompt, " ".join(rng.choices(WORDS[:8], k=rng.randint(1, 6)))))
    return rows


@pytest.fixture(scope="session")
def base_settings():
    return settings


@pytest.fixture(scope="session")
def transcripts():
    return make_transcripts(200)


@pytest.fixture(scope="session")
def corpus(transcripts):
    return [render_text(prompt, response) for prompt, response in transcripts]


@pytest.fixture(scope="session")
def base_dir(tmp_path_factory, corpus):
    out = tmp_path_factory.mktemp("bases") / "nano"
    bases.make_base("nano", settings(), corpus, out, seed=1, max_length=32)
    return out


@pytest.fixture(scope="session")
def tokenizer(base_dir):
    return bases.load_tokenizer(base_dir)


@pytest.fixture
def model(base_dir):
    return bases.load_causal_lm(base_dir)
