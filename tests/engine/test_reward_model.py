import dataclasses

import pytest
import torch
from token_pairs import ROWS, K, every_kind, flat_gradient, naive_rewards, naive_step, relative, sequences_of, tokens
from transformers import AutoModelForSequenceClassification, MistralConfig, Qwen2Config

from more_repro.engine import model as reward_model
from more_repro.engine.batching.attention import supports_rows
from more_repro.engine.batching.packed_rows import plain_rows
from more_repro.engine.batching.shared_prefix import neighbour_groups
from more_repro.engine.batching.token_pairs import TokenSequences
from more_repro.engine.head_gradients import StepRule
from more_repro.engine.model import head_weight, hidden_states, load_reward_model, reward, score
from more_repro.engine.step import step_gradients
from more_repro.engine.weighting.uniform import Uniform
from tiny_models import random_sequences, tiny_model


class _Saver:
    def save_pretrained(self, out):
        """The tokenizer's part is lm's to test."""


def test_standard_class_loads_the_checkpoint_and_scores_the_same(model, tmp_path):
    from more_repro.engine.model import save_reward_model

    sequences = random_sequences(20)
    save_reward_model(model, _Saver(), tmp_path)
    assert [path.name for path in tmp_path.glob("*.safetensors")] == ["model.safetensors"]
    standard = AutoModelForSequenceClassification.from_pretrained(tmp_path, use_safetensors=True).eval()
    ids = sequences.padded(torch.arange(20))
    mask = (torch.arange(ids.shape[1]) < sequences.lengths[:, None]).long()
    with torch.no_grad():
        theirs = standard(input_ids=ids, attention_mask=mask).logits[:, 0]
    ours = score(load_reward_model(tmp_path), sequences)
    assert (ours - theirs).abs().max() < 1e-6


@pytest.mark.parametrize("budget", [1, 40, 200, 100_000])
def test_batch_size_and_neighbours_do_not_change_rewards(model, budget):
    sequences = random_sequences(40)
    together = score(model, sequences, 4096)
    assert (score(model, sequences, budget) - together).abs().max() < 1e-5


def test_padding_side_does_not_change_reward(model):
    sequences = random_sequences(12)
    ours = score(model, sequences)
    right = sequences.padded(torch.arange(12))
    width = right.shape[1]
    left = torch.stack([line.roll(width - int(n)) for line, n in zip(right, sequences.lengths, strict=True)])
    mask = (torch.arange(width) >= width - sequences.lengths[:, None]).long()
    positions = (mask.cumsum(1) - 1).clamp(min=0)
    with torch.no_grad():
        theirs = model(input_ids=left, attention_mask=mask, position_ids=positions).logits[:, 0]
    assert (ours - theirs).abs().max() < 1e-5


def test_what_stands_in_the_padding_does_not_matter(model):
    """The end is known by length: a token equal to pad at the end of a text is a token (RLHFlow issue 49)."""
    sequences, rows = random_sequences(6), torch.arange(6)
    one = plain_rows(sequences, rows, rows)
    other = dataclasses.replace(one, ids=sequences.padded(rows, pad=9))
    assert not torch.equal(one.ids, other.ids)
    with torch.no_grad():
        assert (hidden_states(model, one) - hidden_states(model, other)).abs().max() < 1e-6
    ends_in_pad = TokenSequences(torch.tensor([5, 6, 0], dtype=torch.int32), torch.tensor([0]), torch.tensor([3]))
    without = TokenSequences(torch.tensor([5, 6], dtype=torch.int32), torch.tensor([0]), torch.tensor([2]))
    assert abs(float(score(model, ends_in_pad) - score(model, without))) > 1e-4


@pytest.mark.parametrize("packed_from", [0, 10**9])
@pytest.mark.parametrize("budget", [1, 300])
def test_samples_of_a_prompt_score_as_they_do_alone(model, monkeypatch, packed_from, budget):
    """Four samples of each of five prompts, in any order; one sample is the prompt and nothing more."""
    monkeypatch.setattr(reward_model, "PACKED_FROM", packed_from)
    prompts = [tokens(17 + 3 * number, number) for number in range(5)]
    lists = [prompts[n % 5] + tokens(n // 5 * 3, 50 + n) for n in range(20)]
    sequences = sequences_of(lists)
    with torch.no_grad():
        expected = naive_rewards(model, sequences, torch.arange(20))
    assert len(neighbour_groups(sequences, reward_model.MAX_MEMBERS)) == 5
    assert (score(model, sequences, budget) - expected).abs().max() < 1e-5
    assert (score(model, sequences, budget, share_prefix=False) - expected).abs().max() < 1e-5


@pytest.mark.parametrize("packed_from", [0, 10**9])
def test_every_kind_of_pair_scores_as_its_sides_do_alone(model, monkeypatch, packed_from):
    monkeypatch.setattr(reward_model, "PACKED_FROM", packed_from)
    sequences = every_kind()
    with torch.no_grad():
        expected = naive_rewards(model, sequences, torch.arange(len(sequences)))
    assert (score(model, sequences) - expected).abs().max() < 1e-5


@pytest.mark.parametrize("kind", [Qwen2Config, MistralConfig])
def test_other_decoders_that_share_rows(kind, monkeypatch):
    """Grouped key-value heads, biases in queries; a window switches sharing off."""
    monkeypatch.setattr(reward_model, "PACKED_FROM", 0)
    torch.manual_seed(3)
    config = kind(
        vocab_size=50, hidden_size=16, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
        intermediate_size=32, pad_token_id=0, num_labels=1, initializer_range=0.1, sliding_window=None,
    )  # fmt: skip
    model, sequences = AutoModelForSequenceClassification.from_config(config).eval(), every_kind()
    assert supports_rows(model)
    expected, _, _ = naive_step(model, sequences, ROWS, Uniform(K))
    model.zero_grad()
    step_gradients(model, sequences, ROWS, StepRule(Uniform(K)), token_budget=100)
    assert relative(flat_gradient(model), expected) <= 1e-5
    model.config.sliding_window = 8
    assert not supports_rows(model)


def test_reward_is_fp32_even_for_a_bf16_state():
    z, head = torch.randn(4, 8), torch.randn(8)
    assert reward(z.bfloat16(), head).dtype == torch.float32
    assert torch.allclose(reward(z, head), z @ head)


def test_a_head_with_a_bias_is_refused():
    model = tiny_model("gpt_neox")
    model.score = torch.nn.Linear(16, 1)
    with pytest.raises(ValueError, match="no bias"):
        head_weight(model)


def test_missing_model_names_the_command(tmp_path):
    with pytest.raises(FileNotFoundError, match="dvc repro"):
        load_reward_model(tmp_path / "none")
