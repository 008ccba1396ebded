"""The study of sums, on few images."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import nn

from drawgrad.studies.tasks.sums.data import SumsTask, write_sums
from drawgrad.studies.tasks.sums.recipe import SumLesson, SumsRecipe
from drawgrad.studies.tasks.sums.teachers import TEACHERS, ExactSum


class Brightness(nn.Module):
    """Logits that rise with the digit for bright images."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images.sum((1, 2, 3))[:, None] * torch.linspace(-1, 1, 10) / 784


def task(addends: int, digits: int) -> SumsTask:
    """Images whose brightness is the digit."""
    labels = torch.arange(200) % 10
    pixels = (labels * 25).to(torch.uint8)[:, None].repeat(1, 784)
    generator = torch.Generator().manual_seed(0)
    train, _ = write_sums(pixels, labels, addends, digits, generator, most=16)
    return SumsTask(train, *write_sums(pixels, labels, addends, digits, generator, most=10))


@pytest.mark.parametrize("teacher", TEACHERS)
def test_a_study_from_the_images_to_the_numbers(teacher: str, tmp_path: Path) -> None:
    recipe = SumsRecipe(teacher, digits=2, epochs=2, batch=8, move=False)
    found = recipe.measure(task(2, 2), 0, tmp_path, lambda message: None)
    assert json.loads(json.dumps(found, allow_nan=False)).keys() == {"sums", "digits", "curve"}
    assert 0 <= found["sums"] <= 1


def test_training_is_told_sums_alone() -> None:
    """Neither the digits of the test images nor anything but images and sums has a part in the loss."""
    given = task(3, 1)
    spoiled = SumsTask(given.train, given.test, given.test_digits.flip(0))
    assert set(vars(given.train)) == {"pixels", "totals"}

    logits = Brightness()
    losses = [
        float(SumLesson(each, ExactSum(), True).loss(logits, torch.arange(8), torch.Generator().manual_seed(0)))
        for each in (given, spoiled)
    ]
    assert losses[0] == losses[1]
    assert SumLesson(given, ExactSum(), True).watch(logits) != SumLesson(spoiled, ExactSum(), True).watch(logits)
