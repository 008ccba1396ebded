"""DoubleCV against its formula, sample by sample."""

from __future__ import annotations

import torch

from drawgrad.estimators import DoubleCV, LeaveOneOut
from tests.estimators.control_variate.crossings import control, slopes
from tests.estimators.problems import Problem


def test_is_the_paper_s_formula() -> None:
    """With the paper's alpha, whose sign is the opposite one, for Bernoulli variables and four samples."""
    problem, samples, alpha = Problem("polynomial", 2, 3, binary=True), 4, -0.6
    theta = problem.logits.sigmoid()
    states = problem.states()
    index = torch.randint(len(states), (samples, 10), generator=torch.Generator().manual_seed(1))
    b = states[index]
    f, slope = slopes(problem, b)
    expected = torch.zeros(10, 3, dtype=torch.float64)
    plain = torch.zeros(10, 3, dtype=torch.float64)
    rest = {k: [j for j in range(samples) if j != k] for k in range(samples)}
    local = [alpha * (slope[rest[k]].mean(0) * (b[k] - theta)).sum(-1) for k in range(samples)]
    for k in range(samples):
        others = sum(f[j] + local[j] for j in rest[k]) / (samples - 1)
        expected += (f[k] + local[k] - others)[:, None] * (b[k] - theta) / samples
        plain += (f[k] - f[rest[k]].mean(0))[:, None] * (b[k] - theta) / samples
    expected -= alpha * slope.mean(0) * theta * (1 - theta)
    torch.testing.assert_close(plain + control(DoubleCV(samples=4, alpha=0.6), problem, b), expected)


def test_has_no_variance_for_a_linear_cost() -> None:
    for problem in (Problem("linear", 4, 2), Problem("linear", 2, 3, binary=True)):
        found = problem.estimates(DoubleCV(alpha=1.0), 50).logits
        torch.testing.assert_close(found, problem.exact().logits.expand_as(found))
        assert problem.estimates(LeaveOneOut(), 50).logits.var(0).max() > 1e-3
