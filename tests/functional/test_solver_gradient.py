"""Gradients through a solver: against differences by hand, with solvers of users, good and bad."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from drawgrad.functional import assignment, perturb_and_map, sum_of_gamma_noise
from tests.statistics import assert_distribution


def largest(theta: Tensor) -> Tensor:
    return torch.nn.functional.one_hot(theta.argmax(-1), theta.shape[-1]).to(theta.dtype)


def shortest_path(lengths: Tensor) -> Tensor:
    """Monotone paths through square grids of weights, the best of them, by dynamic programming on plain numbers."""

    def one(grid: Tensor) -> Tensor:
        n = len(grid)
        best = np.full((n, n), -np.inf)
        for i in range(n):
            for j in range(n):
                before = max(best[i - 1, j] if i else -np.inf, best[i, j - 1] if j else -np.inf)
                best[i, j] = grid[i, j].item() + (before if i or j else 0.0)
        path, i, j = torch.zeros_like(grid), n - 1, n - 1
        path[i, j] = 1.0
        while i or j:
            up = j == 0 or (i > 0 and best[i - 1, j] >= best[i, j - 1])
            i, j = (i - 1, j) if up else (i, j - 1)
            path[i, j] = 1.0
        return path

    return torch.stack([one(grid) for grid in lengths.reshape(-1, *lengths.shape[-2:])]).reshape(lengths.shape)


class TestNoise:
    @pytest.mark.parametrize("k", [1, 2, 5])
    def test_adds_up_to_gumbel_noise(self, k: int) -> None:
        draws = sum_of_gamma_noise((40_000, k), k, iterations=100, dtype=torch.float64, seed=1).sum(-1)
        assert_distribution(draws, lambda x: np.exp(-np.exp(-x)), resolution=0.025)
        with pytest.raises(AssertionError, match="off by"):
            assert_distribution(draws, lambda x: np.exp(-np.exp(-(x - 0.1))), resolution=0.025)

    def test_follows_seed_and_generator(self) -> None:
        state = torch.get_rng_state()
        first, second = (sum_of_gamma_noise((5,), 2, seed=torch.tensor(7)) for _ in range(2))
        assert torch.equal(first, second)
        assert torch.equal(torch.get_rng_state(), state)
        assert not torch.equal(first, sum_of_gamma_noise((5,), 2, seed=8))
        one, two = (sum_of_gamma_noise((5,), 2, generator=torch.Generator().manual_seed(1)) for _ in range(2))
        assert torch.equal(one, two)
        assert sum_of_gamma_noise((3,), 2, dtype=torch.float16, seed=1).dtype == torch.float16

    def test_mistakes_are_refused(self) -> None:
        with pytest.raises(ValueError, match="k must be at least 1"):
            sum_of_gamma_noise((2,), 0)
        with pytest.raises(ValueError, match="iterations must be at least 1"):
            sum_of_gamma_noise((2,), 1, iterations=0)


class TestGradient:
    @pytest.mark.parametrize("symmetric", [False, True])
    @pytest.mark.parametrize("step", [0.1, 2.0, 30.0, torch.tensor([[0.5], [3.0], [9.0]], dtype=torch.float64)])
    def test_is_a_difference_of_answers(self, step: float | Tensor, symmetric: bool) -> None:
        theta = torch.randn(3, 6, dtype=torch.float64, requires_grad=True)
        weight = torch.randn(3, 6, dtype=torch.float64)
        noise = 0.7 * sum_of_gamma_noise((3, 6), 2, dtype=torch.float64, seed=5)
        z = perturb_and_map(theta, largest, step=step, tau=0.7, k=2, symmetric=symmetric, seed=5)
        assert torch.equal(z, largest(theta + noise))
        (found,) = torch.autograd.grad((weight * z).sum(), theta)
        below = largest(theta + noise - step * weight)
        above = largest(theta + noise + step * weight) if symmetric else z
        torch.testing.assert_close(found, (above - below) / (2 * step if symmetric else step))

    def test_of_a_fine_difference_is_that_of_the_mean_answer(self) -> None:
        """With Gumbel noise the mean answer is the softmax, whose derivative is known."""
        draws = 400_000
        logits = torch.tensor([0.5, -0.3, 0.0], dtype=torch.float64)
        weight = torch.tensor([1.0, -0.5, 0.3], dtype=torch.float64)
        theta = logits.expand(draws, 3).clone().requires_grad_()
        z = perturb_and_map(theta, largest, step=0.2, symmetric=True, seed=1)
        (found,) = torch.autograd.grad((weight * z).sum(), theta)
        p = logits.softmax(-1)
        expected = p * (weight - (p * weight).sum())
        torch.testing.assert_close(found.mean(0), expected, rtol=0.0, atol=0.02)
        assert expected.abs().max() > 0.2

    def test_descends_with_a_solver_of_the_user_s_own(self) -> None:
        """A shortest path that is to follow another one: its weights are learned from the answers alone."""
        generator = torch.Generator().manual_seed(3)
        wanted = shortest_path(torch.randn(4, 5, 5, generator=generator))
        theta = torch.zeros(4, 5, 5, requires_grad=True)
        optimizer = torch.optim.SGD([theta], lr=1.0)
        losses = []
        for seed in range(60):
            z = perturb_and_map(theta, shortest_path, step=5.0, tau=0.2, k=9, seed=seed)
            loss = (z - wanted).abs().sum() / 4
            losses.append(loss.item())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        assert losses[0] > 4
        assert torch.equal(shortest_path(theta.detach()), wanted)

    def test_takes_a_matching(self) -> None:
        theta = torch.zeros(2, 3, 3, requires_grad=True)
        z = perturb_and_map(theta, assignment, step=4.0, k=3, seed=0)
        assert torch.equal(z.sum(-1), torch.ones(2, 3))
        (found,) = torch.autograd.grad((z * torch.eye(3)).sum(), theta)
        assert bool((found.sum(-1).abs() < 1e-6).all())

    def test_without_noise_is_the_answer_itself(self) -> None:
        theta = torch.randn(3, 4)
        assert torch.equal(perturb_and_map(theta, largest, tau=0.0), largest(theta))

    def test_a_rule_sets_the_step_and_sees_what_comes_of_it(self) -> None:
        class Rule:
            seen: Tensor | None = None

            def size(self, theta: Tensor, grad: Tensor) -> Tensor:
                return 10 / grad.norm()

            def observe(self, gradient: Tensor) -> None:
                self.seen = gradient

        rule, theta = Rule(), torch.tensor([0.0, 1.0, 0.5], requires_grad=True)
        z = perturb_and_map(theta, largest, step=rule, tau=0.0)
        (found,) = torch.autograd.grad((z * torch.tensor([0.0, 4.0, 3.0])).sum(), theta)
        torch.testing.assert_close(found, (torch.tensor([0.0, 1.0, 0.0]) - torch.tensor([1.0, 0.0, 0.0])) / 2)
        assert rule.seen is not None
        assert torch.equal(rule.seen, found)


class TestMistakes:
    @pytest.mark.parametrize(
        ("solve", "error", "message"),
        [
            (
                lambda t: t.argmax(-1),
                ValueError,
                r"solve must return a tensor of the shape .* \(2, 3\) .* returned \(2,\)",
            ),
            (lambda t: t.tolist(), TypeError, "solve must return a tensor .* but it returned a list"),
            (lambda t: t.to(torch.complex64), TypeError, "solve must return real numbers"),
            (lambda t: t[None], ValueError, r"but it returned \(1, 2, 3\)"),
            (lambda t: None, TypeError, "but it returned a NoneType"),
            (3, TypeError, "solve must be a function of the weights"),
        ],
    )
    def test_of_a_solver_are_told(self, solve: Any, error: type[Exception], message: str) -> None:
        with pytest.raises(error, match=message):
            perturb_and_map(torch.zeros(2, 3), solve, seed=0)

    def test_of_options_are_refused(self) -> None:
        theta = torch.zeros(3)
        for options, message in (
            ({"step": 0.0}, "step must be positive and finite"),
            ({"tau": -1.0}, "tau must be finite and not negative"),
            ({"k": 0}, "k must be at least 1"),
        ):
            with pytest.raises(ValueError, match=message):
                perturb_and_map(theta, largest, **options)  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="floating dtype"):
            perturb_and_map(theta.long(), largest)

    def test_an_answer_in_another_dtype_is_converted(self) -> None:
        z = perturb_and_map(torch.zeros(3), lambda t: torch.tensor([1, 0, 0]), tau=0.0)
        assert z.dtype == torch.float32
