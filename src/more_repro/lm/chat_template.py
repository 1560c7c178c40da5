"""A tokenizer's own chat template: transcripts as tokens, in which no text can become a special token."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

from transformers import PreTrainedTokenizerBase

from more_repro.records import Message, Role

# Stands for a message in a template's frame; private-use characters that no template writes itself.
_SLOT = re.compile("\ue000([0-9]+)\ue001")
_PROBE = (Message("user", "Hello"),)


@dataclass(frozen=True, slots=True)
class _Frame:
    """What a template writes around messages of given roles: n + 1 pieces of text and the special tokens in them.

    order: the message that stands after each piece but the last.
    """

    pieces: tuple[str, ...]
    order: tuple[int, ...]
    specials: tuple[int, ...]


def check_template(tokenizer: PreTrainedTokenizerBase, name: str) -> str:
    """The special token with which the template ends a response. Raises ValueError that says what the template lacks.

    name: of the base, for the message.
    """
    if tokenizer.chat_template is None:
        raise ValueError(f"{name}: rendering is chat_template, but the tokenizer has none; ask for plain")
    check_opening(tokenizer, name)
    after = _frame(tokenizer, ("user", "assistant"), open_turn=False).pieces[-1]
    found = specials_pattern(tokenizer).search(after)
    if found is None:
        raise ValueError(f"{name}: its chat template writes no special token after a response, found {after!r}")
    return found[0]


def check_opening(tokenizer: PreTrainedTokenizerBase, name: str) -> None:
    """Raises ValueError where the template opens an answer in other words than it writes before a given one.

    So do templates that open it with a thought. name: as in `check_template`.
    """
    prompt = _text(tokenizer, _PROBE, open_turn=True)
    if not _text(tokenizer, (*_PROBE, Message("assistant", "Yes")), open_turn=False).startswith(prompt):
        raise ValueError(
            f"{name}: a whole dialogue in its chat template does not begin with the rendered prompt, which ends in "
            f"{prompt[-40:]!r}; give the tokenizer a chat_template that opens and writes an answer alike"
        )


def template_prompts(tokenizer: PreTrainedTokenizerBase, prompts: Sequence[tuple[Message, ...]]) -> list[list[int]]:
    """Tokens of each prompt, up to where the assistant's answer begins: apply_chat_template with a generation prompt.

    Raises ValueError naming the roles where the template refuses a dialogue or leaves a message out.
    """
    texts = [_text(tokenizer, prompt, open_turn=True) for prompt in prompts]
    return _encode(tokenizer, prompts, texts, open_turn=True)


def template_responses(tokenizer: PreTrainedTokenizerBase, responses: Sequence[str]) -> list[list[int]]:
    """Tokens of each response and of what the template writes after it: what a dialogue has beyond its prompt."""
    dialogues = [(*_PROBE, Message("assistant", response)) for response in responses]
    texts = [_text(tokenizer, dialogue, open_turn=False) for dialogue in dialogues]
    (prompt,) = template_prompts(tokenizer, [_PROBE])
    whole = _encode(tokenizer, dialogues, texts, open_turn=False)
    n = len(prompt)
    # A response that would merge with the prompt's last characters is encoded by itself: prompts keep their tokens.
    start = len(_text(tokenizer, _PROBE, open_turn=True))
    return [
        ids[n:] if ids[:n] == prompt else _alone(tokenizer, dialogue, text, start)
        for ids, dialogue, text in zip(whole, dialogues, texts, strict=True)
    ]


def _text(tokenizer: PreTrainedTokenizerBase, messages: tuple[Message, ...], open_turn: bool) -> str:
    from jinja2.exceptions import TemplateError

    dialogue = [{"role": message.role, "content": message.content} for message in messages]
    try:
        return str(tokenizer.apply_chat_template(dialogue, tokenize=False, add_generation_prompt=open_turn))
    except TemplateError as error:
        roles = ", ".join(message.role for message in messages)
        raise ValueError(f"the chat template refuses a dialogue of {roles}: {error}") from None


def _frame(tokenizer: PreTrainedTokenizerBase, roles: tuple[Role, ...], open_turn: bool) -> _Frame:
    slots = tuple(Message(role, f"\ue000{number}\ue001") for number, role in enumerate(roles))
    text = _text(tokenizer, slots, open_turn)
    order = tuple(int(found[1]) for found in _SLOT.finditer(text))
    if sorted(order) != list(range(len(roles))):
        missing = [role for number, role in enumerate(roles) if number not in order]
        raise ValueError(f"the chat template leaves out or repeats a message of {', '.join(roles)}: {missing}")
    pieces = tuple(_SLOT.split(text)[::2])
    vocabulary = tokenizer.get_vocab()
    names = chain.from_iterable(specials_pattern(tokenizer).findall(piece) for piece in pieces)
    return _Frame(pieces, order, tuple(vocabulary[name] for name in names))


def _encode(
    tokenizer: PreTrainedTokenizerBase,
    dialogues: Sequence[tuple[Message, ...]],
    texts: Sequence[str],
    open_turn: bool,
) -> list[list[int]]:
    """Tokens of rendered dialogues; where a text spells a special token, its words are read as plain characters."""
    if not texts:
        return []
    encoded = tokenizer(
        list(texts), add_special_tokens=False, truncation=False, padding=False, return_attention_mask=False,
        return_token_type_ids=False, verbose=False,
    )["input_ids"]  # fmt: skip
    special = _special_ids(tokenizer)
    frames: dict[tuple[Role, ...], _Frame] = {}
    rows = []
    for dialogue, text, ids in zip(dialogues, texts, encoded, strict=True):
        roles = tuple(message.role for message in dialogue)
        if roles not in frames:
            frames[roles] = _frame(tokenizer, roles, open_turn)
        frame = frames[roles]
        found = tuple(token for token in ids if token in special)
        rows.append(ids if found == frame.specials else _guarded(tokenizer, dialogue, text, frame))
    return rows


def _guarded(tokenizer: PreTrainedTokenizerBase, dialogue: tuple[Message, ...], text: str, frame: _Frame) -> list[int]:
    """Tokens of a rendered dialogue in which only the template's own words can be special tokens."""
    pattern, vocabulary = specials_pattern(tokenizer), tokenizer.get_vocab()
    plain: list[str] = [""]
    specials: list[int] = []
    for number, piece in enumerate(frame.pieces):
        for part in re.split(f"({pattern.pattern})", piece):
            if pattern.fullmatch(part):
                specials.append(vocabulary[part])
                plain.append("")
            else:
                plain[-1] += part
        if number < len(frame.order):
            plain[-1] += _written(dialogue, text, frame, number)
    encoded = tokenizer(plain, add_special_tokens=False, split_special_tokens=True, verbose=False)["input_ids"]
    tokens = list(encoded[0])
    for token, after in zip(specials, encoded[1:], strict=True):
        tokens += [token, *after]
    return tokens


def _written(dialogue: tuple[Message, ...], text: str, frame: _Frame, number: int) -> str:
    """What the template wrote of a message: its content, or the content without white space around it."""
    content = dialogue[frame.order[number]].content
    before, after = frame.pieces[number], frame.pieces[number + 1]
    for written in (content, content.strip(), content.lstrip(), content.rstrip()):
        if before + written + after in text:
            return written
    raise ValueError(f"the chat template rewrites a message that spells one of its special tokens: {content[:60]!r}")


def _alone(tokenizer: PreTrainedTokenizerBase, dialogue: tuple[Message, ...], text: str, start: int) -> list[int]:
    """Tokens of a rendered dialogue from a character on, whose messages before it are those of _PROBE."""
    whole = _frame(tokenizer, ("user", "assistant"), open_turn=False)
    opening = _text(tokenizer, _PROBE, open_turn=True)
    before = (whole.pieces[0] + _PROBE[0].content + whole.pieces[1])[len(opening) :]
    pieces = (before, whole.pieces[2])
    names = chain.from_iterable(specials_pattern(tokenizer).findall(piece) for piece in pieces)
    rest = _Frame(pieces, (0,), tuple(tokenizer.get_vocab()[name] for name in names))
    return _guarded(tokenizer, dialogue[1:], text[start:], rest)


def _special_ids(tokenizer: PreTrainedTokenizerBase) -> frozenset[int]:
    return frozenset(number for number, token in tokenizer.added_tokens_decoder.items() if token.special)


def specials_pattern(tokenizer: PreTrainedTokenizerBase) -> re.Pattern[str]:
    """Finds any special token's spelling, the longest first."""
    names = [token.content for token in tokenizer.added_tokens_decoder.values() if token.special]
    return re.compile("|".join(re.escape(name) for name in sorted(names, key=len, reverse=True)) or "(?!)")
