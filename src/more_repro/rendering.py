"""How a prompt becomes text: the plain form of the paper's data, `## Human` and `## Assistant` turns."""

from collections.abc import Sequence

from more_repro.records import Message

HUMAN = "## Human:"
ASSISTANT = "## Assistant:"
SYSTEM = "## System:"
_MARKS = {"user": HUMAN, "assistant": ASSISTANT, "system": SYSTEM}


def render_prompt(prompt: Sequence[Message]) -> str:
    """The prompt as text, ending where the assistant's answer begins."""
    turns = [f"{_MARKS[message.role]}\n{message.content}\n\n" for message in prompt]
    return "".join(turns) + f"{ASSISTANT}\n"


def render_text(prompt: Sequence[Message], response: str) -> str:
    """Prompt and response as one transcript."""
    return render_prompt(prompt) + response
