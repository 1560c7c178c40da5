import itertools
import math

import pytest
import torch

from more_repro.lm.optimizer import cosine_share, linear_share, make_optimizer, set_learning_rate


def test_linear_rate_warms_up_and_falls_to_its_final_share():
    shares = [linear_share(step, 100, 0.05, 0.1) for step in range(100)]
    assert shares[:6] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0, 1.0])
    assert shares[-1] == pytest.approx(0.1)
    assert all(later < sooner for sooner, later in itertools.pairwise(shares[5:]))
    assert linear_share(0, 1, 0.0, 0.1) == 1.0


def test_cosine_rate_warms_up_and_falls_to_near_zero():
    shares = [cosine_share(step, 100, 0.05) for step in range(100)]
    assert shares[:5] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    assert shares[5] == 1.0
    assert all(sooner >= later for sooner, later in itertools.pairwise(shares[5:]))
    assert shares[-1] == pytest.approx(0.5 * (1 + math.cos(math.pi * 94 / 95)))


def test_matrices_decay_and_vectors_do_not_and_frozen_weights_are_left_out():
    model = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.LayerNorm(2), torch.nn.Linear(2, 1))
    model[2].requires_grad_(False)
    optimizer = make_optimizer(model, 0.5)
    set_learning_rate(optimizer, 0.25)
    groups = [([tuple(p.shape) for p in g["params"]], g["weight_decay"], g["lr"]) for g in optimizer.param_groups]
    assert groups == [([(2, 3)], 0.5, 0.25), ([(2,), (2,), (2,)], 0.0, 0.25)]
