import numpy as np
import pytest
import torch

from more_repro.engine.batching.token_pairs import encode_pairs, encode_sequences, join
from more_repro.lm.bases import load_tokenizer
from more_repro.lm.encoding import encode_prompt, encode_response
from more_repro.records import Message, PreferencePair
from tiny_models import random_pairs, write_base


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    base = tmp_path_factory.mktemp("base")
    write_base(base)
    return load_tokenizer(base)


def row(sequences, number):
    start, length = int(sequences.starts[number]), int(sequences.lengths[number])
    return sequences.flat[start : start + length].tolist()


def test_sequence_is_prompt_response_end(tokenizer):
    pairs = random_pairs("helpful", 6, np.random.default_rng(0))
    encoded = encode_pairs(pairs, tokenizer, 64)
    for number, pair in enumerate(pairs):
        prompt = encode_prompt(tokenizer, pair.prompt)
        assert row(encoded.sequences, encoded.chosen[number]) == prompt + encode_response(tokenizer, pair.chosen)
        assert row(encoded.sequences, encoded.rejected[number]) == prompt + encode_response(tokenizer, pair.rejected)
        assert row(encoded.sequences, encoded.chosen[number])[-1] == tokenizer.eos_token_id
    assert encoded.pair_ids == tuple(pair.pair_id for pair in pairs)
    assert (encoded.n_truncated, encoded.n_equal) == (0, 0)


def test_long_sequences_lose_their_left_end(tokenizer):
    pairs = random_pairs("helpful", 6, np.random.default_rng(0))
    whole, cut = encode_pairs(pairs, tokenizer, 64), encode_pairs(pairs, tokenizer, 10)
    assert int(cut.sequences.lengths.max()) == 10
    assert row(cut.sequences, cut.chosen[0]) == row(whole.sequences, whole.chosen[0])[-10:]
    assert cut.n_truncated == 6


def test_pairs_equal_after_truncation_are_counted(tokenizer):
    prompt = (Message("user", "w1"),)
    same_end = PreferencePair("s", prompt, "w5 w1 w2 w3", "w6 w1 w2 w3")
    other = PreferencePair("s", prompt, "w1 w2 w3", "w3 w2 w1")
    encoded = encode_pairs([same_end, other], tokenizer, 4)
    assert encoded.equal.tolist() == [True, False]
    assert (encoded.n_equal, encoded.n_truncated) == (1, 2)


def test_each_distinct_sequence_is_kept_once(tokenizer):
    prompt = (Message("user", "w1"),)
    sequences, rows, cut = encode_sequences([prompt] * 3, ["w1", "w2", "w1"], tokenizer, 64)
    assert len(sequences) == 2
    assert rows.tolist() == [0, 1, 0]
    assert not cut.any()


def test_padding_stands_on_the_right_of_the_longest(tokenizer):
    pairs = random_pairs("helpful", 8, np.random.default_rng(1))
    sequences = encode_pairs(pairs, tokenizer, 64).sequences
    rows = torch.tensor([5, 0, 3])
    ids = sequences.padded(rows, pad=-7)
    assert ids.shape == (3, int(sequences.lengths[rows].max()))
    for line, number in zip(ids.tolist(), rows.tolist(), strict=True):
        tokens = row(sequences, number)
        assert line == tokens + [-7] * (ids.shape[1] - len(tokens))


def test_join_keeps_every_sequence(tokenizer):
    rng = np.random.default_rng(2)
    parts = [encode_pairs(random_pairs("s", n, rng), tokenizer, 64).sequences for n in (3, 4)]
    joined, first_rows = join(parts)
    for part, first in zip(parts, first_rows, strict=True):
        for number in range(len(part)):
            assert row(joined, first + number) == row(part, number)


def test_no_pairs_give_no_rows(tokenizer):
    encoded = encode_pairs([], tokenizer, 64)
    assert len(encoded.sequences) == 0
    assert encoded.n_equal == 0


def test_max_length_zero_is_refused(tokenizer):
    with pytest.raises(ValueError, match="at least 1 token"):
        encode_pairs([], tokenizer, 0)
