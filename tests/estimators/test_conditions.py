"""What no user asks for and every program does at some time: costs that work in place, impossible classes, no batch."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.distributions import Bernoulli, Categorical, Distribution, Normal, OneHotCategorical

from drawgrad.estimators import (
    Arsm,
    Estimator,
    Exact,
    IndeCateR,
    LeaveOneOut,
    RaoBlackwellScore,
    Reinforce,
    StraightThrough,
    UnorderedSet,
)
from tests.estimators.cases import CASES

KINDS: dict[str, tuple[Callable[[Tensor], Distribution], tuple[int, ...]]] = {
    "classes": (lambda x: OneHotCategorical(logits=x), (6, 2, 3)),
    "coins": (lambda x: Bernoulli(logits=x), (6, 3)),
    "numbers": (lambda x: Categorical(logits=x), (6, 2, 3)),
    "normal": (lambda x: Normal(x, 1.0), (6, 3)),
}


def of_kind(*kinds: str) -> list[object]:
    """All estimators with the kinds of distributions that they take; the suite's proposal is for logits."""
    return [
        pytest.param(make, kind, id=f"{label}-{kind}")
        for label, make in CASES
        for kind in kinds
        if make().obstacle(KINDS[kind][0](torch.zeros(KINDS[kind][1]))) is None
        and not (kind in ("numbers", "normal") and "flatter" in label)
        and not (kind in ("numbers", "normal") and "Nvil" in label)
    ]


@pytest.mark.parametrize(("make", "kind"), of_kind(*KINDS))
def test_a_cost_may_work_in_place(make: Callable[[], Estimator], kind: str) -> None:
    family, shape = KINDS[kind]
    weights = torch.linspace(-1, 1, 3)

    def result(in_place: bool) -> tuple[Tensor, Tensor]:
        def cost(z: Tensor) -> Tensor:
            x = z.mul_(3).add_(1) if in_place else z * 3 + 1
            x = x.float()
            return (x * weights if x.shape[-1] == 3 else x).flatten(2).sum(-1).tanh()

        x = torch.linspace(-1, 1, torch.Size(shape).numel()).reshape(shape).requires_grad_()
        loss = make()(cost, family(x), seed=1)
        return loss.detach(), torch.autograd.grad(loss.sum(), x)[0]

    torch.testing.assert_close(result(True), result(False))


@pytest.mark.parametrize(("make", "kind"), of_kind("coins", "classes"))
def test_what_cannot_occur_has_no_gradient(make: Callable[[], Estimator], kind: str) -> None:
    """Exactly, and not on average: a masked class would drift."""
    family, shape = KINDS[kind]
    x = torch.randn(200, *shape[1:], generator=torch.Generator().manual_seed(3))
    x[..., 1] = -torch.inf
    x.requires_grad_()
    loss = make()(lambda z: torch.tanh(2 * z.flatten(2).cumsum(-1)).sum(-1) ** 2, family(x), seed=1)
    (found,) = torch.autograd.grad(loss.sum(), x)
    assert bool((found[..., 1] == 0).all())
    assert bool(found.isfinite().all())
    assert bool((found[..., 0] != 0).any())


@pytest.mark.parametrize(("make", "kind"), of_kind("coins"))
def test_nothing_to_choose_costs_what_it_costs(make: Callable[[], Estimator], kind: str) -> None:
    """No variables share the cost: there is one state, the empty one."""
    q = Bernoulli(logits=torch.zeros(0, requires_grad=True))
    loss = make()(lambda z: z.sum(-1) + 2.5, q, seed=1)
    torch.testing.assert_close(loss.detach(), torch.tensor(2.5))


@pytest.mark.parametrize("value", [None, 3.0, torch.zeros(3), "cost"])
def test_a_cost_that_is_no_function_is_refused(value: object) -> None:
    q = OneHotCategorical(logits=torch.zeros(3))
    for estimator in (StraightThrough(), Exact(), Reinforce()):
        with pytest.raises(TypeError, match=r"cost must be a function of the sample z, but it is .*; give one that"):
            estimator(value, q)  # type: ignore[arg-type]


class TestSize:
    def test_a_set_of_many_classes(self) -> None:
        """Alike states count alike: the value is the mean cost of the set, which is NaN if products overflow."""
        seen = []

        def cost(z: Tensor) -> Tensor:
            costs = z.argmax(-1).double()
            seen.append(costs)
            return costs

        logits = torch.zeros(1000, dtype=torch.float64, requires_grad=True)
        loss = UnorderedSet(samples=130)(cost, OneHotCategorical(logits=logits), seed=1)
        torch.testing.assert_close(loss.detach(), torch.cat(seen).mean())
        assert bool(torch.autograd.grad(loss, logits)[0].isfinite().all())

    @pytest.mark.parametrize("coins", [1000, 1030, 1076, 3000])
    def test_a_set_of_states_of_tiny_probability_is_leave_one_out(self, coins: int) -> None:
        logits = torch.zeros(coins, dtype=torch.float64, requires_grad=True)
        seen = []

        def cost(z: Tensor) -> Tensor:
            seen.append(z)
            return z.sum(-1)

        loss = UnorderedSet(samples=2)(cost, Bernoulli(logits=logits), seed=1)
        (found,) = torch.autograd.grad(loss, logits)
        z = torch.cat(seen)
        difference = z[0].sum() - z[1].sum()
        torch.testing.assert_close(loss.detach(), z.sum(-1).mean())
        torch.testing.assert_close(found, 0.5 * difference * (z[0] - z[1]))

    def test_a_centre_of_states_of_tiny_probability(self) -> None:
        """The signal is the cost less that of the mode, also where the mode's probability rounds to zero."""
        logits = torch.full((1100,), 0.01, dtype=torch.float64, requires_grad=True)
        seen = []

        def cost(z: Tensor) -> Tensor:
            seen.append(z)
            return z.sum(-1)

        loss = RaoBlackwellScore(top=1, centered=True)(cost, Bernoulli(logits=logits), seed=1)
        (found,) = torch.autograd.grad(loss, logits)
        other = seen[1][0]
        torch.testing.assert_close(found, (other.sum() - 1100) * (other - logits.detach().sigmoid()))

    @pytest.mark.parametrize("lead", [20.0, 37.0, 60.0, 300.0])
    def test_what_the_most_probable_state_leaves_over(self, lead: float) -> None:
        """Of logits (37, 0, 0) 1.7e-16 is left, less than the distance of 1 from the next number."""
        rest = 2 * torch.tensor(-lead, dtype=torch.float64).exp()
        logits = torch.tensor([lead, 0.0, 0.0], dtype=torch.float64, requires_grad=True)
        q = OneHotCategorical(logits=logits, validate_args=False)
        for estimator in (RaoBlackwellScore(top=1), UnorderedSet(samples=2)):
            loss = estimator(lambda z: (1 - z[..., 0]) / rest, q, seed=1)
            torch.testing.assert_close(loss.detach(), torch.tensor(1.0, dtype=torch.float64))
        pair = OneHotCategorical(logits=logits.detach().expand(2, 3), validate_args=False)
        loss = RaoBlackwellScore(top=1)(lambda z: (1 - z[..., 0].prod(-1)) / rest, pair, seed=1)
        torch.testing.assert_close(loss, torch.tensor(2.0, dtype=torch.float64))

    def test_states_that_fill_pages_are_refused_in_a_line(self) -> None:
        with pytest.raises(
            ValueError, match=r"Exact enumerates 10\^5000 states, more than its limit of 65536"
        ) as error:
            Exact()(lambda z: z.sum((-1, -2)), OneHotCategorical(logits=torch.zeros(5000, 10)))
        assert len(str(error.value)) < 300


class TestChunks:
    MAKES = (
        lambda chunk: Exact(chunk=chunk),
        lambda chunk: IndeCateR(samples=2, chunk=chunk),
        lambda chunk: UnorderedSet(samples=7, chunk=chunk),
        lambda chunk: Arsm(samples=2, chunk=chunk),
    )

    @pytest.mark.parametrize("make", MAKES)
    def test_give_the_same_result_and_bound_what_the_cost_sees(self, make: Callable[[int | None], Estimator]) -> None:
        def result(chunk: int | None) -> tuple[list[int], tuple[Tensor, ...]]:
            sizes = []
            layer = torch.nn.Linear(9, 4, bias=False, dtype=torch.float64)
            with torch.no_grad():
                layer.weight.copy_(torch.linspace(-1, 1, 36).reshape(4, 9))
            logits = torch.linspace(-1, 1, 45, dtype=torch.float64).reshape(5, 3, 3).requires_grad_()

            def cost(z: Tensor) -> Tensor:
                sizes.append(len(z))
                return layer(z.flatten(-2)).tanh().sum(-1)

            loss = make(chunk)(cost, OneHotCategorical(logits=logits), seed=1)
            return sizes, (loss.detach(), *torch.autograd.grad(loss.sum(), (logits, layer.weight)))

        sizes, whole = result(None)
        assert max(sizes) > 2
        small, parts = result(2)
        assert max(small) <= 2
        torch.testing.assert_close(parts, whole)

    def test_keep_no_graph_of_what_the_cost_computes(self) -> None:
        weights = torch.ones(6, 500, requires_grad=True)

        def held(chunk: int | None) -> int:
            count = 0

            def pack(tensor: Tensor) -> Tensor:
                nonlocal count
                count += tensor.numel()
                return tensor

            q = Bernoulli(logits=torch.zeros(6, requires_grad=True))
            with torch.autograd.graph.saved_tensors_hooks(pack, lambda x: x):
                Exact(chunk=chunk)(lambda z: (z @ weights).tanh().exp().sum(-1), q)
            return count

        assert held(4) < held(None) / 5

    @pytest.mark.parametrize("chunk", [0, -1])
    def test_hold_one_state_at_least(self, chunk: int) -> None:
        for make in self.MAKES:
            with pytest.raises(ValueError, match="chunk must be at least 1"):
                make(chunk)


def test_indices_compile_into_one_graph() -> None:
    def step(logits: Tensor, seed: Tensor) -> Tensor:
        q = Categorical(logits=logits, validate_args=False)
        return LeaveOneOut(samples=3)(lambda z: z.float() ** 2, q, seed=seed)

    logits = torch.randn(5, 4, requires_grad=True)
    torch.compiler.reset()
    compiled = torch.compile(step, fullgraph=True, backend="aot_eager")(logits, torch.tensor(3))
    torch.testing.assert_close(compiled, step(logits, torch.tensor(3)))
