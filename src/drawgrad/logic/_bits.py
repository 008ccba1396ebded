"""Sets of small numbers as bits of 64-bit words: number v is bit v % 64 of word v // 64."""

from __future__ import annotations

import torch

from drawgrad._typing import Bool, Int, Tensor

__all__ = ["WORD", "pack_bits", "unpack_bits", "words_for"]

WORD = 64
"""Numbers in a word."""


def words_for(values: int) -> int:
    """How many words hold that many numbers.

    Example:
        >>> words_for(64), words_for(65)
        (1, 2)
    """
    return -(-values // WORD)


def pack_bits(mask: Bool[Tensor, "*shape values"]) -> Int[Tensor, "*shape words"]:
    """The words of boolean sets. Bit 63 is the sign of an int64; nothing but its bit counts.

    Args:
        mask: True where a number is in the set, shape ``(*shape, values)``.

    Returns:
        int64, shape ``(*shape, words)``.

    Example:
        >>> import torch
        >>> pack_bits(torch.tensor([True, True, False]))
        tensor([3])
    """
    # Every bit is there once at most, so the sum is their OR, wrapped where it reaches the sign.
    numbers = torch.arange(mask.shape[-1], device=mask.device) % WORD
    bits = (mask.long() << numbers).split(WORD, -1)
    return torch.cat([part.sum(-1, keepdim=True) if len(numbers) else part for part in bits], -1)


def unpack_bits(words: Int[Tensor, "*shape words"], values: int) -> Bool[Tensor, "..."]:
    """The sets as booleans: the inverse of :func:`pack_bits`.

    Args:
        words: int64, shape ``(*shape, words)``.
        values: how many numbers there are.

    Returns:
        True where a number is in the set, shape ``(*shape, values)``.

    Example:
        >>> import torch
        >>> unpack_bits(torch.tensor([3]), 3)
        tensor([ True,  True, False])
    """
    numbers = torch.arange(values, device=words.device)
    return ((words.index_select(-1, numbers // WORD) >> numbers % WORD) & 1).bool()
