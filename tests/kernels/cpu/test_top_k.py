"""The k best classes by the CPU twin, against the reference and against a sort of the same scores."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from drawgrad import functional
from drawgrad.kernels import cpu, ops, reference
from drawgrad.kernels.cpu import top_k, wide
from tests.kernels.cpu.test_twins import SEEDS, edge_logits, places, rounding

CLASSES = [1, 2, 5, top_k.SPAN, top_k.SPAN + 1, wide.CHUNK, wide.CHUNK + 6, 3 * wide.CHUNK]


def ordered(values: Tensor) -> bool:
    """Descending, NaN in front."""
    rank = torch.where(values.isnan(), torch.inf, values)
    return bool((rank[..., :-1] >= rank[..., 1:]).all())


@pytest.mark.parametrize("rows", [0, 1, 3])
@pytest.mark.parametrize("classes", CLASSES)
def test_is_the_reference_up_to_rounding(rows: int, classes: int) -> None:
    logits = edge_logits(rows, classes)
    for place in places():
        for k in {0, 1, min(8, classes), min(100, classes), classes}:
            values, index = cpu.gumbel_top_k(logits, k, SEEDS, *place)
            top, _ = reference.gumbel_top_k(logits, k, SEEDS, *place)
            assert values.shape == index.shape == top.shape == (2, rows, k)
            assert ordered(values)
            assert torch.equal(values.isnan(), top.isnan())
            assert torch.equal(index == -1, top == -torch.inf)
            scores = logits + reference.noise(SEEDS, (rows, classes), *place, "gumbel", torch.float64)
            apart = rounding(logits, "gumbel", place).amax(-1, keepdim=True) if classes else 0.0
            # What stands at a place has its own score there, and the score of that place.
            own = scores.gather(-1, index.clamp_min(0)).where(index >= 0, -torch.inf)
            for found in (own, top.double()):
                behind = (values - found).abs().nan_to_num(0.0).where(values != found, 0.0)
                assert bool((behind <= apart).all())
            # No class stands at two places.
            twice = index.sort(-1)[0]
            assert not bool(((twice[..., 1:] == twice[..., :-1]) & (twice[..., 1:] >= 0)).any())


def test_of_equal_scores_the_first_class_is_the_better_one() -> None:
    # So large that the noise does not move them.
    index = cpu.gumbel_top_k(torch.full((2, 3, 200), 1e30), 5, SEEDS, 0, 0)[1]
    assert torch.equal(index, torch.arange(5).expand(2, 3, 5))


@pytest.mark.parametrize("order", ["ascending", "descending"])
def test_the_order_of_the_classes_makes_no_difference(order: str) -> None:
    logits = torch.linspace(0, 1e6, 3000)[None].expand(2, 1, 3000)
    logits = logits if order == "ascending" else logits.flip(-1)
    expected = torch.arange(50) if order == "descending" else torch.arange(2999, 2949, -1)
    assert torch.equal(cpu.gumbel_top_k(logits, 50, SEEDS, 0, 0)[1], expected.expand(2, 1, 50))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_narrow_dtypes_are_computed_in_float32(dtype: torch.dtype) -> None:
    logits = torch.randn(2, 5, 100).to(dtype)
    for found, expected in zip(
        cpu.gumbel_top_k(logits, 7, SEEDS, 0, 0), cpu.gumbel_top_k(logits.float(), 7, SEEDS, 0, 0), strict=True
    ):
        assert torch.equal(found, expected)


def test_the_public_function_runs_the_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    ran = []

    class Watched:
        @staticmethod
        def gumbel_top_k(*args: object) -> None:
            ran.append(len(args))
            top_k.gumbel_top_k(*args)

    monkeypatch.setattr(cpu, "top_k", Watched)
    logits = torch.zeros(4, 5, requires_grad=True)
    functional.gumbel_top_k(logits, 2, seed=1, perturbed=True)[1].sum().backward()
    assert len(ran) == 1
    functional.gumbel_top_k(logits.double(), 2, seed=1)
    assert len(ran) == 1


def test_mapped_calls_are_those_of_a_loop() -> None:
    logits, seeds = torch.randn(3, 2, 4, 5), torch.arange(6).reshape(3, 2)
    mapped = torch.vmap(lambda x, s: ops.gumbel_top_k(x, 3, s, 1, 0))(logits, seeds)
    looped = [ops.gumbel_top_k(x, 3, s, 1, 0) for x, s in zip(logits, seeds, strict=True)]
    for found, expected in zip(mapped, zip(*looped, strict=True), strict=True):
        assert torch.equal(found, torch.stack(expected))
    plain = torch.vmap(lambda x: functional.gumbel_top_k(x, 3, seed=5, perturbed=True))(logits)
    for found, expected in zip(
        plain,
        zip(*(functional.gumbel_top_k(x, 3, seed=5, perturbed=True) for x in logits), strict=True),
        strict=True,
    ):
        assert torch.equal(found, torch.stack(expected))
