"""Choosing the pixels from which an image is rebuilt."""

from __future__ import annotations

import itertools

import pytest
import torch

from drawgrad.studies.tasks.sensors import (
    CHOOSERS,
    LEARNED,
    Pictures,
    Setting,
    choose,
    linear_error,
    load_pictures,
    network_error,
)


def mask(chosen: tuple[int, ...], pixels: int) -> torch.Tensor:
    found = torch.zeros(pixels, dtype=torch.bool)
    found[list(chosen)] = True
    return found


@pytest.fixture
def two_signals() -> Pictures:
    """Pixels 1 and 4 say all there is: the others are copies of nothing but a faint noise."""
    generator = torch.Generator().manual_seed(0)
    pixels = 0.5 + 0.01 * torch.randn(400, 6, generator=generator)
    pixels[:, [1, 4]] += torch.randn(400, 2, generator=generator)
    return Pictures(pixels[:300], pixels[300:], 2, 3)


@pytest.fixture
def mixed() -> Pictures:
    """Mixtures of four sources, tested on the images for training."""
    generator = torch.Generator().manual_seed(1)
    pixels = torch.randn(500, 4, generator=generator) @ torch.randn(4, 7, generator=generator)
    return Pictures(pixels, pixels, 1, 7)


def test_pictures_are_those_of_the_data_set_between_zero_and_one() -> None:
    digits = load_pictures("digits")
    assert (digits.height, digits.width, digits.train.shape, digits.test.shape) == (8, 8, (1399, 64), (199, 64))
    assert (float(digits.train.min()), float(digits.train.max())) == (0.0, 1.0)
    assert digits.variance == pytest.approx(float(digits.test.var(0, correction=0).sum()), rel=0.02)


@pytest.mark.parametrize("way", CHOOSERS)
def test_each_way_chooses_k_pixels_the_same_for_a_seed(way: str, mixed: Pictures) -> None:
    chosen, again = (choose(way, mixed, 3, Setting(2, units=4), seed=5) for _ in range(2))
    assert chosen.shape == (7,)
    assert int(chosen.sum()) == 3
    assert torch.equal(chosen, again)


@pytest.mark.parametrize("way", LEARNED)
def test_what_learns_finds_the_pixels_that_tell(way: str, two_signals: Pictures) -> None:
    setting = Setting(150, units=16, lr=1e-2)
    assert choose(way, two_signals, 2, setting, seed=0).nonzero()[:, 0].tolist() == [1, 4]


def test_any_pixels_do_not_tell(two_signals: Pictures) -> None:
    assert choose("random", two_signals, 2, Setting(1), seed=0).nonzero()[:, 0].tolist() != [1, 4]


def test_the_greedy_choice_is_the_best_one_pixel_after_the_other(mixed: Pictures) -> None:
    chosen: tuple[int, ...] = ()
    for k in (1, 2, 3):
        ways = [(*chosen, pixel) for pixel in range(7) if pixel not in chosen]
        chosen = min(ways, key=lambda way: linear_error(mixed, mask(way, 7)))
        assert torch.equal(choose("greedy, linear", mixed, k, Setting(1), seed=0), mask(chosen, 7))


def test_the_linear_error_is_that_of_the_normal_equations(mixed: Pictures) -> None:
    for chosen in itertools.islice(itertools.combinations(range(7), 2), 5):
        x = mixed.train.double() - mixed.train.mean(0).double()
        seen = x[:, list(chosen)]
        missing = x - seen @ torch.linalg.solve(seen.T @ seen, seen.T @ x)
        expected = float(missing.square().sum() / x.square().sum())
        assert linear_error(mixed, mask(chosen, 7)) == pytest.approx(expected, rel=1e-5)
    # Four pixels tell four sources, and all of them nothing less.
    assert linear_error(mixed, mask((0, 1, 2, 3), 7)) < 1e-6
    assert linear_error(mixed, mask(tuple(range(7)), 7)) < 1e-6


def test_a_network_is_trained_for_the_chosen_pixels(two_signals: Pictures) -> None:
    setting = Setting(150, units=16, lr=1e-2)
    both, one, none = (network_error(two_signals, mask(way, 6), setting, 0) for way in ((1, 4), (1, 0), (0, 2)))
    assert both < 0.05 < 0.3 < one < 0.7 < 0.9 < none
    assert network_error(two_signals, mask((1, 4), 6), setting, 0) == both
