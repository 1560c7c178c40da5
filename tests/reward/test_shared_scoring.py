"""Scoring n responses of each prompt: the prompt is computed once for each sixteen of them."""

import random

import pytest
import torch

from more_repro.engine.batching.shared_prefix import ABSENT, neighbour_groups
from more_repro.engine.batching.token_pairs import encode_sequences
from more_repro.engine.model import MAX_MEMBERS, on_device, row_batches, score
from more_repro.lm.encoding import encode_prompts
from more_repro.lm.tokenizers import make_tokenizer
from more_repro.records import Message
from more_repro.reward.jobs import SamplesJob
from more_repro.reward.score_job import score_samples_job
from tiny_models import tiny_model, write_base

WORDS = [f"w{number}" for number in range(40)]
N_PROMPTS, LONGEST = 6, 60


def samples(n, seed=0):
    """n responses to each of six prompts, one of them given twice, in an order that mixes the prompts."""
    rng = random.Random(seed)
    rows = []
    for number in range(N_PROMPTS):
        prompt = (Message("user", " ".join([f"w{number}", *rng.choices(WORDS, k=20)])),)
        # Different first words: what responses share beyond their prompt is another test's matter.
        firsts = rng.sample(WORDS, n - 1)
        responses = [" ".join([first, *rng.choices(WORDS, k=rng.randint(1, 12))]) for first in firsts]
        rows += [(prompt, response) for response in [*responses, responses[0]]]
    rng.shuffle(rows)
    return [prompt for prompt, _ in rows], [response for _, response in rows]


@pytest.fixture(scope="module")
def tokenizer():
    return make_tokenizer("words", [" ".join(WORDS)], None, LONGEST)


@pytest.mark.parametrize("n", [5, 18])  # 4 and 17 different responses
def test_shared_rewards_are_the_plain_ones(tokenizer, model, n):
    sequences, rows, _ = encode_sequences(*samples(n), tokenizer, LONGEST)
    assert len(sequences) == N_PROMPTS * (n - 1)
    assert len(rows) == N_PROMPTS * n
    plain = score(model, sequences, share_prefix=False)
    assert (score(model, sequences) - plain).abs().max() < 1e-5
    assert plain.std() > 1e-3


@pytest.mark.parametrize(("n", "sizes"), [(5, [4] * N_PROMPTS), (18, [16] * N_PROMPTS + [1] * N_PROMPTS)])
def test_responses_of_a_prompt_are_neighbours_whatever_their_order(tokenizer, n, sizes):
    prompts, responses = samples(n)
    sequences, rows, _ = encode_sequences(prompts, responses, tokenizer, LONGEST)
    prompt_of = {int(row): prompt for row, prompt in zip(rows, prompts, strict=True)}
    groups = neighbour_groups(sequences, MAX_MEMBERS)
    members = [[place for place in line if place != ABSENT] for line in groups.members.tolist()]
    assert sorted((len(line) for line in members), reverse=True) == sizes
    assert all(len({prompt_of[place] for place in line}) == 1 for line in members)


@pytest.mark.parametrize("n", [5, 18])
def test_as_many_tokens_are_computed_as_sharing_promises(tokenizer, model, n):
    prompts, responses = samples(n)
    sequences, _, _ = encode_sequences(prompts, responses, tokenizer, LONGEST)
    prefixes = [len(ids) for ids in encode_prompts(tokenizer, list(dict.fromkeys(prompts)))]
    groups = neighbour_groups(sequences, MAX_MEMBERS)
    batches = list(row_batches(model, sequences, torch.arange(len(sequences)), groups, 2048))
    plain = int(sequences.lengths.sum())
    saved = sum(length * (n - 1 - -(-(n - 1) // MAX_MEMBERS)) for length in prefixes)
    assert sum(batch.n_shared for batch in batches) == saved
    assert sum(batch.n_tokens for batch in batches) == plain - saved
    assert plain - saved < plain / 2


@pytest.mark.parametrize("n", [5, 18])
def test_a_worker_gives_every_sequence_its_plain_reward(tokenizer, tmp_path, n):
    write_base(tmp_path / "base")
    network = tiny_model("gpt_neox", len(tokenizer))
    network.save_pretrained(tmp_path / "model")
    tokenizer.save_pretrained(tmp_path / "model")
    sequences, _, _ = encode_sequences(*samples(n), tokenizer, LONGEST)
    job = SamplesJob(
        None, tmp_path / "model", tmp_path / "base", sequences.flat.numpy(), sequences.lengths.numpy(), "fp32"
    )
    plain = score(on_device(network, torch.device("cpu")), sequences, share_prefix=False)
    assert abs(score_samples_job(job) - plain.double().numpy()).max() < 1e-5
