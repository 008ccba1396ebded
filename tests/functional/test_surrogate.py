"""The straight-through line."""

from __future__ import annotations

import pytest
import torch

from drawgrad.functional import straight_through


def test_value_of_one_and_gradient_of_the_other() -> None:
    logits = torch.tensor([0.3, -1.2, 0.7], requires_grad=True)
    hard = torch.tensor([0.0, 0.0, 1.0], requires_grad=True)
    sample = straight_through(hard, logits.softmax(-1))
    assert torch.equal(sample, hard)
    upstream = torch.tensor([1.0, 2.0, 4.0])
    of_hard, of_logits = torch.autograd.grad(sample, (hard, logits), upstream, allow_unused=True)
    (expected,) = torch.autograd.grad(logits.softmax(-1), logits, upstream)
    assert of_hard is None
    assert torch.equal(of_logits, expected)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_to_the_last_bit(dtype: torch.dtype) -> None:
    soft = torch.rand(100_000, generator=torch.Generator().manual_seed(0)).to(dtype)
    hard = (soft > 0.5).to(dtype)
    assert torch.equal(straight_through(hard, soft), hard)


def test_shapes_must_agree() -> None:
    with pytest.raises((ValueError, TypeError), match="shape"):
        straight_through(torch.zeros(3), torch.zeros(2, 3))


def test_what_is_no_tensor_is_refused() -> None:
    with pytest.raises(TypeError, match="soft must be a tensor, but it is of type list"):
        straight_through(torch.zeros(1), [0.0])
