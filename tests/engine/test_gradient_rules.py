"""Rules other than MORE against their definitions, other solvers and torchjd."""

import numpy as np
import pytest
import torch
from scipy.optimize import lsq_linear, minimize
from test_weightings import KINDS, gradients

from more_repro.engine.weighting.cagrad import cagrad_weights
from more_repro.engine.weighting.frank_wolfe import frank_wolfe_weights
from more_repro.engine.weighting.nash_mtl import nash_weights
from more_repro.engine.weighting.pcgrad import pcgrad_weights
from more_repro.engine.weighting.solvers.min_norm import min_norm_weights
from more_repro.engine.weighting.upgrad import upgrad_weights

CASES = [(kind, n_sources, seed) for kind in KINDS for n_sources in (2, 5) for seed in (0, 1)]


def gram_of(kind, n_sources, seed):
    rows = gradients(kind, n_sources, seed)
    return rows @ rows.T


@pytest.mark.parametrize(("kind", "n_sources", "seed"), CASES)
def test_frank_wolfe_is_near_the_exact_least_norm(kind, n_sources, seed):
    gram = gram_of(kind, n_sources, seed)
    exact, near = min_norm_weights(gram), frank_wolfe_weights(gram)
    scale = float(gram.diagonal().max())
    assert float(exact @ gram @ exact) <= float(near @ gram @ near) + 1e-12 * scale
    assert float(near @ gram @ near) == pytest.approx(float(exact @ gram @ exact), abs=2e-3 * scale)


@pytest.mark.parametrize("seed", range(2))
def test_frank_wolfe_agrees_with_torchjd(seed):
    aggregation = pytest.importorskip("torchjd.aggregation")
    gram = gram_of("agreeing", 5, seed)
    theirs = aggregation.MGDAWeighting(epsilon=1e-6, max_iters=3000)(gram)
    assert torch.allclose(frank_wolfe_weights(gram), theirs, atol=1e-2)


@pytest.mark.parametrize(("kind", "n_sources", "seed"), CASES)
def test_upgrad_conflicts_with_no_source(kind, n_sources, seed):
    gram = gram_of(kind, n_sources, seed)
    scaled = gram / gram.diagonal().max()
    weights = upgrad_weights(gram)
    assert (weights >= 1 / n_sources - 1e-12).all()
    assert float((scaled @ weights).min()) > -1e-6 * float(weights.sum())


@pytest.mark.parametrize(("kind", "seed"), [("random", 0), ("conflicting", 0), ("conflicting", 1), ("agreeing", 0)])
def test_upgrad_equals_a_bounded_least_squares(kind, seed):
    rows = gradients(kind, 4, seed)
    bounds = np.eye(4)
    solved = [lsq_linear(rows.T.numpy(), np.zeros(8), (bound - 1e-12, np.inf), tol=1e-13).x for bound in bounds]
    assert upgrad_weights(rows @ rows.T).tolist() == pytest.approx(np.mean(solved, axis=0), abs=1e-5)


def test_upgrad_leaves_agreeing_gradients_alone():
    rows = gradients("random", 5).abs()
    assert upgrad_weights(rows @ rows.T).tolist() == pytest.approx([0.2] * 5, abs=1e-12)


@pytest.mark.parametrize(("kind", "n_sources", "seed"), CASES)
def test_cagrad_solves_its_problem(kind, n_sources, seed):
    gram = gram_of(kind, n_sources, seed)
    scaled = (gram / gram.diagonal().max()).numpy()
    mean = np.full(n_sources, 1 / n_sources)
    pull = 0.5 * np.sqrt(max(mean @ scaled @ mean, 0))

    def cost(weights):
        return float(weights @ scaled @ mean + pull * np.sqrt(max(weights @ scaled @ weights, 0)))

    ours = cagrad_weights(gram).numpy()
    # Our weights are length / K + pull w: take the mean's part off.
    chosen = (ours - (ours.sum() - pull) * mean) / pull
    assert chosen.min() > -1e-9
    starts = [mean, *np.eye(n_sources), chosen]
    simplex = {"type": "eq", "fun": lambda weights: weights.sum() - 1}
    theirs = [
        minimize(cost, start, method="SLSQP", bounds=[(0, 1)] * n_sources, constraints=[simplex]).x for start in starts
    ]
    feasible = [np.clip(found, 0, None) / np.clip(found, 0, None).sum() for found in theirs]
    assert cost(chosen) <= min(map(cost, feasible)) + 1e-6


@pytest.mark.parametrize("seed", range(10))
def test_pcgrad_equals_torchjd_in_the_same_order(seed):
    aggregation = pytest.importorskip("torchjd.aggregation")
    for kind in ("conflicting", "random", "agreeing"):
        gram = gram_of(kind, 5, seed)
        torch.manual_seed(seed)
        theirs = aggregation.PCGradWeighting()(gram)
        ours = pcgrad_weights(gram, torch.Generator().manual_seed(seed))
        assert torch.allclose(ours, theirs, rtol=1e-9)


def test_pcgrad_of_two_sources_by_hand():
    """g_1 = (1, 0), g_2 = (-1, 1): each loses its projection on the other; weights 1 + 1/2 and 1 + 1."""
    rows = torch.tensor([[1.0, 0.0], [-1.0, 1.0]], dtype=torch.float64)
    assert pcgrad_weights(rows @ rows.T, torch.Generator()).tolist() == pytest.approx([2.0, 1.5])


@pytest.mark.parametrize(("kind", "n_sources", "seed"), CASES)
def test_nash_gives_every_source_the_same_product(kind, n_sources, seed):
    """a_k (G a)_k = 1 for all k, with the ridge that makes it solvable; and no other scale of a is meant."""
    gram = gram_of(kind, n_sources, seed)
    ridge = 1e-8
    weights = nash_weights(gram, ridge)
    scaled = gram / gram.diagonal().max()
    products = weights * (scaled @ weights) + ridge * weights**2 * scaled.diagonal().clamp(min=1e-30)
    assert products.tolist() == pytest.approx([1.0] * n_sources, abs=1e-6)


def test_nash_of_orthogonal_gradients_is_inverse_to_their_lengths():
    rows = torch.diag(torch.tensor([1.0, 2.0, 4.0], dtype=torch.float64))
    weights = nash_weights(rows @ rows.T)
    assert (weights / weights[0]).tolist() == pytest.approx([1.0, 0.5, 0.25])


# Rows and the weights, over their sum, that torchjd 0.18 gives for them with its optional solvers (quadprog, cvxpy with
# clarabel and ecos): UPGrad with both of its epsilons below 1e-9, CAGrad with c = .5, Nash-MTL after 500 iterations.
TORCHJD = (
    (
        [[4, 1, 0], [-3, 2, 1], [1, -2, 2]],
        {
            "upgrad": [0.302189, 0.403153, 0.294659],
            "cagrad": [0.281163, 0.407203, 0.311634],
            "nash_mtl": [0.287915, 0.397790, 0.314296],
        },
    ),
    (
        [[2, 0, 1, 0], [-1, 3, 0, 0], [0, -2, 1, 1], [1, 0, -2, 2]],
        {
            "upgrad": [0.187822, 0.306874, 0.331807, 0.173497],
            "cagrad": [0.166093, 0.309933, 0.357881, 0.166093],
            "nash_mtl": [0.199874, 0.308992, 0.345739, 0.145396],
        },
    ),
)
SOLVERS = {"upgrad": upgrad_weights, "cagrad": cagrad_weights, "nash_mtl": nash_weights}


@pytest.mark.parametrize("name", SOLVERS)
@pytest.mark.parametrize(("rows", "pinned"), TORCHJD)
def test_rules_give_the_weights_that_torchjd_gives(name, rows, pinned):
    rows = torch.tensor(rows, dtype=torch.float64)
    weights = SOLVERS[name](rows @ rows.T)
    assert (weights / weights.sum()).tolist() == pytest.approx(pinned[name], abs=2e-6)


@pytest.mark.parametrize("seed", range(2))
def test_upgrad_and_cagrad_agree_with_torchjd_where_its_solvers_are_installed(seed):
    for library in ("quadprog", "qpsolvers", "cvxpy", "clarabel"):
        pytest.importorskip(library)
    aggregation, linalg = pytest.importorskip("torchjd.aggregation"), pytest.importorskip("torchjd.linalg")
    projector = linalg.QuadprogProjector(norm_eps=1e-12, reg_eps=1e-9)
    theirs = {
        "upgrad": aggregation.UPGradWeighting(projector=projector),
        "cagrad": aggregation.CAGradWeighting(c=0.5, norm_eps=1e-9),
    }
    for kind in ("random", "conflicting", "agreeing"):
        gram = gram_of(kind, 5, seed)
        for name, weighting in theirs.items():
            found, expected = SOLVERS[name](gram), weighting(gram)
            assert torch.allclose(found / found.sum(), expected / expected.sum(), atol=1e-4), (name, kind)
