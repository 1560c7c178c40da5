"""Rows in TRL's preference format as token pairs: plain or conversational, the prompt given or implied."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import compress
from typing import Any, get_args

from transformers import PreTrainedTokenizerBase

from more_repro.engine.batching.token_pairs import EncodedPairs, distinct_sequences
from more_repro.lm.chat_template import check_opening, specials_pattern
from more_repro.lm.encoding import encode_prompts, encode_responses
from more_repro.records import Message, Role

_SIDES = ("chosen", "rejected")


@dataclass(frozen=True, slots=True)
class EncodedRows:
    """Pairs of one source; pair_ids are row numbers, from 0. n_empty: rows left out because a side says nothing.

    n_markup: rows of text that spell a special token of the tokenizer, which are read as plain text.
    """

    pairs: EncodedPairs
    n_empty: int
    n_markup: int

    def summary(self, name: str) -> str:
        """What was read of a source, in lines to be shown."""
        pairs = self.pairs
        left_out = f"left out: {self.n_empty} empty, {pairs.n_equal} with equal sides"
        line = f"{name}: {len(pairs.pair_ids)} pairs, {pairs.n_truncated} cut; {left_out}"
        if not self.n_markup:
            return line
        return (
            f"{line}\n{name}: {self.n_markup} rows of text spell special tokens, which stay plain text here; if a chat "
            "template has rendered them, give lists of messages instead"
        )


def encode_rows(
    rows: Iterable[Mapping[str, Any]], tokenizer: PreTrainedTokenizerBase, max_length: int, where: str
) -> EncodedRows:
    """Tokens of both sides of every row, cut to max_length from the left.

    A row has `chosen` and `rejected`, and `prompt` unless both sides hold it. Text: prompt and side are one text, read
    as the tokenizer reads any text, and end in eos. Messages {role, content}: the tokenizer's chat template, or
    without one the plain form of this package. In either, the spelling of a special token in a text stays text.
    where: names the rows in messages. Raises ValueError naming row and field, what was found and what was expected,
    and where no row is left.
    """
    if isinstance(rows, str | Mapping) or not isinstance(rows, Iterable):
        raise ValueError(f"{where}: expected rows, found {type(rows).__name__}")
    rows = list(rows)
    found = [_sides(row, f"{where}, row {number}") for number, row in enumerate(rows)]
    says = [all(_says_something(row[name]) for name in _SIDES) for row in rows]
    kept = list(compress(found, says))
    if not kept:
        raise ValueError(f"{where}: no row with something in chosen and in rejected, of {len(found)} rows")
    kept_rows = list(compress(range(len(found)), says))
    conversational = _conversational(kept, kept_rows, where)
    texts = [sides[position] for position in range(2) for sides in kept]
    if conversational:
        names = [f"{where}, row {number}, {side}" for side in _SIDES for number in kept_rows]
        tokens = _dialogues(texts, names, tokenizer, where)
    else:
        tokens = _plain(texts, tokenizer, where)
    sequences, places, cut = distinct_sequences(tokens, max_length)
    n = len(kept)
    numbers = tuple(str(number) for number in kept_rows)
    pairs = EncodedPairs(numbers, sequences, places[:n], places[n:], cut[:n] | cut[n:])
    return EncodedRows(pairs, len(found) - n, 0 if conversational else _n_markup(kept, tokenizer))


def _sides(row: Mapping[str, Any], where: str) -> tuple[Any, Any]:
    """Both transcripts of a row: texts, or tuples of messages that end with the assistant's."""
    if not isinstance(row, Mapping):
        raise ValueError(f"{where}: expected chosen and rejected by name, found {type(row).__name__}")
    if row.get("margin") is not None:
        raise ValueError(f"{where}: a margin is no part of this loss; leave the column out")
    prompt = row.get("prompt")
    sides = [row.get(name) for name in _SIDES]
    if all(isinstance(side, str) for side in sides) and (prompt is None or isinstance(prompt, str)):
        return (prompt or "") + str(sides[0]), (prompt or "") + str(sides[1])
    if all(isinstance(side, list) for side in sides) and (prompt is None or isinstance(prompt, list)):
        whole = [[*(prompt or []), *side] for side in sides if isinstance(side, list)]
        return _messages(whole[0], f"{where}, chosen"), _messages(whole[1], f"{where}, rejected")
    kinds = {name: type(row.get(name)).__name__ for name in ("prompt", *_SIDES)}
    raise ValueError(f"{where}: prompt, chosen and rejected are all text or all lists of messages; found {kinds}")


def _messages(items: Sequence[object], where: str) -> tuple[Message, ...]:
    messages = []
    for item in items:
        role, content = (item.get("role"), item.get("content")) if isinstance(item, Mapping) else (None, None)
        if role not in get_args(Role) or not isinstance(content, str):
            roles = ", ".join(get_args(Role))
            raise ValueError(f"{where}: a message has a role ({roles}) and a content that is text, found {item!r:.200}")
        messages.append(Message(role, content))  # type: ignore[arg-type]  # just checked
    if not messages or messages[-1].role != "assistant":
        raise ValueError(f"{where}: the last message is the assistant's, found {messages[-1:]!r:.200}")
    return tuple(messages)


def _says_something(side: Any) -> bool:
    """Of a row's chosen or rejected, which `_sides` has read."""
    text = side if isinstance(side, str) else side[-1]["content"] if side else ""
    return bool(text.strip())


def _plain(texts: Sequence[Any], tokenizer: PreTrainedTokenizerBase, where: str) -> list[list[int]]:
    end = tokenizer.eos_token
    if end is None:
        raise ValueError(f"{where}: text ends in the tokenizer's end-of-sequence token, and it has none")
    encoded = tokenizer(
        [text.removesuffix(end) for text in texts], split_special_tokens=True, truncation=False, padding=False,
        return_attention_mask=False, return_token_type_ids=False, verbose=False,
    )["input_ids"]  # fmt: skip
    return [ids if ids[-1:] == [tokenizer.eos_token_id] else [*ids, tokenizer.eos_token_id] for ids in encoded]


def _n_markup(kept: Sequence[tuple[str, str]], tokenizer: PreTrainedTokenizerBase) -> int:
    pattern, end = specials_pattern(tokenizer), tokenizer.eos_token or ""
    return sum(any(pattern.search(side.removesuffix(end)) for side in sides) for sides in kept)


def _conversational(kept: Sequence[tuple[Any, Any]], numbers: Sequence[int], where: str) -> bool:
    """Whether rows are messages, not text. Raises ValueError naming the first that is not as the rows before."""
    first = isinstance(kept[0][0], str)
    for sides, number in zip(kept, numbers, strict=True):
        if isinstance(sides[0], str) != first:
            kinds = ("text", "messages") if first else ("messages", "text")
            raise ValueError(
                f"{where}: some rows are {kinds[0]}, others {kinds[1]}; the first of these is row {number}"
            )
    return not first


def _dialogues(
    sides: Sequence[tuple[Message, ...]], names: Sequence[str], tokenizer: PreTrainedTokenizerBase, where: str
) -> list[list[int]]:
    """Each distinct prompt is rendered once: the two sides of a pair have theirs in common. names: of the sides."""
    if tokenizer.chat_template is not None:
        check_opening(tokenizer, where)
    elif tokenizer.eos_token is None:
        raise ValueError(f"{where}: messages need a tokenizer with a chat template or an end-of-sequence token")
    prompts = list(dict.fromkeys(side[:-1] for side in sides))
    try:
        opened = dict(zip(prompts, encode_prompts(tokenizer, prompts), strict=True))
        answers = encode_responses(tokenizer, [side[-1].content for side in sides])
    except ValueError:
        _name_the_first(sides, names, tokenizer)
        raise
    return [opened[side[:-1]] + answer for side, answer in zip(sides, answers, strict=True)]


def _name_the_first(
    sides: Sequence[tuple[Message, ...]], names: Sequence[str], tokenizer: PreTrainedTokenizerBase
) -> None:
    """Encode side by side, and raise the first's error with its name."""
    for side, name in zip(sides, names, strict=True):
        try:
            encode_prompts(tokenizer, [side[:-1]])
            encode_responses(tokenizer, [side[-1].content])
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None
