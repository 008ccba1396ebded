"""Numbers written by hand, and their sums."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from drawgrad._checks import check_count
from drawgrad._typing import Float, Int, Tensor, UInt8
from drawgrad.studies.data import load
from drawgrad.studies.data.labels import load_mnist_labels

__all__ = ["Sums", "SumsTask", "load_sums", "write_sums"]


@dataclass(frozen=True)
class Sums:
    """Sums of numbers, and nothing about their digits but images.

    Args:
        pixels: Bytes, most significant digit first, shape `(count, addends, digits, 784)`.
        totals: The sums.
    """

    pixels: UInt8[Tensor, "count addends digits 784"]
    totals: Int[Tensor, "count"]

    def images(self, rows: Tensor | slice) -> Float[Tensor, "images 1 28 28"]:
        """The images of some sums, one after the other, in [0, 1]."""
        return self.pixels[rows].float().div_(255).reshape(-1, 1, 28, 28)


@dataclass(frozen=True)
class SumsTask:
    """Sums to train and to test with, and the digits of the latter's images, in order, for the spectator."""

    train: Sums
    test: Sums
    test_digits: Int[Tensor, "images"]


def write_sums(
    pixels: UInt8[Tensor, "count 784"],
    labels: Int[Tensor, "count"],
    addends: int,
    digits: int,
    generator: torch.Generator,
    most: int | None = None,
) -> tuple[Sums, Int[Tensor, "images"]]:
    """Put images together to sums at random, each image once; and what they show.

    Args:
        pixels: Bytes of the images.
        labels: The digits that they show.
        addends: Numbers of a sum.
        digits: Digits of a number.
        generator: Of the order.
        most: How many sums are made; as many as the images suffice for if None.
    """
    check_count(addends, "addends", minimum=1)
    check_count(digits, "digits", minimum=1)
    each = addends * digits
    count = len(labels) // each if most is None else min(most, len(labels) // each)
    order = torch.randperm(len(labels), generator=generator)[: count * each]
    shown = labels[order].reshape(count, addends, digits)
    worth = 10 ** torch.arange(digits - 1, -1, -1)
    sums = Sums(pixels[order].reshape(count, addends, digits, -1), (shown * worth).sum((1, 2)))
    return sums, shown.flatten()


def load_sums(data_dir: Path | None, addends: int, digits: int, most: int | None, seed: int) -> SumsTask:
    """Sums from MNIST's 60,000 training images, and from its 10,000 test images.

    Args:
        data_dir: Folder with `mnist/`; without it the files are downloaded.
        addends: Numbers of a sum.
        digits: Digits of a number.
        most: How many are made to train with; as many as the images suffice for if None.
        seed: Of the order of the images.

    Raises:
        DataError: If a file is missing or damaged.
    """
    images, (train, test) = load("mnist", data_dir), load_mnist_labels(data_dir)
    generator = torch.Generator().manual_seed(seed)
    lesson, _ = write_sums(torch.cat([images.train, images.valid]), train, addends, digits, generator, most)
    exam, shown = write_sums(images.test, test, addends, digits, generator)
    return SumsTask(lesson, exam, shown)
