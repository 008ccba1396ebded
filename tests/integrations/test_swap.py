"""Models that call torch's function are served by this package, and torch itself is as it was."""

from __future__ import annotations

import threading

import torch
from torch.nn import functional as F

from drawgrad.functional import gumbel_softmax
from drawgrad.integrations import swapped_gumbel_softmax


def layer(logits: torch.Tensor) -> torch.Tensor:
    return F.gumbel_softmax(logits, 0.7, True, 1e-10, 0)


def test_calls_inside_are_served_and_told() -> None:
    logits = torch.randn(4, 3, requires_grad=True)
    generator = torch.Generator().manual_seed(1)
    theirs = F.gumbel_softmax
    with swapped_gumbel_softmax(torch.Generator().manual_seed(1)) as swap:
        assert F.gumbel_softmax is theirs, "nothing is patched"
        found = [layer(logits), layer(logits)]
        (gradient,) = torch.autograd.grad(found[0][:, 0].square().sum(), logits)
    expected = [gumbel_softmax(logits, tau=0.7, hard=True, dim=0, generator=generator) for _ in range(2)]
    torch.testing.assert_close(found, expected)
    assert torch.equal(gradient, torch.autograd.grad(expected[0][:, 0].square().sum(), logits)[0])
    assert str(swap) == (
        "torch.nn.functional.gumbel_softmax -> drawgrad.functional.gumbel_softmax: 2 calls from "
        "tests.integrations.test_swap.layer"
    )


def test_calls_outside_and_in_other_threads_are_torchs() -> None:
    logits = torch.randn(4, 3)

    def seeded() -> torch.Tensor:
        torch.manual_seed(5)
        return layer(logits)

    before = seeded()
    found = []
    with swapped_gumbel_softmax() as swap:
        assert not torch.equal(torch.rand(1), torch.rand(1)), "other functions work"
        thread = threading.Thread(target=lambda: found.append(seeded()))
        thread.start()
        thread.join()
        inside = seeded()
    assert torch.equal(found[0], before)
    assert torch.equal(seeded(), before)
    torch.manual_seed(5)
    assert torch.equal(inside, gumbel_softmax(logits, tau=0.7, hard=True, dim=0))
    assert sum(swap.served.values()) == 1


def test_it_ends_with_an_error_too() -> None:
    try:
        with swapped_gumbel_softmax() as swap:
            raise RuntimeError
    except RuntimeError:
        layer(torch.zeros(2, 2))
    assert str(swap).endswith("no calls")
