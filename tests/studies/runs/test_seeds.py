"""Seeds of a step, those of one run and those of several."""

from __future__ import annotations

import itertools

import torch

from drawgrad.functional import draw_seed
from drawgrad.studies.runs.seeds import seeds_of, seeds_of_each


def generators() -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed) for seed in range(3)]


def test_they_are_those_that_a_sampler_would_draw():
    found = list(itertools.islice(seeds_of(generators()[1]), 3))
    generator = generators()[1]
    assert found == [draw_seed(generator=generator) for _ in range(3)]
    assert len({int(seed) for seed in found}) == 3


def test_each_of_several_runs_has_its_own():
    of_all = generators()

    def two(number):
        return torch.stack(list(itertools.islice(seeds_of_each(of_all, number), 2)))

    found = torch.vmap(two, randomness="same")(torch.arange(3))
    assert torch.equal(found, torch.stack([torch.stack(list(itertools.islice(seeds_of(g), 2))) for g in generators()]))
