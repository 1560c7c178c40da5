"""The same comparison on a GPU: a model of Pythia-1.4B's shape with random weights, bf16, 80 pairs a step.

Methods run one after the other, each in a fresh process: two models of this size need not fit a device together.
"""

import json
import statistics
from pathlib import Path
from typing import Any

import torch

import engine_peer
import trl_peer
from pair_tokens import Steps, make_steps, real_pairs, synthetic_pairs
from pair_tokens import statistics as token_statistics
from shapes import PYTHIA_1_4B, make_model
from turns import Worker
from work_counts import count_work

PER_SOURCE = 16
# Micro-batch in pairs, and checkpointing; the last is nearest to TRL's defaults.
TRL_METHODS = ((5, False), (16, False), (40, False), (16, True))
REWARD_TOLERANCE = 2e-2  # TF32 and other kernels; on the CPU it is 1e-4
NOMINAL_BF16 = {"H100": 989e12, "H200": 989e12, "A100": 312e12}


def main(data: Path | None, rounds: int, seed: int) -> None:
    """Measure, or say that nothing was measured where there is no CUDA device."""
    if not torch.cuda.is_available():
        print("GPU: not measured, no CUDA device here")
        print(json.dumps({"gpu": "not measured"}))
        return
    pairs = real_pairs(data) if data else synthetic_pairs(seed)
    print(f"torch {torch.__version__}; texts: {data.name if data else 'synthetic'}; {token_statistics(pairs)}")
    steps = make_steps(pairs, rounds + 1, PER_SOURCE, seed)
    device = torch.device("cuda")
    ours = Worker("ours bf16", engine_peer.run, (PYTHIA_1_4B, steps, "bf16", None, seed), device, fresh=True)
    theirs = [
        Worker(
            f"TRL {micro} bf16{' checkpointing' if checkpointing else ''}", trl_peer.run,
            (PYTHIA_1_4B, steps, micro, "bf16", checkpointing, seed), device, fresh=True,
        )
        for micro, checkpointing in TRL_METHODS
    ]  # fmt: skip
    peak = Worker("peak", engine_peer.peak, (PYTHIA_1_4B, torch.bfloat16), device, fresh=True)
    measured = [worker for worker in (peak, ours, *theirs) if _measure(worker, rounds)]
    if peak not in measured or ours not in measured:
        raise SystemExit("our own step could not be measured; the reason stands above")
    print(json.dumps(_report(peak, ours, [worker for worker in measured if worker in theirs], steps)))


def _measure(worker: Worker, rounds: int) -> bool:
    """All turns of one method; False where it ended early, out of memory for one."""
    try:
        worker.start()
        for number in range(rounds + 1):
            worker.turn(keep=number > 0)
    except RuntimeError as error:
        print(f"{worker.name}: not measured ({error})")
        return False
    finally:
        worker.stop()
    return True


def _report(peak: Worker, ours: Worker, theirs: list[Worker], steps: Steps) -> dict[str, Any]:
    n_pairs = steps.rows[0][0].numel()
    for worker in theirs:
        difference = (torch.tensor(worker.hello["rewards"]) - torch.tensor(ours.hello["rewards"])).abs().max()
        if difference > REWARD_TOLERANCE:
            raise SystemExit(f"{worker.name} gives other rewards than ours, by up to {difference:.4f}")
    fastest = max(statistics.median(turn["speeds"][shape] for turn in peak.turns) for shape in peak.turns[0]["speeds"])
    name = torch.cuda.get_device_name()
    nominal = next((value for key, value in NOMINAL_BF16.items() if key in name), None)
    speeds = {}
    for worker in (ours, *theirs):
        seconds = statistics.median(turn["seconds"] for turn in worker.turns)
        memory = max(turn["peak"] for turn in worker.turns) / 2**30
        speeds[worker.name] = n_pairs / seconds
        print(f"{worker.name:<24} {seconds:.3f} s a step, {n_pairs / seconds:.1f} pairs/s, peak {memory:.1f} GiB")
    with torch.device("meta"):
        model = make_model(PYTHIA_1_4B, 0)
    work = [
        count_work(model, steps.sequences, rows, turn["n_tokens"], turn["n_padded_tokens"]).useful_flops
        / turn["seconds"]
        for rows, turn in zip(steps.rows[1:], ours.turns, strict=True)
    ]
    reached = statistics.median(work)
    print(f"{name}: bf16 matrix products {fastest / 1e12:.0f} TF/s measured; ours ({ours.hello['mode']})")
    best = max((speeds[worker.name] for worker in theirs), default=None)
    return {
        "pairs_per_second": round(speeds[ours.name], 2),
        "mfu_measured_peak": round(reached / fastest, 4),
        "mfu_nominal": round(reached / nominal, 4) if nominal else "not measured",
        "peak_gib": round(max(turn["peak"] for turn in ours.turns) / 2**30, 2),
        "trl_best_bf16": round(speeds[ours.name] / best, 3) if best else "not measured",
    }
