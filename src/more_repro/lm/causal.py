"""The loss of a causal language model on the tokens after a prompt."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from transformers import PreTrainedModel

from more_repro.lm.device import pinned_threads
from more_repro.lm.encoding import Example


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


def with_targets(examples: Sequence[Example], name: str) -> list[Example]:
    """The examples that have a token to predict. Raises ValueError, with the training's name, where there is none."""
    usable = [example for example in examples if n_targets(example)]
    if not usable:
        raise ValueError(f"{name}: none of {len(examples)} examples has a token after its prompt")
    return usable


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
