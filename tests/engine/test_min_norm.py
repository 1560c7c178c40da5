import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import nnls

from more_repro.engine.weighting.solvers.min_norm import active_set, enumerated, min_norm_weights


def gram_of(seed: int, n_sources: int, hidden: int, shift: float = 0.0) -> torch.Tensor:
    rows = torch.randn(n_sources, hidden, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) + shift
    return rows @ rows.T


def kkt_violation(gram: torch.Tensor, weights: torch.Tensor) -> float:
    """At the optimum no slope lies below the value, and every source with weight lies on it."""
    slopes = gram @ weights
    return float((weights @ slopes - slopes).max() / gram.diagonal().max().clamp(min=1e-300))


cases = st.tuples(st.integers(0, 10_000), st.integers(1, 8), st.integers(1, 12), st.sampled_from([0.0, 0.3, 1.0]))


@settings(max_examples=40, deadline=None)
@given(cases)
def test_min_norm_satisfies_kkt(case):
    gram = gram_of(*case)
    weights = min_norm_weights(gram)
    assert (weights >= 0).all()
    assert float(weights.sum()) == pytest.approx(1, abs=1e-12)
    assert kkt_violation(gram, weights) < 1e-9


@settings(max_examples=40, deadline=None)
@given(cases, st.randoms(use_true_random=False))
def test_order_of_sources_does_not_matter(case, random):
    gram = gram_of(*case)
    order = list(range(len(gram)))
    random.shuffle(order)
    expected = min_norm_weights(gram)[order]
    assert torch.allclose(min_norm_weights(gram[order][:, order]), expected, atol=1e-6)


@settings(max_examples=40, deadline=None)
@given(cases, st.floats(-8, 8))
def test_scale_of_all_rows_does_not_matter(case, power):
    gram = gram_of(*case)
    assert torch.allclose(min_norm_weights(gram * 10**power), min_norm_weights(gram), atol=1e-7)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 1000), st.integers(2, 8), st.sampled_from([0.1, 0.5, 1.0]))
def test_enumeration_and_active_set_agree(seed, n_sources, shift):
    gram = gram_of(seed, n_sources, 20, shift)
    gram = gram / gram.diagonal().max()
    assert torch.allclose(enumerated(gram), active_set(gram), atol=1e-8)


@pytest.mark.parametrize("n_sources", [2, 5, 8, 12])
def test_equal_gradients_give_equal_weights(n_sources):
    row = torch.randn(1, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    rows = row.repeat(n_sources, 1)
    assert torch.allclose(min_norm_weights(rows @ rows.T), torch.full((n_sources,), 1 / n_sources).double(), atol=1e-9)


def test_two_equal_of_three_share_their_weight():
    rows = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]], dtype=torch.float64)
    assert min_norm_weights(rows @ rows.T).tolist() == pytest.approx([0.25, 0.25, 0.5])


@pytest.mark.parametrize("n_sources", [1, 3, 10])
def test_all_zero_gradients_give_uniform(n_sources):
    weights = min_norm_weights(torch.zeros(n_sources, n_sources))
    assert weights.tolist() == pytest.approx([1 / n_sources] * n_sources)


def test_a_zero_gradient_takes_all_weight():
    rows = torch.tensor([[1.0, 0.0], [0.0, 0.0], [1.0, 1.0]], dtype=torch.float64)
    assert min_norm_weights(rows @ rows.T).tolist() == pytest.approx([0, 1, 0], abs=1e-9)


def test_opposite_gradients_cancel():
    rows = torch.tensor([[2.0, 0.0], [-1.0, 0.0]], dtype=torch.float64)
    assert min_norm_weights(rows @ rows.T).tolist() == pytest.approx([1 / 3, 2 / 3])


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([[1.0, 0.0], [0.0, 1.0]], [0.5, 0.5]),
        ([[1.0, 0.0], [0.0, 2.0]], [0.8, 0.2]),
        ([[1.0, 0.0], [3.0, 0.1]], [1.0, 0.0]),
        ([[3.0, 0.0, 0.0], [0.0, 3.0, 0.0], [0.0, 0.0, 1.0]], [1 / 11, 1 / 11, 9 / 11]),
    ],
)
def test_pinned_values(rows, expected):
    rows = torch.tensor(rows, dtype=torch.float64)
    assert min_norm_weights(rows @ rows.T).tolist() == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("n_sources", [9, 12])
@pytest.mark.parametrize("hidden", [4, 40])
@pytest.mark.parametrize("shift", [0.0, 0.5])
def test_many_sources_satisfy_kkt(n_sources, hidden, shift):
    for seed in range(5):
        gram = gram_of(seed, n_sources, hidden, shift)
        assert kkt_violation(gram, min_norm_weights(gram)) < 1e-8


@pytest.mark.parametrize("seed", range(2))
def test_never_worse_than_a_fine_frank_wolfe(seed):
    gram = gram_of(seed, 5, 16, 0.3)
    weights = torch.full((5,), 0.2, dtype=torch.float64)
    for _ in range(5000):
        slopes = gram @ weights
        toward = -weights.clone()
        toward[slopes.argmin()] += 1
        curvature = toward @ gram @ toward
        share = (-(toward @ slopes) / curvature).clamp(0, 1) if curvature > 0 else torch.tensor(0.0)
        weights = weights + share * toward
    exact = min_norm_weights(gram)
    assert exact @ gram @ exact <= weights @ gram @ weights + 1e-12
    assert torch.allclose(exact, weights, atol=2e-2)


@pytest.mark.parametrize("seed", range(3))
def test_agrees_with_torchjd(seed):
    aggregation = pytest.importorskip("torchjd.aggregation")
    gram = gram_of(seed, 5, 16, 0.3).float()
    theirs = aggregation.MGDAWeighting(epsilon=1e-6, max_iters=2000)(gram).double()
    ours = min_norm_weights(gram)
    gram = gram.double()
    assert float(theirs @ gram @ theirs) == pytest.approx(float(ours @ gram @ ours), rel=1e-2)


@pytest.mark.parametrize("seed", range(8))
def test_agrees_with_a_quadratic_program(seed):
    """Least squares with lambda >= 0 and the sum held at 1 by a heavy row."""
    rows = torch.randn(5, 16, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) + 0.3
    heavy = 1e5
    matrix = np.vstack([rows.T.numpy(), np.full(5, heavy)])
    theirs = nnls(matrix, np.append(np.zeros(16), heavy))[0]
    assert min_norm_weights(rows @ rows.T).tolist() == pytest.approx(theirs.tolist(), abs=1e-7)


def test_not_finite_and_not_square_are_errors():
    with pytest.raises(ValueError, match="not finite"):
        min_norm_weights(torch.tensor([[1.0, float("nan")], [float("nan"), 1.0]]))
    with pytest.raises(ValueError, match=r"square, found shape \(2, 3\)"):
        min_norm_weights(torch.ones(2, 3))
