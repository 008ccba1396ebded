"""KL divergences of discrete variables against a sum in Python, at their edges, and their gradients."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from drawgrad.functional import bernoulli_kl, categorical_kl
from drawgrad.kernels import log_probs

INF = math.inf


def summed(log_p: list[float], log_q: list[float]) -> float:
    """The definition, one outcome after the other."""
    possible = [(p, q) for p, q in zip(log_p, log_q, strict=True) if p > -INF]
    if any(q == -INF for _, q in possible):
        return INF
    return math.fsum(math.exp(p) * (p - q) for p, q in possible)


def log_odds(logit: float) -> list[float]:
    """Log-probabilities of one and zero."""
    if math.isinf(logit):
        return [0.0, -INF] if logit > 0 else [-INF, 0.0]
    return [min(x, 0) - math.log1p(math.exp(-abs(x))) for x in (logit, -logit)]


class TestCategorical:
    @pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
    @pytest.mark.parametrize("k", [1, 2, 5, 33])
    def test_is_the_sum(self, k: int, dtype: torch.dtype) -> None:
        log_p, log_q = (3 * torch.randn(4, k)).log_softmax(-1).to(dtype), torch.randn(k).log_softmax(-1).to(dtype)
        found = categorical_kl(log_p, log_q)
        right = [summed(row, log_q.tolist()) for row in log_p.tolist()]
        assert found.dtype == torch.promote_types(dtype, torch.float32)
        torch.testing.assert_close(found, torch.tensor(right, dtype=found.dtype))

    def test_derivatives(self) -> None:
        p, q = (torch.randn(2, 3, dtype=torch.float64, requires_grad=True) for _ in range(2))

        def divergence(p: Tensor, q: Tensor) -> Tensor:
            return categorical_kl(p.log_softmax(-1), q.log_softmax(-1))

        assert torch.autograd.gradcheck(divergence, (p, q))
        assert torch.autograd.gradgradcheck(divergence, (p, q))

    @pytest.mark.parametrize("ruled_out", [False, True])
    def test_transforms_find_what_the_recorded_gradient_is(self, ruled_out: bool) -> None:
        """Where nobody watches there are two ways: for rows without an infinity, and for all others."""
        log_p, log_q = torch.randn(4, 2, 3).log_softmax(-1), torch.randn(2, 3).log_softmax(-1)
        if ruled_out:
            log_p[0, 0, 1], log_p[1, 1], log_q[1, 2] = -INF, torch.tensor([0.0, 0.0, -INF]).log_softmax(-1), -INF

        def total(log_p: Tensor, log_q: Tensor) -> Tensor:
            return (categorical_kl(log_p, log_q) * torch.arange(8.0).reshape(4, 2)).sum()

        leaves = log_p.clone().requires_grad_(), log_q.clone().requires_grad_()
        found = torch.autograd.grad(total(*leaves), leaves)
        transformed = torch.func.grad(total, (0, 1))(log_p, log_q)
        assert all(gradient.isfinite().all() and gradient.any() for gradient in found)
        torch.testing.assert_close(found, transformed)
        directions = torch.randn(4, 2, 3), torch.randn(2, 3)
        _, tangent = torch.func.jvp(total, (log_p, log_q), directions)
        through = sum((a * b).sum() for a, b in zip(found, directions, strict=True))
        torch.testing.assert_close(through, tangent)
        assert bool(torch.vmap(categorical_kl, (0, None))(log_p, log_q).isinf().any()) == ruled_out

    @pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
    def test_an_impossible_class_has_no_part_in_the_gradient(self, dtype: torch.dtype) -> None:
        """It is pi_i (log pi_i + H) for the logits of pi against a uniform distribution."""
        logits = torch.tensor([1.0, 0.0, -INF], dtype=dtype, requires_grad=True)
        uniform = torch.zeros(3, dtype=dtype, requires_grad=True)
        categorical_kl(logits.log_softmax(-1), uniform.log_softmax(-1)).backward()
        tolerance = {"rtol": 0.0, "atol": max(1e-4, 4 * torch.finfo(dtype).eps)}
        torch.testing.assert_close(logits.grad, torch.tensor([0.1966, -0.1966, 0.0], dtype=dtype), **tolerance)
        pi = torch.tensor([0.7311, 0.2689, 0.0], dtype=dtype)
        torch.testing.assert_close(uniform.grad, 1 / 3 - pi, **tolerance)

    def test_a_tiny_probability_is_no_impossible_one(self) -> None:
        p, q = torch.zeros(2).log_softmax(-1), torch.tensor([0.0, -110.0]).log_softmax(-1)
        assert float(q.exp()[1]) < torch.finfo(torch.float32).tiny
        assert categorical_kl(p, q).item() == pytest.approx(55 - math.log(2))
        assert categorical_kl(q, p).item() == pytest.approx(math.log(2))

    def test_where_the_second_rules_a_class_out(self) -> None:
        possible = torch.zeros(2, 3, requires_grad=True)
        ruled_out = torch.tensor([[0.0, 0.0, -INF], [0.0, 0.0, 0.0]], requires_grad=True)
        divergence = categorical_kl(possible.log_softmax(-1), ruled_out.log_softmax(-1))
        assert divergence.tolist() == [INF, 0.0]
        divergence.sum().backward()
        assert possible.grad is not None
        assert ruled_out.grad is not None
        torch.testing.assert_close(possible.grad, torch.zeros(2, 3))
        torch.testing.assert_close(ruled_out.grad, torch.zeros(2, 3))
        # Both rule it out: it is as if the class were not there.
        alike = categorical_kl(ruled_out[0].log_softmax(-1), torch.tensor([1.0, 0.0, -INF]).log_softmax(-1))
        right = summed([math.log(0.5)] * 2, torch.tensor([1.0, 0.0]).log_softmax(-1).tolist())
        assert alike.item() == pytest.approx(right)

    @pytest.mark.parametrize("shape", [(300, 5), (40, 6, 7), (2, 30, 64)], ids=str)
    @pytest.mark.parametrize("shared", [0, 1])
    @pytest.mark.parametrize("ruled_out", [False, True])
    def test_of_many_rows(
        self, shape: tuple[int, ...], shared: int, ruled_out: bool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """They go to kernels, unless a class is impossible."""
        ran = []
        for name in ("divergence", "divergence_vjp"):
            kernel = getattr(log_probs, name)
            monkeypatch.setattr(
                log_probs, name, lambda *args, name=name, kernel=kernel: ran.append(name) or kernel(*args)
            )
        log_p, log_q = (3 * torch.randn(shape)).log_softmax(-1), torch.randn(shape[shared:]).log_softmax(-1)
        if ruled_out:
            log_p[(1, ..., 2)] = -INF
            log_q[..., 0] = -INF
            log_p[(0, ..., 0)] = -INF
        upstream = torch.randn(shape[:-1])
        gradients, values = [], []
        for dtype in (torch.float32, torch.float64):
            leaves = [x.detach().to(dtype).requires_grad_() for x in (log_p, log_q)]
            values.append(categorical_kl(*leaves))
            gradients.append(torch.autograd.grad(values[-1], leaves, upstream.to(dtype)))
        close = {"rtol": 1e-5, "atol": 1e-5, "check_dtype": False}
        torch.testing.assert_close(*values, **close)
        torch.testing.assert_close(*gradients, **close)
        assert bool(values[0].isinf().any()) == ruled_out
        assert ran == (["divergence"] if ruled_out else ["divergence", "divergence_vjp"])

    def test_nan_stays_nan(self) -> None:
        nan, fine = torch.tensor([0.0, torch.nan]), torch.tensor([0.5, 0.5]).log()
        assert categorical_kl(nan, fine).isnan()
        assert categorical_kl(fine, nan).isnan()

    def test_shapes(self) -> None:
        p = torch.zeros(4, 1, 3).log_softmax(-1)
        assert categorical_kl(p, p[0, 0].expand(2, 3)).shape == (4, 2)
        assert categorical_kl(p[:0], p[:0]).shape == (0, 1)
        with pytest.raises(TypeError, match="log_q must be of a floating dtype"):
            categorical_kl(p, torch.zeros(3, dtype=torch.int64))


class TestBernoulli:
    @pytest.mark.parametrize("p", [0.0, 2.0, -3.5, 30.0, 1e4, INF, -INF])
    @pytest.mark.parametrize("q", [0.0, 6.25, 20.0, -110.0, 1e4, INF, -INF])
    @pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64])
    def test_is_the_sum(self, p: float, q: float, dtype: torch.dtype) -> None:
        logits = [torch.tensor(x, dtype=dtype, requires_grad=True) for x in (p, q)]
        divergence = bernoulli_kl(*logits)
        right = summed(log_odds(logits[0].item()), log_odds(logits[1].item()))
        assert divergence.dtype == torch.promote_types(dtype, torch.float32)
        assert divergence.item() == pytest.approx(right, rel=8 * torch.finfo(divergence.dtype).eps)
        divergence.backward()
        # d/dp is pi (1 - pi) (p - q), d/dq is the difference of the probabilities; a certain outcome is a constant.
        ones = [math.exp(log_odds(x.item())[0]) for x in logits]
        slope = math.exp(sum(log_odds(logits[0].item())))
        constant = math.isinf(right) or slope == 0
        of_p = 0.0 if constant or math.isinf(q) else slope * (logits[0].item() - logits[1].item())
        of_q = 0.0 if math.isinf(right) or math.isinf(q) else ones[1] - ones[0]
        tolerance = {"rel": 8 * torch.finfo(dtype).eps, "abs": 8 * torch.finfo(dtype).eps}
        assert [x.grad.item() for x in logits if x.grad is not None] == [
            pytest.approx(of_p, **tolerance),
            pytest.approx(of_q, **tolerance),
        ]

    def test_a_saturated_second_argument(self) -> None:
        assert bernoulli_kl(torch.tensor(2.0), torch.tensor(20.0)).item() == pytest.approx(2.0187, abs=1e-4)

    def test_derivatives(self) -> None:
        p, q = (torch.randn(5, dtype=torch.float64, requires_grad=True) for _ in range(2))
        assert torch.autograd.gradcheck(bernoulli_kl, (p, q))
        assert torch.autograd.gradgradcheck(bernoulli_kl, (p, q))

    def test_shapes(self) -> None:
        assert bernoulli_kl(torch.zeros(4, 1), torch.zeros(3)).shape == (4, 3)
        with pytest.raises(TypeError, match="logits_p must be of a floating dtype"):
            bernoulli_kl(torch.zeros(3, dtype=torch.int64), torch.zeros(3))
