"""Names of estimators: what they tell, and that they may be given."""

from __future__ import annotations

import pytest
import torch
from torch.distributions import Bernoulli

from drawgrad.diagnostics import compare
from drawgrad.diagnostics.comparison.names import name_of
from drawgrad.estimators import (
    DecoupledSTGumbelSoftmax,
    Estimator,
    GumbelSoftmax,
    MovingAverage,
    Rebar,
    Reinforce,
    ReinMax,
    Relax,
    StraightThrough,
)


class TestNames:
    @pytest.mark.parametrize(
        ("estimator", "name"),
        [
            (StraightThrough(), "StraightThrough"),
            (StraightThrough(samples=3), "StraightThrough(samples=3)"),
            (GumbelSoftmax(tau=torch.tensor(0.25)), "GumbelSoftmax(tau=0.25)"),
            (GumbelSoftmax(tau=torch.ones(2, 1)), "GumbelSoftmax(tau=<2x1>)"),
            (Reinforce(MovingAverage()), "Reinforce(baseline=MovingAverage)"),
            (Reinforce(), "Reinforce"),
            (Rebar(tau=0.3), "Rebar(tau=0.3)"),
            (Relax(), "Relax"),
            (DecoupledSTGumbelSoftmax(), "DecoupledSTGumbelSoftmax(backward_tau=1)"),
        ],
    )
    def test_tell_what_is_not_the_default(self, estimator: Estimator, name: str) -> None:
        assert name_of(estimator) == name

    def test_may_be_given(self) -> None:
        q = Bernoulli(logits=torch.zeros(2))
        report = compare({"a": ReinMax(), "b": ReinMax()}, lambda z: z.sum(-1), q, draws=5)
        assert [row.name for row in report.rows] == ["a", "b"]
        with pytest.raises(KeyError, match="'c'; the rows are a, b"):
            report["c"]
