"""Softmax and its logarithm by kernels, against torch's own in float64: values, derivatives, and when they serve."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks

from drawgrad.functional import categorical_kl
from drawgrad.kernels import log_probs
from drawgrad.kernels.cpu import log_probs as kernels

INF, NAN = torch.inf, torch.nan
EPS = torch.finfo(torch.float32).eps
PAIRS: dict[str, tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]] = {
    "softmax": (log_probs.softmax, lambda x: x.softmax(-1)),
    "log_softmax": (log_probs.log_softmax, lambda x: x.log_softmax(-1)),
}
both = pytest.mark.parametrize(("ours", "theirs"), PAIRS.values(), ids=PAIRS.keys())
SHAPES = [(2000, 2), (600, 2, 1), (40, 7, 5), (1200, 7), (401, 3)]


@pytest.fixture(autouse=True)
def every_size(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same classes go to kernels on all processors."""
    monkeypatch.setattr(log_probs, "LANES", 8)


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the kernels that have run."""
    names: list[str] = []

    def watched(name: str, function: Callable[..., Tensor]) -> Callable[..., Tensor]:
        def call(*args: Tensor) -> Tensor:
            names.append(name)
            return function(*args)

        return call

    for name in ("softmax", "log_softmax", "log_softmax_vjp"):
        monkeypatch.setattr(kernels, name, watched(name, getattr(kernels, name)))
    return names


def close(found: Tensor, right: Tensor, scale: Tensor | float = 1.0) -> bool:
    """Equal but for a few roundings of numbers of the size of ``scale``."""
    error, allowed = (found.double() - right).abs(), 8 * EPS * torch.as_tensor(scale).abs().clamp(min=1)
    return bool((error <= allowed).all())


@both
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("size", [1.0, 30.0, 1e4])
def test_values_and_gradients(
    ours: Callable[[Tensor], Tensor],
    theirs: Callable[[Tensor], Tensor],
    shape: tuple[int, ...],
    size: float,
    ran: list[str],
) -> None:
    scores, upstream = size * torch.randn(shape), torch.randn(shape)
    leaf, exact = scores.clone().requires_grad_(), scores.double().requires_grad_()
    found, right = ours(leaf), theirs(exact)
    assert close(found, right, right)
    assert shape[-1] == 1 or not close(found * (1 + 1e-5), right, right)
    found.backward(upstream)
    right.backward(upstream.double())
    assert leaf.grad is not None
    assert exact.grad is not None
    assert close(leaf.grad, exact.grad, shape[-1] * upstream.abs().max())
    name = "softmax" if ours is log_probs.softmax else "log_softmax"
    assert ran == [name] + (["log_softmax_vjp"] if name == "log_softmax" else [])


@both
def test_rows_of_every_kind(
    ours: Callable[[Tensor], Tensor], theirs: Callable[[Tensor], Tensor], ran: list[str]
) -> None:
    scores = torch.randn(500, 4)
    scores[::7, 2] = -INF
    scores[3] = -INF
    scores[5, 1] = NAN
    scores[8, 0] = INF
    scores[11] = torch.tensor([-1e38, 3e38, 0.0, -3e38])
    torch.testing.assert_close(ours(scores), theirs(scores), equal_nan=True, rtol=4e-6, atol=1e-37)
    assert len(ran) == 1


@both
def test_second_derivatives(ours: Callable[[Tensor], Tensor], theirs: Callable[[Tensor], Tensor]) -> None:
    def second(function: Callable[[Tensor], Tensor], dtype: torch.dtype) -> tuple[Tensor, ...]:
        generator = torch.Generator().manual_seed(1)
        x, g, v = torch.randn(3, 300, 4, generator=generator).to(dtype)
        leaf, upstream = x.clone().requires_grad_(), g.clone().requires_grad_()
        (first,) = torch.autograd.grad(function(leaf), leaf, upstream, create_graph=True)
        return torch.autograd.grad(first, (leaf, upstream), v)

    for found, right in zip(second(ours, torch.float32), second(theirs, torch.float64), strict=True):
        assert bool(right.any())
        torch.testing.assert_close(found.double(), right, rtol=1e-5, atol=1e-5)


@both
def test_gradients_that_have_gaps(ours: Callable[[Tensor], Tensor], theirs: Callable[[Tensor], Tensor]) -> None:
    scores, upstream = torch.randn(400, 5), torch.randn(5, 400).t()
    leaves = [scores.clone().requires_grad_() for _ in range(2)]
    for leaf, function in zip(leaves, (ours, theirs), strict=True):
        function(leaf).backward(upstream)
    torch.testing.assert_close(leaves[0].grad, leaves[1].grad)


def gradients_from_above(log_p: Tensor, of: Callable[[Tensor], Tensor]) -> list[Tensor]:
    """Gradients for kinds of what comes from above, and a batch of them."""
    leaf = log_p.clone().requires_grad_()
    found = of(leaf)
    plain = torch.randn(found.shape, generator=torch.Generator().manual_seed(1))
    kinds = [plain, torch._neg_view(plain), torch._efficientzerotensor(found.shape), plain.expand(2, *plain.shape)[1]]
    each = [torch.autograd.grad(found, leaf, kind, retain_graph=True)[0] for kind in kinds]
    batch = torch.stack([plain, -plain])
    return [*each, torch.autograd.grad(found, leaf, batch, is_grads_batched=True)[0]]


@pytest.mark.parametrize("name", ["log_softmax", "divergence"])
def test_whatever_comes_from_above(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    log_q = torch.randn(400, 5).log_softmax(-1)
    of = log_probs.log_softmax if name == "log_softmax" else lambda x: categorical_kl(x, log_q)
    scores = torch.randn(400, 5).log_softmax(-1)
    found = gradients_from_above(scores, of)
    monkeypatch.setattr(log_probs, "FEWEST", 10**9)
    for mine, right in zip(found, gradients_from_above(scores, of), strict=True):
        torch.testing.assert_close(mine, right, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("change", [lambda t: t.t().contiguous().t(), torch.Tensor.double, torch.Tensor.bfloat16])
def test_whatever_hooks_make_of_what_is_kept(change: Callable[[Tensor], Tensor]) -> None:
    scores, upstream = torch.randn(400, 5).requires_grad_(), torch.randn(400, 5)
    with saved_tensors_hooks(lambda t: t, change):
        found = log_probs.log_softmax(scores)
    (mine,) = torch.autograd.grad(found, scores, upstream)
    right = torch.autograd.grad(scores.log_softmax(-1), scores, upstream)[0]
    torch.testing.assert_close(mine.float(), right, rtol=0.02, atol=0.02)


@both
class TestTorchServes:
    def test_other_tensors(
        self, ours: Callable[[Tensor], Tensor], theirs: Callable[[Tensor], Tensor], ran: list[str]
    ) -> None:
        whole = torch.randn(2000, 4)
        others = [whole.double(), whole.bfloat16(), whole[:10], whole[:, ::2], torch.randn(200, 8), torch.tensor(2.0)]
        for scores in [*others, whole[:0], whole[:, :0]]:
            assert torch.equal(ours(scores), theirs(scores))
        assert ran == []

    def test_while_it_is_watched(
        self, ours: Callable[[Tensor], Tensor], theirs: Callable[[Tensor], Tensor], ran: list[str]
    ) -> None:
        scores, direction = torch.randn(2, 300, 4)
        assert torch.equal(torch.vmap(ours)(scores[None]), theirs(scores[None]))
        found = torch.func.jvp(ours, (scores,), (direction,))
        for mine, right in zip(found, torch.func.jvp(theirs, (scores,), (direction,)), strict=True):
            assert torch.equal(mine, right)
        torch.func.grad(lambda x: ours(x).square().sum())(scores)
        assert ran == []
