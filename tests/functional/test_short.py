"""The short way of an ordinary call: when it is taken, and that nobody can tell by the result."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from drawgrad.functional import binary_concrete, gumbel_max, gumbel_softmax
from drawgrad.functional._seeds import draw_number
from drawgrad.functional._short import numbers_at_hand

LOGITS = torch.randn(20, 10, generator=torch.Generator().manual_seed(0))


def at_hand(logits: Tensor = LOGITS, **given: object) -> tuple[float, int] | None:
    arguments = {"tau": 0.5, "generator": None, "seed": 3, "row_offset": 0, "class_offset": 0} | given
    return numbers_at_hand(logits, **arguments)


class TestWhenItIsTaken:
    def test_for_numbers_and_for_tensors_of_one_number(self) -> None:
        assert at_hand() == (0.5, 3)
        assert at_hand(tau=2, seed=-(2**63)) == (2.0, -(2**63))
        assert at_hand(tau=torch.tensor(0.25), seed=torch.tensor(7)) == (0.25, 7)
        assert at_hand(LOGITS.clone().requires_grad_()) == (0.5, 3)
        assert at_hand(torch.nn.Parameter(LOGITS)) == (0.5, 3)

    @pytest.mark.parametrize(
        "given",
        [
            {"tau": 0.0},
            {"tau": True},
            {"tau": float("nan")},
            {"tau": "1"},
            {"tau": torch.tensor(1)},
            {"tau": torch.ones(20, 1)},
            {"tau": torch.tensor(1.0, requires_grad=True)},
            {"seed": 2**63},
            {"seed": True},
            {"seed": 0.5},
            {"seed": torch.tensor([1])},
            {"seed": torch.tensor(1.0)},
            {"generator": torch.Generator()},
            {"seed": None, "generator": 5},
            {"seed": torch.zeros((), dtype=torch.int64, device="meta")},
            {"tau": torch.ones((), device="meta")},
            {"row_offset": 1},
            {"class_offset": 4},
            {"row_offset": False},
        ],
    )
    def test_not_for_other_arguments(self, given: dict[str, object]) -> None:
        assert at_hand(**given) is None

    @pytest.mark.parametrize(
        "change",
        [
            torch.Tensor.double,
            torch.Tensor.half,
            torch.Tensor.t,
            torch.Tensor.to_sparse,
            torch._neg_view,
            lambda x: x[0, 0],
            lambda x: x.to("meta"),
            lambda x: torch._efficientzerotensor(x.shape),
            lambda x: x.as_subclass(type("Own", (torch.Tensor,), {})),
        ],
    )
    def test_not_for_other_tensors(self, change: Callable[[Tensor], Tensor]) -> None:
        assert at_hand(change(LOGITS)) is None

    def test_not_while_torch_is_watched(self) -> None:
        seen = []
        torch.vmap(lambda x: seen.append(at_hand(x)) or x)(LOGITS)
        torch.func.grad(lambda x: seen.append(at_hand()) or x.sum())(LOGITS)
        with FlopCounterMode(display=False):
            seen.append(at_hand())
        assert seen == [None, None, None]

    def test_not_for_what_a_transform_left_behind(self) -> None:
        left: list[Tensor] = []
        torch.func.grad(lambda x: left.append(x) or x.sum())(LOGITS)
        assert at_hand(left[0]) is None
        assert torch.equal(gumbel_softmax(left[0], seed=3), gumbel_softmax(LOGITS, seed=3))


@pytest.mark.parametrize("hard", [False, True])
def test_both_ways_give_one_result(hard: bool) -> None:
    leaf = LOGITS.clone().requires_grad_()
    grad = torch.randn(20, 10)
    samples = [gumbel_softmax(leaf, 0.5, hard, dim, seed=3) for dim in (-1, 1)]
    assert torch.equal(*samples)
    torch.testing.assert_close(*(torch.autograd.grad(sample, leaf, grad)[0] for sample in samples))
    bits = [binary_concrete(leaf, 0.5, hard, seed=seed) for seed in (2**64 - 3, -3)]
    assert torch.equal(*bits)
    torch.testing.assert_close(*(torch.autograd.grad(sample, leaf, grad)[0] for sample in bits))
    assert torch.equal(gumbel_max(LOGITS, seed=3), gumbel_max(LOGITS, 1, seed=3))


@pytest.mark.parametrize("rows", [4, 400])
def test_memory_that_was_given_back_is_an_error(rows: int) -> None:
    logits = torch.randn(rows, 5)
    logits.untyped_storage().resize_(0)
    for draw in (gumbel_softmax, gumbel_max, binary_concrete):
        with pytest.raises(RuntimeError, match="has no memory, because its storage was given back"):
            draw(logits, seed=1)


class TestSeedsThatAreDrawn:
    @pytest.mark.parametrize("own", [False, True])
    def test_are_those_of_torch(self, own: bool) -> None:
        generator = torch.Generator() if own else None
        for seed in range(20):
            (torch if generator is None else generator).manual_seed(seed)
            expected = [
                torch.randint(-(2**63), 2**63 - 1, (), dtype=torch.int64, generator=generator).item() for _ in range(2)
            ]
            (torch if generator is None else generator).manual_seed(seed)
            assert [draw_number(generator), draw_number(generator)] == expected

    def test_in_a_thread_whose_first_one_is_in_inference_mode(self) -> None:
        found: list[Tensor] = []

        def draw() -> None:
            with torch.inference_mode():
                found.append(gumbel_softmax(LOGITS))
            found.append(gumbel_softmax(LOGITS))

        thread = threading.Thread(target=draw)
        thread.start()
        thread.join()
        assert len(found) == 2
        assert not torch.equal(found[0], found[1])
