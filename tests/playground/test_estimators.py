"""What the page says of estimators is what the library's own do: draw by draw, in expectation, and in a training."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.distributions import OneHotCategorical

from drawgrad.distributions import RelaxedOneHotCategorical
from drawgrad.estimators import ESTIMATORS, Exact
from drawgrad.functional import fold_seed, gumbel_softmax
from drawgrad.schedules import exponential
from tests.playground.page import computed, needs_node

pytestmark = needs_node

LOGITS, NUMBERS = [1.0, 0.5, -0.5, 0.3], [0.2, 0.45, 0.35, -0.1]
WARM, COLD = ["GumbelSoftmax", "STGumbelSoftmax"], ["StraightThrough", "ReinMax", "Reinforce"]
ROWS, TAU = 40, 0.7


def tensor(found: Any) -> Tensor:
    return torch.tensor(found, dtype=torch.float64)


def cost(kind: str) -> Any:
    numbers = tensor(NUMBERS)
    return (lambda z: (z * numbers).sum(-1)) if kind != "quadratic" else (lambda z: (z - numbers).square().sum(-1))


def leaf(*front: int) -> Tensor:
    return tensor(LOGITS).expand(*front, 4).clone().requires_grad_()


def script(call: str, kind: str) -> Any:
    return computed(f"((cost, logits, noise) => {call})(Costs.make('{kind}', {NUMBERS}), {LOGITS}, "
                    f"Draws.gumbel(7n, {ROWS}, 4))")  # fmt: skip


def each_row(name: str) -> str:
    return f"[...Array({ROWS}).keys()].map((row) => Estimators.fromDraw('{name}', logits, noise, row, {TAU}, cost))"


@pytest.mark.parametrize("kind", ["linear", "quadratic", "table"])
def test_the_exact_gradient(kind: str) -> None:
    found = script("Estimators.exact(logits, cost)", kind)
    logits = leaf()
    loss = Exact()(cost(kind), OneHotCategorical(logits=logits))
    torch.testing.assert_close(tensor(found["value"]), loss.detach())
    torch.testing.assert_close(tensor(found["gradient"]), torch.autograd.grad(loss, logits)[0])


@pytest.mark.parametrize("kind", ["linear", "quadratic"])
@pytest.mark.parametrize("name", WARM + COLD)
def test_each_draw(name: str, kind: str) -> None:
    found = script(each_row(name), kind)
    logits = leaf(ROWS)
    estimator = ESTIMATORS[name](**({"tau": TAU} if name in WARM else {}))
    loss = estimator(cost(kind), OneHotCategorical(logits=logits), seed=7)
    torch.testing.assert_close(tensor(found), torch.autograd.grad(loss.sum(), logits)[0], rtol=1e-10, atol=1e-12)


def test_a_table_leaves_score_functions() -> None:
    assert script("Estimators.serving(cost)", "table") == ["Reinforce"]
    assert script("Estimators.serving(cost)", "quadratic") == WARM + COLD


@pytest.mark.parametrize("kind", ["linear", "quadratic"])
def test_bias_and_variance(kind: str) -> None:
    logits = leaf()
    (exact,) = torch.autograd.grad(Exact()(cost(kind), OneHotCategorical(logits=logits)), logits)
    pi = logits.detach().softmax(-1)
    for name in WARM + COLD:
        found = script(f"Estimators.quality('{name}', logits, noise, {ROWS}, {TAU}, cost)", kind)
        if name in WARM:
            drawn, weights = tensor(script(each_row(name), kind)), torch.full((ROWS, 1), 1 / ROWS, dtype=torch.float64)
        else:
            one = "({ hard: Draws.oneHot(k, 4), pi: Draws.softmax(logits, 1), cost })"
            drawn, weights = (
                tensor(script(f"[0, 1, 2, 3].map((k) => Estimators.ALL.{name}.gradient({one}))", kind)),
                pi[:, None],
            )
        mean = (weights * drawn).sum(0)
        variance = float((weights * (drawn - mean).square()).sum())
        bias = float((mean - exact).square().sum()) - (variance / ROWS if name in WARM else 0)
        assert found["variance"] == pytest.approx(variance, rel=1e-9)
        assert found["bias"] == pytest.approx(max(bias, 0), rel=1e-9, abs=1e-12)
        if name not in WARM:
            biased = name == "StraightThrough" and kind == "quadratic"
            assert (found["bias"] > 1e-6) is biased


def test_the_density() -> None:
    y = gumbel_softmax(tensor(LOGITS).expand(5, 4), tau=TAU, seed=3)
    found = computed(f"{json.dumps(y.log().tolist())}.map((logY) => Density.log({LOGITS}, {TAU}, logY))")
    torch.testing.assert_close(tensor(found), RelaxedOneHotCategorical(TAU, logits=tensor(LOGITS)).log_prob(y))


@pytest.mark.parametrize("name", ["STGumbelSoftmax", "GumbelSoftmax", "Reinforce"])
def test_a_training(name: str) -> None:
    schedule = exponential(2.0, rate=0.1, floor=0.5)
    cooling = "{ initial: 2, rate: 0.1, floor: 0.5 }"
    plan = f"logits: {LOGITS}, cost: Costs.make('quadratic', {NUMBERS}), seed: 11n, estimator: '{name}'"
    plan = f"{{ {plan}, steps: 20, rows: 3, rate: 0.5, schedule: {cooling} }}"
    found = computed(f"[...Training.run({plan})]")
    assert [step["tau"] for step in found] == pytest.approx([schedule(step) for step in range(21)])
    theta = leaf()
    optimizer = torch.optim.SGD([theta], lr=0.5)
    for step in range(20):
        torch.testing.assert_close(tensor(found[step]["logits"]), theta.detach())
        estimator = ESTIMATORS[name](**({"tau": schedule(step)} if name in WARM else {}))
        q = OneHotCategorical(logits=theta.expand(3, 4))
        optimizer.zero_grad()
        estimator(cost("quadratic"), q, seed=fold_seed(11, step)).mean().backward()
        optimizer.step()
    assert found[20]["value"] < found[0]["value"]
    assert math.isclose(sum(found[20]["shares"]), 1)


def test_questions_have_one_right_answer_and_a_reason_for_each_other() -> None:
    questions = computed("Questions")
    assert len(questions) >= 6
    for question in questions:
        reasons = [why for _, why in question["answers"]]
        assert len(reasons) >= 3
        assert reasons.count(None) == 1
        assert all(len(why) > 30 for why in reasons if why is not None)
