"""Pairs of token sequences with every kind of common beginning, and the naive step that the engine must equal."""

from itertools import chain

import torch

from more_repro.engine.batching.token_pairs import TokenSequences, starts_of
from more_repro.engine.objective import pair_losses

K, B = 3, 4
N_PAIRS = K * B
ROWS = torch.arange(2 * N_PAIRS).reshape(2, K, B)


def sequences_of(lists: list[list[int]]) -> TokenSequences:
    lengths = torch.tensor([len(tokens) for tokens in lists])
    return TokenSequences(
        torch.tensor(list(chain.from_iterable(lists)), dtype=torch.int32), starts_of(lengths), lengths
    )


def tokens(n: int, seed: int) -> list[int]:
    return torch.randint(2, 50, (n,), generator=torch.Generator().manual_seed(seed)).tolist()


# (common prefix, rest of chosen, rest of rejected); the rests begin with different tokens.
KINDS = (
    (30, 5, 9), (20, 12, 3), (16, 4, 4), (15, 6, 2),  # long enough to share, and one token too short
    (25, 0, 7), (18, 6, 0), (22, 0, 0), (0, 40, 40),  # one side begins the other, an equal pair, nothing in common
    (0, 1, 20), (0, 1, 1), (40, 1, 1), (17, 20, 20),  # sequences and rests of one token
)  # fmt: skip
PREFIXES = torch.tensor([kind[0] for kind in KINDS])


def every_kind() -> TokenSequences:
    """Chosen sequences in rows 0..11, rejected in rows 12..23. Ends in the pad token 0 where there is a rest."""
    chosen, rejected = [], []
    for seed, (common, a, b) in enumerate(KINDS):
        prefix = tokens(common, seed)
        chosen.append(prefix + [10, *tokens(a, 100 + seed)][:a])
        rejected.append(prefix + [11, *tokens(b, 200 + seed)][:b])
    chosen[0][-1] = rejected[1][-1] = 0
    return sequences_of(chosen + rejected)


def naive_rewards(model, sequences, rows, side="right"):
    """The standard forward pass over a padded batch with a mask, as a user of transformers would run it."""
    ids = sequences.padded(rows)
    width, last = ids.shape[1], sequences.lengths[rows] - 1
    shift = width - sequences.lengths[rows]
    mask = torch.arange(width) < sequences.lengths[rows][:, None]
    if side == "left":
        ids = torch.stack([line.roll(int(n)) for line, n in zip(ids, shift, strict=True)])
        mask = torch.arange(width) >= shift[:, None]
        last = torch.full_like(shift, width - 1)
    positions = (mask.cumsum(1) - 1).clamp(min=0)
    states = model.base_model(input_ids=ids, attention_mask=mask.long(), position_ids=positions).last_hidden_state
    return model.score(states)[torch.arange(len(rows)), last, 0]


def naive_step(model, sequences, rows, weighting, side="right"):
    """Gradient of the weighted loss, lambda and losses; lambda from autograd's head gradients of each source."""
    model.zero_grad()
    rewards = naive_rewards(model, sequences, rows.reshape(-1), side).reshape(rows.shape)
    losses = pair_losses(rewards[0] - rewards[1]).mean(dim=1)
    head = model.score.weight
    per_source = torch.stack([torch.autograd.grad(loss, head, retain_graph=True)[0][0] for loss in losses])
    lambdas = weighting(per_source, losses.detach())
    (lambdas * losses).sum().backward()
    return flat_gradient(model), lambdas, losses.detach()


def flat_gradient(model):
    return torch.cat([parameter.grad.reshape(-1) for parameter in model.parameters() if parameter.requires_grad])


def relative(found, expected):
    return float((found - expected).norm() / expected.norm())
