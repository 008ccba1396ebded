"""Baselines: what they remember, what they learn, and that neither biases the gradient."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Bernoulli, Distribution, Normal, OneHotCategorical

from drawgrad.estimators import Baseline, Exact, MovingAverage, NoBaseline, Nvil, Reinforce
from tests.estimators.networks import MeanFeature
from tests.estimators.orders import FarFromZero, assert_less_error
from tests.estimators.problems import Problem
from tests.estimators.score import ranks
from tests.statistics import Underpowered, assert_mean

PROBLEM = FarFromZero("neural", 3, 2)
DRAWS = 20_000


def warm(estimator: Reinforce, problem: Problem = PROBLEM, calls: int = 5) -> Reinforce:
    """The same estimator, after some calls."""
    for seed in range(calls):
        problem.estimates(estimator, 100, seed=100 + seed)
    return estimator


def one(p: float = 0.5) -> Bernoulli:
    return Bernoulli(probs=torch.tensor(p, dtype=torch.float64))


def constant(value: float) -> Distribution:
    """A number that does not vary."""
    return Normal(torch.tensor(value, dtype=torch.float64), 1e-300)


class TestMovingAverage:
    def test_weighs_recent_calls_more(self) -> None:
        values = [3.0, -1.0, 4.0, 10.0]
        estimator = Reinforce(MovingAverage(decay=0.8)).double()
        for value in values:
            estimator(lambda z: z, constant(value))
        weights = [0.8**age for age in (3, 2, 1, 0)]
        expected = sum(w * v for w, v in zip(weights, values, strict=True)) / sum(weights)
        assert estimator.state_dict()["baseline.costs.mean"].item() == pytest.approx(expected)

    def test_of_a_call_is_used_from_the_next_call_on(self) -> None:
        estimator = Reinforce(MovingAverage(decay=0.5), samples=3).double()
        logits = torch.tensor([0.3, -1.0], dtype=torch.float64, requires_grad=True)
        means, baselines = [], []
        for seed in range(4):
            seen = []
            loss = estimator(lambda z, seen=seen: seen.append(z) or z.sum(-1) + 7, Bernoulli(logits=logits), seed=seed)
            (found,) = torch.autograd.grad(loss, logits)
            z = seen[0]
            costs = z.sum(-1) + 7
            weights = [0.5**age for age in range(len(means) - 1, -1, -1)]
            baseline = sum(w * m for w, m in zip(weights, means, strict=True)) / sum(weights) if means else 0.0
            expected = ((costs - baseline)[:, None] * (z - logits.detach().sigmoid())).mean(0)
            torch.testing.assert_close(found, expected)
            means.append(costs.mean().item())
            baselines.append(baseline)
        assert baselines[0] == 0
        assert baselines[-1] > 6

    def test_stands_still_in_eval_mode(self) -> None:
        estimator = warm(Reinforce(MovingAverage()))
        before = copy.deepcopy(estimator.state_dict())
        estimator.eval()
        warm(estimator)
        assert all(torch.equal(before[key], value) for key, value in estimator.state_dict().items())
        estimator.train()
        warm(estimator)
        assert estimator.state_dict()["baseline.costs.weight"] > before["baseline.costs.weight"]

    def test_is_saved_and_loaded(self) -> None:
        estimator = warm(Reinforce(MovingAverage(), samples=2))
        copied = Reinforce(MovingAverage(), samples=2)
        copied.load_state_dict(estimator.state_dict())
        one, other = (PROBLEM.estimates(each, 5) for each in (estimator, copied))
        assert torch.equal(one.logits, other.logits)
        fresh = PROBLEM.estimates(Reinforce(MovingAverage(), samples=2), 5)
        assert not torch.equal(one.logits, fresh.logits)

    def test_of_nothing_is_unchanged(self) -> None:
        estimator = warm(Reinforce(MovingAverage()))
        before = copy.deepcopy(estimator.state_dict())
        estimator(lambda z: z.sum(-1), Bernoulli(logits=torch.zeros(0, 3)))
        assert all(torch.equal(before[key], value) for key, value in estimator.state_dict().items())

    @pytest.mark.parametrize("decay", [-0.1, 1.0, float("nan")])
    def test_decay_is_checked(self, decay: float) -> None:
        with pytest.raises(ValueError, match="decay must be at least 0 and below 1"):
            MovingAverage(decay=decay)


BAD = [float("nan"), float("inf"), -float("inf")]


class TestPoison:
    """A cost that is NaN or infinite for one sample must leave no trace in what lasts."""

    @pytest.mark.parametrize("bad", BAD)
    @pytest.mark.parametrize("make", [MovingAverage, lambda: Nvil(MeanFeature())])
    def test_of_one_sample_leaves_the_state_of_the_others(self, make: type[Baseline], bad: float) -> None:
        logits = torch.zeros(4, 2, dtype=torch.float64)

        def spoiled(z: Tensor) -> Tensor:
            costs = z.sum(-1) + 5
            return torch.where(torch.arange(4) == 2, bad, costs)

        one, other = Reinforce(make(), samples=3), Reinforce(make(), samples=3)
        loss = one(spoiled, Bernoulli(logits=logits), seed=1)
        assert loss.isfinite().tolist() == [True, True, False, True]

        # The same costs without the element that is spoiled.
        seen = []
        other.eval()(lambda z: seen.append(z) or z.sum(-1), Bernoulli(logits=logits), seed=1)
        kept = seen[0][:, [0, 1, 3]]
        other.train()(lambda z: kept.sum(-1) + 5, Bernoulli(logits=logits[:3]), seed=1)
        for key, value in one.state_dict().items():
            assert bool(value.isfinite().all())
            torch.testing.assert_close(value, other.state_dict()[key])

    @pytest.mark.parametrize("bad", [*BAD, 1e30])
    def test_of_a_whole_call_leaves_nothing(self, bad: float) -> None:
        for baseline in (MovingAverage(), Nvil(MeanFeature())):
            for calls in (0, 3):
                estimator = warm(Reinforce(baseline), calls=calls)
                before = copy.deepcopy(estimator.state_dict())
                estimator(lambda z: z * bad * 0 + bad, one(), seed=0)
                # The square of 1e30 is not finite in float32.
                assert all(torch.equal(before[key], value) for key, value in estimator.state_dict().items())

    @pytest.mark.parametrize("bad", BAD)
    def test_does_not_reach_the_network(self, bad: float) -> None:
        estimator = Reinforce(Nvil(MeanFeature()), samples=2)
        logits = torch.zeros(4, 2, dtype=torch.float64, requires_grad=True)

        def gradient(cost: object) -> tuple[Tensor, ...]:
            loss = estimator(cost, Bernoulli(logits=logits), seed=1)
            return torch.autograd.grad(loss.sum(), tuple(estimator.parameters()))

        found = gradient(lambda z: torch.where(torch.arange(4) == 2, bad, z.sum(-1) + 5))
        assert all(bool(each.isfinite().all()) for each in found)
        assert found[0] != 0


class TestNvil:
    def test_signal_and_training_are_those_of_the_formula(self) -> None:
        baseline = Nvil(MeanFeature(), decay=0.5).double()
        estimator = warm(Reinforce(baseline, samples=4))
        c, sigma = baseline.residuals.mean.clone(), baseline.residuals.variance.sqrt()
        assert sigma > 1
        logits = torch.randn(6, 2, 3, dtype=torch.float64, requires_grad=True)
        seen = []

        def cost(z: Tensor) -> Tensor:
            seen.append(z)
            return 3 * z[..., 0].sum(-1) + 10

        loss = estimator(cost, OneHotCategorical(logits=logits), seed=1)
        found = torch.autograd.grad(loss.sum(), (logits, *baseline.network.parameters()))
        z = seen[0]
        pi = logits.detach().softmax(-1)
        signal = (cost(z) - baseline.network(pi.flatten(1))[:, 0] - c) / sigma.clamp_min(1)
        expected = (signal.detach()[..., None, None] * (z - pi)).mean(0)
        torch.testing.assert_close(found[0], expected)
        error = (signal**2).mean(0).sum() / 2
        torch.testing.assert_close(found[1:], torch.autograd.grad(error, tuple(baseline.network.parameters())))

    def test_tracks_mean_and_variance_of_what_the_network_misses(self) -> None:
        baseline = Nvil(MeanFeature(), decay=0.9).double()
        estimator = Reinforce(baseline, samples=50)
        q = Normal(torch.full((40,), 4.0, dtype=torch.float64), 3.0)
        with baseline.given(torch.zeros(1, dtype=torch.float64)):
            for seed in range(30):
                estimator(lambda z: z, q, seed=seed)
        # The network says -0.3 for an input of zero. About ten calls of 2000 numbers count.
        assert baseline.residuals.mean.item() == pytest.approx(4.3, abs=0.15)
        assert baseline.residuals.variance.item() == pytest.approx(9, abs=0.5)

    def test_small_variances_of_large_costs_are_kept(self) -> None:
        baseline = Nvil(MeanFeature())
        with baseline.given(torch.zeros(1, dtype=torch.float64)):
            for seed in range(20):
                Reinforce(baseline, samples=100)(lambda z: z, Normal(torch.full((20,), 30_000.0), 2.0), seed=seed)
        assert baseline.residuals.variance.item() == pytest.approx(4, abs=0.5)

    def test_inputs_may_be_given(self) -> None:
        seen: list[Tensor] = []

        class Recorder(nn.Module):
            def forward(self, inputs: Tensor) -> Tensor:
                seen.append(inputs)
                return inputs[..., :1]

        baseline = Nvil(Recorder())
        estimator = Reinforce(baseline)
        x = torch.randn(5, 7, requires_grad=True)
        q = Normal(torch.zeros(5, 2, requires_grad=True), 1.0)
        with baseline.given(x):
            loss = estimator(lambda z: z.sum(-1), q)
        assert seen[0].shape == (5, 7)
        assert not seen[0].requires_grad
        assert torch.autograd.grad(loss.sum(), x, allow_unused=True) == (None,)
        with pytest.raises(TypeError, match=r"but q is a Normal; say what it sees with `with baseline.given\(x\):`"):
            estimator(lambda z: z.sum(-1), q)
        with baseline.given(x), baseline.given(x[:, :3]):
            estimator(lambda z: z.sum(-1), q)
        assert seen[1].shape == (5, 3)

    @pytest.mark.parametrize("batch", [(), (4,), (4, 2), (4, 2, 3)])
    def test_sees_the_probabilities_of_the_variables_that_share_a_cost(self, batch: tuple[int, ...]) -> None:
        seen: list[Tensor] = []
        baseline = Nvil(MeanFeature())
        baseline.network.register_forward_pre_hook(lambda module, args: seen.append(args[0]))
        estimator = Reinforce(baseline)
        binary = Bernoulli(logits=torch.randn(batch, dtype=torch.float64))
        for lead in range(len(batch) + 1):
            estimator(lambda z, lead=lead: z.flatten(1 + lead).sum(-1) if z.dim() > 1 + lead else z, binary)
            features = torch.Size(batch[lead:]).numel()
            assert seen[-1].shape == (*batch[:lead], features)
        torch.testing.assert_close(seen[-1][..., 0], binary.mean)
        estimator(lambda z: z.flatten(1).sum(-1), OneHotCategorical(logits=torch.zeros(*batch, 5).double()))
        assert seen[-1].shape == (5 * torch.Size(batch).numel(),)

    @pytest.mark.parametrize("network", [nn.Identity(), nn.Flatten(0), nn.Linear(2, 3)])
    def test_one_prediction_for_each_cost_is_required(self, network: nn.Module) -> None:
        estimator = Reinforce(Nvil(network))
        with pytest.raises(ValueError, match=r"shape \(4, 1\) or one that .*inputs of shape \(4, 2\).*nn.Linear"):
            estimator(lambda z: z.sum(-1), Bernoulli(logits=torch.zeros(4, 2)))

    def test_learns_alike_from_a_loss_and_a_reward(self) -> None:
        found = []
        for sign in (1, -1):
            estimator = Reinforce(Nvil(MeanFeature()))
            logits = torch.zeros(4, 2, dtype=torch.float64, requires_grad=True)
            (sign * estimator(lambda z: z.sum(-1) + 3, Bernoulli(logits=logits), seed=1)).mean().backward()
            found.append((logits.grad, estimator.baseline.network.offset.grad))
        assert torch.equal(found[0][0], -found[1][0])
        assert torch.equal(found[0][1], found[1][1])
        assert found[0][1] < 0  # Descent raises the prediction towards the cost.

    def test_learns_inside_another_expectation(self) -> None:
        estimator = Reinforce(Nvil(MeanFeature()))
        top = torch.zeros(5, 2, dtype=torch.float64, requires_grad=True)

        def cost(upper: Tensor) -> Tensor:
            lower = Bernoulli(logits=upper * 2 - 1)
            return estimator(lambda z: z.sum(-1) + 3, lower, seed=2)

        Exact()(cost, Bernoulli(logits=top)).sum().backward()
        assert estimator.baseline.network.slope.grad.isfinite()
        assert estimator.baseline.network.slope.grad != 0

    def test_without_gradients_asks_for_none(self) -> None:
        estimator = Reinforce(Nvil(MeanFeature()))
        with torch.no_grad():
            assert not estimator(lambda z: z, one()).requires_grad
        fixed = Reinforce(Nvil(MeanFeature().requires_grad_(False)))
        assert not fixed(lambda z: z, one()).requires_grad


@pytest.mark.parametrize("make", [MovingAverage, lambda: Nvil(MeanFeature())], ids=["mean", "nvil"])
def test_compiled_calls_leave_the_same_state(make: type[Baseline]) -> None:
    torch.compiler.reset()
    states, gradients = [], []
    for compiled in (False, True):
        estimator = Reinforce(make(), samples=3)

        def step(logits: Tensor, seed: Tensor, estimator: Reinforce = estimator) -> Tensor:
            return estimator(lambda z: z.sum(-1) + 3, Bernoulli(logits=logits, validate_args=False), seed=seed)

        call = torch.compile(step, backend="aot_eager", fullgraph=True) if compiled else step
        logits = torch.zeros(4, 2, dtype=torch.float64, requires_grad=True)
        for seed in range(3):
            loss = call(logits, torch.tensor(seed))
        gradients.append(torch.autograd.grad(loss.sum(), (logits, *estimator.parameters())))
        states.append(estimator.state_dict())
    torch.testing.assert_close(states[1], states[0])
    torch.testing.assert_close(gradients[1], gradients[0])


class OwnCosts(Baseline):
    """Known to be wrong: the mean that a cost is compared with holds the cost itself."""

    def forward(self, costs: Tensor, q: Distribution) -> Tensor:
        return costs - costs.mean(0)


class TestBias:
    @pytest.mark.parametrize(
        "make", [NoBaseline, MovingAverage, lambda: Nvil(MeanFeature(), normalize=False)], ids=["none", "mean", "nvil"]
    )
    def test_none_after_some_calls(self, make: type[Baseline]) -> None:
        estimator = warm(Reinforce(make(), samples=2))
        exact = PROBLEM.exact()
        found = PROBLEM.estimates(estimator, 4 * DRAWS)
        assert_mean(found.logits, exact.logits, resolution=0.3 * exact.logits.abs().max().item())
        assert_mean(found.parameters, exact.parameters, resolution=0.2 * exact.parameters.abs().max().item())

    def test_of_the_normalized_signal_is_its_factor(self) -> None:
        estimator = warm(Reinforce(Nvil(MeanFeature()), samples=2))
        factor = estimator.baseline.residuals.variance.sqrt().item()
        assert factor > 1.2
        exact = PROBLEM.exact()
        found = PROBLEM.estimates(estimator, DRAWS)
        assert_mean(found.logits * factor, exact.logits, resolution=0.3 * exact.logits.abs().max().item())
        assert_mean(found.parameters, exact.parameters, resolution=0.2 * exact.parameters.abs().max().item())

    def test_of_a_baseline_that_knows_its_sample_is_noticed(self) -> None:
        exact = PROBLEM.exact()
        found = PROBLEM.estimates(Reinforce(OwnCosts(), samples=2), DRAWS)
        with pytest.raises(AssertionError, match="the mean of entry") as failure:
            assert_mean(found.logits, exact.logits, resolution=0.3 * exact.logits.abs().max().item())
        assert not isinstance(failure.value, Underpowered)


class TestVariance:
    def test_a_moving_average_has_less_than_no_baseline(self) -> None:
        assert_less_error(PROBLEM, warm(Reinforce(MovingAverage())), Reinforce())

    def test_the_comparison_notices_the_wrong_order(self) -> None:
        with pytest.raises(AssertionError, match="differ by less"):
            assert_less_error(PROBLEM, Reinforce(), warm(Reinforce(MovingAverage())))
        with pytest.raises(AssertionError, match="differ by less"):
            assert_less_error(PROBLEM, Reinforce(), Reinforce())

    def test_a_network_that_knows_the_inputs_has_less_than_a_moving_average(self) -> None:
        """Costs that depend on an input more than on the sample."""
        x = torch.randn(200, 1, dtype=torch.float64)
        logits = torch.zeros(200, 2, dtype=torch.float64, requires_grad=True)
        p = 0.5

        def cost(z: Tensor) -> Tensor:
            return z.sum(-1) + 5 * x[:, 0]

        def errors(estimator: Reinforce) -> Tensor:
            estimator.eval()
            q = Bernoulli(logits=logits)
            found = [torch.autograd.grad(estimator(cost, q, seed=seed).sum(), logits)[0] for seed in range(50)]
            return ((torch.stack(found) - p * (1 - p)) ** 2).sum(-1).flatten()

        baseline = Nvil(MeanFeature(), normalize=False)
        learned, average = Reinforce(baseline), Reinforce(MovingAverage())
        optimizer = torch.optim.Adam(learned.parameters(), lr=0.1)
        with baseline.given(x):
            for seed in range(200):
                optimizer.zero_grad()
                q = Bernoulli(logits=logits.detach())
                learned(cost, q, seed=seed).mean().backward()
                optimizer.step()
                average(cost, q, seed=seed)
            assert baseline.network.slope.item() == pytest.approx(5, abs=0.3)
            small = errors(learned)
        large = errors(average)
        assert large.mean() - small.mean() > 5 * torch.sqrt(small.var() / len(small) + large.var() / len(large))


def test_a_baseline_of_one_s_own() -> None:
    class Half(Baseline):
        def forward(self, costs: Tensor, q: Distribution) -> Tensor:
            return costs - 0.5

    logits = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    loss = Reinforce(Half())(lambda z: z, Bernoulli(logits=logits), seed=1)
    # From even odds the best baseline is 1/2: no variance is left.
    torch.testing.assert_close(torch.autograd.grad(loss.sum(), logits)[0], torch.full((3,), 0.25).double())


@pytest.mark.skipif(not torch.distributed.is_available(), reason="this torch has no distributed package")
def test_synchronized_baselines_count_all_processes_as_one(tmp_path: Path) -> None:
    torch.multiprocessing.spawn(ranks.run, args=(str(tmp_path),), nprocs=len(ranks.COSTS))
    first, second = (torch.load(tmp_path / f"{rank}.pt") for rank in range(2))
    alone = ranks.states([cost for costs in ranks.COSTS for cost in costs], 3, synchronized=False)
    assert len(alone) == 6
    for name, value in alone.items():
        torch.testing.assert_close(first[True][name], value)
        assert torch.equal(first[True][name], second[True][name])
    # Left to themselves they drift apart.
    assert not torch.equal(first[False]["MovingAverage.costs.mean"], second[False]["MovingAverage.costs.mean"])
