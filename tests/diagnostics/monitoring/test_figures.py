"""Figures of a step: how choices are spread, where classes are ruled out too, and how hard samples are."""

from __future__ import annotations

import pytest
import torch
from torch.distributions import Bernoulli, Categorical, Distribution, Independent, Normal, OneHotCategorical

from drawgrad.diagnostics.monitoring.figures import choice_figures, sample_figures
from drawgrad.diagnostics.monitoring.usage import Usage
from drawgrad.distributions import KSubset, PlackettLuce
from drawgrad.variables import variables_of

CERTAIN = {"entropy": 0, "perplexity": 2, "dead_classes": 0.5, "saturated": 1}
HALF_CERTAIN = {"entropy": 0.5, "perplexity": 2, "dead_classes": 0, "saturated": 0.5}


def look(q: Distribution, variables: int = 1) -> dict[str, float]:
    """The figures after as many looks at one batch as it takes to tell which classes are dead."""
    usage = Usage()
    for _ in range(40):
        figures = choice_figures(variables_of(q), variables, usage)
    return figures


class TestChoiceFigures:
    def test_of_uniform_choices(self) -> None:
        figures = look(OneHotCategorical(logits=torch.zeros(10, 2, 4)))
        assert figures == pytest.approx({"entropy": 1, "perplexity": 4, "dead_classes": 0, "saturated": 0}, abs=1e-6)

    def test_of_certain_choices_that_differ(self) -> None:
        logits = 100 * torch.eye(4)[torch.tensor([0, 1, 0, 1])][:, None]
        for q in (OneHotCategorical(logits=logits), Independent(OneHotCategorical(logits=logits), 1)):
            figures = look(q)
            assert figures == pytest.approx(CERTAIN, abs=1e-6)

    def test_of_one_variable_without_examples(self) -> None:
        for shape in ((4,), (1, 4), (6, 4)):
            assert look(OneHotCategorical(logits=torch.zeros(shape)))["perplexity"] == pytest.approx(4)

    @pytest.mark.parametrize(("family", "states"), [(KSubset, 6), (PlackettLuce, 12)])
    def test_of_subsets_and_rankings(self, family: type[Distribution], states: int) -> None:
        uniform = look(family(torch.zeros(20, 4), 2))
        assert uniform == pytest.approx(
            {"entropy": 1, "perplexity": states, "dead_classes": 0, "saturated": 0}, abs=1e-5
        )
        # One state is certain; all others are dead.
        certain = look(family(torch.tensor([90.0, 60.0, 0.0, -30.0]).expand(20, 4), 2))
        assert certain == pytest.approx(
            {"entropy": 0, "perplexity": 1, "dead_classes": 1 - 1 / states, "saturated": 1}, abs=1e-5
        )

    def test_of_rankings_that_leave_places_empty_are_none(self) -> None:
        assert look(PlackettLuce(torch.tensor([[0.0, -torch.inf, -torch.inf]]), 2, validate_args=False)) == {}

    def test_of_binary_choices(self) -> None:
        figures = look(Bernoulli(logits=torch.tensor([[0.0, 50.0], [0.0, -50.0]])))
        assert figures == pytest.approx(HALF_CERTAIN, abs=1e-6)

    def test_of_several_dimensions_of_variables(self) -> None:
        logits = 100 * torch.eye(4)[torch.arange(12).reshape(2, 3, 2) % 4]
        assert look(OneHotCategorical(logits=logits), variables=2)["dead_classes"] == 0.5
        assert look(OneHotCategorical(logits=logits), variables=0)["dead_classes"] == 0

    @pytest.mark.parametrize("mask", [-torch.inf, torch.finfo(torch.float32).min, -1e9, -1e4])
    def test_leave_out_classes_that_are_ruled_out(self, mask: float) -> None:
        # 2 of 8 classes may be chosen, and are, one as often as the other.
        logits = torch.full((10, 1, 8), mask)
        logits[..., :2] = 0.0
        expected = {"entropy": 1, "perplexity": 2, "dead_classes": 0, "saturated": 0}
        assert look(OneHotCategorical(logits=logits, validate_args=False)) == pytest.approx(expected, abs=1e-6)

    def test_leave_out_choices_of_which_one_class_is_left(self) -> None:
        logits = torch.zeros(10, 4)
        logits[:5, 1:] = -torch.inf
        figures = look(OneHotCategorical(logits=logits, validate_args=False))
        assert (figures["entropy"], figures["saturated"]) == (pytest.approx(1), 0)
        only = look(OneHotCategorical(logits=logits[:5], validate_args=False))
        assert only == {"entropy": 1, "perplexity": 1, "saturated": 0, "dead_classes": 0}

    def test_tell_what_may_be_chosen_from_what_is(self) -> None:
        # A class that is allowed in one example of ten gets a tenth of a share, and is alive if it takes that.
        logits = torch.zeros(10, 2)
        logits[1:, 1] = -torch.inf
        assert look(OneHotCategorical(logits=logits, validate_args=False))["dead_classes"] == 0
        logits[0, 1] = -20.0
        assert look(OneHotCategorical(logits=logits, validate_args=False))["dead_classes"] == 0.5

    def test_tell_apart_the_variables_of_independent(self) -> None:
        logits = 100 * torch.eye(4).expand(20, 4, 4)
        for q in (OneHotCategorical(logits=logits), Independent(OneHotCategorical(logits=logits), 1)):
            assert look(q)["perplexity"] == pytest.approx(1)

    def test_are_none_of_a_distribution_without_states(self) -> None:
        assert choice_figures(variables_of(Normal(torch.zeros(3), 1.0)), 1, Usage()) == {}


class TestSampleFigures:
    def test_of_samples(self) -> None:
        variable = variables_of(OneHotCategorical(logits=torch.zeros(2, 4)))
        assert sample_figures(torch.full((2, 4), 0.25), variable)["sharpness"] == 0
        assert sample_figures(torch.eye(4)[:2], variable)["sharpness"] == 1
        bits = variables_of(Bernoulli(logits=torch.zeros(2)))
        for of in (bits, None):
            assert sample_figures(torch.tensor([0.5, 1.0]), of)["sharpness"] == 0.5

    def test_of_class_numbers_are_hard(self) -> None:
        for q in (Categorical(logits=torch.zeros(5, 4)), PlackettLuce(torch.zeros(5, 4), 3)):
            assert sample_figures(q.sample(), variables_of(q)) == {"sharpness": 1.0}
        subset = KSubset(torch.zeros(5, 4), 2)
        assert sample_figures(subset.sample(), variables_of(subset)) == {"sharpness": 1.0}
        assert sample_figures(torch.full((5, 4), 0.5), variables_of(subset)) == {"sharpness": 0.0}
