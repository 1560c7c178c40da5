import pytest
from hypothesis import given
from hypothesis import strategies as st

from more_repro.data.sources.pair_collector import Rows
from more_repro.data.sources.transcripts import add_transcripts, looks_like_transcript, parse_transcript
from more_repro.files.rows import InputError
from more_repro.records import Message
from more_repro.rendering import render_text

WORDS = st.text(alphabet="abc .,\n", min_size=1).map(str.strip).filter(lambda t: t and "\n\n" not in t)


def talk(*contents):
    return tuple(Message(("user", "assistant")[number % 2], text) for number, text in enumerate(contents))


@given(st.lists(WORDS, min_size=2, max_size=6))
def test_a_rendered_dialogue_parses_back(contents):
    contents = contents[: len(contents) // 2 * 2]
    messages = talk(*contents)
    assert parse_transcript(render_text(messages[:-1], messages[-1].content), "here") == messages
    hh = "".join(f"\n\n{'Human' if m.role == 'user' else 'Assistant'}: {m.content}" for m in messages)
    assert parse_transcript(hh, "here") == messages


@pytest.mark.parametrize(
    ("text", "messages"),
    [
        ("\n\nHuman: hi\n\nAssistant: yes", talk("hi", "yes")),
        ("Human: hi\n\nAssistant:", talk("hi", "")),
        ("\n\nHuman: hi\n\nAssistant: a\n\nAssistant: b", talk("hi", "a\n\nb")),
        ("\n\nHuman: hi\n\nAssistant: \n\nHuman: there\n\nAssistant: yes", talk("hi\n\nthere", "yes")),
        ("\n\nHuman: \n\nHuman: hi\n\nAssistant: yes", talk("hi", "yes")),
        ("## Human:\n\n\nhi?\n\n[removed]\n\n## Assistant:\nyes", talk("hi?\n\n[removed]", "yes")),
        ("## Human:\nhi\n\nHuman: no turn\n\n## Assistant:\nyes", talk("hi\n\nHuman: no turn", "yes")),
        ("Human: hi\r\nyou\r\n\r\nAssistant: yes\r\n", talk("hi\nyou", "yes")),
        ("Human: hi\r\rAssistant: yes", talk("hi", "yes")),
        ("## Human:\nhi\n \t\n## Assistant:\nyes", talk("hi", "yes")),
        ("\n\nHuman: a Human: b\nHuman: c\n\nAssistant: yes", talk("a Human: b\nHuman: c", "yes")),
        (
            "## System:\nbe kind\n\n## Human:\nhi\n\n## Assistant:\nyes",
            (Message("system", "be kind"), *talk("hi", "yes")),
        ),
    ],
)
def test_odd_transcripts(text, messages):
    assert looks_like_transcript(text)
    assert parse_transcript(text, "here") == messages


def test_text_without_turns_is_an_error_that_says_where():
    assert not looks_like_transcript("What is\n\nHuman: this")
    with pytest.raises(InputError, match=r"a\.json row 3: field 'transcript': found 'What is"):
        parse_transcript("What is\n\nHuman: this", "a.json row 3")


@pytest.mark.parametrize(
    ("chosen", "rejected", "reason"),
    [
        ("\n\nHuman: q\n\nAssistant: a", "\n\nHuman: q\n\nAssistant: b", None),
        ("\n\nHuman: q\n\nAssistant: a\n\nAssistant: more", "\n\nHuman: q\n\nAssistant: b", None),
        ("\n\nHuman: q\n\nAssistant: a", "\n\nHuman: q\n\nAssistant: ", "empty"),
        ("\n\nHuman: q\n\nAssistant: a", "\n\nHuman: q\n\nAssistant: [removed]", "empty"),
        ("\n\nHuman: q\n\nAssistant: a", "\n\nHuman: q", "empty"),
        ("\n\nHuman: \n\nAssistant: a", "\n\nHuman: \n\nAssistant: b", "empty"),
        ("## Human:\n[deleted]\n\n## Assistant:\na", "## Human:\n[deleted]\n\n## Assistant:\nb", "empty"),
        ("\n\nHuman: q\n\nAssistant: a", "\n\nHuman: q\n\nAssistant: a ", "identical"),
        ("\n\nHuman: q\n\nAssistant: a", "\n\nHuman: p\n\nAssistant: b", "different_prompts"),
        ("\n\nAssistant: a", "\n\nAssistant: b", "empty"),
        ("Human: q\nAssistant: a", "Human: q\nAssistant: b", "no_answer"),
        ("\n\nHuman: q\r\n\r\nAssistant: a", "\n\nHuman: q\n\nAssistant: b", None),
    ],
)
def test_two_transcripts_make_a_pair_or_one_counted_drop(chosen, rejected, reason):
    rows = Rows("s")
    add_transcripts(rows, chosen, rejected, "here")
    assert rows.n_read == 1
    assert dict(rows.dropped) == ({} if reason is None else {reason: 1})
    if reason is None:
        (pair,) = rows.pairs
        assert pair.prompt == talk("q")
        assert pair.chosen[0] == "a"
        assert pair.rejected == "b"
