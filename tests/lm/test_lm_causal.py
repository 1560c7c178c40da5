import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from more_repro.lm import causal, encoding
from more_repro.lm.encoding import Example


@pytest.fixture
def examples(tokenizer, transcripts):
    return encoding.encode_examples(tokenizer, [p for p, _ in transcripts[:40]], [r for _, r in transcripts[:40]], 32)


def train(model, examples, **changes):
    settings = {"batch_size": 8, "steps": 3, "learning_rate": 1e-2, "warmup_ratio": 0.0, "seed": 0, "label": ""}
    return causal.train_causal_lm(model, examples, **{**settings, **changes})


def by_hand(model, example):
    """Sum over the response of -log p(token | all before), one full softmax, no padding."""
    logits = model(input_ids=torch.tensor([example.ids])).logits[0].double()
    log_p = torch.log_softmax(logits, dim=-1)
    wanted = range(max(1, example.n_prompt_tokens), len(example.ids))
    return -sum(log_p[t - 1, example.ids[t]].item() for t in wanted)


def test_nll_is_the_sum_over_response_tokens_only(model, examples):
    nats, counts = causal.negative_log_likelihood(model, examples, 256)
    with torch.no_grad():
        expected = [by_hand(model, example) for example in examples]
    np.testing.assert_allclose(nats, expected, rtol=2e-6)
    assert counts.tolist() == [len(example.ids) - example.n_prompt_tokens for example in examples]


def test_nll_does_not_depend_on_batch_size_padding_or_order(model, examples):
    one_by_one, _ = causal.negative_log_likelihood(model, examples, 1)
    together, _ = causal.negative_log_likelihood(model, examples, 100_000)
    np.testing.assert_allclose(one_by_one, together, rtol=1e-6)
    back, _ = causal.negative_log_likelihood(model, examples[::-1], 300)
    np.testing.assert_allclose(one_by_one, back[::-1], rtol=1e-6)


def test_a_window_that_covers_all_changes_nothing(model, examples):
    plain, counts = causal.negative_log_likelihood(model, examples, 256)
    longest = max(len(example.ids) for example in examples)
    wide, wide_counts = causal.negative_log_likelihood(model, examples, 256, window=longest)
    assert wide.tolist() == plain.tolist()
    assert wide_counts.tolist() == counts.tolist()


@given(st.integers(1, 60), st.integers(0, 60), st.integers(2, 20))
def test_windows_predict_every_response_token_once_with_enough_before_it(n, n_prompt, size):
    example = Example(list(range(n)), min(n_prompt, n))
    predicted = []
    for piece in causal.windows(example, size) if causal.n_targets(example) else []:
        assert len(piece.ids) <= size
        start = max(1, piece.n_prompt_tokens)
        for place in range(start, len(piece.ids)):
            token = piece.ids[place]  # ids are places in the whole
            predicted.append(token)
            assert place >= min(token, size - size // 2)
    assert predicted == list(range(max(1, example.n_prompt_tokens), n))


def test_windowed_nll_is_that_of_each_token_given_its_window(model):
    example = Example([int(i) for i in np.random.default_rng(0).integers(2, 30, 23)], 5)
    nats, counts = causal.negative_log_likelihood(model, [example], 64, window=8)
    by_tokens = sum(by_hand(model, piece) for piece in causal.windows(example, 8))
    assert counts.tolist() == [18]
    assert nats[0] == pytest.approx(by_tokens, rel=1e-5)
    assert nats[0] != pytest.approx(by_hand(model, example), rel=1e-5)


def test_a_window_of_one_token_is_refused():
    with pytest.raises(ValueError, match="found size 1"):
        causal.windows(Example([1, 2, 3], 1), 1)


def test_first_training_loss_is_the_mean_over_the_batchs_response_tokens(model, examples):
    batch = examples[:8]
    nats, counts = causal.negative_log_likelihood(model, batch, 256)
    log = train(model, batch, steps=1)
    assert log["loss"].iloc[0] == pytest.approx(nats.sum() / counts.sum(), rel=1e-6)


def test_training_ignores_what_prompts_predict(model, tokenizer):
    """One response token: the output layer's gradient is that token's alone, (p - onehot) x hidden."""
    example = Example([3, 4, 5, 6], 3)
    causal._backward(model, [example], 1000)
    gradient = model.get_output_embeddings().weight.grad
    hidden = model.base_model(input_ids=torch.tensor([[3, 4, 5]])).last_hidden_state[0, -1]
    p = torch.softmax(model.get_output_embeddings()(hidden), dim=0)
    p[6] -= 1
    torch.testing.assert_close(gradient, torch.outer(p, hidden), rtol=1e-4, atol=1e-6)


def test_micro_batches_give_the_whole_batchs_gradient(model, examples):
    gradients = []
    for budget in (100_000, 40):
        model.zero_grad()
        causal._backward(model, examples[:8], budget)
        gradients.append(torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None]))
    torch.testing.assert_close(*gradients, rtol=1e-4, atol=1e-6)


def test_same_seed_same_numbers_whatever_the_thread_count(base_dir, examples):
    from more_repro.lm import bases

    before, logs = torch.get_num_threads(), []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        logs.append(train(bases.load_causal_lm(base_dir), examples))
        assert torch.get_num_threads() == threads
    torch.set_num_threads(before)
    assert logs[0].equals(logs[1])
    assert not logs[0].equals(train(bases.load_causal_lm(base_dir), examples, seed=1))


def test_every_example_is_seen_once_in_a_pass():
    order = causal.batch_order(10, 4, 5, np.random.default_rng(0))
    assert order.shape == (5, 4)
    assert sorted(order.flatten()[:10]) == sorted(order.flatten()[10:]) == list(range(10))


def test_schedule_rises_then_falls_to_near_zero():
    rates = [causal.cosine_share(step, 100, 0.05) for step in range(100)]
    assert rates[:5] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    assert rates[5] == 1.0
    assert all(a >= b for a, b in itertools.pairwise(rates[5:]))
    assert rates[-1] == pytest.approx(0.5 * (1 + math.cos(math.pi * 94 / 95)))


def test_nothing_to_predict_is_an_error_in_training_and_zero_in_measuring(model):
    empty = [Example([1, 2], 2), Example([1], 0)]
    with pytest.raises(ValueError, match="none of 2 examples"):
        train(model, empty, label="sft")
    nats, counts = causal.negative_log_likelihood(model, [*empty, Example([1, 2, 3], 1)], 100)
    assert counts.tolist() == [0, 0, 2]
    assert nats[:2].tolist() == [0.0, 0.0]
    assert nats[2] > 0
