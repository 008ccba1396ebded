"""RODEO against its formula, neighbor by neighbor."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from drawgrad.estimators import Rodeo
from tests.estimators.control_variate.crossings import control, slopes
from tests.estimators.problems import Problem


def operator(problem: Problem, x: Tensor, function: object) -> Tensor:
    """(A h)(x): each variable drawn anew, state by state."""
    pi = problem.logits.sigmoid() if problem.binary else problem.logits.softmax(-1)
    total = torch.zeros_like(function(x))  # type: ignore[operator]
    for n in range(problem.variables):
        for state in range(problem.classes):
            y = x.clone()
            if problem.binary:
                p, y[n] = (pi[n] if state else 1 - pi[n]), float(state)
            else:
                p, y[n] = pi[n, state], torch.eye(problem.classes, dtype=torch.float64)[state]
            total += p * (function(y) - function(x))  # type: ignore[operator]
    return total / problem.variables


@pytest.mark.parametrize(
    "problem", [Problem("neural", 3, 2), Problem("neural", 2, 3, binary=True)], ids=lambda p: p.name
)
@pytest.mark.parametrize("samples", [2, 3])
def test_is_the_paper_s_formula(problem: Problem, samples: int) -> None:
    estimator = Rodeo(samples=samples, alpha=0.7, beta=-0.4, hidden=5).double()
    states = problem.states()
    drawn = states[torch.randint(len(states), (samples, 1), generator=torch.Generator().manual_seed(1))]
    f, slope = (value[:, 0] for value in slopes(problem, drawn))
    z = drawn[:, 0]
    pi = problem.logits.sigmoid() if problem.binary else problem.logits.softmax(-1)
    rest = {s: [j for j in range(samples) if j != s] for s in range(samples)}

    def outputs(s: int, y: Tensor) -> Tensor:
        seen = [torch.stack([(slope[j] * (y - z[j])).sum(), f[j]]) for j in rest[s]]
        network = estimator.network
        return torch.stack([network(x) for x in seen]).mean(0)

    changes = [operator(problem, z[s], lambda y, s=s: outputs(s, y)[0]) for s in range(samples)]
    expected = torch.zeros_like(pi)
    for s in range(samples):
        baseline = sum(0.7 * changes[j] for j in rest[s]) / (samples - 1)
        expected -= baseline * (z[s] - pi) / samples
        expected += -0.4 * operator(problem, z[s], lambda y, s=s: outputs(s, y)[1] * (y - pi)) / samples
    torch.testing.assert_close(control(estimator, problem, drawn)[0], expected.detach())


def test_a_network_may_be_given() -> None:
    problem = Problem("neural", 3, 2)
    found = problem.estimates(Rodeo(network=lambda x: torch.tanh(x), beta=1.0), 20).logits
    assert bool(found.isfinite().all())
    with pytest.raises(ValueError, match="network must map shape"):
        problem.estimates(Rodeo(network=nn.Linear(2, 3)), 20)


def test_weights_come_from_the_seed_alone() -> None:
    torch.manual_seed(0)
    first = Rodeo(seed=3).state_dict()
    torch.manual_seed(1)
    again, other = Rodeo(seed=3).state_dict(), Rodeo(seed=4).state_dict()
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["network.0.weight"], other["network.0.weight"])
