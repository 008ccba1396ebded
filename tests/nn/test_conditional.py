"""Conditional blocks: they see open rows only, and the gradient is that of the estimator where it is known."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from drawgrad.estimators import ReinMax, STGumbelTopK
from drawgrad.nn import Conditional
from tests.statistics import assert_mean


class Spy(nn.Module):
    """A block that notes how many rows it sees."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[int] = []

    def forward(self, rows: Tensor) -> Tensor:
        self.seen.append(len(rows))
        return rows.tanh()


class First(nn.Module):
    """A gate that looks at the first feature alone."""

    def forward(self, x: Tensor) -> Tensor:
        return x[..., 0]


def test_runs_the_block_for_open_rows_only() -> None:
    spy = Spy()
    layer = Conditional(First(), spy)
    x = torch.randn(50, 4, 3)
    y, gated = layer(x, seed=1)
    assert spy.seen == [int(gated.open.sum())]
    assert 0 < spy.seen[0] < 200
    torch.testing.assert_close(y, torch.where(gated.open[..., None], x + x.tanh(), x))
    assert gated.rate.item() == pytest.approx(gated.open.float().mean().item())
    layer.eval()
    assert torch.equal(layer(x)[1].open, x[..., 0] > 0)


def test_rows_may_have_any_shape() -> None:
    x = torch.randn(6, 2, 5, 5)
    gate = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2, 1))
    y, gated = Conditional(gate, nn.Conv2d(2, 2, 3, padding=1))(x, seed=0)
    assert y.shape == x.shape
    assert gated.open.shape == (6,)
    assert torch.equal(y[~gated.open], x[~gated.open])
    # A lead that ends with one is no logit to be squeezed.
    assert Conditional(First(), Spy())(torch.randn(3, 1, 4), seed=0)[1].open.shape == (3, 1)


@pytest.mark.parametrize("logit", [-1e4, 1e4])
def test_all_closed_or_open(logit: float) -> None:
    layer = Conditional(nn.Linear(3, 1), spy := Spy())
    with torch.no_grad():
        layer.gate.bias.fill_(logit)  # type: ignore[union-attr,operator]
    x = torch.randn(5, 3, requires_grad=True)
    y, gated = layer(x, seed=0)
    y.sum().backward()
    assert spy.seen == ([5] if logit > 0 else [])
    assert gated.rate == (logit > 0)
    assert x.grad.isfinite().all()
    assert layer(torch.zeros(0, 3), seed=0)[0].shape == (0, 3)


def test_the_gradient_of_the_gate_by_enumeration() -> None:
    """ReinMax where the block's output is known for a one only: half the score times the slope."""
    logit, value, count = torch.tensor(0.4, dtype=torch.float64), 1.7, 40_000
    leaf = logit.repeat(count).requires_grad_()

    class Held(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return leaf

    layer = Conditional(Held(), nn.Identity(), estimator=ReinMax())
    x = torch.full((count, 1), value, dtype=torch.float64)
    layer(x, seed=3)[0].sum().backward()
    p = logit.sigmoid()
    expected = p * 0.5 * (1 - p) * value
    assert_mean(leaf.grad, expected, resolution=0.01)


def test_the_loss_is_that_of_the_mean_rate() -> None:
    x = torch.randn(30, 3)
    _, gated = Conditional(First(), Spy(), rate=0.2)(x, seed=0)
    torch.testing.assert_close(gated.rate_loss, (x[:, 0].sigmoid().mean() - 0.2) ** 2)


def test_refuses_what_does_not_fit() -> None:
    with pytest.raises(ValueError, match=r"rate must be a share of the rows, from 0 to 1, but it is 30"):
        Conditional(First(), Spy(), rate=30)
    with pytest.raises(TypeError, match="takes KSubset, but the choice is among Binary"):
        Conditional(First(), Spy(), estimator=STGumbelTopK())
    with pytest.raises(ValueError, match=r"gate must return one logit a row.*returned \(5, 2\)"):
        Conditional(nn.Linear(3, 2), Spy())(torch.zeros(5, 3))
