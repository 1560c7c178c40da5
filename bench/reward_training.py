"""Reward-model training against TRL's RewardTrainer on the same token pairs, in turns on one core.

python bench/reward_training.py [--data FOLDER] [--rounds 5] [--minutes 7.5] [--gpu]

FOLDER holds helpful.train.json, harmless.train.json and webgpt.train.json in the text-score format; without it the
pairs are synthetic, of the same lengths. The last line is one JSON object; bench/README.md explains its keys.
"""

import argparse
import json
import statistics
import time
from pathlib import Path

import torch

import engine_peer
import machine
import trl_peer
from pair_tokens import Steps, make_steps, real_pairs, synthetic_pairs
from pair_tokens import statistics as token_statistics
from shapes import SMALL, make_model
from training_memory import measure_memory
from turns import Worker
from work_counts import Work, count_work

PER_SOURCE, N_SOURCES = 8, 5
SWEEP = (1, 2, 5, 16)  # TRL's micro-batches, pairs
MEMORY_SWEEP = (1, 2, 5)
MATCHED = "ours matched"  # fp32 in no more memory than TRL at micro-batches of 5
PADDING_PER_SOURCE = 16
REWARD_TOLERANCE = 1e-4
CPU = torch.device("cpu")


def main() -> None:
    arguments = _arguments()
    started = time.monotonic()
    if arguments.gpu:
        import gpu_training

        gpu_training.main(arguments.data, arguments.rounds, arguments.seed)
        return
    print(f"torch {torch.__version__}, {machine.pin_to_one_core()}")
    pairs = real_pairs(arguments.data) if arguments.data else synthetic_pairs(arguments.seed)
    print(f"texts: {arguments.data.name if arguments.data else 'synthetic'}; {token_statistics(pairs)}")
    steps = make_steps(pairs, arguments.rounds + 1, PER_SOURCE, arguments.seed)
    memory = measure_memory(steps, MEMORY_SWEEP, arguments.seed)
    workers = {worker.name: worker for worker in _workers(steps, memory.limit_bytes, arguments.seed)}
    _start(workers)
    _check_rewards(workers)
    for number in range(arguments.rounds + 1):
        if number > 1 and time.monotonic() - started > 60 * arguments.minutes:
            print(f"time is up: {number - 1} of {arguments.rounds} rounds")
            break
        order = list(workers.values())[:: 1 if number % 2 else -1]
        for worker in order:
            worker.turn(keep=number > 0)
        said = "warm-up" if number == 0 else f"round {number} of {arguments.rounds}"
        print(f"{said} done after {time.monotonic() - started:.0f} s", flush=True)
    for worker in workers.values():
        worker.stop()
    found = _speeds(workers)
    found |= _peak_share(workers["peak"], workers["ours fp32"], steps)
    found["padding_share"] = _padding(make_steps(pairs, 2, PADDING_PER_SOURCE, arguments.seed), arguments.seed)
    found["lambda_share"] = statistics.median(
        turn["lambda_seconds"] / turn["seconds"] for turn in workers["ours fp32"].turns
    )
    found["memory_vs_trl"] = memory.ratio
    print(f"all in {time.monotonic() - started:.0f} s")
    print(json.dumps({key: round(value, 6) for key, value in found.items()}))


def _workers(steps: Steps, limit_bytes: int, seed: int) -> list[Worker]:
    ours = [
        Worker(name, engine_peer.run, (SMALL, steps, precision, limit, seed), CPU)
        for name, precision, limit in (
            ("ours fp32", "fp32", None), ("ours bf16", "bf16", None), (MATCHED, "fp32", limit_bytes)
        )
    ]  # fmt: skip
    theirs = [
        Worker(f"TRL {micro} {precision}", trl_peer.run, (SMALL, steps, micro, precision, False, seed), CPU)
        for precision in ("fp32", "bf16")
        for micro in SWEEP
    ]
    return [*ours, *theirs, Worker("peak", engine_peer.peak, (SMALL, torch.float32), CPU)]


def _start(workers: dict[str, Worker]) -> None:
    for worker in workers.values():
        worker.start()


def _check_rewards(workers: dict[str, Worker]) -> None:
    """Stop unless every method starts from the same rewards: else the comparison would be of two models."""
    ours = torch.tensor(workers["ours fp32"].hello["rewards"])
    for worker in workers.values():
        if worker.hello is None:
            continue
        found = torch.tensor(worker.hello["rewards"])
        if not torch.allclose(found, ours, atol=REWARD_TOLERANCE):
            raise SystemExit(f"{worker.name} gives other rewards than ours: {found.tolist()} and {ours.tolist()}")
    print(f"rewards of 5 pairs agree within {REWARD_TOLERANCE}; ours {[round(r, 4) for r in ours.tolist()[:3]]} ...")


def _speeds(workers: dict[str, Worker]) -> dict[str, float]:
    """pairs/s of each method, and the ratios ours / TRL: medians of round-by-round ratios."""
    n_pairs = N_SOURCES * PER_SOURCE
    print(f"\n{'method':<14} {'CPU s':>7} {'pairs/s':>8}   (medians of {len(workers['peak'].turns)} rounds)")
    timed = {name: worker for name, worker in workers.items() if name != "peak"}
    for name, worker in timed.items():
        seconds = _median_seconds(worker)
        print(f"{name:<14} {seconds:>7.2f} {n_pairs / seconds:>8.2f}")
    best = {
        precision: min((timed[f"TRL {micro} {precision}"] for micro in SWEEP), key=_median_seconds)
        for precision in ("fp32", "bf16")
    }
    print(f"\nin the mode {workers[MATCHED].hello['mode']}, in no more memory than TRL 5 takes:")
    _ratio(workers[MATCHED], workers["TRL 5 fp32"])
    _ratio(workers[MATCHED], best["fp32"])
    print(f"in the mode {workers['ours fp32'].hello['mode']}, as the engine runs by itself:")
    return {
        "trl_micro5_fp32": _ratio(workers["ours fp32"], workers["TRL 5 fp32"]),
        "trl_best_fp32": _ratio(workers["ours fp32"], best["fp32"]),
        "trl_best_bf16": _ratio(workers["ours bf16"], best["bf16"]),
    }


def _ratio(ours: Worker, theirs: Worker) -> float:
    ratios = [b["seconds"] / a["seconds"] for a, b in zip(ours.turns, theirs.turns, strict=True)]
    middle = statistics.median(ratios)
    print(f"{ours.name} against {theirs.name}: {middle:.2f}x ({min(ratios):.2f}-{max(ratios):.2f})")
    return middle


def _median_seconds(worker: Worker) -> float:
    return statistics.median(turn["seconds"] for turn in worker.turns)


def _peak_share(peak: Worker, ours: Worker, steps: Steps) -> dict[str, float]:
    """Useful FLOPs per second of our step over the fastest matrix product of the same rounds."""
    speeds = {
        shape: statistics.median(turn["speeds"][shape] for turn in peak.turns) for shape in peak.turns[0]["speeds"]
    }
    print("\nfp32 matrix products, GF/s: " + ", ".join(f"{shape} {speed / 1e9:.0f}" for shape, speed in speeds.items()))
    fastest = max(speeds.values())
    model = make_model(SMALL, 0)
    counted = [
        (count_work(model, steps.sequences, rows, turn["n_tokens"], turn["n_padded_tokens"]), turn["seconds"])
        for rows, turn in zip(steps.rows[1:], ours.turns, strict=False)  # fewer turns where time was up
    ]
    shares = {name: [getattr(work, name) / seconds / fastest for work, seconds in counted] for name in Work.__slots__}
    for name, values in shares.items():
        per_pair = statistics.median(getattr(work, name) for work, _ in counted) / (N_SOURCES * PER_SOURCE) / 1e9
        print(
            f"{name}: {per_pair:.2f} GF a pair, {statistics.median(values):.1%} of the peak "
            f"({min(values):.1%}-{max(values):.1%})"
        )
    return {"peak_fraction_fp32": statistics.median(shares["useful_flops"])}


def _padding(steps: Steps, seed: int) -> float:
    """Padding in the computed tokens of a batch of 80 pairs."""
    worker = Worker("padding", engine_peer.run, (SMALL, steps, "fp32", None, seed), CPU)
    worker.start()
    turn = worker.turn()
    worker.stop()
    share = 1 - turn["n_tokens"] / turn["n_padded_tokens"]
    print(
        f"\npadding at {N_SOURCES * PADDING_PER_SOURCE} pairs: {share:.1%} of {turn['n_padded_tokens']} tokens computed"
    )
    return share


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder of text-score files; synthetic pairs without it")
    parser.add_argument("--rounds", type=int, default=5, help="timed steps of each method")
    parser.add_argument("--minutes", type=float, default=7.5, help="no further round begins after so long")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--gpu", action="store_true", help="measure on a CUDA device instead")
    return parser.parse_args()


if __name__ == "__main__":
    main()
