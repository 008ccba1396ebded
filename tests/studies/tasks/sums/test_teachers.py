"""Teachers of sums."""

from __future__ import annotations

import torch

from drawgrad.studies.tasks.sums.teachers import TEACHERS, ExactSum, SampledSum


def test_sampling_has_the_gradient_of_the_exact_probability() -> None:
    logits = torch.randn(1, 2, 1, 10, requires_grad=True)
    totals = torch.tensor([7])
    chance = 1 - (-ExactSum().loss(logits, totals)).exp()
    (expected,) = torch.autograd.grad(chance, logits)
    for name in ("IndeCateR", "leave-one-out", "REINFORCE"):
        teacher = TEACHERS[name]
        assert isinstance(teacher, SampledSum)
        many = teacher.loss(logits.expand(4000, -1, -1, -1), totals.expand(4000))
        (found,) = torch.autograd.grad(many, logits)
        assert torch.allclose(found, expected, atol=0.004), name
