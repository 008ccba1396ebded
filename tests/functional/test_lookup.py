"""The lookup against the product with the one-hot sample that it stands for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from drawgrad.functional import gumbel_lookup, gumbel_max, gumbel_noise, gumbel_softmax

SEED = 11


def _product(logits: Tensor, codebook: Tensor, tau: float | Tensor = 1.0, **options: Any) -> Tensor:
    return gumbel_softmax(logits, tau, hard=True, **options) @ codebook


def _inputs(batch: tuple[int, ...], k: int, features: int, dtype: torch.dtype, device: torch.device) -> list[Tensor]:
    generator = torch.Generator().manual_seed(5)
    shapes = [(*batch, k), (k, features), (*batch, features)]
    return [torch.randn(shape, generator=generator, dtype=torch.float64).to(device, dtype) for shape in shapes]


def _gradients(lookup: Callable[..., Tensor], logits: Tensor, codebook: Tensor, grad: Tensor, **options: Any):
    logits, codebook = logits.clone().requires_grad_(), codebook.clone().requires_grad_()
    chosen = lookup(logits, codebook, **options)
    return chosen, *torch.autograd.grad(chosen, (logits, codebook), grad)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize(
    ("batch", "k", "features"),
    [((), 5, 3), ((7,), 1, 2), ((2, 3), 33, 4), ((2, 1, 3, 2), 4, 3), ((4,), 2, 1), ((0,), 3, 2)],
    ids=str,
)
def test_equals_the_product_with_the_one_hot_sample(
    batch: tuple[int, ...], k: int, features: int, dtype: torch.dtype, device: torch.device
) -> None:
    inputs = _inputs(batch, k, features, dtype, device)
    options = {"tau": 0.6, "seed": SEED, "row_offset": 3}
    expected = _gradients(_product, *inputs, **options)
    actual = _gradients(gumbel_lookup, *inputs, **options)
    assert torch.equal(actual[0], expected[0])
    torch.testing.assert_close(actual[1:], expected[1:])


def test_gradients_are_those_of_the_formula(device: torch.device) -> None:
    logits, codebook, grad = _inputs((2, 3), 6, 4, torch.float64, device)
    chosen, *actual = _gradients(gumbel_lookup, logits, codebook, grad, tau=0.4, seed=SEED)
    scores = logits + gumbel_noise(logits.shape, dtype=torch.float64, device=device, seed=SEED)
    index = scores.argmax(-1)
    assert torch.equal(chosen, codebook[index])
    leaf = logits.clone().requires_grad_()
    relaxed = ((leaf + scores - logits) / 0.4).softmax(-1)
    (of_logits,) = torch.autograd.grad(relaxed @ codebook, leaf, grad)
    of_codebook = torch.nn.functional.one_hot(index, 6).double().flatten(0, -2).T @ grad.flatten(0, -2)
    torch.testing.assert_close(actual, [of_logits, of_codebook])


@pytest.mark.parametrize("dtypes", [(torch.bfloat16, torch.float64), (torch.float32, torch.bfloat16)], ids=str)
def test_logits_and_codebook_may_differ_in_precision(dtypes: tuple[torch.dtype, torch.dtype]) -> None:
    logits, codebook, grad = _inputs((60,), 9, 4, torch.float64, torch.device("cpu"))
    logits, codebook, grad = logits.to(dtypes[0]), codebook.to(dtypes[1]), grad.to(dtypes[1])
    chosen, *gradients = _gradients(gumbel_lookup, logits, codebook, grad, seed=SEED)
    assert (chosen.dtype, *(gradient.dtype for gradient in gradients)) == (dtypes[1], *dtypes)
    index = gumbel_max(logits, seed=SEED)
    assert torch.equal(chosen, codebook[index])
    summed = torch.zeros(9, 4, dtype=torch.float64).index_add(0, index, grad.double())
    torch.testing.assert_close(gradients[1].double(), summed, rtol=torch.finfo(dtypes[1]).eps, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_narrow_dtypes(dtype: torch.dtype, device: torch.device) -> None:
    logits, codebook, grad = _inputs((6,), 9, 4, dtype, device)
    actual = _gradients(gumbel_lookup, logits, codebook, grad, seed=SEED)
    exact = _gradients(_product, logits.float(), codebook.float(), grad.float(), seed=SEED)
    assert [tensor.dtype for tensor in actual] == [dtype] * 3
    assert torch.equal(actual[0].float(), exact[0])
    # Each gradient is rounded twice: the dot products, and the result.
    precision = 4 * torch.finfo(dtype).eps * float(exact[1].abs().max())
    torch.testing.assert_close(actual[1].float(), exact[1], rtol=0, atol=precision)
    torch.testing.assert_close(actual[2].float(), exact[2], rtol=torch.finfo(dtype).eps, atol=0)


def test_many_rows_that_choose_one_are_summed_in_float32() -> None:
    logits, codebook = torch.zeros(4096, 1, dtype=torch.bfloat16), torch.zeros(1, 1, dtype=torch.bfloat16)
    grad = torch.ones(4096, 1, dtype=torch.bfloat16)
    # Summed one by one in bfloat16, the ones would stop counting at 256.
    assert _gradients(gumbel_lookup, logits, codebook, grad, seed=SEED)[2].item() == 4096


@pytest.mark.parametrize("rows", [False, True], ids=["one tau", "tau of rows"])
def test_a_temperature_tensor_gets_its_gradient(rows: bool, device: torch.device) -> None:
    logits, codebook, grad = _inputs((2, 3), 7, 4, torch.float64, device)
    mask = torch.rand(2, 3, 7, device=device) > 0.3
    tau = torch.linspace(0.3, 2.0, 6, dtype=torch.float64, device=device).view(2, 3, 1)
    tau = (tau if rows else tau[0, 0, 0]).requires_grad_()
    of_tau = [
        torch.autograd.grad(lookup(logits, codebook, tau, mask=mask, seed=SEED), tau, grad)[0]
        for lookup in (gumbel_lookup, _product)
    ]
    assert of_tau[0].shape == tau.shape
    assert bool((of_tau[1] != 0).all())
    torch.testing.assert_close(*of_tau)


def test_masked_rows_are_never_chosen_and_get_no_gradient(device: torch.device) -> None:
    logits, codebook, _ = _inputs((50,), 6, 3, torch.float32, device)
    logits.requires_grad_()
    codebook[2] = torch.inf
    mask = torch.ones(50, 6, dtype=torch.bool, device=device)
    mask[:, 2] = False
    mask[0] = False
    chosen = gumbel_lookup(logits, codebook, mask=mask, seed=SEED)
    assert bool(chosen.isfinite().all())
    assert bool((chosen[0] == 0).all())
    finite = codebook.masked_fill(codebook.isinf(), 0.0)
    (gradient,) = torch.autograd.grad(gumbel_lookup(logits, finite, mask=mask, seed=SEED).sum(), logits)
    assert bool((gradient[~mask] == 0).all())
    assert bool((gradient[1:][mask[1:]] != 0).all())


def test_a_nan_stays_in_its_row(device: torch.device) -> None:
    logits, codebook, _ = _inputs((3,), 4, 2, torch.float32, device)
    logits[1, 2] = torch.nan
    assert gumbel_lookup(logits, codebook, seed=SEED).isnan().all(-1).tolist() == [False, True, False]


def test_chooses_what_gumbel_max_chooses(device: torch.device) -> None:
    logits, codebook, _ = _inputs((40,), 8, 1, torch.float32, device)
    index = gumbel_max(logits, seed=SEED, row_offset=9)
    assert torch.equal(gumbel_lookup(logits, codebook, seed=SEED, row_offset=9), codebook[index])
    assert not torch.equal(gumbel_lookup(logits, codebook, seed=SEED + 1, row_offset=9), codebook[index])


def test_second_derivatives_are_those_of_the_product() -> None:
    logits, codebook, grad = _inputs((3,), 4, 2, torch.float64, torch.device("cpu"))
    tau = torch.tensor(0.8, dtype=torch.float64)
    for tensor in (logits, codebook, grad, tau):
        tensor.requires_grad_()
    weights = [torch.randn_like(tensor) for tensor in (logits, codebook, tau)]
    second = []
    for lookup in (gumbel_lookup, _product):
        first = torch.autograd.grad(
            lookup(logits, codebook, tau, seed=SEED), (logits, codebook, tau), grad, create_graph=True
        )
        second.append(torch.autograd.grad(first, (logits, codebook, tau, grad), weights))
    torch.testing.assert_close(*second)


class _Products(TorchDispatchMode):
    """Counts matrix products, and tensors of the size of the sample that are made."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size, self.products, self.samples = size, 0, 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = function(*args, **(kwargs or {}))
        self.products += function in (torch.ops.aten.mm.default, torch.ops.aten.bmm.default)
        self.samples += isinstance(result, Tensor) and result.numel() == self.size and not function.is_view
        return result


@pytest.mark.parametrize(("lookup", "products", "samples"), [(gumbel_lookup, 0, 0), (_product, 1, 1)])
def test_forward_builds_no_sample(lookup: Callable[..., Tensor], products: int, samples: int) -> None:
    logits, codebook, _ = _inputs((50,), 64, 3, torch.float32, torch.device("cpu"))
    with _Products(logits.numel()) as counted:
        lookup(logits.requires_grad_(), codebook.requires_grad_(), seed=SEED)
    assert (counted.products, counted.samples) == (products, samples)


def test_forward_keeps_only_its_inputs() -> None:
    logits, codebook, _ = _inputs((50,), 64, 3, torch.float32, torch.device("cpu"))
    logits.requires_grad_()
    kept: list[Tensor] = []
    with torch.autograd.graph.saved_tensors_hooks(lambda tensor: kept.append(tensor) or tensor, lambda kept: kept):
        gumbel_lookup(logits, codebook, seed=SEED)
    large = [tensor for tensor in kept if tensor.numel() > 50]
    assert {tensor.data_ptr() for tensor in large} == {logits.data_ptr(), codebook.data_ptr()}


def test_maps_over_seeds() -> None:
    logits, codebook, _ = _inputs((4,), 5, 2, torch.float64, torch.device("cpu"))
    seeds = torch.arange(3)
    mapped = torch.vmap(lambda seed: gumbel_lookup(logits, codebook, seed=seed))(seeds)
    assert torch.equal(mapped, torch.stack([gumbel_lookup(logits, codebook, seed=seed) for seed in seeds]))


@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
def test_maps_over_gradients(compiled: bool) -> None:
    logits, codebook, _ = _inputs((3, 4), 5, 2, torch.float64, torch.device("cpu"))

    def gradient(logits: Tensor, seed: Tensor) -> Tensor:
        return torch.func.grad(lambda logits: gumbel_lookup(logits, codebook, 0.7, seed=seed).square().sum())(logits)

    mapped = torch.vmap(gradient)
    seeds = torch.arange(3)
    gradients = (torch.compile(mapped, fullgraph=True, backend="aot_eager") if compiled else mapped)(logits, seeds)
    expected = torch.stack([gradient(*pair) for pair in zip(logits, seeds, strict=True)])
    assert bool((expected != 0).any())
    torch.testing.assert_close(gradients, expected)


def test_compiles_whole() -> None:
    logits, codebook, grad = _inputs((4,), 5, 2, torch.float32, torch.device("cpu"))
    compiled = torch.compile(lambda logits, codebook: gumbel_lookup(logits, codebook, 0.5, seed=SEED), fullgraph=True)
    expected = _gradients(gumbel_lookup, logits, codebook, grad, tau=0.5, seed=SEED)
    torch.testing.assert_close(_gradients(compiled, logits, codebook, grad), expected)


@pytest.mark.parametrize(
    ("changed", "error", "said"),
    [
        ({"logits": torch.zeros(())}, ValueError, "0-dim"),
        ({"logits": torch.zeros(3, dtype=torch.int64)}, TypeError, "floating"),
        ({"codebook": torch.zeros(4, 2)}, ValueError, "codebook must have the shape"),
        ({"codebook": torch.zeros(3)}, ValueError, "codebook must have the shape"),
        ({"codebook": torch.zeros(3, 2, dtype=torch.int64)}, TypeError, "codebook must be of a floating dtype"),
        ({"codebook": torch.zeros(3, 2, device="meta")}, ValueError, "codebook must be on the device of the logits"),
        ({"tau": 0.0}, ValueError, "tau must be positive"),
        ({"tau": torch.ones(3)}, ValueError, "one temperature a row"),
        ({"mask": torch.ones(4, dtype=torch.bool)}, ValueError, "mask must broadcast"),
        ({"seed": 0, "generator": torch.Generator()}, ValueError, "both given"),
        ({"row_offset": -1}, ValueError, "row_offset must not be negative"),
    ],
)
def test_mistakes_are_named(changed: dict[str, Any], error: type[Exception], said: str) -> None:
    arguments = {"logits": torch.zeros(5, 3), "codebook": torch.zeros(3, 2), **changed}
    with pytest.raises(error, match=said):
        gumbel_lookup(**arguments)


@pytest.mark.parametrize("offset", [0.0, -1e6, 3e38])
def test_temperature_has_its_gradient_at_any_offset_and_beside_a_masked_class(offset: float) -> None:
    logits = torch.tensor([[0.3, -0.2, 0.1, 0.0]]) + offset
    mask = torch.tensor([True, True, False, True])
    codebook, grad = torch.tensor([[1.0, 2.0], [-1.0, 0.5], [3.0, 1.0], [0.2, -2.0]]), torch.tensor([[1.0, -2.0]])
    tau = torch.tensor(0.7, requires_grad=True)
    (found,) = torch.autograd.grad(gumbel_lookup(logits, codebook, tau, mask=mask, seed=SEED), tau, grad)

    noise = gumbel_noise((1, 4), seed=SEED)
    scores = torch.where(mask, logits + noise, -torch.inf).double()
    shifted = scores - scores.amax(-1, keepdim=True)
    wide = tau.detach().double().requires_grad_()
    y = (shifted[..., mask] / wide).softmax(-1)
    (expected,) = torch.autograd.grad(y @ codebook[mask].double(), wide, grad.double())
    torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=1e-6)


def test_plus_infinity_is_as_little_a_logit_as_nan() -> None:
    logits = torch.tensor([[0.0, torch.inf], [0.0, torch.nan], [0.0, 1.0]], requires_grad=True)
    chosen = gumbel_lookup(logits, torch.eye(2), seed=SEED)
    assert chosen.isnan().all(-1).tolist() == [True, True, False]
    (gradient,) = torch.autograd.grad(chosen, logits, torch.ones(3, 2))
    assert gradient.isnan().all(-1).tolist() == [True, True, False]
