"""What a kernel sees at the addresses that it is given."""

from __future__ import annotations

import numba
import numpy as np
import torch

from drawgrad.kernels.cpu import views


@numba.njit
def weighted(values, rows, classes, index, tau, taus, seed, seeds):
    """Of each row the sum over the classes, and what belongs to the row."""
    numbers = views.indices(index, rows)
    out = np.zeros((4, rows))
    for i in range(rows):
        out[0, i] = views.table(values, rows, classes)[i].sum()
        out[1, i] = views.temperature(tau, taus, i)
        out[2, i] = views.seed_of(seed, seeds, i)
        out[3, i] = numbers[i]
        numbers[i] = -1
    return out


def test_tables_and_what_belongs_to_their_rows() -> None:
    values, index = torch.arange(6.0).reshape(3, 2), torch.tensor([7, 8, 9])
    taus, seeds = torch.tensor([0.5, 1.5, 2.5]), torch.tensor([4, -5, 2**62])
    begin = (values.data_ptr(), 3, 2, index.data_ptr())
    assert weighted(*begin, 0.0, taus.data_ptr(), 0, seeds.data_ptr()).tolist() == [
        [1, 5, 9],
        [0.5, 1.5, 2.5],
        [4, -5, 2**62],
        [7, 8, 9],
    ]
    assert index.tolist() == [-1, -1, -1]


def test_one_number_for_all_rows_needs_no_address() -> None:
    values, index = torch.zeros(2, 1), torch.zeros(2, dtype=torch.int64)
    seen = weighted(values.data_ptr(), 2, 1, index.data_ptr(), 0.1, 0, -3, 0)
    assert seen[1:3].tolist() == [[float(np.float32(0.1))] * 2, [-3, -3]]


_new_pairs = views.room(numba.uint64, 3)


@numba.njit
def split(first, second):
    """The halves of numbers that are put into two rooms by turns."""
    one, other = _new_pairs(), _new_pairs()
    for i in range(len(one)):
        one[i], other[i] = first[i], second[i]
    return views.halves(one).copy(), views.halves(other).copy()


def test_rooms_are_apart_and_pairs_fall_into_halves() -> None:
    first, second = np.array([1 << 32, 2, 3 << 32 | 4], np.uint64), np.arange(3, dtype=np.uint64)
    assert [half.tolist() for half in split(first, second)] == [[0, 1, 2, 0, 4, 3], [0, 0, 1, 0, 2, 0]]
