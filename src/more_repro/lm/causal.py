"""Training a causal language model and measuring its loss, on the tokens after a prompt."""

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.nn import functional
from transformers import PreTrainedModel

from more_repro.lm.device import pinned_threads
from more_repro.lm.encoding import Example
from more_repro.progress import Progress
from more_repro.stats.random import numbered

GRADIENT_CLIP = 1.0


def train_causal_lm(
    model: PreTrainedModel,
    examples: Sequence[Example],
    *,
    batch_size: int,
    steps: int,
    learning_rate: float,
    warmup_ratio: float,
    seed: int,
    label: str,
    micro_batch_tokens: int = 65536,
) -> pd.DataFrame:
    """Train in place; return [step, loss, learning_rate], loss in nats per token of the step's batch.

    The loss is the mean over the batch's tokens after their prompts. AdamW without weight decay, linear warm-up, cosine
    to zero, gradient norm clipped at 1. Batches are drawn from the seed alone, pass after pass in a new order. A batch
    is padded to its longest sequence, and cut into micro-batches of the same gradient only above `micro_batch_tokens`.
    An empty label trains without progress lines. Raises ValueError when no example has a token to predict.
    """
    usable = [example for example in examples if n_targets(example)]
    if not usable:
        raise ValueError(f"{label or 'training'}: none of {len(examples)} examples has a token after its prompt")
    order = batch_order(len(usable), batch_size, steps, numbered(seed))
    optimizer = torch.optim.AdamW(model.parameters(), lr=learning_rate, weight_decay=0.0, fused=True)
    progress, rows = Progress(label, steps) if label else None, []
    model.train()
    with pinned_threads():
        for step, batch in enumerate(order):
            rate = learning_rate * cosine_share(step, steps, warmup_ratio)
            optimizer.param_groups[0]["lr"] = rate
            loss = _backward(model, [usable[number] for number in batch], micro_batch_tokens)
            torch.nn.utils.clip_grad_norm_(model.parameters(), GRADIENT_CLIP)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            rows.append((step, loss, rate))
            if progress:
                progress.step(note=f"loss {loss:.3f}")
    model.eval()
    return pd.DataFrame(rows, columns=["step", "loss", "learning_rate"])


@torch.no_grad()
def negative_log_likelihood(
    model: PreTrainedModel, examples: Sequence[Example], batch_tokens: int, window: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Negative log likelihood of each example's tokens after its prompt (nats, float64), and their number.

    Both of shape (n,), in the examples' order; neither depends on `batch_tokens` but for rounding. An example without
    a token to predict has 0 and 0. window: longer examples are read in pieces of so many tokens, see `windows`.
    """
    model.eval()
    pieces = [windows(example, window) if window else [example] for example in examples]
    flat = [piece for group in pieces for piece in group]
    owner = np.repeat(np.arange(len(examples)), [len(group) for group in pieces])
    piece_nats = np.zeros(len(flat))
    with pinned_threads():
        for batch in by_length(flat, batch_tokens):
            losses, rows = token_losses(model, [flat[number] for number in batch])
            sums = torch.zeros(len(batch), dtype=torch.float64, device=rows.device)
            piece_nats[batch] = sums.index_add_(0, rows, losses.double()).cpu().numpy()
    nats = np.zeros(len(examples))
    np.add.at(nats, owner, piece_nats)
    return nats, np.array([n_targets(example) for example in examples], dtype=np.int64)


def windows(example: Example, size: int) -> list[Example]:
    """An example as pieces of at most `size` tokens that together predict each token after its prompt exactly once.

    A piece begins half a size after the one before and predicts what that one has not, so every token is read after at
    least size - size // 2 others, or after all that stand before it. Pieces that predict nothing are left out; an
    example that fits is its own piece. Raises ValueError for a size below 2.
    """
    if size < 2:
        raise ValueError(f"a window holds a token and the one that it predicts, found size {size}")
    stride, pieces, done = size // 2, [], max(1, example.n_prompt_tokens)
    for begin in range(0, max(1, len(example.ids) - size + stride), stride):
        piece = Example(example.ids[begin : begin + size], max(done - begin, 0))
        if n_targets(piece):
            pieces.append(piece)
            done = begin + len(piece.ids)
    return pieces or [example]


def token_losses(model: PreTrainedModel, batch: Sequence[Example]) -> tuple[Tensor, Tensor]:
    """Loss of every predicted token of the batch (T,), and the row it stands in (T,)."""
    ids, targets = _pad(batch)
    device = next(model.parameters()).device
    ids, targets = ids.to(device), targets.to(device)
    # No mask: padding is on the right, and under causal attention nothing to the left of it can see it.
    hidden = model.base_model(input_ids=ids, use_cache=False).last_hidden_state
    rows, columns = torch.nonzero(targets, as_tuple=True)
    # Vocabulary logits only where a token is predicted: prompts and padding need none.
    logits = model.get_output_embeddings()(hidden[rows, columns - 1]).float()
    return functional.cross_entropy(logits, ids[rows, columns], reduction="none"), rows


def _backward(model: PreTrainedModel, batch: list[Example], micro_batch_tokens: int) -> float:
    """Add the gradient of the batch's mean token loss; return that loss."""
    longest = max(len(example.ids) for example in batch)
    whole = [list(range(len(batch)))]
    parts = whole if longest * len(batch) <= micro_batch_tokens else by_length(batch, micro_batch_tokens)
    total, loss = sum(n_targets(example) for example in batch), 0.0
    for part in parts:
        losses, _ = token_losses(model, [batch[number] for number in part])
        part_loss = losses.sum() / total
        part_loss.backward()
        loss += float(part_loss.detach())
    return loss


def _pad(batch: Sequence[Example]) -> tuple[Tensor, Tensor]:
    """Ids (B, T), padded on the right with 0 (any id serves), and a mask (B, T) of the predicted tokens."""
    longest = max(len(example.ids) for example in batch)
    ids = np.zeros((len(batch), longest), dtype=np.int64)
    targets = np.zeros((len(batch), longest), dtype=np.bool_)
    for row, example in enumerate(batch):
        ids[row, : len(example.ids)] = example.ids
        # The first token of a sequence has no predecessor that could predict it.
        targets[row, max(1, example.n_prompt_tokens) : len(example.ids)] = True
    return torch.from_numpy(ids), torch.from_numpy(targets)


def n_targets(example: Example) -> int:
    """Tokens that are predicted: all after the prompt, but for the first of a sequence."""
    return max(0, len(example.ids) - max(1, example.n_prompt_tokens))


def by_length(examples: Sequence[Example], batch_tokens: int) -> list[list[int]]:
    """Numbers of the examples that have a token to predict, like lengths together, padded size within the budget."""
    order = sorted(range(len(examples)), key=lambda number: (len(examples[number].ids), number))
    batches: list[list[int]] = []
    for number in order:
        if not n_targets(examples[number]):
            continue
        # Lengths rise, so the newest member is the longest.
        if batches and (len(batches[-1]) + 1) * len(examples[number].ids) <= batch_tokens:
            batches[-1].append(number)
        else:
            batches.append([number])
    return batches


def batch_order(n: int, batch_size: int, steps: int, rng: np.random.Generator) -> np.ndarray:
    """Numbers of shape (steps, batch_size): whole permutations of the n examples, one after the other."""
    passes = math.ceil(steps * batch_size / n)
    stream = np.concatenate([rng.permutation(n) for _ in range(passes)])
    return stream[: steps * batch_size].reshape(steps, batch_size)


def cosine_share(step: int, steps: int, warmup_ratio: float) -> float:
    """Share of the peak learning rate: a line up over the warm-up, then half a cosine down to zero."""
    warmup = round(steps * warmup_ratio)
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))
