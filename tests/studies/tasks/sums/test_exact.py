"""The exact probability of a sum, against all digits there are."""

from __future__ import annotations

import itertools

import pytest
import torch

from drawgrad.studies.tasks.sums.exact import column_sums, most_likely_sum, sum_log_prob


def enumerated(log: torch.Tensor) -> torch.Tensor:
    """Probabilities of all sums of one row, `(addends, digits, 10)`, by going through all digits."""
    addends, digits = log.shape[:2]
    found = torch.zeros(addends * (10**digits - 1) + 1, dtype=log.dtype)
    for values in itertools.product(range(10), repeat=addends * digits):
        shown = torch.tensor(values).reshape(addends, digits)
        total = int((shown * 10 ** torch.arange(digits - 1, -1, -1)).sum())
        found[total] += log.gather(-1, shown[..., None]).sum().exp()
    return found


@pytest.mark.parametrize(("addends", "digits"), [(2, 1), (3, 1), (1, 2)])
def test_probabilities_are_those_of_enumeration(addends: int, digits: int) -> None:
    log = torch.randn(2, addends, digits, 10, dtype=torch.float64).log_softmax(-1)
    columns = column_sums(log)
    for row in range(2):
        expected = enumerated(log[row])
        totals = torch.arange(len(expected))
        found = sum_log_prob(columns[row].expand(len(totals), -1, -1), totals, addends).exp()
        torch.testing.assert_close(found, expected)
        assert int(most_likely_sum(columns, addends)[row]) == int(expected.argmax())


def test_what_is_carried() -> None:
    """Two numbers of three digits that are known: their sum is certain, and no other one is possible."""
    digits = torch.tensor([[[9, 5, 7], [0, 8, 6]]])
    log = torch.full((1, 2, 3, 10), -1e4, dtype=torch.float64).scatter(-1, digits[..., None], 0.0)
    columns = column_sums(log)
    assert most_likely_sum(columns, 2).tolist() == [957 + 86]
    assert sum_log_prob(columns, torch.tensor([1043]), 2).exp().item() == pytest.approx(1.0)
    assert sum_log_prob(columns, torch.tensor([1143]), 2).item() < -1000


def test_all_sums_together_are_certain() -> None:
    log = torch.randn(1, 2, 2, 10, dtype=torch.float64).log_softmax(-1)
    totals = torch.arange(199)
    found = sum_log_prob(column_sums(log).expand(199, -1, -1), totals, 2)
    assert found.exp().sum().item() == pytest.approx(1.0)


def test_the_gradient_is_finite_and_right() -> None:
    logits = torch.randn(3, 2, 2, 10, dtype=torch.float64, requires_grad=True)
    totals = torch.tensor([0, 99, 198])

    def loss(logits: torch.Tensor) -> torch.Tensor:
        return sum_log_prob(column_sums(logits.log_softmax(-1)), totals, 2)

    assert torch.autograd.gradcheck(loss, logits)
    sure = torch.full((1, 2, 2, 10), -200.0).index_fill(-1, torch.tensor([3]), 0.0).requires_grad_()
    sum_log_prob(column_sums(sure.log_softmax(-1)), torch.tensor([41]), 2).sum().backward()
    assert sure.grad.isfinite().all()
