"""Tokenizers made here: whole words for the embedded world, byte-level BPE for any other text."""

from collections import Counter
from collections.abc import Sequence
from typing import Literal

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from more_repro.rendering import ASSISTANT, HUMAN, SYSTEM

PAD, EOS, UNKNOWN = "<pad>", "<eos>", "<unk>"
MARKS = (HUMAN, ASSISTANT, SYSTEM)


def make_tokenizer(
    kind: Literal["words", "bpe"], corpus: Sequence[str], vocabulary: int | None, max_length: int
) -> PreTrainedTokenizerFast:
    """A tokenizer whose words come from the corpus (rendered transcripts).

    Turn marks are single tokens. <pad> and <eos> are reachable by no text: encoding.py reads texts with special tokens
    taken as plain characters, and neither is in the model's own vocabulary.
    vocabulary: entries in all, for "bpe" only. Raises ValueError when "bpe" lacks it or the corpus is empty.
    """
    if not corpus:
        raise ValueError("a tokenizer needs at least one text in its corpus, found none")
    backend = _words(corpus) if kind == "words" else _bpe(corpus, vocabulary)
    # Not special: a decoded response must show a mark that the policy wrote, and specials are left out by readers.
    backend.add_tokens([AddedToken(mark, special=False, normalized=False) for mark in MARKS])
    backend.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in (PAD, EOS)])
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        pad_token=PAD,
        eos_token=EOS,
        unk_token=UNKNOWN if kind == "words" else None,
        padding_side="right",
        truncation_side="left",
        model_max_length=max_length,
        clean_up_tokenization_spaces=False,
    )


def _words(corpus: Sequence[str]) -> Tokenizer:
    """One token per word; texts are words with white space between, so joining by a space reads them back."""
    marks = {word for mark in MARKS for word in mark.split()}
    counts = Counter(word for text in corpus for word in _without_marks(text).split())
    kept = sorted(word for word in counts if word not in {PAD, EOS, UNKNOWN, *marks})
    vocabulary = {word: number for number, word in enumerate([UNKNOWN, *kept])}
    backend = Tokenizer(models.WordLevel(vocabulary, unk_token=UNKNOWN))
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return backend


def _bpe(corpus: Sequence[str], vocabulary: int | None) -> Tokenizer:
    if vocabulary is None:
        raise ValueError("a bpe tokenizer needs `vocabulary`, the number of its entries; found null")
    reserved = len(MARKS) + 2
    smallest = 256 + reserved
    if vocabulary < smallest:
        raise ValueError(f"a byte-level vocabulary has at least {smallest} entries, found {vocabulary}")
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary - reserved,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    backend.train_from_iterator((_without_marks(text) for text in corpus), trainer, length=len(corpus))
    return backend


def _without_marks(text: str) -> str:
    for mark in MARKS:
        text = text.replace(mark, "\n")
    return text
