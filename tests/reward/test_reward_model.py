import pytest
import torch
from tiny_study import random_sequences, tiny_model
from transformers import AutoModelForSequenceClassification

from more_repro.reward.encoding import TokenSequences
from more_repro.reward.model import head_weight, hidden_states, load_reward_model, micro_batches, reward, score


class _Saver:
    def save_pretrained(self, out):
        """The tokenizer's part is lm's to test."""


def test_standard_class_loads_the_checkpoint_and_scores_the_same(model, tmp_path):
    from more_repro.reward.model import save_reward_model

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
    sequences = random_sequences(6)
    lengths, rows = sequences.lengths, torch.arange(6)
    with torch.no_grad():
        one = hidden_states(model, sequences.padded(rows, pad=0), lengths)
        other = hidden_states(model, sequences.padded(rows, pad=9), lengths)
    assert (one - other).abs().max() < 1e-6
    ends_in_pad = TokenSequences(torch.tensor([5, 6, 0], dtype=torch.int32), torch.tensor([0]), torch.tensor([3]))
    without = TokenSequences(torch.tensor([5, 6], dtype=torch.int32), torch.tensor([0]), torch.tensor([2]))
    assert abs(float(score(model, ends_in_pad) - score(model, without))) > 1e-4


def test_every_row_is_in_one_micro_batch_within_the_budget():
    lengths = random_sequences(100).lengths
    batches = micro_batches(lengths, 64)
    assert sorted(torch.cat(batches).tolist()) == list(range(100))
    assert all(len(rows) * int(lengths[rows].max()) <= 64 for rows in batches)
    assert [rows.tolist() for rows in micro_batches(torch.tensor([100, 3]), 10)] == [[0], [1]]


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
