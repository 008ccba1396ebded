"""Exported programs need torch's operations only, take the seed as an input, and draw the same samples elsewhere."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import ClassVar

import pytest
import torch
from torch import Tensor

from drawgrad.functional import (
    binary_concrete,
    gumbel_lookup,
    gumbel_max,
    gumbel_max_linear,
    gumbel_softmax,
    gumbel_top_k,
    relaxed_top_k,
    subset_marginals,
    subset_sample,
)

SAMPLERS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "soft": lambda logits, seed: gumbel_softmax(logits, 0.7, seed=seed),
    "hard": lambda logits, seed: gumbel_softmax(logits, 0.7, hard=True, seed=seed),
    "index": lambda logits, seed: gumbel_max(logits, seed=seed),
    "ranking": lambda logits, seed: gumbel_top_k(logits, 3, seed=seed),
    "binary": lambda logits, seed: binary_concrete(logits, 0.7, seed=seed),
    "bits": lambda logits, seed: binary_concrete(logits, 0.7, hard=True, seed=seed),
    "lookup": lambda logits, seed: gumbel_lookup(logits, torch.arange(10.0).view(5, 2), 0.7, seed=seed),
}
SEEDS = (torch.tensor(-123456789012345), torch.tensor(7))


class Chooser(torch.nn.Module):
    def __init__(self, sampler: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.linear = torch.nn.Linear(6, 5)
        self.sampler = sampler

    def forward(self, x: Tensor, seed: Tensor) -> Tensor:
        return self.sampler(self.linear(x), seed)


@pytest.fixture(params=SAMPLERS)
def chooser(request: pytest.FixtureRequest) -> Chooser:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Chooser(SAMPLERS[request.param]).eval()


@pytest.fixture
def x() -> Tensor:
    return torch.linspace(-2.0, 2.0, 18).reshape(3, 6)


def test_exported_program_needs_no_package_and_has_sample_and_gradient_of_eager_code(
    chooser: Chooser, x: Tensor
) -> None:
    program = torch.export.export(chooser, (x, SEEDS[0]))
    targets = {str(node.target) for node in program.graph.nodes if node.op == "call_function"}
    assert targets
    assert not any("drawgrad" in target for target in targets)
    module = program.module()
    for seed in SEEDS:
        torch.testing.assert_close(module(x, seed), chooser(x, seed))
    sample = chooser(x, SEEDS[0])
    assert not torch.equal(module(x, SEEDS[0]), module(x, SEEDS[1]))
    if not sample.is_floating_point():
        return  # An index has no gradient.
    x.requires_grad_()
    upstream = torch.linspace(-1.0, 1.0, sample.numel()).reshape(sample.shape)
    gradient, expected = (torch.autograd.grad(run(x, SEEDS[1]), x, upstream)[0] for run in (module, chooser))
    torch.testing.assert_close(gradient, expected)
    assert expected.any()


@torch.no_grad()
def test_structures_export() -> None:
    class Structures(torch.nn.Module):
        def forward(self, x: Tensor, seed: Tensor) -> tuple[Tensor, ...]:
            return subset_marginals(x, 2), subset_sample(x, 2, seed=seed), relaxed_top_k(x, 2, 0.5, seed=seed)

    logits = torch.linspace(-1, 1, 15).reshape(3, 5)
    program = torch.export.export(Structures(), (logits, SEEDS[0])).module()
    for seed in SEEDS:
        torch.testing.assert_close(program(logits, seed), Structures()(logits, seed))


@torch.no_grad()
def test_exported_program_takes_any_number_of_rows_and_from_four_classes_on() -> None:
    class Sampler(torch.nn.Module):
        def forward(self, logits: Tensor, seed: Tensor) -> Tensor:
            return gumbel_softmax(logits, 0.7, seed=seed)

    any_size = {0: torch.export.Dim.DYNAMIC, 1: torch.export.Dim.DYNAMIC}
    inputs = (torch.zeros(3, 5), SEEDS[0])
    program = torch.export.export(Sampler(), inputs, dynamic_shapes=(any_size, None)).module()
    for shape in ((3, 5), (7, 9), (2, 100), (1, 4)):
        logits = torch.linspace(-2.0, 2.0, shape[0] * shape[1]).reshape(shape)
        torch.testing.assert_close(program(logits, SEEDS[1]), gumbel_softmax(logits, 0.7, seed=SEEDS[1]))


@torch.no_grad()
def test_exported_program_without_a_seed_follows_the_default_generator() -> None:
    class Sampler(torch.nn.Module):
        def forward(self, logits: Tensor) -> Tensor:
            return gumbel_softmax(logits)

    logits = torch.zeros(3, 5)
    program = torch.export.export(Sampler(), (logits,)).module()
    samples = []
    for sampler in (program, gumbel_softmax):
        torch.manual_seed(3)
        samples += [sampler(logits), sampler(logits)]
    torch.testing.assert_close(samples[:2], samples[2:])
    assert not torch.equal(samples[0], samples[1])


class TestTraces:
    """``torch.jit.trace``, which Pyro's compiled losses and ONNX's older exporter take, records torch's operations."""

    pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::torch.jit.TracerWarning")
    UNSEEDED: ClassVar[dict[str, Callable[[Tensor], Tensor]]] = {
        "soft": gumbel_softmax,
        "hard": lambda x: gumbel_softmax(x, 0.5, True, 0, row_offset=3, class_offset=2),
        "index": gumbel_max,
        "binary": binary_concrete,
        "lookup": lambda x: gumbel_lookup(x, torch.arange(10.0).view(5, 2)),
        "linear": lambda x: gumbel_max_linear(x, torch.arange(20.0).view(4, 5) / 20),
    }

    @pytest.mark.parametrize("grad", [False, True])
    @pytest.mark.parametrize("name", UNSEEDED)
    def test_draw_anew_for_any_number_of_rows(self, name: str, grad: bool) -> None:
        sampler = self.UNSEEDED[name]
        with torch.set_grad_enabled(grad):
            traced = torch.jit.trace(sampler, torch.zeros(3, 5), check_trace=False)
            logits = torch.linspace(-1, 1, 50).view(10, 5)
            samples = []
            for draw in (traced, sampler):
                torch.manual_seed(3)
                samples += [draw(logits), draw(logits)]
        torch.testing.assert_close(samples[:2], samples[2:])
        assert not torch.equal(samples[0], samples[1])

    def test_have_the_gradient_of_eager_code(self) -> None:
        sampler = SAMPLERS["hard"]
        traced = torch.jit.trace(sampler, (torch.zeros(3, 5), SEEDS[0]), check_trace=False)
        logits, grad = torch.randn(4, 5, requires_grad=True), torch.randn(4, 5)
        found, expected = (torch.autograd.grad(draw(logits, SEEDS[1]), logits, grad)[0] for draw in (traced, sampler))
        torch.testing.assert_close(found, expected)


@torch.no_grad()
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_onnx_takes_a_sampler_without_a_seed() -> None:
    pytest.importorskip("onnxscript")

    class Sampler(torch.nn.Module):
        def forward(self, logits: Tensor) -> tuple[Tensor, ...]:
            return gumbel_softmax(logits), binary_concrete(logits, hard=True), gumbel_max(logits)

    program = torch.onnx.export(Sampler(), (torch.zeros(3, 5),), dynamo=True, verbose=False)
    assert program is not None
    assert sum(node.op_type.startswith("RandomUniform") for node in program.model.graph) == 3


@torch.no_grad()
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_onnx_runtime_draws_the_sample_of_a_seed(x: Tensor) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")

    class All(Chooser):
        def forward(self, x: Tensor, seed: Tensor) -> tuple[Tensor, ...]:  # type: ignore[override]
            logits = self.linear(x)
            return tuple(sampler(logits, seed) for sampler in SAMPLERS.values())

    chooser = All(SAMPLERS["soft"]).eval()
    # What is tested is that each operation exists there; to search the graph of six samplers for shorter forms takes
    # longer than all else.
    program = torch.onnx.export(chooser, (x, SEEDS[0]), dynamo=True, verbose=False, optimize=False)
    assert program is not None
    buffer = io.BytesIO()
    program.save(buffer)
    session = onnxruntime.InferenceSession(buffer.getvalue(), providers=["CPUExecutionProvider"])
    names = [node.name for node in session.get_inputs()]
    for seed in SEEDS:
        outputs = session.run(None, dict(zip(names, (x.numpy(), seed.numpy()), strict=True)))
        for output, expected in zip(outputs, chooser(x, seed), strict=True):
            torch.testing.assert_close(torch.from_numpy(output), expected)
