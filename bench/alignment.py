"""Sampling against a plain per-prompt `generate` loop, and scoring against transformers' text-classification pipeline.

python bench/alignment.py [--data FOLDER] [--rounds 5] [--prompts 48]

FOLDER holds helpful.test.json and harmless.test.json in the text-score format; without it the prompts are synthetic, of
realistic lengths. Both use one small model made here, on one thread of one core, in turns; the clock is CPU time. The
last line is one JSON object; bench/README.md explains its keys.
"""

import argparse
import json
import platform
import statistics
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

import machine
from more_repro.data.sources.transcripts import parse_transcript
from more_repro.engine.batching.token_pairs import encode_sequences
from more_repro.engine.model import score
from more_repro.lm import bases, generation
from more_repro.lm.encoding import encode_prompts
from more_repro.params import Base, Pretraining
from more_repro.records import Message
from more_repro.rendering import render_prompt, render_text
from synthetic_sources import write_sources

N, MAX_NEW_TOKENS, MAX_LENGTH = 4, 128, 512
ROOM = MAX_LENGTH - MAX_NEW_TOKENS
BATCHES = (1, 8, 32)  # of the pipeline; the fastest counts
BATCH_SIZE = 64  # responses that ours decodes together: the least of `alignment.sampling` on a CPU
PRETRAINING = Pretraining(
    tokenizer="bpe", vocabulary=4000, hidden_size=64, intermediate_size=256, layers=3, heads=4, steps=60, batch_size=16,
    learning_rate=3e-3,
)  # fmt: skip

Row = tuple[tuple[Message, ...], str, str]


@dataclass(frozen=True, slots=True)
class Timed:
    """What a method did in a turn: CPU seconds and the units of work."""

    seconds: float
    units: int

    @property
    def speed(self) -> float:
        return self.units / self.seconds


def main() -> None:
    arguments = _arguments()
    print(f"{platform.machine()}, torch {torch.__version__}, {machine.pin_to_one_core()}; the clock is CPU time")
    rows = _rows(arguments.data)
    rng = np.random.default_rng(arguments.seed)
    chosen = [rows[int(place)] for place in rng.permutation(len(rows))[: arguments.prompts]]
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        bases.make_base(
            "bench",
            Base(pretrain=PRETRAINING),
            [render_text(p, a) for p, a, _ in rows],
            base,
            arguments.seed,
            MAX_LENGTH,
        )
        found = {
            "sampling_vs_loop": _sampling(base, [prompt for prompt, _, _ in chosen], arguments.rounds, arguments.seed),
            "scoring_vs_pipeline": _scoring(base, chosen, rows, arguments.rounds, rng),
        }
    print(json.dumps(found))


def _sampling(base: Path, prompts: list[tuple[Message, ...]], rounds: int, seed: int) -> float:
    model, tokenizer = bases.load_causal_lm(base), bases.load_tokenizer(base)
    texts = [render_prompt(prompt) for prompt in prompts]
    lengths = [len(ids) for ids in encode_prompts(tokenizer, prompts)]
    print(
        f"sampling: {len(prompts)} prompts, tokens p50 {np.median(lengths):.0f}, p90 {np.percentile(lengths, 90):.0f}"
    )

    def ours(temperature: float, n: int, number: int) -> list[list[generation.Generated]]:
        return generation.generate(
            model, tokenizer, prompts, n=n, max_new_tokens=MAX_NEW_TOKENS, temperature=temperature, seed=number,
            batch_size=BATCH_SIZE, max_prompt_tokens=ROOM,
        )  # fmt: skip

    def loop(**settings: object) -> list[list[generation.Generated]]:
        answers = []
        for text in texts:
            inputs = tokenizer(text, return_tensors="pt", truncation=True, max_length=ROOM)
            written = model.generate(
                input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"], max_new_tokens=MAX_NEW_TOKENS,
                pad_token_id=tokenizer.pad_token_id, use_cache=True, **settings,
            )[:, inputs["input_ids"].shape[1] :]  # fmt: skip
            answers.append([generation.response_of(tokenizer, _unpadded(line, tokenizer)) for line in written.tolist()])
        return answers

    if ours(0.0, 1, 0) != loop(do_sample=False):
        raise SystemExit("the likeliest responses differ: nothing is timed")
    print("the likeliest responses agree, token for token")
    # The whole distribution, as ours draws from it: the default of 50 likeliest tokens is another law, and no faster.
    drawing = {"do_sample": True, "temperature": 1.0, "top_k": 0, "num_return_sequences": N}
    torch.manual_seed(seed)
    found = _turns(
        {
            "ours": lambda number: _tokens(ours(1.0, N, number)),
            "loop": lambda number: _tokens(loop(**drawing)),
        },
        rounds,
        "response tokens",
    )
    return _ratio("sampling against the loop", found["ours"], found["loop"])


def _scoring(base: Path, chosen: list[Row], rows: list[Row], rounds: int, rng: np.random.Generator) -> float:
    """The two responses of each prompt and two of other prompts: real lengths, four to a prompt."""
    from transformers import pipeline
    from transformers.utils import logging

    logging.set_verbosity_error()
    model, tokenizer = bases.load_sequence_classifier(base, seed=1), bases.load_tokenizer(base)
    others = [rows[int(place)] for place in rng.integers(len(rows), size=len(chosen))]
    responses = [text for own, other in zip(chosen, others, strict=True) for text in (*own[1:], *other[1:])]
    prompts = [prompt for prompt, _, _ in chosen for _ in range(N)]
    texts = [render_text(*one) + tokenizer.eos_token for one in zip(prompts, responses, strict=True)]
    peer = pipeline("text-classification", model=model, tokenizer=tokenizer, device="cpu")

    def ours(number: int) -> np.ndarray:
        sequences, places, _ = encode_sequences(prompts, responses, tokenizer, MAX_LENGTH)
        return score(model, sequences)[places].numpy()

    def theirs(batch_size: int) -> np.ndarray:
        said = peer(
            texts, batch_size=batch_size, padding=True, truncation=True, max_length=MAX_LENGTH,
            function_to_apply="none",
        )  # fmt: skip
        return np.array([one["score"] for one in said])

    apart = max(float(np.abs(ours(0) - theirs(size)).max()) for size in BATCHES)
    if not apart < 1e-4:
        raise SystemExit(f"rewards differ by up to {apart:.1e}: nothing is timed")
    sequences, _, _ = encode_sequences(prompts, responses, tokenizer, MAX_LENGTH)
    print(f"scoring: {len(texts)} texts, {sequences.lengths.float().mean():.0f} tokens in the mean; "
          f"rewards have a spread of {ours(0).std():.2g} and differ by at most {apart:.1e}")  # fmt: skip
    found = _turns(
        {
            "ours": lambda number: len(ours(number)),
            **{f"pipeline, batches of {size}": lambda number, size=size: len(theirs(size)) for size in BATCHES},
        },
        rounds,
        "texts",
    )
    best = max(list(found)[1:], key=lambda name: statistics.median(turn.speed for turn in found[name]))
    return _ratio(f"scoring against the {best}", found["ours"], found[best])


def _turns(methods: dict[str, Callable[[int], int]], rounds: int, unit: str) -> dict[str, list[Timed]]:
    """Every method once a round, the order reversed each time; the first round warms up and is not kept."""
    clock = machine.Clock(torch.device("cpu"))
    found: dict[str, list[Timed]] = {name: [] for name in methods}
    for number in range(rounds + 1):
        for name in list(methods)[:: 1 if number % 2 else -1]:
            start = clock()
            units = methods[name](number)
            if number:
                found[name].append(Timed(clock() - start, units))
    for name, turns in found.items():
        speeds = [turn.speed for turn in turns]
        print(f"  {name}: {statistics.median(speeds):.0f} {unit}/s ({min(speeds):.0f} to {max(speeds):.0f})")
    return found


def _ratio(label: str, ours: list[Timed], theirs: list[Timed]) -> float:
    ratios = [a.speed / b.speed for a, b in zip(ours, theirs, strict=True)]
    print(f"{label}: {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f}), {len(ratios)} rounds")
    return round(statistics.median(ratios), 2)


def _tokens(answers: list[list[generation.Generated]]) -> int:
    return sum(one.n_tokens for row in answers for one in row)


def _unpadded(ids: list[int], tokenizer) -> list[int]:  # type: ignore[no-untyped-def]  # noqa: ANN001
    """Without the padding that `generate` writes after an end."""
    return [token for token in ids if token != tokenizer.pad_token_id]


def _rows(folder: Path | None) -> list[Row]:
    """Prompts with two responses each. Raises FileNotFoundError naming the missing file."""
    if folder is not None:
        files = [folder / f"{name}.test.json" for name in ("helpful", "harmless")]
        print(f"texts: helpful and harmless test pairs of {folder.name}")
        return [row for file in files for row in _read(file)]
    with tempfile.TemporaryDirectory() as made:
        write_sources(Path(made), 100, 400, seed=0)
        print("texts: synthetic")
        return _read(Path(made) / "scores.test.json")


def _read(file: Path) -> list[Row]:
    """Every prompt once."""
    found = {}
    for number, row in enumerate(json.loads(file.read_text(encoding="utf-8"))):
        first, second = (parse_transcript(text, f"{file}, row {number}") for text in row["text"])
        if first[:-1] == second[:-1]:
            found.setdefault(first[:-1], (first[:-1], first[-1].content, second[-1].content))
    return list(found.values())


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder of text-score files; synthetic texts without it")
    parser.add_argument("--rounds", type=int, default=5, help="timed turns of each method")
    parser.add_argument("--prompts", type=int, default=48)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


if __name__ == "__main__":
    main()
