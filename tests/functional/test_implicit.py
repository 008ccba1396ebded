"""Implicit gradients of samples, against explicit ones."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.distributions import Kumaraswamy, Normal

from drawgrad.functional import implicit_sample


class TestGradient:
    def test_is_the_explicit_one_where_that_is_known(self) -> None:
        loc = torch.randn(4, dtype=torch.float64, requires_grad=True)
        scale = (torch.rand(4, dtype=torch.float64) + 0.5).requires_grad_()
        q = Normal(loc, scale)
        torch.manual_seed(1)
        explicit = q.rsample((5,))
        implicit = implicit_sample(explicit.detach(), q.cdf)
        assert torch.equal(implicit.detach(), explicit.detach())
        weight = torch.randn(5, 4, dtype=torch.float64)
        ours, theirs = (torch.autograd.grad((weight * x).sum(), (loc, scale)) for x in (implicit, explicit))
        torch.testing.assert_close(ours, theirs)

    def test_in_one_compiled_graph_is_the_same(self) -> None:
        def draw(loc: Tensor, scale: Tensor) -> Tensor:
            x = implicit_sample(noise * scale.detach() + loc.detach(), lambda x: torch.special.ndtr((x - loc) / scale))
            return x * weight

        noise, weight = torch.randn(5, 4, dtype=torch.float64), torch.randn(5, 4, dtype=torch.float64)
        parameters = [torch.linspace(0.5, 1, 4, dtype=torch.float64).requires_grad_() for _ in range(2)]
        found = []
        for function in (draw, torch.compile(draw, fullgraph=True, backend="aot_eager")):
            y = function(*parameters)
            found.append([y, *torch.autograd.grad(y.sum(), parameters)])
        torch.testing.assert_close(found[1], found[0])
        assert all(grad.all() for grad in found[1][1:])

    def test_of_one_number_after_the_other_is_that_of_their_joint_draw(self) -> None:
        """Two correlated normal numbers: the second one's distribution given the first, which carries its gradient."""
        slope = torch.tensor(0.8, dtype=torch.float64, requires_grad=True)
        shift = torch.tensor(0.3, dtype=torch.float64, requires_grad=True)
        noise = torch.randn(2, 50, dtype=torch.float64)
        x = shift + noise[0]
        y = slope * x + noise[1]
        first = implicit_sample(x.detach(), lambda t: torch.special.ndtr(t - shift))
        second = implicit_sample(y.detach(), lambda t: torch.special.ndtr(t - slope * first))
        for ours, theirs in ((first, x), (second, y)):
            grads = [
                torch.autograd.grad((v**2).sum(), (slope, shift), retain_graph=True, allow_unused=True)
                for v in (ours, theirs)
            ]
            torch.testing.assert_close(grads[0], grads[1])

    def test_of_a_distribution_with_a_closed_inverse(self) -> None:
        a, b = (torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in (1.3, 2.4))
        u = torch.rand(100, dtype=torch.float64)
        explicit = (1 - (1 - u) ** (1 / b)) ** (1 / a)
        assert bool(Kumaraswamy(a, b).log_prob(explicit).isfinite().all())
        implicit = implicit_sample(explicit.detach(), lambda x: 1 - (1 - x**a) ** b)
        ours, theirs = (torch.autograd.grad(x.sin().sum(), (a, b)) for x in (implicit, explicit))
        torch.testing.assert_close(ours, theirs)

    def test_where_the_density_is_zero_there_is_none(self) -> None:
        width = torch.tensor(2.0, requires_grad=True)
        x = implicit_sample(torch.tensor([0.5, 3.0]), lambda t: (t / width).clamp(0, 1))
        (found,) = torch.autograd.grad(x.sum(), width)
        assert found == 0.25

    def test_has_no_derivative_of_its_own(self) -> None:
        rate = torch.tensor(2.0, requires_grad=True)
        x = implicit_sample(torch.tensor([0.5, 1.0]), lambda x: 1 - torch.exp(-rate * x))
        (first,) = torch.autograd.grad(x.sum(), rate, create_graph=True)
        assert first.item() == pytest.approx(-0.75)
        with pytest.raises(RuntimeError, match="no derivative of its own"):
            torch.autograd.grad(first, rate)

    def test_without_gradients_samples_pass_through(self) -> None:
        x = torch.randn(3)
        with torch.no_grad():
            assert implicit_sample(x, torch.special.ndtr) is x

    @pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
    def test_narrow_samples_keep_their_dtype(self, dtype: torch.dtype) -> None:
        loc = torch.zeros(3, dtype=dtype, requires_grad=True)
        x = implicit_sample(torch.randn(3).to(dtype), lambda t: torch.special.ndtr((t - loc).float()))
        (found,) = torch.autograd.grad(x.sum(), loc)
        assert x.dtype == dtype
        torch.testing.assert_close(found.float(), torch.ones(3), rtol=0.02, atol=0.0)


def constant(x: Tensor) -> Tensor:
    return torch.ones_like(x)


@pytest.mark.parametrize(
    ("cdf", "error", "message"),
    [
        (constant, ValueError, "cdf must depend on its argument"),
        (lambda x: x.sum(), ValueError, r"cdf must return one probability for each sample, shape \(3,\)"),
        (lambda x: 0.5, TypeError, "cdf must return a tensor"),
    ],
)
def test_mistakes_are_told(cdf, error: type[Exception], message: str) -> None:  # type: ignore[no-untyped-def]
    wrapped = (lambda x: cdf(x) + 0 * torch.ones((), requires_grad=True)) if cdf is constant else cdf
    with pytest.raises(error, match=message):
        implicit_sample(torch.randn(3), wrapped)
