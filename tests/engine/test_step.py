import pytest
import torch
from token_pairs import KINDS, PREFIXES, ROWS, B, K, every_kind, flat_gradient, naive_step, relative, sequences_of
from transformers import AutoModelForSequenceClassification, OPTConfig

from more_repro.engine import model as reward_model
from more_repro.engine.batching import attention
from more_repro.engine.head_gradients import NonFiniteLossError, StepRule
from more_repro.engine.step import step_gradients
from more_repro.engine.weighting.more import More
from more_repro.engine.weighting.proportional import Proportional
from more_repro.engine.weighting.uniform import Uniform
from tiny_models import random_sequences, tiny_model

WEIGHTINGS = {"uniform": lambda: Uniform(K), "fixed": lambda: Proportional((1, 2, 5)), "more": lambda: More(0.99, "l2")}
PACK_NEVER, PACK_ALWAYS = 10**9, 0


def gradient(model, sequences, rows=ROWS, weighting="more", **options):
    model.zero_grad()
    rule = StepRule(WEIGHTINGS[weighting]())
    outcome = step_gradients(model, sequences, rows, rule, **{"token_budget": 100, **options})
    return flat_gradient(model), outcome


@pytest.fixture(params=[PACK_NEVER, PACK_ALWAYS], ids=["padded", "packed"])
def layout(request, monkeypatch):
    monkeypatch.setattr(reward_model, "PACKED_FROM", request.param)


@pytest.mark.parametrize(
    ("weighting", "side"), [("uniform", "right"), ("fixed", "right"), ("more", "right"), ("more", "left")]
)
def test_gradients_equal_a_naive_padded_step(model, layout, weighting, side):
    sequences = every_kind()
    expected, lambdas, losses = naive_step(model, sequences, ROWS, WEIGHTINGS[weighting](), side)
    found, outcome = gradient(model, sequences, weighting=weighting)
    assert relative(found, expected) <= 1e-5
    assert torch.allclose(outcome.lambdas, lambdas, atol=1e-5)
    assert torch.allclose(outcome.losses, losses, atol=1e-6)


@pytest.mark.parametrize(
    "options",
    [{"token_budget": 1}, {"token_budget": 4096}, {"share_prefix": False}, {"mode": "replay"}, {"mode": "checkpoint"}],
    ids=str,
)
def test_in_float64_only_the_last_bits_differ(model, layout, options):
    model, sequences = model.double(), every_kind()
    expected, _, losses = naive_step(model, sequences, ROWS, Uniform(K))
    found, outcome = gradient(model, sequences, weighting="uniform", **options)
    tolerance = 1e-12 if model.config.model_type == "gpt_neox" else 1e-6  # Llama's norms compute in fp32
    assert relative(found, expected) <= tolerance
    assert torch.allclose(outcome.losses, losses, rtol=tolerance)


def test_modes_give_the_same_bits(model, layout):
    found = [gradient(model, every_kind(), mode=mode)[0] for mode in ("graph", "replay", "checkpoint")]
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[0], found[2])


def test_the_step_leaves_the_model_as_it_was(model):
    for mode in ("graph", "checkpoint"):
        gradient(model, every_kind(), mode=mode)
    assert model.config._attn_implementation == "sdpa"
    for module in model.modules():
        assert not module.training
        assert not module._forward_pre_hooks
        assert not getattr(module, "gradient_checkpointing", False)


def test_prefix_lengths_of_the_caller_are_used(model):
    sequences = every_kind()
    found, outcome = gradient(model, sequences, prefix_lengths=PREFIXES.reshape(K, B))
    expected, same = gradient(model, sequences)
    assert torch.equal(found, expected)
    assert outcome.n_tokens == same.n_tokens
    none, unshared = gradient(model, sequences, prefix_lengths=torch.zeros(K, B, dtype=torch.int64))
    assert relative(none, expected) <= 1e-5
    assert unshared.n_shared_tokens == 0


def test_tokens_are_counted_once_and_padding_apart(model, layout):
    sequences = every_kind()
    _, outcome = gradient(model, sequences)
    saved = sum(common for common, _, _ in KINDS if common >= 16)
    assert outcome.n_shared_tokens == saved
    assert outcome.n_tokens == int(sequences.lengths.sum()) - saved
    assert outcome.n_padded_tokens >= outcome.n_tokens
    _, plain = gradient(model, sequences, share_prefix=False)
    assert plain.n_tokens == int(sequences.lengths.sum())


def test_packed_rows_have_no_padding(monkeypatch):
    monkeypatch.setattr(reward_model, "PACKED_FROM", PACK_ALWAYS)
    _, outcome = gradient(tiny_model("llama"), every_kind())
    assert outcome.n_padded_tokens == outcome.n_tokens


def test_padding_of_a_sorted_batch_of_80_pairs_is_small(monkeypatch):
    """Lengths as in real preference data: half below 160 tokens, a tenth above 350, cut to 512."""
    monkeypatch.setattr(reward_model, "PACKED_FROM", PACK_NEVER)
    generator = torch.Generator().manual_seed(0)
    lengths = torch.empty(160).log_normal_(5.0, 0.7, generator=generator).clamp_(10, 512).long()
    batches = reward_model.token_batches(lengths, 2048, packed=False)
    padded = sum(len(part) * int(lengths[part].max()) for part in batches)
    assert 1 - int(lengths.sum()) / padded <= 0.12


def test_a_model_without_row_attention_takes_plain_rows(model, monkeypatch):
    sequences = every_kind()
    expected, shared = gradient(model, sequences)
    monkeypatch.setattr(model.config, "_attn_implementation", "eager")
    found, plain = gradient(model, sequences)
    assert relative(found, expected) <= 1e-5
    assert shared.n_shared_tokens > 0
    assert plain.n_shared_tokens == 0


def test_a_padding_index_of_the_embedding_keeps_no_gradient():
    """As in autograd's own: Llama marks its pad token, and where a text ends in it, its row stays untrained."""
    model, sequences = tiny_model("llama"), every_kind()
    naive_step(model, sequences, ROWS, More(0.99, "l2"))
    naive_row = model.model.embed_tokens.weight.grad[0].clone()
    gradient(model, sequences)
    assert not model.model.embed_tokens.weight.grad[0].any()
    assert torch.equal(model.model.embed_tokens.weight.grad[0], naive_row)


def test_frozen_parts_get_no_gradient(model):
    for parameter in model.base_model.parameters():
        parameter.requires_grad_(False)
    step_gradients(model, every_kind(), ROWS, StepRule(Uniform(K)))
    assert model.score.weight.grad is not None
    assert all(parameter.grad is None for parameter in model.base_model.parameters())


def test_more_with_one_source_is_vanilla():
    model, sequences = tiny_model("gpt_neox"), every_kind()
    found = []
    for weighting in (Uniform(1), More(0.99, "l2")):
        model.zero_grad()
        step_gradients(model, sequences, ROWS[:, :1], StepRule(weighting))
        found.append(flat_gradient(model))
    assert torch.equal(*found)


def test_bf16_is_near_fp32_and_the_head_stays_fp32(layout):
    model, sequences = tiny_model("gpt_neox"), every_kind()
    expected, _ = gradient(model, sequences, weighting="uniform")
    found, outcome = gradient(model, sequences, weighting="uniform", precision="bf16")
    assert outcome.losses.dtype == torch.float32
    assert relative(found, expected) <= 0.1


def test_on_a_cpu_attention_computes_in_fp32_under_bf16(model, layout, monkeypatch):
    """Its 16-bit kernel is slower there; GPT-NeoX hands over queries in fp32 and values in bf16."""
    seen, attend = [], attention._attend_rows

    def record(module, query, key, value, *rest):
        seen.append((query.dtype, key.dtype, value.dtype, torch.is_autocast_enabled("cpu")))
        return attend(module, query, key, value, *rest)

    monkeypatch.setattr(attention, "_attend_rows", record)
    gradient(model, every_kind(), precision="bf16")
    assert set(seen) == {(torch.float32, torch.float32, torch.float32, False)}


def test_a_loss_that_is_not_finite_stops_before_any_gradient():
    model = tiny_model("gpt_neox")
    with torch.no_grad():
        model.score.weight[0, 0] = float("nan")
    with pytest.raises(NonFiniteLossError, match="source number"):
        step_gradients(model, every_kind(), ROWS, StepRule(Uniform(K)))
    assert all(parameter.grad is None for parameter in model.parameters())


def test_dropout_must_be_off():
    model = tiny_model("gpt_neox").train()
    with pytest.raises(ValueError, match="eval mode"):
        step_gradients(model, every_kind(), ROWS, StepRule(Uniform(K)))


def test_rows_may_repeat_sequences():
    """A small source is resampled: one sequence stands in several pairs of a batch."""
    model, sequences = tiny_model("gpt_neox"), random_sequences(8)
    rows = torch.randint(0, 8, (2, K, B), generator=torch.Generator().manual_seed(0))
    expected, _, _ = naive_step(model, sequences, rows, Uniform(K))
    found, _ = gradient(model, sequences, rows, "uniform")
    assert relative(found, expected) <= 1e-5


@pytest.mark.filterwarnings("ignore:.*gradient_checkpointing_enable.*:FutureWarning")
def test_a_models_own_checkpointing_is_put_back():
    model = tiny_model("gpt_neox")
    model.gradient_checkpointing_enable()  # its name in transformers 4 and 5
    before = [(layer.gradient_checkpointing, layer._gradient_checkpointing_func) for layer in model.gpt_neox.layers]
    gradient(model, every_kind(), mode="checkpoint")
    after = [(layer.gradient_checkpointing, layer._gradient_checkpointing_func) for layer in model.gpt_neox.layers]
    assert after == before
    assert all(flag for flag, _ in after)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mode": "chekpoint"}, "graph, checkpoint, replay, found 'chekpoint'"),
        ({"precision": "bfloat16"}, "precision is fp32 or bf16, found 'bfloat16'"),
    ],
)
def test_a_setting_that_is_not_known_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        gradient(tiny_model("gpt_neox"), every_kind(), **options)


def test_checkpointing_is_refused_where_it_would_switch_a_dropout_on():
    config = OPTConfig(
        vocab_size=50, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, ffn_dim=32, word_embed_proj_dim=16,
        max_position_embeddings=128, pad_token_id=0, num_labels=1,
    )  # fmt: skip
    model = AutoModelForSequenceClassification.from_config(config).eval()
    with pytest.raises(ValueError, match="dropout that the config of this opt names"):
        gradient(model, every_kind(), mode="checkpoint")


def test_a_sequence_without_tokens_is_refused():
    model, sequences = tiny_model("gpt_neox"), sequences_of([[5, 6], [], [7]])
    with pytest.raises(ValueError, match="sequence number 1 has no tokens"):
        reward_model.score(model, sequences)


@pytest.mark.parametrize("architecture", ["gpt_neox", "llama"])
def test_a_model_with_bf16_weights_scores_and_steps_on_a_cpu(layout, architecture):
    model, sequences = tiny_model(architecture), every_kind()
    expected, expected_rewards = gradient(model, sequences)[0], reward_model.score(model, sequences)
    model.to(torch.bfloat16)
    assert torch.allclose(reward_model.score(model, sequences), expected_rewards, atol=0.05)
    assert relative(gradient(model, sequences)[0].float(), expected) <= 0.2
