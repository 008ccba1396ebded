"""ARM, DisARM, its categorical form and ARSM: formulas against loops and enumeration, and the order of variances."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.distributions import Bernoulli, Distribution, OneHotCategorical

from drawgrad.estimators import Arm, Arsm, CategoricalDisArm, DisArm, Estimator, LeaveOneOut
from drawgrad.estimators._trees import Pair, balanced_pair, stick_pair
from drawgrad.functional import gumbel_noise, logistic_noise
from tests.estimators.orders import assert_less_error
from tests.estimators.problems import Problem

BINARY = [Problem("quadratic", 2, 1, True), Problem("polynomial", 2, 2, True), Problem("neural", 2, 3, True)]
each_binary = pytest.mark.parametrize("problem", BINARY, ids=lambda problem: problem.name)


def gradient(estimator: Estimator, problem: Problem, draws: int) -> Tensor:
    return problem.estimates(estimator, draws, seed=3).logits


class TestPairs:
    """The antithetic pairs of ARM and DisARM, one by one from the noise."""

    @staticmethod
    def loop(problem: Problem, draws: int, weight: Callable[[float, float, float, float], float]) -> Tensor:
        noise = logistic_noise((1, draws, problem.variables), dtype=torch.float64, seed=3)[0]
        found = torch.zeros(draws, problem.variables, dtype=torch.float64)
        for row in range(draws):
            u = noise[row].sigmoid()
            b = (u > (-problem.logits).sigmoid()).double()
            other = (u < problem.logits.sigmoid()).double()
            difference = problem.cost(b, problem.parameters) - problem.cost(other, problem.parameters)
            for variable in range(problem.variables):
                logit = problem.logits[variable].item()
                values = u[variable].item(), b[variable].item(), other[variable].item()
                found[row, variable] = difference * weight(logit, *values)
        return found

    @each_binary
    def test_of_arm(self, problem: Problem) -> None:
        expected = self.loop(problem, 40, lambda logit, u, b, other: u - 0.5)
        torch.testing.assert_close(gradient(Arm(), problem, 40), expected)

    @each_binary
    def test_of_disarm(self, problem: Problem) -> None:
        def weight(logit: float, u: float, b: float, other: float) -> float:
            return 0.5 * (-1) ** int(other) * (b != other) / (1 + math.exp(-abs(logit)))

        torch.testing.assert_close(gradient(DisArm(), problem, 40), self.loop(problem, 40, weight))

    @each_binary
    def test_of_disarm_have_the_mean_of_arm_and_less_variance(self, problem: Problem) -> None:
        assert_less_error(problem, DisArm(), Arm(), draws=20_000)

    @each_binary
    def test_of_arm_have_not(self, problem: Problem) -> None:
        with pytest.raises(AssertionError, match="differ by less than"):
            assert_less_error(problem, Arm(), DisArm(), draws=20_000)


STICK = {size: [({n}, set(range(n + 1, size))) for n in range(size - 1)] for size in range(1, 7)}
"""The branches of each coin: classes to the left, classes to the right."""


def halved(first: int, size: int, classes: int) -> list[tuple[set[int], set[int]]]:
    """The same for a tree that is balanced up to classes that are missing at its end."""
    if size == 1 or first >= classes:
        return []
    half, there = size // 2, set(range(classes))
    branches = set(range(first, first + half)) & there, set(range(first + half, first + size)) & there
    below = halved(first, half, classes) + halved(first + half, half, classes)
    return [branches, *below] if all(branches) else below


BALANCED = {size: halved(0, 8, size) for size in range(1, 7)}


class TestTrees:
    """Every outcome of every coin: what the weight of a pair of classes must be on average."""

    @staticmethod
    def expected(logits: Tensor, coins: list[tuple[set[int], set[int]]]) -> tuple[Tensor, Tensor]:
        """Probabilities of all pairs of classes, and their mean weights times these."""
        classes = len(logits)
        odds = [logits[sorted(left)].logsumexp(0) - logits[sorted(right)].logsumexp(0) for left, right in coins]
        slopes = [torch.autograd.grad(coin, logits, retain_graph=True)[0] for coin in odds]
        probability = torch.zeros(classes, classes, dtype=torch.float64)
        weight = torch.zeros(classes, classes, classes, dtype=torch.float64)

        def arrive(heads: tuple[bool, ...]) -> int:
            left_over = set(range(classes))
            for (left, right), head in zip(coins, heads, strict=True):
                if left <= left_over and right <= left_over:
                    left_over = left if head else right
            (found,) = left_over
            return found

        for outcome in itertools.product(
            [(True, True), (True, False), (False, True), (False, False)], repeat=len(odds)
        ):
            p = torch.ones((), dtype=torch.float64)
            found = torch.zeros(classes, dtype=torch.float64)
            for coin, slope, (b, other) in zip(odds, slopes, outcome, strict=True):
                head = coin.detach().sigmoid()
                if b != other:
                    p = p * torch.minimum(head, 1 - head)
                    found = found + 0.5 * (int(b) - int(other)) * torch.maximum(head, 1 - head) * slope
                else:
                    p = p * (2 * (head if b else 1 - head) - 1).clamp_min(0)
            ends = arrive(tuple(b for b, _ in outcome)), arrive(tuple(other for _, other in outcome))
            probability[ends] += p
            weight[ends] += p * found
        return probability, weight

    @pytest.mark.parametrize("classes", [1, 2, 3, 4, 5, 6])
    @pytest.mark.parametrize(("draw", "coins"), [(stick_pair, STICK), (balanced_pair, BALANCED)])
    def test_weights_are_means_over_coins_that_do_not_show(
        self, draw: Callable[[Tensor, Tensor], Pair], coins: dict[int, list[tuple[set[int], set[int]]]], classes: int
    ) -> None:
        logits = torch.randn(classes, generator=torch.Generator().manual_seed(classes), dtype=torch.float64)
        probability, weight = self.expected(logits.requires_grad_(), coins[classes])
        torch.testing.assert_close(probability.sum(1), logits.detach().softmax(0))
        pair = draw(logits.detach().expand(5000, classes), torch.tensor(7))
        seen = probability[pair.first, pair.second]
        assert bool((seen > 0).all())
        # A pair that is all but certain to occur among these draws must be among them.
        occurred = torch.zeros(classes, classes, dtype=torch.bool)
        occurred[pair.first, pair.second] = True
        assert bool(occurred[probability > 0.01].all())
        different = pair.first != pair.second
        torch.testing.assert_close(pair.weight[different], (weight[pair.first, pair.second] / seen[:, None])[different])

    @pytest.mark.parametrize("draw", [stick_pair, balanced_pair])
    def test_classes_that_cannot_occur_are_as_good_as_absent(self, draw: Callable[[Tensor, Tensor], Pair]) -> None:
        logits = torch.tensor([-torch.inf, 0.3, -torch.inf, -torch.inf, 1.0, -0.5, -torch.inf], dtype=torch.float64)
        allowed = logits > -torch.inf
        pair = draw(logits.expand(1000, 7), torch.tensor(7))
        assert bool(allowed[pair.first].all() & allowed[pair.second].all())
        assert bool(pair.weight.isfinite().all())
        assert bool((pair.weight[:, ~allowed] == 0).all())

    @pytest.mark.parametrize("draw", [stick_pair, balanced_pair])
    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
    def test_extreme_odds_leave_finite_weights(
        self, draw: Callable[[Tensor, Tensor], Pair], dtype: torch.dtype
    ) -> None:
        rows = torch.tensor([[1e4, 0, -1e4, 3], [-1e4, -1e4, 0, 0], [0, 1e4, 1e4, 0], [0, -30, -60, -90]], dtype=dtype)
        pair = draw(rows.repeat(1000, 1), torch.tensor(7))
        assert bool(pair.weight.isfinite().all())
        assert pair.weight.abs().max() <= 1


class TestSwaps:
    @pytest.mark.parametrize("problem", [Problem("neural", 3, 2), Problem("quadratic", 4, 1)], ids=lambda p: p.name)
    def test_are_those_of_the_definition(self, problem: Problem) -> None:
        draws, classes, variables = 10, problem.classes, problem.variables
        noise = gumbel_noise((1, draws, variables, classes), dtype=torch.float64, seed=3)[0]
        expected = torch.zeros(draws, variables, classes, dtype=torch.float64)
        for row in range(draws):
            exponential = (-noise[row]).exp()
            simplex = exponential / exponential.sum(-1, keepdim=True)

            def cost(c: int, j: int, simplex: Tensor = simplex) -> Tensor:
                swapped = simplex.clone()
                swapped[:, c], swapped[:, j] = simplex[:, j], simplex[:, c]
                index = (swapped.log() - problem.logits).argmin(-1)
                return problem.cost(torch.eye(classes, dtype=torch.float64)[index], problem.parameters)

            for c, j in itertools.product(range(classes), repeat=2):
                mean = sum(cost(m, j) for m in range(classes)) / classes
                expected[row, :, c] += (cost(c, j) - mean) * (1 / classes - simplex[:, j])
        torch.testing.assert_close(gradient(Arsm(), problem, draws), expected)

    def test_of_a_masked_class_stay_finite(self) -> None:
        logits = torch.tensor([[0.0, -torch.inf, 1.0]]).repeat(50, 1).requires_grad_()
        loss = Arsm()(lambda z: z[..., 2], OneHotCategorical(logits=logits, validate_args=False), seed=0)
        loss.sum().backward()
        assert logits.grad is not None
        assert bool(logits.grad.isfinite().all())


class TestOrders:
    """Costs far from zero cancel in differences; coupled pairs beat independent ones where little else helps."""

    def test_disarm_has_less_variance_than_two_independent_samples(self) -> None:
        assert_less_error(Problem("linear", 2, 3, True), DisArm(), LeaveOneOut(samples=2), draws=20_000)

    def test_one_fair_coin_has_none(self) -> None:
        logits = torch.zeros(100, requires_grad=True)
        DisArm()(lambda b: (b - 0.45) ** 2, Bernoulli(logits=logits), seed=0).sum().backward()
        torch.testing.assert_close(logits.grad, torch.full((100,), 0.025))


class TestErrors:
    @pytest.mark.parametrize("estimator", [Arm(), DisArm()], ids=["Arm", "DisArm"])
    def test_of_binary_estimators_name_those_for_categories(self, estimator: Estimator) -> None:
        name = type(estimator).__name__
        with pytest.raises(TypeError, match=rf"{name} takes q = Bernoulli, but q is a OneHotCategorical.* Arsm, Cat"):
            estimator(lambda z: z[..., 0], OneHotCategorical(logits=torch.zeros(3)))

    @pytest.mark.parametrize("estimator", [CategoricalDisArm(), Arsm()], ids=["CategoricalDisArm", "Arsm"])
    def test_of_categorical_estimators_name_those_for_coins(self, estimator: Estimator) -> None:
        with pytest.raises(TypeError, match=r"takes q = OneHotCategorical, but q is a Bernoulli.* Arm, .*DisArm"):
            estimator(lambda b: b, Bernoulli(logits=torch.zeros(3)))

    def test_of_an_unknown_tree(self) -> None:
        with pytest.raises(ValueError, match="tree must be 'balanced' or 'stick', but it is 'oak'"):
            CategoricalDisArm(tree="oak")  # type: ignore[arg-type]


@pytest.mark.parametrize("estimator", [CategoricalDisArm(), CategoricalDisArm(tree="stick"), Arsm()], ids=str)
def test_a_single_class_has_no_gradient(estimator: Estimator) -> None:
    q: Distribution = OneHotCategorical(logits=torch.zeros(4, 1, requires_grad=True))
    loss = estimator(lambda z: 3 * z[..., 0], q, seed=0)
    assert torch.equal(loss.detach(), torch.full((4,), 3.0))
    assert torch.equal(torch.autograd.grad(loss.sum(), q.logits)[0], torch.zeros(4, 1))
