"""A batch in parts: micro-batches, and the parts of several processes, draw and learn what the whole batch would."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.distributions import Bernoulli, Categorical, Independent, Normal, OneHotCategorical

from drawgrad.distributions import GibbsPermutation, KSubset, PlackettLuce
from drawgrad.estimators import ESTIMATORS, Aimle, Estimator, LeaveOneOut, Pathwise, PerturbAndMap, STGumbelSoftmax
from drawgrad.functional import fold_seed
from drawgrad.variables import variables_of
from tests.estimators.cases import CASES

ROWS, CUTS = 7, (0, 1, 4, 7)
CANNOT = (Pathwise, PerturbAndMap, Aimle)
"""Drawn with torch's own samplers."""

Make = Callable[[], Estimator]
Family = Callable[[Tensor], Any]

FAMILIES: dict[str, tuple[Family, tuple[int, ...]]] = {
    "OneHotCategorical": (lambda x: OneHotCategorical(logits=x), (3, 4)),
    "Bernoulli": (lambda x: Bernoulli(logits=x), (3,)),
    "Bernoulli, one variable": (lambda x: Bernoulli(logits=x), ()),
    "Categorical": (lambda x: Categorical(logits=x), (3, 4)),
    "KSubset": (lambda x: KSubset(x, 2), (5,)),
    "PlackettLuce": (lambda x: PlackettLuce(x, 2), (4,)),
    "GibbsPermutation": (GibbsPermutation, (3, 3)),
    "several": (lambda x: [Bernoulli(logits=x[..., :2]), OneHotCategorical(logits=x)], (4,)),
    "Independent": (lambda x: Independent(OneHotCategorical(logits=x), 1), (2, 3)),
}


def cost(z: Any, weights: Tensor) -> Tensor:
    """One number for each row, not the same for any two of its samples."""
    parts = z if isinstance(z, list) else [z]
    total = torch.zeros(parts[0].shape[:2], dtype=torch.float64)
    for place, part in enumerate(parts):
        x = part.double().reshape(*part.shape[:2], -1)
        total = total + (x * torch.linspace(1, 2 + place, x.shape[-1], dtype=torch.float64)).sum(-1)
    return torch.sin(total) * weights + total**2


def found(make: Make, family: Family, logits: Tensor, weights: Tensor, row: int) -> tuple[Tensor, Tensor, Tensor]:
    """Losses, and their gradients for the logits and for what the cost closes over."""
    estimator = make()
    if isinstance(estimator, torch.nn.Module):
        # A baseline that learns from one part before the next one is asked is another one; and how many rows a product
        # has decides on its last digit, which in float32 would be seen.
        estimator.eval().double()
    logits, weights = logits.clone().requires_grad_(), weights.clone().requires_grad_()
    loss = estimator(lambda z: cost(z, weights), family(logits), seed=11, row_offset=row)
    return (loss.detach(), *torch.autograd.grad(loss.sum(), (logits, weights)))


def cases() -> list[object]:
    chosen = []
    more = [(f"{name}(samples=2)", lambda name=name: with_samples(name)) for name in ESTIMATORS]
    for label, make in [*CASES, *more]:
        if make() is None or isinstance(make(), CANNOT):
            continue
        known = ("OneHotCategorical", "Bernoulli") if "Nvil" in label or "flatter" in label else FAMILIES
        for name in known:
            family, shape = FAMILIES[name]
            if make().obstacle(family(torch.zeros(1, *shape, dtype=torch.float64))) is None:
                chosen.append(pytest.param(make, name, id=f"{label}-{name}"))
    return chosen


def with_samples(name: str) -> Estimator | None:
    """The estimator with two samples, if that is another one than those of the cases."""
    cls: Any = ESTIMATORS[name]
    if cls.exact or cls.fewest_samples == 2 or issubclass(cls, CANNOT):
        return None
    return cls(samples=2)


@pytest.mark.parametrize(("make", "name"), cases())
def test_the_parts_are_the_whole(make: Make, name: str) -> None:
    family, shape = FAMILIES[name]
    generator = torch.Generator().manual_seed(5)
    logits = torch.randn(ROWS, *shape, generator=generator, dtype=torch.float64)
    weights = torch.randn(ROWS, generator=generator, dtype=torch.float64)
    whole = found(make, family, logits, weights, 0)
    parts = [
        found(make, family, logits[start:stop], weights[start:stop], start) for start, stop in itertools.pairwise(CUTS)
    ]
    for value, pieces in zip(whole, zip(*parts, strict=True), strict=True):
        torch.testing.assert_close(torch.cat(pieces), value, rtol=1e-9, atol=1e-9)


def test_every_estimator_takes_part() -> None:
    taking_part = {type(case.values[0]()) for case in cases()}  # type: ignore[attr-defined]
    assert {*ESTIMATORS.values()} - taking_part == set(CANNOT)


def test_without_the_offset_they_are_not() -> None:
    family, shape = FAMILIES["OneHotCategorical"]
    logits, weights = torch.zeros(ROWS, *shape, dtype=torch.float64), torch.ones(ROWS, dtype=torch.float64)
    whole = found(LeaveOneOut, family, logits, weights, 0)[0]
    part = found(LeaveOneOut, family, logits[3:], weights[3:], 0)[0]
    assert not torch.equal(whole[3:], part)


class TestPlace:
    @pytest.mark.parametrize("name", FAMILIES)
    def test_copies_may_be_drawn_some_at_a_time(self, name: str) -> None:
        """A copy draws by its number, whichever others are drawn with it."""
        family, shape = FAMILIES[name]
        variable = variables_of(family(torch.zeros(3, *shape)))
        seed = torch.tensor(3)
        whole = flat(variable.expand(5).draw(seed))
        parts = [flat(variable.expand(n, first).draw(seed)) for first, n in ((0, 1), (1, 3), (4, 1))]
        for at, value in enumerate(whole):
            assert torch.equal(torch.cat([part[at] for part in parts]), value)
            assert len(value.flatten(1).unique(dim=0)) > 1

    @pytest.mark.parametrize("name", FAMILIES)
    @pytest.mark.parametrize("copies", [1, 3])
    def test_rows_may_be_drawn_some_at_a_time(self, name: str, copies: int) -> None:
        """In the dtype of the fused operations."""
        family, shape = FAMILIES[name]
        logits = torch.linspace(-1, 1, ROWS * math.prod(shape)).reshape(ROWS, *shape)
        seed = torch.tensor(3)
        whole = flat(variables_of(family(logits)).expand(copies).draw(seed))
        parts = [
            flat(variables_of(family(logits[a:b])).placed(a).expand(copies).draw(seed)) for a, b in ((0, 3), (3, 7))
        ]
        for at, value in enumerate(whole):
            assert torch.equal(torch.cat([part[at] for part in parts], 1), value)

    @pytest.mark.parametrize("copies", [1, 3])
    @pytest.mark.parametrize("q", [Bernoulli(logits=torch.zeros(())), OneHotCategorical(logits=torch.zeros(4))])
    def test_a_row_alone_needs_no_batch_dimension(self, q: Any, copies: int) -> None:
        whole = variables_of(q.expand((ROWS,))).expand(copies).draw(torch.tensor(3))
        rows = [variables_of(q).placed(row).expand(copies).draw(torch.tensor(3)) for row in range(ROWS)]
        assert torch.equal(torch.stack(rows, 1), whole)
        assert len(whole.flatten().unique()) > 1

    def test_the_first_of_several_samples_is_that_of_one(self) -> None:
        q = OneHotCategorical(logits=torch.zeros(5, 4))
        one, three = (STGumbelSoftmax(samples=n).rsample(q, seed=1) for n in (1, 3))
        assert torch.equal(one[0], three[0])

    def test_samples_are_independent_of_each_other_and_of_folded_seeds(self) -> None:
        q = Bernoulli(logits=torch.zeros(1 << 14))
        copies = variables_of(q).expand(4).draw(torch.tensor(3))
        folded = [variables_of(q).draw(fold_seed(3, number))[None] for number in range(4)]
        signs = torch.cat([copies, *folded]).double() * 2 - 1
        correlation = signs @ signs.T / signs.shape[1] - torch.eye(8, dtype=torch.float64)
        # Six standard errors of 1/128: a false alarm in one of ten million runs.
        assert correlation.abs().max() < 6 / 128


def flat(index: Any) -> list[Tensor]:
    return index if isinstance(index, list) else [index]


class TestWhatCannotBeCut:
    @pytest.mark.parametrize(
        ("make", "q"),
        [
            (Pathwise, Normal(torch.zeros(3, requires_grad=True), 1.0)),
            (LeaveOneOut, Normal(torch.zeros(3, requires_grad=True), 1.0)),
            (PerturbAndMap, KSubset(torch.zeros(3, 4, requires_grad=True), 2)),
            (Aimle, KSubset(torch.zeros(3, 4, requires_grad=True), 2)),
        ],
    )
    def test_is_refused_with_the_cure(self, make: Make, q: Any) -> None:
        make()(lambda z: z.reshape(*z.shape[:2], -1).sum(-1), q, seed=0, row_offset=0)
        with pytest.raises(TypeError, match=r"row_offset cannot be heeded.*seed=fold_seed"):
            make()(lambda z: z.reshape(*z.shape[:2], -1).sum(-1), q, seed=0, row_offset=3)

    def test_distributions_without_a_common_batch(self) -> None:
        q = [Bernoulli(logits=torch.zeros(2)), Bernoulli(logits=torch.zeros(3))]
        with pytest.raises(TypeError, match="these have none; make their batch shapes begin alike"):
            LeaveOneOut()(lambda z: z[0].sum(-1), q, row_offset=1)

    @pytest.mark.parametrize(("row", "error"), [(-1, ValueError), (1.0, TypeError), (True, TypeError)])
    def test_mistakes(self, row: Any, error: type[Exception]) -> None:
        with pytest.raises(error, match="row_offset must"):
            LeaveOneOut()(lambda z: z, Bernoulli(logits=torch.zeros(3)), row_offset=row)
