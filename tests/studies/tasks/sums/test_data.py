"""Sums of images."""

from __future__ import annotations

from pathlib import Path

import torch

from drawgrad.studies.tasks.sums.data import load_sums, write_sums


def test_each_image_is_used_once_and_the_sum_is_that_of_its_numbers() -> None:
    labels = torch.arange(60) % 10
    pixels = torch.arange(60, dtype=torch.uint8)[:, None].expand(60, 784)
    sums, shown = write_sums(pixels, labels, 2, 3, torch.Generator().manual_seed(0))
    assert sums.pixels.shape == (10, 2, 3, 784)
    assert sums.pixels[..., 0].flatten().sort().values.tolist() == list(range(60))
    numbers = (sums.pixels[..., 0].long() % 10 * torch.tensor([100, 10, 1])).sum(-1)
    assert torch.equal(sums.totals, numbers.sum(-1))
    assert torch.equal(shown, sums.pixels[..., 0].long().flatten() % 10)
    assert torch.equal(sums.images(slice(1))[:, 0, 0, 0], sums.pixels[0, ..., 0].flatten() / 255)


def test_no_more_than_are_wanted() -> None:
    sums, _ = write_sums(torch.zeros(20, 784, dtype=torch.uint8), torch.zeros(20).long(), 2, 1,
                         torch.Generator().manual_seed(0), most=3)  # fmt: skip
    assert len(sums.totals) == 3


def test_the_standard_numbers_of_sums(shared_data: Path) -> None:
    task = load_sums(shared_data, 2, 1, None, seed=0)
    assert (len(task.train.totals), len(task.test.totals)) == (30_000, 5_000)
    assert len(task.test_digits) == 10_000
