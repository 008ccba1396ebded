"""Whether a GPU draws what the CPU draws, counted: the specification against the kernels, from one seed.

The reference twin computes on the CPU in torch operations, so neither Numba nor a test runner is needed. Two winners
may differ where their scores are equal up to rounding: such ties are counted, every other difference is an error.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from drawgrad.functional import binary_concrete, gumbel_max, gumbel_max_linear, gumbel_noise, gumbel_softmax
from drawgrad.kernels import reference
from drawgrad.studies.records import Measurement

__all__ = ["checks", "errors"]

SEED = 0x1234_5678_9ABC_DEF
ULPS = 2
"""Units in the last place by which noise may differ."""
TAU = 0.7
EPS = torch.finfo(torch.float32).eps
LARGEST = 22.9 + 16.0
"""The largest noise and the largest logit together."""
SCORE = 3 * EPS * LARGEST
"""How far scores may be off: two units of the noise and one of the sum."""
DTYPES = (torch.float32, torch.bfloat16, torch.float16)
SIZES = ((5000, 7), (2000, 1000), (20, 40000), (2, 200000))
LAYER = (500, 256, 5000)
"""Rows, features, classes."""

WRONG = "wrong"
"""The quantity that has to be zero."""


def errors(cells: list[Measurement]) -> list[Measurement]:
    """Those of the measurements that contradict the specification."""
    return [cell for cell in cells if cell.quantity == WRONG and cell.value > 0]


def checks(device: torch.device, sizes: tuple[tuple[int, int], ...] = SIZES) -> Iterator[list[Measurement]]:
    """Noise, winners, samples and gradients at every size and dtype; then the fused linear layer."""
    for rows, classes in sizes:
        noise = _noise(rows, classes)
        yield _check_noise(device, noise)
        for dtype in DTYPES:
            logits = (3 * torch.randn(rows, classes, generator=torch.Generator().manual_seed(1))).to(dtype)
            yield _check_winners(
                f"gumbel_max, {_name(logits)}", gumbel_max(logits.to(device), seed=SEED), logits, noise
            )
            yield _check_samples(device, logits, noise)
            yield _check_bits(device, logits)
    yield from (_check_layer(device, dtype) for dtype in DTYPES)


def _noise(rows: int, classes: int, family: str = "gumbel") -> Tensor:
    return reference.noise(torch.tensor([SEED]), (rows, classes), 0, 0, family, torch.float32)[0]


def _check_noise(device: torch.device, expected: Tensor) -> list[Measurement]:
    drawn = gumbel_noise(expected.shape, device=device, seed=SEED).cpu()
    # Noise near zero is a logarithm of a float near one, which is a multiple of the unit of one half.
    unit = EPS * torch.exp2(expected.abs().clamp_min(1.0).log2().floor())
    apart = (drawn - expected).abs() / unit
    case = f"gumbel_noise, {_name(expected)}"
    return [
        _cell(case, "checked", apart.numel(), 1),
        _cell(case, WRONG, int((~(apart <= ULPS)).sum()), apart.numel()),
        _cell(case, "furthest apart", float(apart.max()), apart.numel(), "ulp"),
    ]


def _check_winners(
    case: str, index: Tensor, logits: Tensor, noise: Tensor, precision: float = 2 * SCORE
) -> list[Measurement]:
    scores = logits.float() + noise
    index = index.cpu()
    gap = scores.amax(-1) - scores.gather(-1, index[:, None])[:, 0]
    differs = index != scores.argmax(-1)
    tie = differs & (gap <= precision)
    rows = len(index)
    return [
        _cell(case, "checked", rows, 1),
        _cell(case, WRONG, int((differs & ~tie).sum()), rows),
        _cell(case, "ties", int(tie.sum()), rows),
    ]


def _check_samples(device: torch.device, logits: Tensor, noise: Tensor) -> list[Measurement]:
    """Samples and gradients within what the scores may be off, and the rounding of the dtype."""
    grad = logits.flip(0)
    relaxed = ((logits.float() + noise) / TAU).softmax(-1)
    mean = (relaxed * grad.float()).sum(-1, keepdim=True)
    gradient = relaxed * (grad.float() - mean) / TAU
    relative = math.expm1(2 * SCORE / TAU) + 64 * EPS
    largest, precision = float(grad.float().abs().max()), torch.finfo(logits.dtype)
    cells = []
    for hard in (False, True):
        leaf = logits.to(device).requires_grad_()
        sample = gumbel_softmax(leaf, TAU, hard=hard, seed=SEED)
        (actual,) = torch.autograd.grad(sample, leaf, grad.to(device))
        case = f"gumbel_softmax, {'hard' if hard else 'soft'}, {_name(logits)}"
        # A soft sample is rounded before its gradient is computed from it.
        of_sample = (relative + precision.eps) * relaxed + precision.tiny * precision.eps
        off = _outside(actual, gradient, 4 * of_sample * largest / TAU)
        if not hard:
            off += _outside(sample.detach(), relaxed, relative * relaxed)
        else:
            off += int((sample.detach().argmax(-1) != gumbel_max(leaf, seed=SEED)).sum())
            off += int((sample.detach().sum(-1) != 1).sum())
        checked = 2 * logits.numel()
        cells += [_cell(case, "checked", checked, 1), _cell(case, WRONG, off, checked)]
    return cells


def _check_bits(device: torch.device, logits: Tensor) -> list[Measurement]:
    """Relaxed bits; the slope of the sigmoid is at most 1 / (4 tau)."""
    expected = torch.sigmoid((logits.float() + _noise(*logits.shape, "logistic")) / TAU)
    sample = binary_concrete(logits.to(device), TAU, seed=SEED)
    off = _outside(sample, expected, (2 * SCORE / TAU + 16 * EPS) * expected)
    case = f"binary_concrete, {_name(logits)}"
    return [_cell(case, "checked", logits.numel(), 1), _cell(case, WRONG, off, logits.numel())]


def _check_layer(device: torch.device, dtype: torch.dtype) -> list[Measurement]:
    rows, features, classes = LAYER
    generator = torch.Generator().manual_seed(2)
    hidden = torch.randn(rows, features, generator=generator).to(dtype)
    weight = (torch.randn(classes, features, generator=generator) / features**0.5).to(dtype)
    index = gumbel_max_linear(hidden.to(device), weight.to(device), seed=SEED)
    logits = (hidden.double() @ weight.double().T).float()
    # Sums of 256 products of about 1/16 each, in any order.
    precision = 2 * SCORE + 8 * features * EPS
    case = f"gumbel_max_linear, {rows} x {features} to {classes}, {str(dtype).removeprefix('torch.')}"
    return _check_winners(case, index, logits, _noise(rows, classes), precision)


def _outside(actual: Tensor, expected: Tensor, bound: Tensor) -> int:
    """Entries that are further off than the bound and the rounding of their dtype allow."""
    precision = torch.finfo(actual.dtype)
    rounding = precision.eps * expected.abs() + max(precision.tiny * precision.eps, torch.finfo(torch.float32).tiny)
    return int((~((actual.cpu().float() - expected).abs() <= bound + rounding)).sum())


def _name(tensor: Tensor) -> str:
    rows, classes = tensor.shape
    return f"{rows} x {classes}, {str(tensor.dtype).removeprefix('torch.')}"


def _cell(case: str, quantity: str, value: float, samples: int, unit: str = "") -> Measurement:
    return Measurement(case, quantity, value, 0.0, unit, samples)
