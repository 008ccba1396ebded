"""The user's cost: what it may return beside the costs, decoders of one batch dimension, a batch that was averaged."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.distributions import Bernoulli, Independent, OneHotCategorical

from drawgrad.estimators import (
    Estimator,
    Exact,
    GumbelSoftmax,
    IndeCateR,
    LeaveOneOut,
    MuProp,
    Rebar,
    Reinforce,
    ReinMax,
    UnorderedSet,
    flatten_batch,
)
from tests.estimators.cases import CASES

LOGITS = torch.linspace(-1, 1, 30).reshape(5, 2, 3)


class TestAux:
    @pytest.mark.parametrize("make", [pytest.param(make, id=label) for label, make in CASES])
    def test_comes_with_the_same_loss_and_gradient(self, make: Callable[[], Estimator]) -> None:
        leaf = LOGITS.clone().requires_grad_()
        q = OneHotCategorical(logits=leaf)
        if make().obstacle(q) is not None:
            q = Bernoulli(logits=leaf[..., 0])
        if make().obstacle(q) is not None:
            pytest.skip("for continuous samples")

        def cost(z: Tensor) -> Tensor:
            return z.flatten(2).cumsum(-1).tanh().sum(-1)

        plain = make()(cost, q, seed=1)
        loss, aux = make()(lambda z: (cost(z), {"z": z, "name": "x"}), q, seed=1, has_aux=True)
        torch.testing.assert_close(loss, plain)
        mine = torch.autograd.grad(plain.sum(), leaf, retain_graph=True)
        torch.testing.assert_close(torch.autograd.grad(loss.sum(), leaf), mine)
        assert aux["z"].shape[1:] == q.batch_shape + q.event_shape

    @pytest.mark.parametrize(
        ("estimator", "count"),
        [
            (Exact(), 9),
            (Exact(chunk=2), 9),
            (IndeCateR(), 5),
            (LeaveOneOut(samples=4), 4),
            (MuProp(samples=3), 3),
            (Rebar(samples=3), 3),
            (ReinMax(samples=2), 2),
            (UnorderedSet(samples=4), 4),
        ],
    )
    def test_is_that_of_the_samples_that_count(self, estimator: Estimator, count: int) -> None:
        leaf = LOGITS.clone().requires_grad_()

        def cost(z: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor]]:
            costs = z[..., 0].sum(-1) ** 2
            return costs, (z, costs)

        loss, (z, costs) = estimator(cost, OneHotCategorical(logits=leaf), seed=1, has_aux=True)
        loss.sum().backward()
        assert z.shape == (count, 5, 2, 3)
        assert costs.shape == (count, 5)
        assert bool(((z == 0) | (z == 1)).all())

    def test_of_a_single_call_is_what_was_returned(self) -> None:
        marker = object()
        _, aux = Reinforce()(lambda z: (z.sum((-1, -2)), marker), OneHotCategorical(logits=LOGITS), has_aux=True)
        assert aux is marker

    def test_has_to_be_announced_and_given(self) -> None:
        q = OneHotCategorical(logits=LOGITS)
        with pytest.raises(TypeError, match=r"it returned tuple; say has_aux=True if it returns \(costs, aux\)"):
            ReinMax()(lambda z: (z.sum((-1, -2)), z), q)
        for wrong in (lambda z: z.sum((-1, -2)), lambda z: (z.sum((-1, -2)),)):
            with pytest.raises(TypeError, match=r"cost must return \(costs, aux\) with has_aux=True, but it returned"):
                ReinMax()(wrong, q, has_aux=True)


class TestFlattenBatch:
    @pytest.mark.parametrize("lead", [0, 1, 2])
    @pytest.mark.parametrize("estimator", [ReinMax(samples=3), LeaveOneOut(samples=2), Exact()], ids=str)
    def test_is_the_cost_written_for_all_dimensions(self, lead: int, estimator: Estimator) -> None:
        logits = LOGITS[:2].requires_grad_(False).clone().requires_grad_()
        x, weights = torch.randn(2, 2, 4)[(0,) * (2 - lead)], torch.randn(3, 4)

        def general(z: Tensor) -> Tensor:
            y = (z @ weights).flatten(1 + lead, -2).sum(1 + lead) if lead < 2 else z @ weights
            return (y - x).square().sum(-1)

        def narrow(z: Tensor, x: Tensor) -> Tensor:
            assert z.dim() == 1 + (2 - lead) + 1
            assert x.shape == (len(z), 4)
            y = (z @ weights).flatten(1, -2).sum(1) if lead < 2 else z @ weights
            return (y - x).square().sum(-1)

        q = Independent(OneHotCategorical(logits=logits), 2 - lead)
        expected, found = (estimator(cost, q, seed=1) for cost in (general, flatten_batch(narrow, x, lead=lead)))
        torch.testing.assert_close(found, expected)
        torch.testing.assert_close(
            torch.autograd.grad(found.sum(), logits, retain_graph=True), torch.autograd.grad(expected.sum(), logits)
        )

    def test_takes_several_distributions(self) -> None:
        q = {"a": OneHotCategorical(logits=torch.zeros(5, 3)), "b": Bernoulli(logits=torch.zeros(5, 2))}

        def narrow(z: dict[str, Tensor]) -> Tensor:
            assert (z["a"].shape, z["b"].shape) == ((20, 3), (20, 2))
            return z["a"][:, 0] + z["b"].sum(-1)

        assert LeaveOneOut(samples=4)(flatten_batch(narrow), q).shape == (5,)
        both = list(q.values())
        assert LeaveOneOut(samples=4)(flatten_batch(lambda z: narrow({"a": z[0], "b": z[1]})), both).shape == (5,)


class TestAveragedBatch:
    def test_is_warned_of(self) -> None:
        q = OneHotCategorical(logits=LOGITS)
        with pytest.warns(
            UserWarning, match=r"all variables of q.batch_shape = \(5, 2\) share it; .*Independent\(q, 2\)"
        ):
            GumbelSoftmax()(lambda z: z[..., 0].sum(-1).mean(-1), q)

    def test_and_what_is_meant_is_not(self) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            for q in (
                Independent(OneHotCategorical(logits=LOGITS), 2),
                OneHotCategorical(logits=LOGITS[0]),
                OneHotCategorical(logits=LOGITS[:1]),
            ):
                ReinMax()(lambda z: z.flatten(1).sum(-1), q)
            ReinMax()(lambda z: z[..., 0].sum(-1), OneHotCategorical(logits=LOGITS))
