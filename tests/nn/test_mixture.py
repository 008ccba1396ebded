"""Mixtures of experts against the dense form with masks, over all ways to dispatch."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from drawgrad.nn import ExpertList, FeedForwardExperts, MixtureOfExperts, Router, grouped_product


def masked_dense(moe: MixtureOfExperts, x: Tensor, seed: int, mask: Tensor | None = None) -> Tensor:
    """Every expert of every token, weighted with zero where it was not chosen: the slow twin."""
    routing = moe.router(x, mask=mask, seed=seed)
    y = torch.zeros_like(x)
    for expert in range(moe.router.experts):
        chosen = (routing.experts == expert).to(x.dtype) * routing.weights
        rows = x.reshape(-1, x.shape[-1])
        found = moe.experts.of_all(rows)[expert].reshape(x.shape)
        y = y + chosen.sum(-1, keepdim=True) * found
    return y


def results(moe: MixtureOfExperts, x: Tensor, call: Any) -> list[Tensor]:
    x = x.clone().requires_grad_()
    moe.zero_grad()
    y = call(x)
    (y * torch.arange(y.numel()).reshape(y.shape).cos()).sum().backward()
    grads = [x.grad, *(p.grad for p in moe.parameters())]
    return [y.detach(), *(g for g in grads if g is not None)]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["grouped", "loop"])
@pytest.mark.parametrize("gradient", ["sparse", "straight-through", "sparsemixer"])
@pytest.mark.parametrize(
    "options", [{}, {"capacity": 0.7}, {"capacity": 0.7, "overflow": "lightest"}, {"candidates": 3}]
)
@pytest.mark.parametrize("masked", [False, True])
def test_equals_the_masked_dense_form(dtype: torch.dtype, gradient: str, options: Any, masked: bool) -> None:
    torch.manual_seed(0)
    router = Router(8, 5, 2, gradient=gradient, dtype=dtype, **options)  # type: ignore[arg-type]
    moe = MixtureOfExperts(router, FeedForwardExperts(5, 8, 16, dtype=dtype))
    x = torch.randn(3, 7, 8, dtype=dtype)
    mask = torch.rand(3, 7) < 0.7 if masked else None
    found = results(moe, x, lambda x: moe(x, seed=4, mask=mask)[0])
    torch.testing.assert_close(found, results(moe, x, lambda x: masked_dense(moe, x, 4, mask)), rtol=1e-4, atol=1e-5)


def test_any_modules_may_be_experts() -> None:
    torch.manual_seed(0)
    modules = [nn.Sequential(nn.Linear(8, 4), nn.Tanh(), nn.Linear(4, 8)) for _ in range(5)]
    moe = MixtureOfExperts(Router(8, 5, 2), modules)
    x = torch.randn(9, 8)
    found = results(moe, x, lambda x: moe(x, seed=4)[0])
    torch.testing.assert_close(found, results(moe, x, lambda x: masked_dense(moe, x, 4)), rtol=1e-4, atol=1e-5)


def test_an_expert_sees_its_own_tokens_only() -> None:
    seen = []

    class Spy(nn.Module):
        def forward(self, rows: Tensor) -> Tensor:
            seen.append(len(rows))
            return rows

    torch.manual_seed(0)
    moe = MixtureOfExperts(Router(8, 6, 2, capacity=1.0), [Spy() for _ in range(6)])
    _, routing = moe(torch.randn(30, 8), seed=1)
    kept = torch.bincount(routing.experts[routing.experts >= 0], minlength=6)
    assert seen == [count for count in kept.tolist() if count]
    assert sum(seen) < 60  # something was dropped


def test_grouped_products_are_used_where_they_work(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    original = torch._grouped_mm
    monkeypatch.setattr(torch, "_grouped_mm", lambda *args, **kwargs: calls.append(1) or original(*args, **kwargs))
    ends = torch.tensor([2, 2, 5], dtype=torch.int32)
    for dtype, width, count in ((torch.float32, 8, 1), (torch.float64, 8, 0), (torch.float32, 5, 0)):
        calls.clear()
        rows, weight = torch.randn(6, width, dtype=dtype), torch.randn(3, width, 4, dtype=dtype)
        y = grouped_product(rows, weight, ends)
        assert len(calls) == count
        torch.testing.assert_close(y[:2], rows[:2] @ weight[0])
        torch.testing.assert_close(y[2:5], rows[2:5] @ weight[2])


def test_autocast_multiplies_in_its_dtype() -> None:
    rows, weight = torch.randn(6, 8), torch.randn(3, 8, 8)
    with torch.autocast("cpu", torch.bfloat16):
        assert grouped_product(rows, weight, torch.tensor([2, 2, 6], dtype=torch.int32)).dtype == torch.bfloat16


@pytest.mark.parametrize("shape", [(8,), (0, 8), (1, 8), (2, 0, 8), (2, 3, 4, 8)])
def test_any_batch(shape: tuple[int, ...]) -> None:
    for experts in (FeedForwardExperts(5, 8, 16), ExpertList(nn.Linear(8, 8) for _ in range(5))):
        y, routing = MixtureOfExperts(Router(8, 5, 2), experts)(torch.ones(shape), seed=0)
        assert y.shape == shape
        assert routing.weights.shape == (*shape[:-1], 2)
        assert y.isfinite().all()


def test_dense_asks_all_experts_once_and_leaves_the_others_without_gradient() -> None:
    torch.manual_seed(0)
    moe = MixtureOfExperts(Router(8, 5, 1, gradient="dense"), FeedForwardExperts(5, 8, 16))
    y, routing = moe(torch.randn(1, 8), seed=0)
    y.sum().backward()
    reached = moe.experts.up.grad.flatten(1).any(-1)
    assert reached.nonzero().flatten().tolist() == routing.experts[0].tolist()
    assert moe.router.weight.grad.any(-1).all()


def test_refuses_another_number_of_experts() -> None:
    with pytest.raises(ValueError, match="as many as the router chooses among, 5, but they are 4"):
        MixtureOfExperts(Router(8, 5), FeedForwardExperts(4, 8, 16))
    with pytest.raises(ValueError, match="must hold at least one"):
        ExpertList([])
    with pytest.raises(ValueError, match="hidden must be at least 1"):
        FeedForwardExperts(4, 8, 0)
