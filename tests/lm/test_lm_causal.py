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
