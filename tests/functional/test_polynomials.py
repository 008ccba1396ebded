"""Products of polynomials against numpy's, their derivatives against autograd's, and how a count splits."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from drawgrad.functional._polynomials import derivative, product_tree, split
from tests.statistics import assert_frequencies


def terms(nodes: int, rows: int = 2) -> Tensor:
    p = torch.rand(nodes, rows, dtype=torch.float64, generator=torch.Generator().manual_seed(nodes))
    return torch.stack([1 - p, p])


@pytest.mark.parametrize("degree", [1, 3, 20])
@pytest.mark.parametrize("nodes", [1, 2, 3, 6, 7, 13])
class TestProducts:
    def test_are_those_of_numpy(self, nodes: int, degree: int) -> None:
        each = terms(nodes)
        product = product_tree(each, degree)[-1][:, 0]
        for row in range(2):
            expected = np.ones(1)
            for term in each[:, :, row].T.numpy():
                expected = np.convolve(expected, term)
            size = min(degree, nodes) + 1
            np.testing.assert_allclose(product[:size, row], expected[:size], rtol=1e-13)
            assert bool((product[size:] == 0).all())

    def test_derivatives_are_those_of_autograd(self, nodes: int, degree: int) -> None:
        each = terms(nodes).requires_grad_()
        levels = product_tree(each, degree)
        power = min(degree, nodes)
        (found,) = torch.autograd.grad(levels[-1][power].sum(), each)
        torch.testing.assert_close(derivative(levels, power)[:, :nodes], found)
        weight = torch.randn_like(found)

        def weighted(each: Tensor) -> Tensor:
            return (derivative(product_tree(each, degree), power)[:, :nodes] * weight * each).sum()

        assert torch.autograd.gradcheck(lambda each: product_tree(each, degree)[-1], each)
        assert torch.autograd.gradcheck(weighted, each)
        assert torch.autograd.gradgradcheck(weighted, each)


def test_mapped_products_are_those_of_a_loop() -> None:
    batch = torch.stack([terms(5), terms(5).flip(0)])
    whole = torch.vmap(lambda each: product_tree(each, 3)[-1])(batch)
    torch.testing.assert_close(whole, torch.stack([product_tree(each, 3)[-1] for each in batch]))


class TestSplit:
    DRAWS = 60_000

    def draw(self, count: int) -> tuple[Tensor, Tensor]:
        """Drawn ones of five terms, given their number, and the probabilities of all 32 outcomes."""
        each = terms(5, rows=1)
        levels = product_tree(each, 5)
        uniform = torch.rand(self.DRAWS, 6, 1, dtype=torch.float64)
        drawn = split(levels, torch.full((self.DRAWS, 1, 1), count), uniform)[:, :5, 0]
        outcomes = torch.cartesian_prod(*[torch.arange(2)] * 5)
        chances = each[outcomes, torch.arange(5), 0].prod(-1) * (outcomes.sum(-1) == count)
        return drawn, chances / chances.sum()

    @pytest.mark.parametrize("count", [0, 1, 2, 3, 5])
    def test_is_exact(self, count: int) -> None:
        drawn, chances = self.draw(count)
        assert bool((drawn.sum(-1) == count).all())
        number = (drawn * torch.tensor([16, 8, 4, 2, 1])).sum(-1)
        counts = torch.bincount(number, minlength=32)
        if count in (0, 5):
            assert int((counts > 0).sum()) == 1
        else:
            assert_frequencies(counts, chances, resolution=0.02)

    def test_another_law_is_noticed(self) -> None:
        drawn, _ = self.draw(2)
        _, wrong = self.draw(3)
        number = ((1 - drawn) * torch.tensor([16, 8, 4, 2, 1])).sum(-1)  # Three zeros in place of three ones.
        with pytest.raises(AssertionError, match="chi-square"):
            assert_frequencies(torch.bincount(number, minlength=32), wrong, resolution=0.02)
