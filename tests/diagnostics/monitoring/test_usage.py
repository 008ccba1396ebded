"""Which classes are dead, and how many examples it takes to say so."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from drawgrad.diagnostics import dead_classes
from drawgrad.diagnostics.monitoring.usage import ENOUGH, Usage, choosable


def hard(*classes: int, k: int = 4) -> Tensor:
    """Certain choices of one variable, shape ``(examples, 1, k)``."""
    return torch.nn.functional.one_hot(torch.tensor(classes), k).float()[:, None]


def fair(p: Tensor) -> Tensor:
    return torch.full_like(p, 1 / p.shape[-1])


class TestDeadClasses:
    @pytest.mark.parametrize("k", [2, 10, 512])
    def test_get_less_than_a_hundredth_of_an_equal_share(self, k: int) -> None:
        used = torch.full((k,), 1.0 / k)
        used[0], used[1] = 0.0099 / k, 0.0101 / k
        assert dead_classes(used).tolist() == [True] + [False] * (k - 1)

    def test_may_be_chosen(self) -> None:
        used, share = torch.tensor([1.0, 0.0, 0.0]), torch.tensor([0.5, 0.5, 0.0])
        assert dead_classes(used, share).tolist() == [False, True, False]

    def test_are_not_ruled_out(self) -> None:
        log_probs = torch.tensor([0.0, -200.0, -1e4, -torch.inf])
        assert choosable(log_probs).tolist() == [True, True, False, False]


class TestUsage:
    def test_waits_for_five_examples_for_each_class(self) -> None:
        usage = Usage()
        for look in range(ENOUGH):
            assert not usage.is_enough()
            p = hard(0, 1, 2, look % 4)
            usage.add(p, fair(p))
        assert usage.is_enough()
        used, share = usage.averages()
        assert used[0].tolist() == pytest.approx([7 / 20, 6 / 20, 6 / 20, 1 / 20])
        assert share.tolist() == [[0.25] * 4]

    def test_of_a_large_batch_is_that_of_the_batch(self) -> None:
        usage = Usage()
        for chosen in (0, 1):
            p = hard(*[chosen] * 20)
            usage.add(p, fair(p))
            assert usage.averages()[0][0, chosen] == 1

    def test_forgets(self) -> None:
        usage = Usage()
        for look in range(40):
            p = hard(*[0 if look < 20 else 3] * 4)
            usage.add(p, fair(p))
        assert usage.averages()[0].tolist() == [[0, 0, 0, 1]]

    def test_begins_anew_with_another_number_of_classes(self) -> None:
        usage = Usage()
        usage.add(hard(*[0] * 20), fair(hard(*[0] * 20)))
        usage.add(hard(5, k=6), fair(hard(5, k=6)))
        assert not usage.is_enough()
        assert usage.averages()[0].tolist() == [[0, 0, 0, 0, 0, 1]]
