"""Sets as words of 64 bits."""

from __future__ import annotations

import pytest
import torch

from drawgrad.logic._bits import pack_bits, unpack_bits, words_for


@pytest.mark.parametrize("values", [1, 2, 5, 63, 64, 65, 128, 130])
def test_there_and_back(values: int) -> None:
    mask = torch.rand(3, 4, values, generator=torch.Generator().manual_seed(0)) < 0.5
    words = pack_bits(mask)
    assert words.shape == (3, 4, words_for(values))
    assert torch.equal(unpack_bits(words, values), mask)


def test_each_value_has_its_bit() -> None:
    for value in (0, 1, 62, 63, 64, 100):
        words = pack_bits(torch.arange(128) == value)
        expected = [0, 0]
        expected[value // 64] = 1 << (value % 64)
        assert [word % 2**64 for word in words.tolist()] == expected


def test_no_values() -> None:
    assert pack_bits(torch.zeros(2, 0, dtype=torch.bool)).shape == (2, 0)
