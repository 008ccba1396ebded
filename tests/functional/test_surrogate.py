"""The straight-through line."""

from __future__ import annotations

import pytest
import torch

from drawgrad.functional import differentiable_once, not_differentiable, straight_through


def test_value_of_one_and_gradient_of_the_other() -> None:
    logits = torch.tensor([0.3, -1.2, 0.7], requires_grad=True)
    hard = torch.tensor([0.0, 0.0, 1.0], requires_grad=True)
    sample = straight_through(hard, logits.softmax(-1))
    assert torch.equal(sample, hard)
    upstream = torch.tensor([1.0, 2.0, 4.0])
    of_hard, of_logits = torch.autograd.grad(sample, (hard, logits), upstream, allow_unused=True)
    (expected,) = torch.autograd.grad(logits.softmax(-1), logits, upstream)
    assert of_hard is None
    assert torch.equal(of_logits, expected)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_to_the_last_bit(dtype: torch.dtype) -> None:
    soft = torch.rand(100_000, generator=torch.Generator().manual_seed(0)).to(dtype)
    hard = (soft > 0.5).to(dtype)
    assert torch.equal(straight_through(hard, soft), hard)


def test_shapes_must_agree() -> None:
    with pytest.raises((ValueError, TypeError), match="shape"):
        straight_through(torch.zeros(3), torch.zeros(2, 3))


def test_what_is_no_tensor_is_refused() -> None:
    with pytest.raises(TypeError, match="soft must be a tensor, but it is of type list"):
        straight_through(torch.zeros(1), [0.0])


def refusal() -> str:
    return "a formula"


class TestOnce:
    def test_the_values_and_their_gradient_are_kept(self) -> None:
        x = torch.tensor([3.0, -1.0], requires_grad=True)
        values = differentiable_once(x**2, refusal)
        assert torch.equal(values, x**2)
        assert torch.equal(torch.autograd.grad(values.sum(), x)[0], 2 * x)
        assert torch.equal(torch.func.grad(lambda y: differentiable_once(y**2, refusal).sum())(x.detach()), 2 * x)

    @pytest.mark.parametrize("leaf", [0, 1])
    def test_a_second_derivative_is_refused_for_values_and_sources(self, leaf: int) -> None:
        x, scale = (torch.tensor(value, requires_grad=True) for value in (3.0, 2.0))
        values = differentiable_once(x**2 * scale.detach(), refusal, scale)
        (first,) = torch.autograd.grad(values, x, create_graph=True)
        assert first == 12
        with pytest.raises(RuntimeError, match="a formula"):
            torch.autograd.grad(first, (x, scale)[leaf])
        with pytest.raises(RuntimeError, match="a formula"):
            torch.func.grad(torch.func.grad(lambda y: differentiable_once(y**2, refusal)))(x.detach())

    def test_a_gradient_is_refused_where_a_graph_is_recorded_only(self) -> None:
        gradient = torch.ones(2, requires_grad=True)
        with torch.no_grad():
            assert not_differentiable(gradient, refusal) is gradient
        with pytest.raises(RuntimeError, match="a formula"):
            not_differentiable(gradient, refusal).sum().backward()
