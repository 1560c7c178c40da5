"""kill -9 wherever it hits: between any two steps, and inside the writing and the pruning of a checkpoint."""

import multiprocessing
import os
import shutil
import signal
from pathlib import Path

import pytest
import torch
from preference_files import preference_rows, write_base
from transformers import AutoTokenizer

from more_repro.engine import MoreConfig, MoreTrainer
from more_repro.store import checkpoint, folder

TRAIN = {name: preference_rows(12, seed) for seed, name in enumerate(("helpful", "harmless", "honest"))}
STEPS = 4  # of a checkpoint each
# Which call of what a checkpoint is written with: it saves four files, digests five, and removes folders.
WRITES = (
    *(("save_file", nth) for nth in (1, 2, 3, 4, 8, 13)),
    *(("file_digest", nth) for nth in (1, 5, 6)),
    *(("rmtree", nth) for nth in range(1, 8)),
)


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Path:
    return write_base(tmp_path_factory.mktemp("base"), "llama")


def make(base: Path, out: Path) -> MoreTrainer:
    config = MoreConfig(
        out, learning_rate=1e-2, per_source_batch_size=3, save_steps=1, max_steps=STEPS, max_length=64, alpha=0.3,
        logging_steps=1,
    )  # fmt: skip
    return MoreTrainer(str(base), config, TRAIN, AutoTokenizer.from_pretrained(base))


@pytest.fixture(scope="module")
def whole(base, tmp_path_factory) -> MoreTrainer:
    torch.set_num_threads(1)
    trainer = make(base, tmp_path_factory.mktemp("whole"))
    trainer.train()
    return trainer


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def die_in(name: str, nth: int) -> None:
    """Kill this process in the nth call of one of the functions that write checkpoints, half of its work done."""
    holder = {"rmtree": shutil, "file_digest": folder, "save_file": checkpoint}[name]
    real, calls = getattr(holder, name), []

    def call(first, *others, **named):
        calls.append(None)
        if len(calls) == nth:
            if name == "save_file":
                Path(others[0]).write_bytes(b"half a file")
            die()
        return real(first, *others, **named)

    setattr(holder, name, call)


def killed(base: Path, out: Path, step: int | None, write: tuple[str, int] | None) -> None:
    torch.set_num_threads(1)
    if write is not None:
        die_in(*write)
    make(base, out)._loop.run(lambda done: die() if done == step else None)


def kill(base: Path, out: Path, *, step: int | None = None, write: tuple[str, int] | None = None) -> None:
    process = multiprocessing.get_context("fork").Process(target=killed, args=(base, out, step, write))
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL


def assert_ends_as(whole: MoreTrainer, base: Path, out: Path) -> int:
    """Resume and compare weights, moments, smoothed gradients and log; returns the step that was resumed at."""
    again = make(base, out)
    start = again._loop.resume()
    again._loop.run()
    expected, found = whole._loop._state(), again._loop._state()
    assert found.step == expected.step == STEPS
    moments = [checkpoint._flatten(state.optimizer["state"]) for state in (expected, found)]
    assert any(name.endswith("exp_avg_sq") for name in moments[0])
    pairs = [(expected.model, found.model), (expected.memory, found.memory), (expected.log, found.log)]
    for first, second in [*pairs, (moments[0], moments[1])]:
        assert first
        assert first.keys() == second.keys()
        assert all(torch.equal(first[name], second[name]) for name in first)
    return start


@pytest.mark.parametrize("step", range(1, STEPS + 1))
def test_killed_after_any_step(base, whole, tmp_path, step):
    kill(base, tmp_path, step=step)
    assert assert_ends_as(whole, base, tmp_path) == step


@pytest.mark.slow
@pytest.mark.parametrize("write", WRITES, ids=lambda write: f"{write[0]} {write[1]}")
def test_killed_while_a_checkpoint_is_written_or_pruned(base, whole, tmp_path, write):
    kill(base, tmp_path, write=write)
    assert_ends_as(whole, base, tmp_path)
    names = sorted(path.name for path in (tmp_path / "checkpoints").iterdir())
    assert names == [f"step{step:08d}" for step in (STEPS - 1, STEPS)]  # nothing half written is left


def test_killed_twice_and_again_before_its_first_checkpoint(base, whole, tmp_path):
    kill(base, tmp_path, write=("save_file", 2))
    kill(base, tmp_path, write=("save_file", 7))
    assert assert_ends_as(whole, base, tmp_path) == 1
