"""What each process runs in test_distributed.py: `two_processes.py BASE OUT [DIE_AT]`, started by torchrun or alone."""

import os
import signal
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import AutoTokenizer

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]
from preference_files import preference_rows  # noqa: E402

from more_repro.engine import MoreConfig, MoreTrainer  # noqa: E402
from more_repro.engine.distributed import sum_gradients  # noqa: E402


def main(base: str, out: Path, die_at: int | None) -> None:
    torch.set_num_threads(1)
    rows = {name: preference_rows(20, seed) for seed, name in enumerate(("helpful", "harmless", "contrary"))}
    config = MoreConfig(out, learning_rate=1e-2, per_source_batch_size=4, save_steps=2, max_length=64, logging_steps=1)
    trainer = MoreTrainer(base, config, rows, AutoTokenizer.from_pretrained(base), {"contrary": rows["contrary"][:7]})
    loop = trainer._loop
    out.mkdir(parents=True, exist_ok=True)
    if die_at is None:
        loop._gradients(0)
        sum_gradients(loop.model.parameters(), loop.group)
        gradients = {name: p.grad.clone() for name, p in loop.model.named_parameters() if p.grad is not None}
        loop.rule.weighting.load_state_dict({})  # the smoothed gradients are to start with the first step
        if trainer.group.rank == 0:
            save_file(gradients, out / "gradients.safetensors")
        trainer.train(resume_from_checkpoint=True)
    else:
        loop.run(lambda done: os.kill(os.getpid(), signal.SIGKILL) if done == die_at else None)
    accuracy = torch.tensor(list(trainer.evaluate().values()))
    weights = {name: tensor.contiguous() for name, tensor in trainer.model.state_dict().items()}
    log = {name: tensor.contiguous() for name, tensor in loop.log.items()}
    save_file(log, out / f"log{trainer.group.rank}.safetensors")
    save_file(weights | {"accuracy": accuracy}, out / f"weights{trainer.group.rank}.safetensors")
    trainer.save_model(out / "saved")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else None)
