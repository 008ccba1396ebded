"""Relaxed samples: how their variance depends on the temperature."""

from __future__ import annotations

import pytest

from drawgrad.estimators import (
    GumbelSoftmax,
    STGumbelSoftmax,
)
from tests.estimators.problems import Problem


def name(problem: Problem) -> str:
    return problem.name


@pytest.mark.parametrize("cls", [GumbelSoftmax, STGumbelSoftmax])
@pytest.mark.parametrize("problem", [Problem("linear", 8, 1), Problem("neural", 3, 2)], ids=name)
def test_the_variance_of_gumbel_softmax_grows_like_one_over_the_temperature(
    cls: type[GumbelSoftmax | STGumbelSoftmax], problem: Problem
) -> None:
    """And not like its square: the Jacobian is of size 1/tau, but only in a part tau of the draws."""
    draws = {tau: problem.estimates(cls(tau=tau), 200_000).logits.double() for tau in (0.05, 0.025)}
    centered = {tau: ((found - found.mean(0)) ** 2).flatten(1).sum(-1) for tau, found in draws.items()}
    ratio = (centered[0.025].mean() / centered[0.05].mean()).item()
    error = ratio * sum((c.std() / c.mean() / len(c) ** 0.5).item() ** 2 for c in centered.values()) ** 0.5
    # Five standard errors about 2 leave no room for 4, nor for 1.
    assert 5 * error < 0.3
    assert abs(ratio - 2) < 5 * error + 0.15
