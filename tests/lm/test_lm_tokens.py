import pytest
from hypothesis import given
from hypothesis import strategies as st

from more_repro.lm import encoding
from more_repro.lm.tokenizers import MARKS, make_tokenizer
from more_repro.records import Message
from more_repro.rendering import render_text

REAL = ["## Human:\nWhat's up?\n\n## Assistant:\nNot much — you?", "  two  spaces\tand\ttabs\n\nnaïve café 日本"] * 5


@pytest.mark.parametrize("kind", ["words", "bpe"])
def test_what_is_encoded_reads_back(kind, transcripts, corpus):
    tokenizer = make_tokenizer(kind, corpus, 300, 32)
    responses = [response for _, response in transcripts]
    ids = encoding.encode_texts(tokenizer, responses)
    assert [encoding.decode_response(tokenizer, row) for row in ids] == responses


@given(st.text(max_size=40))
def test_bpe_reads_any_text_back(text):
    tokenizer = BPE
    assert encoding.decode_response(tokenizer, encoding.encode_texts(tokenizer, [text])[0]) == text


BPE = make_tokenizer("bpe", REAL, 280, 64)


@pytest.mark.parametrize("kind", ["words", "bpe"])
def test_prompt_and_response_tokens_are_the_transcripts_tokens(kind, transcripts, corpus):
    tokenizer = make_tokenizer(kind, corpus, 300, 32)
    for (prompt, response), text in zip(transcripts[:50], corpus, strict=False):
        assert text == render_text(prompt, response)
        joined = encoding.encode_prompt(tokenizer, prompt) + encoding.encode_response(tokenizer, response)
        assert joined == [*encoding.encode_texts(tokenizer, [text])[0], tokenizer.eos_token_id]


@pytest.mark.parametrize("kind", ["words", "bpe"])
def test_no_text_reaches_the_pad_or_eos_token(kind, corpus):
    tokenizer = make_tokenizer(kind, [*corpus, "a <pad> b <eos> c"], 300, 32)
    for text in ("<pad>", "<eos>", "w1 <pad> w2 <eos>", "<pad><eos>"):
        ids = encoding.encode_texts(tokenizer, [text])[0]
        assert not {tokenizer.pad_token_id, tokenizer.eos_token_id} & set(ids)
    assert tokenizer.pad_token_id != tokenizer.eos_token_id


def test_marks_are_single_tokens_and_unknown_words_are_unk(tokenizer):
    for mark in MARKS:
        (number,) = encoding.encode_texts(tokenizer, [mark])[0]
        assert tokenizer.decode([number]) == mark
    assert encoding.encode_texts(tokenizer, ["neverseen"]) == [[tokenizer.unk_token_id]]


def test_loaded_tokenizer_pads_right_and_cuts_left(tokenizer):
    assert (tokenizer.padding_side, tokenizer.truncation_side) == ("right", "left")


def test_cut_takes_the_left_end_and_keeps_the_response():
    whole = encoding.cut_left([1, 2, 3], [4, 5], 8)
    assert (whole.ids, whole.n_prompt_tokens) == ([1, 2, 3, 4, 5], 3)
    cut = encoding.cut_left([1, 2, 3], [4, 5], 3)
    assert (cut.ids, cut.n_prompt_tokens) == ([3, 4, 5], 1)
    long = encoding.cut_left([1, 2, 3], [4, 5, 6, 7], 2)
    assert (long.ids, long.n_prompt_tokens) == ([6, 7], 0)


def test_examples_need_one_response_per_prompt(tokenizer):
    with pytest.raises(ValueError, match="1 prompts but 0 responses"):
        encoding.encode_examples(tokenizer, [(Message("user", "w1"),)], [], 8)


@pytest.mark.parametrize(
    ("vocabulary", "texts", "message"),
    [(None, ["a"], "vocabulary"), (100, ["a"], "at least 261"), (300, [], "at least one text")],
)
def test_a_tokenizer_that_cannot_be_made_says_why(vocabulary, texts, message):
    with pytest.raises(ValueError, match=message):
        make_tokenizer("bpe", texts, vocabulary, 32)


def test_bpe_has_no_more_entries_than_asked_for(corpus):
    assert len(make_tokenizer("bpe", REAL * 20, 290, 32)) <= 290
    assert len(make_tokenizer("bpe", corpus, 265, 32)) == 265
