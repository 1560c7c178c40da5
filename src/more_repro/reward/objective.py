"""The Bradley-Terry loss of a pair and the gradient of a source's loss with respect to the head (spec section 2)."""

import torch
from torch.nn.functional import logsigmoid


def pair_losses(margins: torch.Tensor) -> torch.Tensor:
    """-log sigmoid(D) of each margin D, any shape; no overflow at large |D|."""
    return -logsigmoid(margins)


def head_gradients(z_chosen: torch.Tensor, z_rejected: torch.Tensor, margins: torch.Tensor) -> torch.Tensor:
    """g_k = -mean over pairs of sigmoid(-D) (z_chosen - z_rejected), closed form: no backward pass is needed.

    z_chosen, z_rejected: (K, B, H). margins: (K, B). Returns (K, H). Raises ValueError on other shapes: a batch that
    is not laid out by source would mix sources in silence.
    K sources, B pairs per source, H hidden size.
    """
    if z_chosen.ndim != 3 or z_chosen.shape != z_rejected.shape or margins.shape != z_chosen.shape[:2]:
        shapes = [tuple(tensor.shape) for tensor in (z_chosen, z_rejected, margins)]
        raise ValueError(f"head_gradients expects (K, B, H), (K, B, H) and (K, B), found {shapes}")
    weights = torch.sigmoid(-margins) / margins.shape[1]
    return -torch.einsum("kb,kbh->kh", weights, z_chosen - z_rejected)
