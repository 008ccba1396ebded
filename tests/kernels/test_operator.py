"""The operators as torch sees them: schema, fake tensors, derivatives, vmap."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from drawgrad.kernels import ops

SEED = torch.tensor([5, -6])
TAUS = {"number": lambda: torch.tensor(0.7), "rows": lambda: torch.rand(2, 3, 1) + 0.5}
SAMPLES = ["gumbel_softmax", "binary_concrete"]
SAMPLE_VJPS = ["softmax_vjp", "sigmoid_vjp"]
LOGITS_VJPS = ["gumbel_softmax_vjp", "binary_concrete_vjp"]
FAST = {"test_utils": ("test_schema", "test_autograd_registration", "test_faketensor")}


def tensor(dtype: torch.dtype = torch.float32, contiguous: bool = True) -> Tensor:
    values = torch.rand(2, 3, 5) if contiguous else torch.rand(2, 5, 3).mT
    return values.to(dtype).requires_grad_()


def opcheck(name: str, *args: object, **options: object) -> None:
    torch.library.opcheck(getattr(torch.ops.drawgrad, name).default, args, **options)


@pytest.mark.parametrize("tau", TAUS)
@pytest.mark.parametrize("name", SAMPLES)
@pytest.mark.parametrize("hard", [False, True])
def test_samples_pass_every_check_of_torch(name: str, hard: bool, tau: str) -> None:
    opcheck(name, tensor(), TAUS[tau]().requires_grad_(), SEED, 3, 1, hard)


@pytest.mark.parametrize("name", LOGITS_VJPS)
def test_gradients_from_logits_pass_every_check_of_torch(name: str) -> None:
    opcheck(name, tensor(), tensor(), TAUS["rows"]().requires_grad_(), SEED, 3, 1)


@pytest.mark.parametrize("name", SAMPLE_VJPS)
def test_gradients_from_samples_pass_every_check_of_torch(name: str) -> None:
    opcheck(name, tensor(), tensor(), TAUS["number"]().requires_grad_())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("contiguous", [True, False])
def test_other_dtypes_and_layouts(dtype: torch.dtype, contiguous: bool) -> None:
    """The fake results have the dtype and the strides of the real ones."""
    tau = torch.tensor(0.7, dtype=torch.float64 if dtype == torch.float64 else torch.float32)
    values, grad = tensor(dtype, contiguous), tensor(dtype, contiguous)
    for name in SAMPLES:
        for hard in (False, True):
            opcheck(name, values, tau, SEED, 3, 1, hard, **FAST)
    for name in LOGITS_VJPS:
        opcheck(name, grad, values, tau, SEED, 3, 1, **FAST)
    for name in SAMPLE_VJPS:
        opcheck(name, grad, values, tau, **FAST)
    opcheck("gumbel_max", values.detach(), SEED, 3, 1, **FAST)
    opcheck("gumbel_top_k", values.detach(), 2, SEED, 3, 1, **FAST)


@pytest.mark.parametrize("family", ["gumbel", "logistic"])
def test_what_has_no_derivative(family: str) -> None:
    opcheck("noise", SEED, (3, 5), 2**33, 1, family, torch.float32)
    opcheck("gumbel_max", tensor().detach(), SEED, 3, 1)
    opcheck("gumbel_top_k", tensor().detach(), 2, SEED, 3, 1)
    opcheck("random_seed", torch.empty(0))


def test_the_check_notices_a_wrong_fake() -> None:
    with torch.library._scoped_library("drawgrad_test", "FRAGMENT") as library:
        library.define("twice(Tensor x) -> Tensor")
        library.impl("twice", lambda x: (2 * x).mT.contiguous().mT, "CompositeExplicitAutograd")
        torch.library.register_fake("drawgrad_test::twice", torch.empty_like, lib=library)
        with pytest.raises(Exception, match=r"[Ss]tride"):
            torch.library.opcheck(torch.ops.drawgrad_test.twice.default, (torch.rand(2, 3),), **FAST)


class TestVmap:
    """A mapped call is what a loop over its examples gives."""

    @pytest.mark.parametrize("in_dims", [(0, 0, 0), (1, None, 0), (None, 0, None), (2, 0, None), (None, None, 0)])
    @pytest.mark.parametrize("name", SAMPLES)
    def test_every_choice_of_mapped_arguments(self, name: str, in_dims: tuple[int | None, ...]) -> None:
        sample = getattr(ops, name)
        examples = {"logits": 4 * [torch.randn(2, 3, 5)], "tau": 4 * [torch.tensor(0.7)], "seed": 4 * [SEED]}
        for argument, dim in zip(examples, in_dims, strict=True):
            if dim is not None:
                examples[argument] = [
                    torch.rand_like(e) if e.is_floating_point() else e + i for i, e in enumerate(examples[argument])
                ]
        expected = [sample(*example, 3, 1, False) for example in zip(*examples.values(), strict=True)]
        stacked = [
            e[0] if dim is None else torch.stack(e, dim) for e, dim in zip(examples.values(), in_dims, strict=True)
        ]
        mapped = torch.vmap(lambda logits, tau, seed: sample(logits, tau, seed, 3, 1, False), in_dims)(*stacked)
        assert torch.equal(mapped, torch.stack(expected))

    def test_temperatures_of_rows_and_of_examples(self) -> None:
        logits, tau = torch.randn(4, 2, 3, 5), torch.rand(4, 2, 3, 1) + 0.1
        mapped = torch.vmap(lambda x, t: ops.gumbel_softmax(x, t, SEED, 0, 0, False))(logits, tau)
        expected = [ops.gumbel_softmax(x, t, SEED, 0, 0, False) for x, t in zip(logits, tau, strict=True)]
        assert torch.equal(mapped, torch.stack(expected))

    def test_nested(self) -> None:
        logits, tau = torch.randn(4, 6, 2, 3, 5), torch.rand(6) + 0.1
        inner = torch.vmap(lambda x, t: ops.gumbel_softmax(x, t, SEED, 0, 0, False))
        mapped = torch.vmap(inner, in_dims=(0, None))(logits, tau)
        for i in range(4):
            for j in range(6):
                assert torch.equal(mapped[i, j], ops.gumbel_softmax(logits[i, j], tau[j], SEED, 0, 0, False))

    @pytest.mark.parametrize("examples", [0, 1])
    def test_few_examples(self, examples: int) -> None:
        logits, tau = torch.randn(examples, 2, 3, 5), torch.ones(examples)
        assert torch.vmap(lambda x: ops.gumbel_max(x, SEED, 0, 0))(logits).shape == (examples, 2, 3)
        sample = torch.vmap(lambda x, t: ops.gumbel_softmax(x, t, SEED, 0, 0, True))(logits, tau)
        assert sample.shape == logits.shape

    def test_noise_of_mapped_seeds(self) -> None:
        seeds = torch.arange(6).reshape(3, 2)
        mapped = torch.vmap(lambda s: ops.noise(s, (3, 5), 0, 0, "gumbel", torch.float32))(seeds)
        expected = [ops.noise(s, (3, 5), 0, 0, "gumbel", torch.float32) for s in seeds]
        assert torch.equal(mapped, torch.stack(expected))


def test_no_graph_is_recorded_where_no_gradient_is_wanted() -> None:
    logits, tau = torch.randn(1, 2, 3, requires_grad=True), torch.tensor(1.0)
    with torch.no_grad():
        assert not ops.gumbel_softmax(logits, tau, SEED[:1], 0, 0, False).requires_grad
    assert not ops.gumbel_softmax(logits.detach(), tau, SEED[:1], 0, 0, False).requires_grad
    assert ops.gumbel_softmax(logits, tau, SEED[:1], 0, 0, True).requires_grad


def test_tensors_without_data_pass_through() -> None:
    logits = torch.empty(2, 3, 5, device="meta", dtype=torch.bfloat16)
    tau, seed = torch.empty((), device="meta"), torch.empty(2, device="meta", dtype=torch.int64)
    assert ops.gumbel_softmax(logits, tau, seed, 0, 0, True).dtype == torch.bfloat16
    assert ops.gumbel_max(logits, seed, 0, 0).shape == (2, 3)
    assert [one.shape for one in ops.gumbel_top_k(logits, 4, seed, 0, 0)] == 2 * [(2, 3, 4)]
