import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from preference_files import preference_rows, write_base
from safetensors.torch import load_file
from transformers import AutoTokenizer

from more_repro.engine import MoreConfig, MoreTrainer, distributed
from more_repro.engine.batching.step_layout import check_split, step_pairs
from more_repro.engine.distributed import ALONE, copy_from_first, sum_gradients
from tiny_models import random_sequences

SCRIPT = Path(__file__).with_name("two_processes.py")


class Twin:
    """One of two processes that hold the same numbers."""

    size, rank = 2, 1

    def __init__(self):
        self.shapes = []

    def sum(self, tensor):
        self.shapes.append(tuple(tensor.shape))
        return 2 * tensor


def parameters():
    shapes = [(3, 4), (5,), (2, 2), (7,)]
    made = [torch.nn.Parameter(torch.randn(shape)) for shape in shapes]
    made[2].data = made[2].data.to(torch.bfloat16)
    for parameter in made[:3]:
        parameter.grad = torch.randn_like(parameter)
    return made


def test_gradients_are_summed_and_what_has_none_keeps_none():
    made = parameters()
    expected = [None if parameter.grad is None else 2 * parameter.grad for parameter in made]
    sum_gradients(made, Twin())
    for parameter, gradient in zip(made, expected, strict=True):
        assert (gradient is None) == (parameter.grad is None)
        assert gradient is None or torch.equal(parameter.grad, gradient)


def test_gradients_travel_in_flat_pieces_of_one_format(monkeypatch):
    group = Twin()
    sum_gradients(parameters(), group)
    assert group.shapes == [(4,), (12 + 5,), (4,)]
    monkeypatch.setattr(distributed, "_BUCKET_BYTES", 1)
    group = Twin()
    sum_gradients(parameters(), group)
    assert group.shapes == [(4,), (12,), (5,), (4,)]


def test_one_process_changes_nothing():
    made = parameters()
    before = [None if parameter.grad is None else parameter.grad.clone() for parameter in made]
    sum_gradients(made, ALONE)
    copy_from_first(made, ALONE)
    assert all(a is None or torch.equal(a, p.grad) for a, p in zip(before, made, strict=True))


def test_processes_share_a_step_in_the_order_of_their_ranks():
    chosen, rejected = torch.arange(48).reshape(2, 3, 8), torch.arange(48, 96).reshape(2, 3, 8)
    pairs = step_pairs(random_sequences(96), chosen, rejected)
    shares = []
    for rank in range(4):
        group = Twin()
        group.size, group.rank = 4, rank
        shares.append(pairs.share(1, group))
    assert torch.equal(torch.cat([rows for rows, _ in shares], dim=2), pairs.share(1, ALONE)[0])
    assert torch.equal(torch.cat([prefixes for _, prefixes in shares], dim=1), pairs.prefixes[1])


def test_pairs_that_cannot_be_split_evenly_are_an_error():
    check_split(4, Twin())
    with pytest.raises(ValueError, match="5 pairs of each source in a step cannot be split evenly over 2 processes"):
        check_split(5, Twin())


def run(base, out, processes, *die_at):
    start = [sys.executable]
    if processes > 1:
        start += ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    command = [*start, str(SCRIPT), str(base), str(out), *map(str, die_at)]
    return subprocess.run(
        command, env=os.environ | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Llama: it has no key bias, whose gradient is rounding alone and which AdamW would blow up to a full step."""
    folder = tmp_path_factory.mktemp("processes")
    base = write_base(folder / "base", "llama")
    for name, processes in (("one", 1), ("two", 2)):
        ended = run(base, folder / name, processes)
        assert ended.returncode == 0, ended.stderr
    assert run(base, folder / "killed", 2, 3).returncode != 0
    ended = run(base, folder / "killed", 2)
    assert ended.returncode == 0, ended.stderr
    assert "resumed after step 2 of 5" in ended.stderr
    return folder


@pytest.mark.slow
def test_two_processes_give_the_lambdas_gradients_and_weights_of_one(runs):
    logs = [load_file(runs / name / "log0.safetensors") for name in ("one", "two")]
    assert logs[0]["lambda"].std() > 0.01
    for name in ("lambda", "loss", "margin", "head_gradient_norm"):
        assert torch.allclose(logs[0][name], logs[1][name], rtol=1e-4, atol=1e-5), name
    assert torch.equal(logs[0]["n_tokens"][:, 0], logs[1]["n_tokens"][:, 0])
    one, two = (load_file(runs / name / "gradients.safetensors") for name in ("one", "two"))
    assert one.keys() == two.keys()
    for name in one:
        assert (one[name] - two[name]).norm() <= 1e-5 * one[name].norm().clamp(min=1e-3), name
    one, two = (load_file(runs / name / "weights0.safetensors") for name in ("one", "two"))
    for name in one:
        assert torch.allclose(one[name], two[name], atol=2e-4), name


@pytest.mark.slow
def test_processes_hold_the_same_weights_and_log_to_the_last_bit(runs):
    for kind in ("weights", "log"):
        first, second = (load_file(runs / "two" / f"{kind}{rank}.safetensors") for rank in range(2))
        assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.slow
def test_two_processes_killed_and_resumed_equal_the_uninterrupted_two(runs):
    for kind in ("weights", "log"):
        whole, killed = (load_file(runs / name / f"{kind}0.safetensors") for name in ("two", "killed"))
        assert all(torch.equal(whole[name], killed[name]) for name in whole)


@pytest.mark.slow
def test_the_first_process_alone_writes(runs):
    assert sorted(path.name for path in (runs / "two" / "checkpoints").iterdir()) == ["step00000004", "step00000005"]
    assert {"model.safetensors", "config.json", "tokenizer.json"} <= {
        p.name for p in (runs / "two" / "saved").iterdir()
    }


LEAVING = """
import sys
from more_repro.engine.at_exit import leave_at_exit

class Group:
    size = int(sys.argv[1])

    def close(self):
        print("left")

leave_at_exit(Group())
if sys.argv[2] == "error":
    raise ValueError("of one process alone")
"""


@pytest.mark.parametrize(("size", "end", "said"), [(2, "well", "left\n"), (2, "error", ""), (1, "well", "")])
def test_a_process_leaves_its_group_where_it_ends_well(size, end, said):
    """A group left open ends one run in four with SIGABRT; one left after an error may wait for what is stuck."""
    ended = subprocess.run([sys.executable, "-c", LEAVING, str(size), end], capture_output=True, text=True, check=False)
    assert ended.stdout == said
    assert (ended.returncode == 0) == (end == "well")


def test_the_trainer_leaves_its_group_at_exit(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr("more_repro.engine.trainer.leave_at_exit", seen.append)
    base = write_base(tmp_path / "base")
    rows = {"helpful": preference_rows(4, 0)}
    trainer = MoreTrainer(str(base), MoreConfig(tmp_path), rows, AutoTokenizer.from_pretrained(base))
    assert seen == [trainer.group]
