"""Our step with the MORE weighting: gradients, clipping and AdamW as in training; one optimizer step a turn."""

import torch
from transformers import PreTrainedModel

import machine
from more_repro.engine.batching.activation_memory import StepMemory, memory_limit_bytes, step_memory, token_budget_of
from more_repro.engine.batching.token_pairs import TokenSequences, starts_of
from more_repro.engine.head_gradients import StepRule
from more_repro.engine.model import on_device, score
from more_repro.engine.step import step_gradients
from more_repro.engine.weighting import Weighting, WeightingSpec, make_weighting
from more_repro.lm.optimizer import make_optimizer
from pair_tokens import Steps
from shapes import Shape, make_model
from turns import Turn


class TimedWeighting:
    """A weighting that adds up the seconds it takes."""

    def __init__(self, weighting: Weighting, clock: machine.Clock) -> None:
        self.seconds, self._weighting, self._clock = 0.0, weighting, clock

    def __call__(self, head_gradients: torch.Tensor, losses: torch.Tensor) -> torch.Tensor:
        start = self._clock()
        found = self._weighting(head_gradients, losses)
        self.seconds += self._clock() - start
        return found

    def state_dict(self) -> dict[str, torch.Tensor]:
        return self._weighting.state_dict()

    def load_state_dict(self, state: dict[str, torch.Tensor]) -> None:
        self._weighting.load_state_dict(state)


def run(turn: Turn, shape: Shape, steps: Steps, precision: str, limit_bytes: int | None, seed: int) -> None:
    """Train on the steps one after the other, as the engine does by itself. Says its rewards of the first pairs, in
    TRL's order, and the mode it chose.

    limit_bytes: for the activations of a step; None = the engine's own choice.
    """
    model = on_device(make_model(shape, seed), turn.device)
    optimizer = make_optimizer(model, weight_decay=0.0)
    for group in optimizer.param_groups:
        group["lr"] = 1e-5
    memory = _memory(model, steps, precision, limit_bytes)
    turn.connection.send({"rewards": score(model, _first_pairs(steps)).tolist(), "mode": memory.mode})
    weighting = _weighting(turn, steps, seed)
    for rows in steps.rows:
        if not turn.wait():
            return
        weighting.seconds = 0.0
        turn.begin()
        optimizer.zero_grad(set_to_none=True)
        outcome = step_gradients(
            model, steps.sequences, rows, StepRule(weighting), mode=memory.mode, token_budget=memory.token_budget,
            precision=precision,
        )  # fmt: skip
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        turn.end(n_tokens=outcome.n_tokens, n_padded_tokens=outcome.n_padded_tokens, lambda_seconds=weighting.seconds)


def peak(turn: Turn, shape: Shape, dtype: torch.dtype) -> None:
    """Not a method: the matrix-product speed of this core, measured between the steps of the others."""
    turn.connection.send(None)
    while turn.wait():
        turn.begin()
        tokens = token_budget_of(None, turn.device)
        speeds = machine.matmul_speeds(shape.hidden, shape.inner, tokens, dtype, turn.device)
        turn.end(speeds=speeds)


def _memory(model: PreTrainedModel, steps: Steps, precision: str, limit_bytes: int | None) -> StepMemory:
    lengths = steps.sequences.lengths[steps.rows[0]]
    limit = memory_limit_bytes(None, model.device, model) if limit_bytes is None else limit_bytes
    return step_memory(
        model.config, int(lengths.sum()), widest=int(lengths.sum(dim=0).max()), limit_bytes=limit,
        token_budget=token_budget_of(None, model.device, precision),
    )  # fmt: skip


def _weighting(turn: Turn, steps: Steps, seed: int) -> TimedWeighting:
    n_sources, n_pairs = steps.rows[0].shape[1:]
    spec = WeightingSpec("more", alpha=0.99, normalization="l2")
    # On a GPU the clock waits for the device, which a step must not: there the process's clock, and no share is said.
    clock = machine.Clock(torch.device("cpu"))
    return TimedWeighting(make_weighting(spec, n_sources, [n_pairs] * n_sources, seed), clock)


def _first_pairs(steps: Steps) -> TokenSequences:
    pairs = steps.pairs(0)[:5]
    rows = [a for a, _ in pairs] + [b for _, b in pairs]
    lengths = torch.tensor([len(row) for row in rows])
    flat = torch.tensor([token for row in rows for token in row], dtype=torch.int32)
    return TokenSequences(flat, starts_of(lengths), lengths)
