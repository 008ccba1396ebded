"""The CPU twin against the reference over the edge grid, to the rounding that float32 explains."""

from __future__ import annotations

from types import ModuleType

import numpy as np
import pytest
import torch
from torch import Tensor

from drawgrad import functional
from drawgrad.kernels import cpu, reference
from drawgrad.kernels.cpu import few, narrow, wide
from drawgrad.kernels.philox import GUMBEL_STREAM, LOGISTIC_STREAM, SECOND
from tests.kernels.oracles import EXTREME_PLACES, assert_close_in_ulp, precise_noise, word_at

EPS = torch.finfo(torch.float32).eps
FLUSHED = 1.3e-38
"""Exponentials below it are zero in the CPU twin."""
INF, NAN = torch.inf, torch.nan

STREAMS = {"gumbel": GUMBEL_STREAM, "logistic": LOGISTIC_STREAM}
SEEDS = torch.tensor([3, -5])
"""Two groups, so that both the seed and the row number of a group matter."""
ROW_OFFSETS = [7, 2**32 - 2, 2**33 + 5]
CLASS_OFFSETS = [0, 1, 6]
CLASSES = [1, 2, 5, 33, narrow.FEW_CLASSES, narrow.FEW_CLASSES + 1, wide.CHUNK + 6]
ROWS = [0, 1, 3, narrow.LANES + 6]


def edge_logits(rows: int, classes: int) -> Tensor:
    """Ordinary logits, and where there is room for them all that is extraordinary."""
    logits = 3 * torch.randn(len(SEEDS), rows, classes)
    if rows > 2 and classes > 2:
        logits[0, 0] = -INF
        logits[0, 1, 1] = -INF
        logits[1, 0, 0] = torch.tensor(NAN).neg()
        logits[1, 1, 1] = INF
        logits[1, 2, 0] = NAN
        logits[0, 2, :3] = torch.tensor([1e4, -1e4, 9999.5])
    return logits


def temperatures(rows: int) -> list[Tensor]:
    """One for all, as small and as large as they get, and one for each row."""
    return [torch.tensor(tau) for tau in (0.5, 1e-6, 1e3)] + [torch.rand(len(SEEDS), rows, 1) + 0.1]


def places() -> list[tuple[int, int]]:
    """Every class offset, with row offsets in turn."""
    return list(zip(ROW_OFFSETS, CLASS_OFFSETS, strict=True))


def rounding(logits: Tensor, family: str, place: tuple[int, int]) -> Tensor:
    """How far the scores of two twins may be apart: that of the noise, 3 ulp in each, and of the sum, 1/2 in each."""
    noise = reference.noise(SEEDS, logits.shape[1:], *place, family, torch.float64)
    return EPS * (6 * noise.abs().clamp_min(1) + (logits + noise).abs()).nan_to_num(posinf=0.0)


def assert_close(value: Tensor, expected: Tensor, allowed: Tensor | float) -> None:
    """NaN in the same places, and numbers no further apart than allowed."""
    assert value.shape == expected.shape
    assert value.dtype == expected.dtype
    assert torch.equal(value.isnan(), expected.isnan())
    excess = (value.double() - expected.double()).abs() - allowed - FLUSHED
    excess = excess.where(~(value.isnan() | (value == expected)), -INF)
    if excess.numel() and excess.max() > 0:
        worst = int(excess.argmax())
        raise AssertionError(f"{value.flatten()[worst]} instead of {expected.flatten()[worst]} at {worst}")


def relative(logits: Tensor, tau: Tensor, family: str, place: tuple[int, int]) -> Tensor:
    """Largest relative deviation of an entry of a sample."""
    apart = rounding(logits, family, place)
    if family == "gumbel" and logits.shape[-1]:
        # An entry is compared with the others of its row.
        apart = apart + apart.amax(-1, keepdim=True)
    return torch.expm1(apart / tau) + 8 * EPS


grid = pytest.mark.parametrize(("rows", "classes"), [(rows, classes) for rows in ROWS for classes in CLASSES])


@grid
@pytest.mark.parametrize("family", ["gumbel", "logistic"])
def test_noise(rows: int, classes: int, family: str) -> None:
    for place in places():
        noise = cpu.noise(SEEDS, (rows, classes), *place, family, torch.float32)
        exact = reference.noise(SEEDS, (rows, classes), *place, family, torch.float64)
        assert noise.shape == exact.shape
        if exact.numel():
            assert_close_in_ulp(noise, exact.numpy(), 2)


@pytest.mark.parametrize("family", ["gumbel", "logistic"])
@pytest.mark.parametrize("classes", [1, 6, wide.CHUNK + 6])
def test_extreme_words_are_resolved_by_second_ones(family: str, classes: int) -> None:
    for seed, row, class_, word in EXTREME_PLACES[family]:
        exact = precise_noise(family, word, word_at(seed, row, class_, STREAMS[family] + SECOND))
        first = max(0, class_ - classes + 1)
        noise = cpu.noise(torch.tensor([1, seed]), (3, classes), row - 1, first, family, torch.float32)
        assert_close_in_ulp(noise[1, 1, class_ - first][None], np.array([exact]), 2)


@pytest.mark.parametrize("classes", [6, narrow.FEW_CLASSES + 6])
@pytest.mark.parametrize("rows", [1, narrow.LANES + 3])
def test_scores_of_extreme_words_decide_as_they_should(classes: int, rows: int) -> None:
    """The class with the extreme word wins if its logit is a little larger than what makes it equal to the next one."""
    for seed, row, class_, word in EXTREME_PLACES["gumbel"]:
        exact = precise_noise("gumbel", word, word_at(seed, row, class_, GUMBEL_STREAM + SECOND))
        seeds, place = torch.tensor([1, seed]), (row - rows + 1, class_ - 2)
        other = reference.noise(seeds, (rows, classes), *place, "gumbel", torch.float64)[1, -1, 3].item()
        logits = torch.full((2, rows, classes), -INF)
        logits[..., 3] = 0.0
        for behind, winner in ((1e-4, 3), (-1e-4, 2)):
            logits[..., 2] = other - exact - behind
            assert cpu.gumbel_max(logits, seeds, *place)[1, -1] == winner
            sample = cpu.gumbel_softmax(logits, torch.tensor(1.0), seeds, *place, False)[1, -1]
            assert sample[2].item() == pytest.approx(0.5, abs=1e-4)
            grad = torch.zeros_like(logits)
            grad[..., 2] = 1.0
            slope = cpu.gumbel_softmax_vjp(grad, logits, torch.tensor(1.0), seeds, *place)[1, -1, 2]
            assert slope.item() == pytest.approx(0.25, abs=1e-4)


@grid
def test_soft_samples(rows: int, classes: int) -> None:
    logits = edge_logits(rows, classes)
    for family, name in (("gumbel", "gumbel_softmax"), ("logistic", "binary_concrete")):
        for place in places():
            for tau in temperatures(rows):
                arguments = (logits, tau, SEEDS, *place, False)
                expected = getattr(reference, name)(*arguments)
                allowed = expected.double() * relative(logits, tau, family, place)
                assert_close(getattr(cpu, name)(*arguments), expected, allowed)


@grid
def test_gradients(rows: int, classes: int) -> None:
    logits = edge_logits(rows, classes)
    grad = torch.randn_like(logits)
    if rows > 2 and classes > 2:
        # Into a class that cannot be chosen, and into one that can.
        grad[0, 1, 1] = INF
        grad[1, 2, 1] = -INF
    size = grad.abs().nan_to_num(posinf=0.0)
    for place in places():
        for tau in temperatures(rows):
            y = reference.gumbel_softmax(logits, tau, SEEDS, *place, False)
            apart = relative(logits, tau, "gumbel", place)
            largest = size.amax(-1, keepdim=True)
            allowed = 4 * (apart.nan_to_num(posinf=1 / EPS) * y + FLUSHED) * largest / tau
            arguments = (grad, logits, tau, SEEDS, *place)
            assert_close(cpu.gumbel_softmax_vjp(*arguments), reference.gumbel_softmax_vjp(*arguments), allowed)
            arguments = (grad, y, tau)
            allowed = 32 * EPS * y * largest / tau
            assert_close(cpu.softmax_vjp(*arguments), reference.softmax_vjp(*arguments), allowed)

            y = reference.binary_concrete(logits, tau, SEEDS, *place, False)
            allowed = 4 * (relative(logits, tau, "logistic", place) * y).clamp(EPS, 1) * size / tau
            arguments = (grad, logits, tau, SEEDS, *place)
            assert_close(cpu.binary_concrete_vjp(*arguments), reference.binary_concrete_vjp(*arguments), allowed)
            arguments = (grad, y, tau)
            allowed = 8 * EPS * y * (1 - y) * size / tau
            assert_close(cpu.sigmoid_vjp(*arguments), reference.sigmoid_vjp(*arguments), allowed)


@grid
def test_discrete_samples(rows: int, classes: int) -> None:
    logits = edge_logits(rows, classes)
    tau = torch.tensor(0.5)
    for place in places():
        index, expected = (twin.gumbel_max(logits, SEEDS, *place) for twin in (cpu, reference))
        scores = logits + reference.noise(SEEDS, (rows, classes), *place, "gumbel", torch.float64)
        apart = rounding(logits, "gumbel", place)
        # Another winner is right only where it is as good as the winner up to rounding.
        behind = scores.gather(-1, expected.clamp_min(0)[..., None]) - scores.gather(-1, index.clamp_min(0)[..., None])
        assert torch.equal(index == -1, expected == -1)
        assert bool(((index == expected) | (behind <= 2 * apart.amax(-1, keepdim=True))[..., 0]).all())

        hard = cpu.gumbel_softmax(logits, tau, SEEDS, *place, True)
        one_hot = torch.arange(classes) == index[..., None]
        failed = (logits.isnan() | (logits == INF)).any(-1, keepdim=True).expand_as(logits)
        assert torch.equal(hard.isnan(), failed)
        assert torch.equal(hard[~failed], one_hot[~failed].float())

        bits, expected = (twin.binary_concrete(logits, tau, SEEDS, *place, True) for twin in (cpu, reference))
        scores = logits + reference.noise(SEEDS, (rows, classes), *place, "logistic", torch.float64)
        assert torch.equal(bits.isnan(), expected.isnan())
        undecided = scores.abs() <= rounding(logits, "logistic", place)
        assert bool(((bits == expected) | bits.isnan() | undecided).all())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("classes", [5, 100])
def test_narrow_dtypes_are_computed_in_float32_and_rounded_once(dtype: torch.dtype, classes: int) -> None:
    logits, grad = (torch.randn(2, 5, classes).to(dtype) for _ in range(2))
    tau = torch.tensor(0.5)
    for call in (
        lambda x, g: cpu.gumbel_softmax(x, tau, SEEDS, 0, 0, False),
        lambda x, g: cpu.gumbel_softmax(x, tau, SEEDS, 0, 0, True),
        lambda x, g: cpu.gumbel_softmax_vjp(g, x, tau, SEEDS, 0, 0),
        lambda x, g: cpu.softmax_vjp(g, x, tau),
        lambda x, g: cpu.binary_concrete(x, tau, SEEDS, 0, 0, False),
        lambda x, g: cpu.binary_concrete_vjp(g, x, tau, SEEDS, 0, 0),
        lambda x, g: cpu.sigmoid_vjp(g, x, tau),
    ):
        assert torch.equal(call(logits, grad), call(logits.float(), grad.float()).to(dtype))
    assert torch.equal(cpu.gumbel_max(logits, SEEDS, 0, 0), cpu.gumbel_max(logits.float(), SEEDS, 0, 0))
    noise = cpu.noise(SEEDS, (5, classes), 0, 0, "gumbel", torch.float32)
    assert torch.equal(cpu.noise(SEEDS, (5, classes), 0, 0, "gumbel", dtype), noise.to(dtype))


@pytest.mark.parametrize("tau", [1e-39, 1e-45, 0.0, NAN])
@pytest.mark.parametrize("classes", [3, 100])
def test_temperatures_that_are_hardly_numbers(tau: float, classes: int) -> None:
    arguments = (torch.randn(2, 4, classes), torch.tensor(tau), SEEDS, 0, 0, False)
    for name in ("gumbel_softmax", "binary_concrete"):
        value, expected = (getattr(twin, name)(*arguments) for twin in (cpu, reference))
        if tau > 0:
            assert torch.equal(value, expected)
        elif name == "gumbel_softmax":
            assert bool(value.isnan().all())
            assert bool(expected.isnan().all())


@pytest.mark.parametrize("classes", [5, 33, 100, 2000])
def test_a_part_of_the_classes_or_rows_is_the_same_to_the_last_bit(classes: int) -> None:
    """Vector lanes and the remainder loop round alike."""
    rows, skip = 7, 3
    for family in ("gumbel", "logistic"):
        whole = cpu.noise(SEEDS, (rows, classes), 0, 0, family, torch.float32)
        part = cpu.noise(SEEDS, (rows - 2, classes - skip), 2, skip, family, torch.float32)
        assert torch.equal(part, whole[:, 2:, skip:])
    logits = torch.randn(2, rows, classes)
    tau = torch.tensor(0.5)
    for name in ("gumbel_softmax", "binary_concrete"):
        whole = getattr(cpu, name)(logits, tau, SEEDS, 0, 0, False)
        assert torch.equal(getattr(cpu, name)(logits[:, 2:5], tau, SEEDS, 2, 0, False), whole[:, 2:5])


class TestTheCheck:
    """What must not pass does not."""

    LOGITS = torch.zeros(2, 3, 5)
    TAU = torch.tensor(0.5)

    def allowed(self, expected: Tensor) -> Tensor:
        return expected * relative(self.LOGITS, self.TAU, "gumbel", (0, 0))

    @pytest.mark.parametrize(
        "other",
        [
            pytest.param((torch.tensor(0.5001), SEEDS, 0, 0, False), id="temperature"),
            pytest.param((TAU, SEEDS + 1, 0, 0, False), id="seed"),
            pytest.param((TAU, SEEDS, 1, 0, False), id="row"),
            pytest.param((TAU, SEEDS, 0, 4, False), id="class"),
        ],
    )
    def test_another_draw_is_noticed(self, other: tuple[object, ...]) -> None:
        expected = reference.gumbel_softmax(self.LOGITS, self.TAU, SEEDS, 0, 0, False)
        assert_close(cpu.gumbel_softmax(self.LOGITS, self.TAU, SEEDS, 0, 0, False), expected, self.allowed(expected))
        with pytest.raises(AssertionError, match="instead of"):
            assert_close(cpu.gumbel_softmax(self.LOGITS, *other), expected, self.allowed(expected))

    def test_another_gradient_is_noticed(self) -> None:
        grad = torch.randn(2, 3, 5)
        y = reference.gumbel_softmax(self.LOGITS, self.TAU, SEEDS, 0, 0, False)
        expected = reference.softmax_vjp(grad, y, self.TAU)
        allowed = 32 * EPS * y * grad.abs().amax(-1, keepdim=True) / self.TAU
        assert_close(cpu.softmax_vjp(grad, y, self.TAU), expected, allowed)
        with pytest.raises(AssertionError, match="instead of"):
            assert_close(cpu.softmax_vjp(grad, y * (1 + 1e-4), self.TAU), expected, allowed)

    def test_a_nan_too_many_is_noticed(self) -> None:
        expected = torch.zeros(3)
        with pytest.raises(AssertionError):
            assert_close(torch.tensor([0.0, NAN, 0.0]), expected, 1.0)


class Watched:
    """A module of kernels as the twin sees it, that notes which of them it runs; they see each other as they are."""

    def __init__(self, module: ModuleType, ran: list[str]) -> None:
        self._module, self._ran = module, ran

    def __getattr__(self, name: str) -> object:
        found = getattr(self._module, name)
        if not callable(found):
            return found

        def call(*args: object) -> object:
            self._ran.append(f"{self._module.__name__.rpartition('.')[2]}.{name}")
            return found(*args)

        return call


class TestWhichKernelRuns:
    @pytest.fixture
    def ran(self, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        """The names of the compiled kernels that the twin has run."""
        ran: list[str] = []
        for module in (wide, narrow):
            for caller in (cpu, few):
                monkeypatch.setattr(caller, module.__name__.rpartition(".")[2], Watched(module, ran))
        return ran

    @pytest.mark.parametrize(("classes", "layout"), [(narrow.FEW_CLASSES, "narrow"), (narrow.FEW_CLASSES + 1, "wide")])
    @pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
    def test_public_functions_run_the_kernels(
        self, ran: list[str], classes: int, layout: str, dtype: torch.dtype
    ) -> None:
        logits = torch.zeros(100, classes, dtype=dtype, requires_grad=True)
        functional.gumbel_softmax(logits, seed=1).sum().backward()
        functional.gumbel_softmax(logits, hard=True, seed=1).sum().backward()
        functional.gumbel_max(logits, seed=1)
        functional.gumbel_noise((4, classes), dtype=dtype, seed=1)
        functional.binary_concrete(logits, seed=1).sum().backward()
        functional.binary_concrete(logits, hard=True, seed=1).sum().backward()
        assert ran == [
            f"{layout}.gumbel_softmax",
            "wide.softmax_vjp",
            f"{layout}.gumbel_one_hot",
            f"{layout}.gumbel_softmax_vjp",
            f"{layout}.gumbel_max",
            f"{layout}.noise",
            "wide.binary_concrete",
            "wide.sigmoid_vjp",
            "wide.binary_concrete",
            "wide.binary_concrete_vjp",
        ]

    @pytest.mark.parametrize(("classes", "layout"), [(narrow.FEW_CLASSES, "narrow"), (narrow.FEW_CLASSES + 1, "wide")])
    def test_and_for_few_numbers_those_that_draw(self, ran: list[str], classes: int, layout: str) -> None:
        logits = torch.zeros(4, classes, requires_grad=True)
        for hard in (False, True):
            functional.gumbel_softmax(logits, hard=hard, seed=1).sum().backward()
            functional.binary_concrete(logits, hard=hard, seed=1).sum().backward()
        functional.gumbel_max(logits, seed=1)
        soft, bits = [f"{layout}.gumbel_softmax", "wide.is_between"], ["wide.binary_concrete", "wide.is_between"]
        hard_ones = [*soft, f"{layout}.gumbel_one_hot", *bits, "wide.binary_concrete"]
        assert ran == [*soft, *bits, *hard_ones, f"{layout}.gumbel_max"]

    def test_float64_is_left_to_the_reference(self, ran: list[str]) -> None:
        logits = torch.zeros(4, 5, dtype=torch.float64, requires_grad=True)
        for hard in (False, True):
            functional.gumbel_softmax(logits, hard=hard, seed=1).sum().backward()
            functional.binary_concrete(logits, hard=hard, seed=1).sum().backward()
        functional.gumbel_max(logits, seed=1)
        functional.gumbel_noise((4,), dtype=torch.float64, seed=1)
        assert ran == []
