"""The reference of a comparison: enumerated, drawn, chosen or given."""

from __future__ import annotations

import pytest
import torch
from torch.distributions import Bernoulli

from drawgrad.diagnostics import compare
from drawgrad.diagnostics.comparison.reference import count_states
from drawgrad.estimators import Estimator, Rebar, ReinMax, StraightThrough, Vimco
from tests.diagnostics.comparison.compared import BINARY, compared


class TestReference:
    def test_is_drawn_where_there_are_too_many_states(self) -> None:
        q = Bernoulli(logits=torch.zeros(17, dtype=torch.float64))
        report = compare([StraightThrough()], lambda z: z.sum(-1), q, draws=500)
        assert report.reference == "the mean of 2000 gradients of LeaveOneOut(samples=16)"
        # The exact gradient is 1/4 in each entry, and straight-through's.
        assert abs(report.reference_norm.value - 17**0.5 / 4) < report.reference_norm.error < 0.03
        assert report.rows[0].verdict == "none seen"

    def test_may_be_chosen(self) -> None:
        chosen = Rebar()
        before = {name: value.clone() for name, value in chosen.state_dict().items()}
        report, again = (compared(BINARY, StraightThrough(), reference=chosen, draws=2000) for _ in range(2))
        assert report.reference.startswith("the mean of 8000 gradients of Rebar")
        assert report.rows[0].verdict == "biased"
        assert report.reference_norm == again.reference_norm
        assert chosen.training
        assert all(torch.equal(value, before[name]) for name, value in chosen.state_dict().items())

    def test_may_be_given(self) -> None:
        report = compared(BINARY, ReinMax(), reference=BINARY.exact().logits)
        enumerated = compared(BINARY, ReinMax())
        assert report.rows[0].bias.value == pytest.approx(enumerated.rows[0].bias.value)
        assert report.reference == "the exact gradient, as given"

    @pytest.mark.parametrize("biased", [StraightThrough(), Vimco()])
    def test_must_be_unbiased(self, biased: Estimator) -> None:
        with pytest.raises(ValueError, match="reference must be unbiased, but"):
            compared(BINARY, ReinMax(), reference=biased)

    def test_must_fit_the_parameters(self) -> None:
        with pytest.raises(
            ValueError, match=r"reference must have the 3 numbers of a gradient for q, but its shape is \(2,\)"
        ):
            compared(BINARY, ReinMax(), reference=torch.zeros(2))

    def test_counts_no_states_that_nobody_could(self) -> None:
        q = Bernoulli(logits=torch.zeros(1_000_000))
        assert count_states(lambda z: z.sum(-1), q) is None
        assert count_states(lambda z: z[..., :3].sum(-1), Bernoulli(logits=torch.zeros(3))) == 8
