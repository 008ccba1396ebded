"""The multi-sample bound against its definition, its gradient against the weights of the samples."""

from __future__ import annotations

import math

import pytest
import torch

from drawgrad.functional import multi_sample_bound

INF = math.inf


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_is_its_definition(dtype):
    costs = (3 * torch.randn(7, 4)).to(dtype)
    right = [-math.log(sum(math.exp(-cost) for cost in column) / 7) for column in costs.T.tolist()]
    found = multi_sample_bound(costs)
    assert found.dtype == dtype
    torch.testing.assert_close(found, torch.tensor(right, dtype=dtype))


def test_one_sample_is_its_cost():
    costs = torch.randn(1, 5)
    torch.testing.assert_close(multi_sample_bound(costs), costs[0])


@pytest.mark.parametrize("dim", [0, 1, -1])
def test_takes_a_dimension(dim):
    costs = torch.randn(2, 3, 4)
    torch.testing.assert_close(multi_sample_bound(costs, dim), multi_sample_bound(costs.movedim(dim, 0)))


def test_is_between_the_least_cost_and_the_mean():
    costs = 100 * torch.randn(50, 20)
    bound = multi_sample_bound(costs)
    assert (bound >= costs.amin(0)).all()
    assert (bound <= costs.mean(0)).all()


def test_the_gradient_is_the_weight_of_each_sample():
    costs = torch.randn(6, 2, dtype=torch.float64, requires_grad=True)
    (grad,) = torch.autograd.grad(multi_sample_bound(costs).sum(), costs)
    torch.testing.assert_close(grad, (-costs.detach()).softmax(0))
    assert torch.autograd.gradgradcheck(multi_sample_bound, (costs,))


def test_impossible_samples_weigh_nothing():
    costs = torch.tensor([[1.0, INF], [INF, INF]], requires_grad=True)
    bound = multi_sample_bound(costs)
    torch.testing.assert_close(bound, torch.tensor([1.0 + math.log(2), INF]))
    (grad,) = torch.autograd.grad(bound[0], costs)
    assert grad.tolist() == [[1.0, 0.0], [0.0, 0.0]]


def test_an_exported_one_holds_for_any_number_of_samples():
    class Model(torch.nn.Module):
        def forward(self, costs):
            return multi_sample_bound(costs)

    exported = torch.export.export(Model(), (torch.randn(5, 3),), dynamic_shapes=({0: torch.export.Dim("samples")},))
    costs = torch.randn(9, 3)
    torch.testing.assert_close(exported.module()(costs), multi_sample_bound(costs))


def test_refuses_what_are_no_costs():
    with pytest.raises(TypeError, match="costs must"):
        multi_sample_bound(torch.ones(3, dtype=torch.int64))
    with pytest.raises(ValueError, match=r"costs must have a dimension of samples, but they are 0-dim"):
        multi_sample_bound(torch.tensor(1.0))
    with pytest.raises(ValueError, match=r"costs must be those of a sample at least, but their shape is \(0, 3\)"):
        multi_sample_bound(torch.empty(0, 3))
    with pytest.raises(IndexError, match=r"dim must be in \[-2, 1\] for 2-dim costs, but it is 2"):
        multi_sample_bound(torch.empty(4, 3), 2)
