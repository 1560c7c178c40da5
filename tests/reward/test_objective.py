import pytest
import torch

from more_repro.reward.objective import head_gradients, pair_losses


def test_head_gradients_equal_autograd():
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(2, 3, 4, 6, generator=generator, dtype=torch.float64)
    head = torch.randn(6, generator=generator, dtype=torch.float64, requires_grad=True)
    margins = (z[0] - z[1]) @ head
    losses = pair_losses(margins).mean(dim=1)
    by_autograd = torch.stack([torch.autograd.grad(loss, head, retain_graph=True)[0] for loss in losses])
    closed_form = head_gradients(z[0], z[1], margins.detach())
    assert (closed_form - by_autograd).abs().max() < 1e-12


def test_pair_loss_values_and_no_overflow():
    margins = torch.tensor([0.0, 1.0, -200.0, 200.0])
    expected = [0.693147, 0.313262, 200.0, 0.0]
    assert pair_losses(margins).tolist() == pytest.approx(expected, abs=1e-5)


def test_batch_of_b_pairs_uses_every_pair_once():
    """The published code reads rows by position: with B = 2 it sees 5 of 10 pairs. Here each pair moves its source."""
    z = torch.randn(2, 5, 2, 3, generator=torch.Generator().manual_seed(1))
    margins = torch.randn(5, 2, generator=torch.Generator().manual_seed(2))
    before = head_gradients(z[0], z[1], margins)
    for source in range(5):
        for pair in range(2):
            changed = z[0].clone()
            changed[source, pair] += 1
            moved = (head_gradients(changed, z[1], margins) != before).any(dim=1)
            assert moved.tolist() == [number == source for number in range(5)]


def test_other_shapes_are_refused():
    with pytest.raises(ValueError, match=r"\(K, B, H\)"):
        head_gradients(torch.zeros(10, 4), torch.zeros(10, 4), torch.zeros(10))
    with pytest.raises(ValueError, match="found"):
        head_gradients(torch.zeros(2, 5, 4), torch.zeros(2, 5, 4), torch.zeros(5, 2))
