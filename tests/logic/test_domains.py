"""Soft and hard domains, and the ways between them."""

from __future__ import annotations

import math

import pytest
import torch
from torch.distributions import Categorical

from drawgrad.functional import gumbel_max, gumbel_softmax
from drawgrad.logic import Boolean, Draw, HardDomains, Log, MinPlus, Mode, Probability, SoftDomains, Threshold
from tests.statistics import ALPHA, assert_frequencies

ELEMENTS = torch.tensor([[0.9, 0.5, 0.1], [0.0, 0.0, 0.0], [0.0, 0.2, 0.2]], dtype=torch.float64)


class TestSoft:
    def test_log_prob_and_entropy_are_those_of_the_normalized_domain(self) -> None:
        elements = torch.rand(4, 5, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
        domains, reference = SoftDomains(elements), Categorical(probs=elements)
        values = torch.arange(20).reshape(4, 5) % 6
        torch.testing.assert_close(domains.log_prob(values), reference.log_prob(values))
        torch.testing.assert_close(domains.entropy(), reference.entropy())
        torch.testing.assert_close(domains.log_probs().exp().sum(-1), torch.ones(4, 5, dtype=torch.float64))

    @pytest.mark.parametrize("semiring", [Log(), MinPlus()])
    def test_the_semiring_says_what_elements_stand_for(self, semiring: Log | MinPlus) -> None:
        other = SoftDomains(semiring.of_probs(ELEMENTS), semiring)
        torch.testing.assert_close(other.log_probs(), SoftDomains(ELEMENTS).log_probs())
        assert torch.equal(other.most_likely(), SoftDomains(ELEMENTS).most_likely())
        assert torch.equal(other.harden().bits, SoftDomains(ELEMENTS).harden().bits)

    def test_an_empty_domain_is_a_result(self) -> None:
        elements = ELEMENTS.clone().requires_grad_()
        domains = SoftDomains(elements)
        assert domains.contradiction() == 1
        assert SoftDomains(ELEMENTS[::2]).contradiction() == -1
        assert domains.log_probs()[1].tolist() == [-math.inf] * 3
        assert domains.entropy()[1] == 0
        loss = domains.log_prob(torch.tensor([0, 0, 0]))
        assert loss[1:].tolist() == [-math.inf, -math.inf]
        (gradient,) = torch.autograd.grad(loss[0] + domains.entropy().sum(), elements)
        assert gradient.isfinite().all()

    def test_gradient_of_log_prob(self) -> None:
        elements = ELEMENTS[[0, 2]].clone()
        elements[1, 0] = 0.3
        elements.requires_grad_()
        values = torch.tensor([1, 0])
        assert torch.autograd.gradcheck(lambda e: SoftDomains(e).log_prob(values), elements)
        assert torch.autograd.gradcheck(lambda e: SoftDomains(e).entropy(), elements)

    def test_tiny_elements_keep_their_proportions(self) -> None:
        domains = SoftDomains(torch.tensor([[1e-42, 3e-42]]))
        torch.testing.assert_close(domains.log_probs().exp(), torch.tensor([[0.25, 0.75]]), rtol=1e-2, atol=0)

    def test_relaxed_is_gumbel_softmax(self) -> None:
        logits = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
        for hard in (False, True):
            found = SoftDomains.relaxed(logits, 0.3, hard, seed=5).elements
            assert torch.equal(found, gumbel_softmax(logits, 0.3, hard, seed=5))

    @pytest.mark.parametrize(
        ("arguments", "kind", "message"),
        [
            ((torch.zeros(3),), ValueError, r"elements must have shape \(\*batch, variables, values\)"),
            ((torch.zeros(2, 3, dtype=torch.int64),), TypeError, "elements must be of a floating dtype"),
            ((torch.zeros(2, 3), "probability"), TypeError, "semiring must be a Semiring"),
        ],
    )
    def test_mistakes(self, arguments: tuple[object, ...], kind: type[Exception], message: str) -> None:
        with pytest.raises(kind, match=message):
            SoftDomains(*arguments)

    def test_an_assignment_of_another_shape(self) -> None:
        with pytest.raises(ValueError, match=r"assignment must have shape \(3,\)"):
            SoftDomains(ELEMENTS).log_prob(torch.zeros(2, dtype=torch.int64))


class TestHarden:
    def test_threshold(self) -> None:
        assert SoftDomains(ELEMENTS).harden().mask().tolist() == [
            [True, True, False],
            [False, False, False],
            [False, True, True],
        ]
        assert SoftDomains(ELEMENTS).harden(Threshold(1.0)).bits.tolist() == [1, 0, 6]
        assert SoftDomains(ELEMENTS).harden(Threshold(0.05)).bits.tolist() == [7, 0, 6]

    def test_mode(self) -> None:
        assert SoftDomains(ELEMENTS).harden(Mode()).bits.tolist() == [1, 0, 2]

    def test_draw_is_gumbel_max(self) -> None:
        logits = torch.randn(50, 7, generator=torch.Generator().manual_seed(0))
        drawn = SoftDomains(logits, Log()).harden(Draw(seed=3))
        assert torch.equal(drawn.assignment(), gumbel_max(logits, seed=3))
        assert SoftDomains(ELEMENTS).harden(Draw(seed=0)).bits[1] == 0

    def test_draws_have_the_domains_distribution(self) -> None:
        probs = torch.tensor([0.5, 0.3, 0.2])
        drawn = SoftDomains(2 * probs.expand(40_000, 3)).harden(Draw(seed=0)).assignment()
        assert_frequencies(drawn.bincount(minlength=3), probs, resolution=0.02, alpha=ALPHA)

    @pytest.mark.parametrize("fraction", [0.0, 1.5, -1.0])
    def test_a_fraction_out_of_range(self, fraction: float) -> None:
        with pytest.raises(ValueError, match="fraction must be above 0 and at most 1"):
            Threshold(fraction)

    def test_soften_undoes_it(self) -> None:
        hard = HardDomains(torch.tensor([5, 0, 7]), values=3)
        assert torch.equal(hard.soften(torch.float64).harden().bits, hard.bits)

    def test_straight_through(self) -> None:
        elements = ELEMENTS.clone().requires_grad_()
        domains = SoftDomains(elements).straight_through(Mode())
        assert domains.elements.tolist() == [[1.0, 0.0, 0.0], [0.0, 0.0, 0.0], [0.0, 1.0, 0.0]]
        weights = torch.arange(9.0, dtype=torch.float64).reshape(3, 3)
        (gradient,) = torch.autograd.grad((domains.elements * weights).sum(), elements)
        assert torch.equal(gradient, weights)
        with pytest.raises(TypeError, match=r"straight_through needs elements of Probability\(\)"):
            SoftDomains(ELEMENTS, Log()).straight_through()


class TestHard:
    @pytest.mark.parametrize("values", [3, 64, 65, 130])
    def test_mask_there_and_back(self, values: int) -> None:
        mask = torch.rand(2, 5, values, generator=torch.Generator().manual_seed(0)) < 0.3
        domains = HardDomains.from_mask(mask)
        assert domains.bits.shape == ((2, 5) if values <= 64 else (2, 5, -(-values // 64)))
        assert torch.equal(domains.mask(), mask)
        assert torch.equal(domains.count(), mask.sum(-1))
        single = mask.sum(-1) == 1
        assert torch.equal(domains.assignment(), torch.where(single, mask.long().argmax(-1), -1))

    def test_contradiction_names_the_first_empty_one(self) -> None:
        bits = torch.tensor([[1, 0, 0], [1, 2, 3], [0, 1, 1]])
        assert HardDomains(bits, 2).contradiction().tolist() == [1, -1, 0]

    @pytest.mark.parametrize(
        ("bits", "values", "kind", "message"),
        [
            (torch.zeros(3), 3, TypeError, "bits must be an int64 tensor, but it is torch.float32"),
            (torch.zeros(3, dtype=torch.int64), 65, ValueError, r"must have shape \(\*batch, variables, 2\)"),
            (torch.zeros((), dtype=torch.int64), 3, ValueError, r"must have shape \(\*batch, variables\)"),
            (torch.zeros(3, dtype=torch.int64), 0, ValueError, "values must be at least 1"),
        ],
    )
    def test_mistakes(self, bits: torch.Tensor, values: int, kind: type[Exception], message: str) -> None:
        with pytest.raises(kind, match=message):
            HardDomains(bits, values)


def test_boolean_elements() -> None:
    domains = SoftDomains(torch.tensor([[True, False], [False, False]]), Boolean())
    assert domains.contradiction() == 1
    assert domains.harden().bits.tolist() == [1, 0]
    assert isinstance(domains.semiring, Boolean)
    assert not isinstance(domains.semiring, Probability)
