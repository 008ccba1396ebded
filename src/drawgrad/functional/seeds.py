"""The seed of a call as a value of its own, and further seeds made from one."""

from __future__ import annotations

import torch

from drawgrad._typing import Int, Tensor
from drawgrad.functional._seeds import as_seed, seed_of
from drawgrad.kernels.operator import seed_tensor

__all__ = ["draw_seed", "fold_seed"]

# The constants of SplitMix64, whose state is a mixed seed and whose steps are the numbers.
STEP = 0x9E3779B97F4A7C15
MULTIPLIERS = (0xBF58476D1CE4E5B9, 0x94D049BB133111EB)
SHIFTS, LAST_SHIFT = (30, 27), 31
BITS = 2**64 - 1


def draw_seed(
    *,
    generator: torch.Generator | None = None,
    seed: int | Tensor | None = None,
    device: torch.device | str | None = None,
) -> Int[Tensor, ""]:
    """The seed that a sampler of this package would use: as given, or drawn from a generator.

    One seed used twice gives one draw at two temperatures; :func:`fold_seed` makes seeds of independent draws from it.

    Args:
        generator: draws the seed; torch's default generator of ``device`` if None.
        seed: the seed itself, an int or a 0-dim int64 tensor, instead of ``generator``.
        device: where the seed is to live; the generator's device, or torch's default one, if None.

    Returns:
        The seed, a 0-dim int64 tensor.

    Raises:
        ValueError: if ``generator`` and ``seed`` are both given, or if the seed does not fit into 64 bits.
        TypeError: if ``seed`` is neither an int nor a tensor.

    Example:
        >>> from drawgrad.functional import gumbel_softmax
        >>> import torch
        >>> seed = draw_seed(generator=torch.Generator().manual_seed(0))
        >>> warm, cold = (gumbel_softmax(torch.zeros(5), tau=tau, seed=seed) for tau in (1.0, 0.1))
        >>> bool(warm.argmax() == cold.argmax())
        True
    """
    if device is not None:
        place = torch.device(device)
    else:
        place = torch.empty(()).device if generator is None else generator.device
    return seed_tensor(seed_of(generator, seed, place), place)


def fold_seed(seed: int | Tensor, number: int | Tensor) -> Int[Tensor, "..."]:
    r"""The seed of a further draw: numbers count the draws that are to be independent of each other.

    .. math:: \mathrm{mix}(\mathrm{mix}(s + c) + n c) \pmod{2^{64}}

    c is an odd constant and mix a fixed scrambling of 64 bits, so one seed with different numbers gives different
    seeds, and so do different seeds with one number. The result depends on nothing else: neither on the device nor on
    whether the code is compiled. Folding again counts in a further dimension, such as layers of a step:
    ``fold_seed(fold_seed(seed, step), layer)``.

    Args:
        seed: an int or an int64 tensor.
        number: which one of the draws, an int or an int64 tensor, which broadcasts with the seed.

    Returns:
        The seed, an int64 tensor on the device of the tensors given, on torch's default one if both are ints; 0-dim
        unless one of them is not.

    Raises:
        ValueError: if one of them does not fit into 64 bits, or is a tensor of another dtype.
        TypeError: if one of them is neither an int nor a tensor.

    Example:
        >>> from drawgrad.functional import gumbel_softmax
        >>> import torch
        >>> first, second = (gumbel_softmax(torch.zeros(5), seed=fold_seed(7, layer)) for layer in range(2))
        >>> bool((first == second).any())
        False

    References:
        Steele, Lea, Flood. Fast splittable pseudorandom number generators. OOPSLA 2014.
        Salmon, Moraes, Dror, Shaw. Parallel random numbers: as easy as 1, 2, 3. SC 2011 (what the seeds are keys of).
    """
    tensors = [value for value in (seed, number) if isinstance(value, Tensor)]
    device = tensors[0].device if tensors else torch.empty(()).device
    first, count = _one_or_more(seed, device, "seed"), _one_or_more(number, device, "number")
    if isinstance(first, int) and isinstance(count, int):
        # Numbers at hand are mixed as such, in a tenth of the time.
        return seed_tensor(_signed(_mixed(_mixed(first + STEP) + count * STEP)), device)
    state = _mixed_tensor(seed_tensor(first, device) + _signed(STEP))
    return _mixed_tensor(state + seed_tensor(count, device) * _signed(STEP))


def _one_or_more(seed: int | Tensor, device: torch.device, name: str) -> int | Tensor:
    if isinstance(seed, Tensor) and seed.dim() and seed.dtype == torch.int64:
        return seed.to(device)
    return as_seed(seed, device, name)


def _mixed(word: int) -> int:
    """A one-to-one map of 64 bits in which every bit depends on every other."""
    for shift, multiplier in zip(SHIFTS, MULTIPLIERS, strict=True):
        word = ((word ^ ((word & BITS) >> shift)) * multiplier) & BITS
    return word ^ (word >> LAST_SHIFT)


def _mixed_tensor(words: Tensor) -> Tensor:
    """The same in the integers of torch, which wrap around, and whose shifts copy the sign."""
    for shift, multiplier in zip(SHIFTS, MULTIPLIERS, strict=True):
        words = (words ^ _shifted(words, shift)) * _signed(multiplier)
    return words ^ _shifted(words, LAST_SHIFT)


def _shifted(words: Tensor, shift: int) -> Tensor:
    return (words >> shift) & (BITS >> shift)


def _signed(word: int) -> int:
    return word - 2**64 if word >= 2**63 else word
