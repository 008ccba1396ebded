"""Seeds as values: drawn from a generator, taken as given, and folded with numbers into further ones."""

from __future__ import annotations

import itertools
import shutil

import numpy as np
import pytest
import torch
from torch import Tensor

from drawgrad.functional import draw_seed, fold_seed, gumbel_noise
from tests.statistics import assert_mean, assert_uncorrelated

BACKEND = "inductor" if shutil.which("g++") or shutil.which("clang++") else "aot_eager"
EXTREMES = [0, 1, -1, 2**31, 2**32, -(2**32), 2**63 - 1, -(2**63)]

PUBLISHED = [6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431, 16408922859458223821]
"""What SplitMix64 yields from the state 1234567, as its implementations document it."""
STATE_1234567 = 11906536674387683726
"""The seed that is mixed into that state."""


class TestDrawSeed:
    def test_is_the_one_that_a_sampler_draws(self) -> None:
        seed = draw_seed(generator=torch.Generator().manual_seed(3))
        assert (seed.shape, seed.dtype, seed.device.type) == ((), torch.int64, "cpu")
        noise = gumbel_noise((5,), generator=torch.Generator().manual_seed(3))
        assert torch.equal(gumbel_noise((5,), seed=seed), noise)

    def test_lives_where_it_is_wanted(self) -> None:
        assert draw_seed(seed=1, device="meta").device.type == "meta"

    def test_takes_a_seed_as_it_is(self) -> None:
        assert draw_seed(seed=2**64 - 1).item() == -1
        for given in (torch.tensor(7), np.int64(7), np.uint32(7)):
            assert draw_seed(seed=given).item() == 7

    def test_follows_the_generator(self) -> None:
        first = draw_seed()
        torch.manual_seed(20170314)
        assert torch.equal(draw_seed(), first)
        assert not torch.equal(draw_seed(), first)

    def test_refuses_generator_and_seed(self) -> None:
        with pytest.raises(ValueError, match="both given"):
            draw_seed(generator=torch.Generator(), seed=1)


class TestFoldSeed:
    def test_known_values(self) -> None:
        assert [fold_seed(STATE_1234567, number).item() % 2**64 for number in range(1, 6)] == PUBLISHED
        assert [fold_seed(0, 0).item(), fold_seed(0, 1).item()] == [5197578548964807871, -6411193824288604561]

    @pytest.mark.parametrize("seed", EXTREMES)
    def test_ints_and_tensors_mapped_and_compiled_are_one(self, seed: int) -> None:
        compiled = torch.compile(fold_seed, backend=BACKEND, fullgraph=True)
        numbers = torch.tensor(EXTREMES)
        mapped = torch.vmap(fold_seed, in_dims=(None, 0))(torch.tensor(seed), numbers)
        for number, of_map in zip(EXTREMES, mapped, strict=True):
            folded = fold_seed(seed, number)
            assert torch.equal(folded, fold_seed(seed % 2**64, np.int64(number)))
            assert torch.equal(folded, fold_seed(torch.tensor(seed), torch.tensor(number)))
            assert torch.equal(folded, compiled(torch.tensor(seed), torch.tensor(number)))
            assert torch.equal(folded, of_map)
        over_seeds = torch.vmap(lambda s: fold_seed(s, 3))(torch.tensor([seed, 5]))
        assert torch.equal(over_seeds, torch.stack([fold_seed(seed, 3), fold_seed(5, 3)]))

    def test_survives_its_arguments(self) -> None:
        seed = torch.tensor(5)
        folded = fold_seed(seed, 0)
        seed += 1
        assert torch.equal(folded, fold_seed(5, 0))

    def test_stays_on_the_device_of_its_tensors(self) -> None:
        assert fold_seed(torch.zeros((), dtype=torch.int64, device="meta"), 1).device.type == "meta"
        assert fold_seed(1, torch.zeros((), dtype=torch.int64, device="meta")).device.type == "meta"

    def test_neighbors_and_their_folds_do_not_collide(self) -> None:
        """Birthdays: 90,000 of 2^64 seeds meet by chance once in 4e9 trials."""
        plain = torch.arange(-1000, 1000)
        numbers = torch.arange(300)
        once = torch.vmap(lambda s: torch.vmap(lambda n: fold_seed(s, n))(numbers))(plain[850:1150]).flatten()
        twice = torch.vmap(lambda s: torch.vmap(lambda n: fold_seed(fold_seed(s, 0), n))(numbers[:20]))(plain).flatten()
        seeds = torch.cat([plain, once, twice])
        # Folding with zero once is part of `once` for the middle seeds, nothing else is said twice.
        assert len(seeds.unique()) == len(seeds)

    def test_the_order_of_seed_and_number_counts(self) -> None:
        assert not torch.equal(fold_seed(3, 4), fold_seed(4, 3))
        assert not torch.equal(fold_seed(fold_seed(0, 1), 2), fold_seed(fold_seed(0, 2), 1))

    def test_every_bit_is_a_fair_coin_and_knows_of_no_other(self) -> None:
        numbers = torch.arange(1 << 15)
        for fold in (lambda n: fold_seed(7, n), lambda n: fold_seed(n, 7), lambda n: fold_seed(fold_seed(7, n), 0)):
            signs = 2.0 * ((torch.vmap(fold)(numbers)[:, None] >> torch.arange(64)) & 1) - 1
            assert_mean(signs, 0.0, resolution=0.06)
            assert_uncorrelated(signs, resolution=0.06)
            assert_uncorrelated(signs[1:], signs[:-1], resolution=0.06)

    def test_draws_are_independent_of_each_other_and_of_the_plain_one(self) -> None:
        def draw(seed: Tensor) -> Tensor:
            return gumbel_noise((1 << 13, 4), seed=seed)

        draws = torch.cat([draw(torch.tensor(7)), *(draw(fold_seed(7, number)) for number in range(6))], -1)
        assert_uncorrelated(draws, resolution=0.12)

    def test_tensors_of_seeds_and_numbers_broadcast(self) -> None:
        seeds, numbers = torch.tensor([[7], [-(2**62)]]), torch.tensor([0, 3, -1])
        found = fold_seed(seeds, numbers)
        for (row, column), seed in zip(itertools.product(range(2), range(3)), found.flatten(), strict=True):
            assert int(seed) == int(fold_seed(int(seeds[row]), int(numbers[column])))

    @pytest.mark.parametrize(
        ("arguments", "error", "words"),
        [
            ((2**64, 0), ValueError, "seed must fit into 64 bits"),
            ((0, 2**64), ValueError, "number must fit into 64 bits"),
            ((0, 1.0), TypeError, "number must be an int or a 0-dim int64 tensor, but it is 1.0"),
            ((True, 0), TypeError, "seed must be an int or a 0-dim int64 tensor, but it is True"),
            ((torch.zeros(2), 0), ValueError, "seed must be an int or a 0-dim int64 tensor"),
            ((0, torch.tensor(1.0)), ValueError, "number must be an int or a 0-dim int64 tensor"),
        ],
    )
    def test_mistakes(self, arguments: tuple[object, ...], error: type[Exception], words: str) -> None:
        with pytest.raises(error, match=words):
            fold_seed(*arguments)
