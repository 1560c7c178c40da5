"""Records: what names a pair and a prompt."""

from hypothesis import given
from hypothesis import strategies as st

from more_repro.records import Message, PreferencePair, RewardModelId, prompt_from_json, prompt_id, prompt_json
from more_repro.rendering import render_prompt, render_text

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
prompts = st.lists(st.builds(Message, st.sampled_from(["user", "assistant", "system"]), texts), max_size=4).map(tuple)


@given(prompts)
def test_a_prompt_survives_its_text_form(prompt: tuple[Message, ...]) -> None:
    assert prompt_from_json(prompt_json(prompt)) == prompt


def test_pair_id_depends_on_every_part_and_on_their_borders() -> None:
    prompt = (Message("user", "q"),)
    ids = {
        PreferencePair("a", prompt, "x", "yz").pair_id,
        PreferencePair("a", prompt, "xy", "z").pair_id,
        PreferencePair("a", prompt, "yz", "x").pair_id,
        PreferencePair("b", prompt, "x", "yz").pair_id,
        PreferencePair("a", (Message("user", "p"),), "x", "yz").pair_id,
    }
    assert len(ids) == 5
    assert PreferencePair("a", prompt, "x", "yz", 0.5, 1.0).pair_id in ids  # the truth is not part of the name


def test_ids_are_pinned() -> None:
    """A change here makes every stored table unreadable against new ones."""
    assert prompt_id((Message("user", "hello"),)) == "3fc8e64555a37cae"
    assert str(RewardModelId("tiny", "balanced", "more", "mixture", 2)) == "tiny/balanced/more/mixture/seed2"


def test_rendering_ends_where_the_answer_begins() -> None:
    prompt = (Message("user", "hi"), Message("assistant", "yes ?"), Message("user", "why"))
    assert render_prompt(prompt) == ("## Human:\nhi\n\n## Assistant:\nyes ?\n\n## Human:\nwhy\n\n## Assistant:\n")
    assert render_text(prompt, "so") == render_prompt(prompt) + "so"
