"""Grey images become binary ones with the right probabilities."""

from __future__ import annotations

import pytest
import torch

from drawgrad.studies.data.images import Images, binarize, fixed_binarization
from tests.statistics import assert_frequencies

DRAWS = 200_000


def _frequencies(levels: int, values: list[int], generator: torch.Generator) -> torch.Tensor:
    grey = torch.tensor(values, dtype=torch.uint8, device=generator.device).repeat(DRAWS, 1)
    white = binarize(grey, levels, generator).sum(0)
    return torch.stack([DRAWS - white, white], -1)


@pytest.mark.parametrize(("levels", "values"), [(16, [1, 8, 15]), (255, [1, 128, 254])])
def test_a_grey_value_is_the_probability_of_white(levels, values, generator):
    p = torch.tensor(values, dtype=torch.float64) / levels
    assert_frequencies(_frequencies(levels, values, generator), torch.stack([1 - p, p], -1), resolution=0.01)


@pytest.mark.parametrize("levels", [16, 255])
def test_black_stays_black_and_white_stays_white(levels, generator):
    grey = torch.tensor([0, levels], dtype=torch.uint8, device=generator.device).repeat(DRAWS, 1)
    assert binarize(grey, levels, generator).mean(0).tolist() == [0.0, 1.0]


def test_the_check_of_the_frequencies_notices_one_level_too_many(generator):
    p = torch.tensor([1, 8, 15], dtype=torch.float64) / 17
    with pytest.raises(AssertionError):
        assert_frequencies(_frequencies(16, [1, 8, 15], generator), torch.stack([1 - p, p], -1), resolution=0.01)


def test_binary_images_stay_as_they_are_and_need_no_randomness():
    x = torch.tensor([[0, 1, 1, 0]], dtype=torch.uint8)
    assert torch.equal(binarize(x, 1), torch.tensor([[0.0, 1.0, 1.0, 0.0]]))


def test_a_fixed_binarization_is_fixed():
    grey = torch.randint(17, (50, 64), dtype=torch.uint8)
    assert torch.equal(fixed_binarization(grey, 16, 3), fixed_binarization(grey, 16, 3))
    assert not torch.equal(fixed_binarization(grey, 16, 3), fixed_binarization(grey, 16, 4))


def test_base_rates_are_mean_probabilities():
    train = torch.tensor([[0, 16], [8, 16]], dtype=torch.uint8)
    images = Images("two", 1, 2, 16, train=train, valid=train, test=train)
    assert torch.equal(images.base_rates(), torch.tensor([0.25, 1.0]))
    assert images.pixels == 2
