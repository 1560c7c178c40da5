"""AdamW and the course of the learning rate."""

import torch

BETAS, EPSILON = (0.9, 0.999), 1e-8


def make_optimizer(model: torch.nn.Module, weight_decay: float) -> torch.optim.AdamW:
    """AdamW, fused (a fifth of the time on small models). Matrices decay; biases and norm scales do not."""
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=0.0, betas=BETAS, eps=EPSILON, fused=True)


def learning_rate_share(step: int, steps: int, warmup_ratio: float, final_share: float) -> float:
    """Share of the peak learning rate at a step (from 0): linear warm-up, then linear decay to final_share."""
    warmup = round(warmup_ratio * steps)
    if step < warmup:
        return (step + 1) / warmup
    return 1 - (1 - final_share) * (step - warmup) / max(1, steps - 1 - warmup)
