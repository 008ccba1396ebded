"""What every module of ``drawgrad.nn`` keeps: draws, seeds, dtypes, compilers, processes, states, words."""

from __future__ import annotations

import inspect
import random
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.fx.experimental.symbolic_shapes import GuardOnDataDependentSymNode
from torch.nn.parallel import DistributedDataParallel
from torch.utils.checkpoint import checkpoint

import drawgrad.nn as dn
from tests.nn.cases import CASES, Case, loss_of, tensors

each = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
BASES = {"Tempered"}
"""Public classes that are no modules to be used by themselves."""


def made(case: Case, **factory: Any) -> nn.Module:
    torch.manual_seed(0)
    return case.make(**factory)


def same(first: Any, second: Any) -> bool:
    pairs = zip(tensors(first), tensors(second), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


def trained(module: nn.Module, x: Tensor, call: Any = None, seed: int = 5) -> list[Tensor]:
    """Result, gradient of the input and gradients of the parameters, of a draw by torch's generator."""
    x = x.clone().requires_grad_()
    module.zero_grad()
    torch.manual_seed(seed)
    found = (module if call is None else call)(x)
    loss_of(found).backward()
    # A graph gives zeros to what had no part.
    gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in [x, *module.parameters()]]
    return [t.detach() for t in tensors(found)] + gradients


def test_every_module_is_listed() -> None:
    public = {name for name in dn.__all__ if inspect.isclass(getattr(dn, name))}
    modules = {name for name in public if issubclass(getattr(dn, name), nn.Module)} - BASES
    assert modules <= {type(inner).__name__ for case in CASES for inner in made(case).modules()}
    assert all(type(made(case)).__name__ == case.name.partition(",")[0] for case in CASES)


@each
def test_training_draws_and_a_seed_says_what(case: Case) -> None:
    module, x = made(case).train(), case.input()
    results = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        results.append(module(x))
    assert same(results[0], results[1])
    assert same(results[0], results[2]) is not case.draws
    if case.draws:
        assert same(module(x, seed=3), module(x, seed=torch.tensor(3)))
        generator = torch.Generator().manual_seed(4)
        assert not same(module(x, generator=generator), module(x, generator=generator))
        with pytest.raises(ValueError, match="both given"):
            module(x, seed=3, generator=generator)


@each
def test_evaluation_is_deterministic_and_draws_nothing(case: Case) -> None:
    module, x = made(case).eval(), case.input()
    state = torch.get_rng_state()
    first = module(x)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(99)
    assert same(first, module(x))


@each
def test_gradients_are_finite_and_reach_what_learns(case: Case) -> None:
    module, x = made(case).train(), case.input().requires_grad_()
    reached = torch.zeros(1 + len(list(module.parameters())), dtype=torch.bool)
    for seed in range(8):
        module.zero_grad()
        x.grad = None
        loss_of(module(x, **({"seed": seed} if case.draws else {}))).backward()
        gradients = [x.grad, *(p.grad for p in module.parameters())]
        assert all(g.isfinite().all() for g in gradients if g is not None)
        reached |= torch.tensor([g is not None and bool(g.any()) for g in gradients])
    assert reached.all()


@each
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=["f16", "bf16"])
def test_autocast(case: Case, dtype: torch.dtype) -> None:
    module = made(case).train()
    with torch.autocast("cpu", dtype):
        results = trained(module, case.input())
    assert all(t.isfinite().all() for t in results if t.is_floating_point())
    half = case.input(dtype).requires_grad_()
    with torch.autocast("cpu", dtype):
        loss_of(module(half)).backward()
    assert half.grad is not None
    assert half.grad.isfinite().all()


@each
def test_compiles_to_one_graph(case: Case) -> None:
    torch.compiler.reset()
    module, x = made(case).train(), case.input()
    compiled = torch.compile(module, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(trained(module, x, compiled), trained(module, x))
    module.eval()
    torch.testing.assert_close(trained(module, x, compiled), trained(module, x))


@each
def test_checkpointing_draws_the_same_noise(case: Case) -> None:
    module, x = made(case).train(), case.input()
    # What comes before is computed again as well, and so is what comes after.
    again = trained(module, x, lambda x: checkpoint(lambda x: module(x * 1.0), x, use_reentrant=False))
    torch.testing.assert_close(again, trained(module, x))


@each
def test_exports_in_evaluation(case: Case) -> None:
    module, x = made(case).eval(), case.input()
    program = torch.export.export(module, (x,))
    other = case.input(offset=0.4)
    torch.testing.assert_close(tensors(program.module()(other)), tensors(module(other)))
    assert not any("drawgrad" in str(node.target) for node in program.graph.nodes)


@each
def test_a_state_makes_another_module_the_same(case: Case, tmp_path: Path) -> None:
    torch.manual_seed(1)
    first = case.make()
    with torch.no_grad():
        for tensor in [*first.parameters(), *first.buffers()]:
            if tensor.is_floating_point():
                tensor.add_(0.25)
    torch.save(first.state_dict(), tmp_path / "state.pt")
    second = made(case)
    second.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    x = case.input()
    assert same(first.eval()(x), second.eval()(x))
    assert same(*(trained(module.train(), x) for module in (first, second)))


@each
def test_says_what_it_is(case: Case) -> None:
    module = made(case)
    assert type(module).extra_repr is not nn.Module.extra_repr
    assert module.extra_repr()
    assert "object at" not in repr(module)


@each
def test_resets_all_that_it_holds(case: Case) -> None:
    module = made(case)
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    with torch.no_grad():
        for tensor in [*module.parameters(), *module.buffers()]:
            tensor.fill_(7)
    for inner in module.modules():
        if isinstance(inner, nn.ModuleList | nn.Sequential | nn.ParameterList):
            continue
        inner.reset_parameters()  # type: ignore[operator]
    after = module.state_dict()
    assert after.keys() == before.keys()
    for name, tensor in after.items():
        assert not (tensor == 7).any(), name
        if "tau" in name:
            assert torch.equal(tensor, before[name])


# The others have an input of a given size in its first dimension.
@pytest.mark.parametrize(
    "case",
    [case for case in CASES if "LearnedLevels" not in case.name and case.name != "PermutationLayer, hard"],
    ids=lambda case: case.name,
)
def test_takes_no_rows(case: Case) -> None:
    module, nothing = made(case).train(), case.input()[:0].requires_grad_()
    for mode in (True, False):
        found = module.train(mode)(nothing)
        assert all(t.isfinite().all() for t in tensors(found) if t.is_floating_point())
        assert tensors(found)[0].shape[0] == 0
        if mode:
            loss_of(found).backward()


@each
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=["f16", "bf16"])
def test_half_precision_throughout(case: Case, dtype: torch.dtype) -> None:
    module, x = made(case, dtype=dtype).train(), case.input(dtype).requires_grad_()
    found = module(x)
    assert tensors(found)[0].dtype == dtype
    loss_of(found).backward()
    assert all(g.isfinite().all() for g in [x.grad, *(p.grad for p in module.parameters())] if g is not None)


@each
def test_is_made_where_and_as_it_is_told(case: Case) -> None:
    for tensor in [*(module := made(case, dtype=torch.float64)).parameters(), *module.buffers()]:
        assert tensor.dtype == torch.float64 or not tensor.is_floating_point()
    assert all(t.device.type == "meta" for t in made(case, device="meta").state_dict().values())
    x = case.input(torch.float64)
    assert all(t.dtype == torch.float64 for t in tensors(module(x)) if t.is_floating_point())


MASKED = [
    case for case in CASES if "mask" in inspect.signature(getattr(dn, case.name.partition(",")[0]).forward).parameters
]
"""Modules that take padding, or classes that are forbidden."""
with_mask = pytest.mark.parametrize("case", MASKED, ids=lambda case: case.name)


def mask_of(case: Case) -> Tensor:
    """Of tokens, or of classes, most of which are allowed."""
    shape = case.shape if case.name.startswith("Choice") else case.shape[:-1]
    return (torch.arange(torch.Size(shape).numel()) * 0.9).cos().reshape(shape) > -0.6


def counted(found: Any, mask: Tensor) -> list[Tensor]:
    """A result without what belongs to padding, of which it may say anything; where tokens are fewer, it says which."""
    mask = getattr(found, "mask", mask)
    parts = []
    for tensor in tensors(found):
        for shape in (mask.shape, mask.flatten().shape):
            if tensor.shape[: len(shape)] == shape:
                tensor = torch.where(mask.reshape(*shape, *[1] * (tensor.dim() - len(shape))), tensor, 0)
                break
        parts.append(tensor)
    return parts


@with_mask
@pytest.mark.parametrize("mode", [True, False], ids=["training", "evaluation"])
def test_what_is_masked_has_no_say(case: Case, mode: bool) -> None:
    module, mask = made(case).train(mode), mask_of(case)
    x = case.input().requires_grad_()
    masked = ~mask if mask.shape == x.shape else ~mask[..., None].expand_as(x)
    found = []
    for values in (x, torch.where(masked, 30 * x.detach().cos(), x.detach())):
        torch.manual_seed(5)
        result = module(values, mask=mask)
        found.append(counted(result, mask))
    torch.testing.assert_close(*found)
    loss_of(found[0]).backward()
    assert x.grad is not None
    assert not x.grad[masked].any()
    assert x.grad[~masked].any()


@pytest.mark.parametrize("case", [c for c in MASKED if "," not in c.name], ids=lambda case: case.name)
def test_masks_compile_and_are_exported(case: Case) -> None:
    torch.compiler.reset()
    module, x, mask = made(case).train(), case.input(), mask_of(case)
    compiled = torch.compile(module, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(
        trained(module, x, lambda x: compiled(x, mask=mask)), trained(module, x, lambda x: module(x, mask=mask))
    )
    module.eval()
    program = torch.export.export(module, (x,), {"mask": mask})
    other = ~mask.roll(1, 0) | mask
    torch.testing.assert_close(tensors(program.module()(x, mask=other)), tensors(module(x, mask=other)))


def test_two_processes_learn_as_one(tmp_path: Path) -> None:
    torch.multiprocessing.spawn(_process, (str(tmp_path / "store"),), nprocs=2)


def _process(rank: int, store: str) -> None:
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=2)
    for case in CASES:
        module = made(case).train()
        if not any(p.requires_grad for p in module.parameters()):
            # Without anything to learn there is nothing to synchronize; what comes before it learns.
            module = nn.Sequential(nn.Linear(case.shape[-1], case.shape[-1]), module)
        replica = DistributedDataParallel(module, find_unused_parameters=True)
        x = case.input(offset=0.3 * rank)
        torch.manual_seed(rank)
        loss_of(replica(x)).backward()
        shared = [torch.zeros_like(p) if p.grad is None else p.grad.clone() for p in module.parameters()]
        sums = []
        module.zero_grad()
        torch.manual_seed(rank)
        loss_of(module(x)).backward()
        for p in module.parameters():
            own = torch.zeros_like(p) if p.grad is None else p.grad
            torch.distributed.all_reduce(own)
            sums.append(own / 2)
        torch.testing.assert_close(shared, sums, msg=lambda words, name=case.name: f"{name}: {words}")
    torch.distributed.destroy_process_group()


class TestControls:
    """Modules that break the contract, one rule each, and the check that has to see it."""

    class DrawsInEvaluation(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return nn.functional.gumbel_softmax(x)

    class LooksAtNumbers(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return 2 * x if x.sum() > 0 else x

    class DrawsFromElsewhere(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x * x * random.random()

    class KeepsToItself(nn.Module):
        def __init__(self, **factory: Any) -> None:
            super().__init__()
            self.hidden = torch.randn(4)
            self.weight = nn.Parameter(torch.randn(4))

        def forward(self, x: Tensor) -> Tensor:
            return x * self.hidden * self.weight

        def reset_parameters(self) -> None:
            nn.init.uniform_(self.hidden)

    class Overflows(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return (x @ x.T * 1e3).square()

    class Deaf(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.ones(4))

        def forward(self, x: Tensor) -> Tensor:
            return x * self.weight.detach()

    class Averages(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.mean()[None]

    @pytest.mark.parametrize(
        ("check", "make"),
        [
            (test_evaluation_is_deterministic_and_draws_nothing, DrawsInEvaluation),
            (test_compiles_to_one_graph, LooksAtNumbers),
            (test_exports_in_evaluation, LooksAtNumbers),
            (test_checkpointing_draws_the_same_noise, DrawsFromElsewhere),
            (test_training_draws_and_a_seed_says_what, DrawsFromElsewhere),
            (test_is_made_where_and_as_it_is_told, KeepsToItself),
            (test_resets_all_that_it_holds, KeepsToItself),
            (test_gradients_are_finite_and_reach_what_learns, Deaf),
            (test_says_what_it_is, Deaf),
            (test_takes_no_rows, Averages),
        ],
    )
    def test_is_seen(self, check: Any, make: Any) -> None:
        with pytest.raises((AssertionError, torch._dynamo.exc.Unsupported, GuardOnDataDependentSymNode)):
            check(Case("Wrong", make, (4, 4), draws=False))

    def test_of_states_and_dtypes_is_seen(self, tmp_path: Path) -> None:
        with pytest.raises(AssertionError):
            test_a_state_makes_another_module_the_same(Case("Wrong", self.KeepsToItself, (4, 4)), tmp_path)
        with pytest.raises(AssertionError):
            test_autocast(Case("Wrong", self.Overflows, (4, 4)), torch.float16)
        with pytest.raises(AssertionError):
            test_half_precision_throughout(Case("Wrong", lambda dtype: self.Overflows(), (4, 4)), torch.float16)

    def test_of_padding_is_seen(self) -> None:
        class Mean(nn.Module):
            def forward(self, x: Tensor, *, mask: Tensor) -> Tensor:
                return x.mean(-2)

        with pytest.raises(AssertionError):
            test_what_is_masked_has_no_say(Case("Wrong", Mean, (2, 3, 4)), True)
