"""Seeds of the draws of a step, one after the other: those of one run, or of several that train as one program."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch

from drawgrad._typing import Int, Tensor
from drawgrad.functional import draw_seed

__all__ = ["seeds_of", "seeds_of_each"]


def seeds_of(generator: torch.Generator) -> Iterator[Int[Tensor, ""]]:
    """Seeds that a generator draws, without end; each is drawn when it is asked for.

    Example:
        >>> seeds = seeds_of(torch.Generator().manual_seed(0))
        >>> next(seeds) == draw_seed(generator=torch.Generator().manual_seed(0))
        tensor(True)
    """
    while True:
        yield draw_seed(generator=generator)


def seeds_of_each(generators: Sequence[torch.Generator], number: Int[Tensor, ""]) -> Iterator[Int[Tensor, ""]]:
    """The same for one of several runs, whose number :func:`torch.vmap` maps: each run has its own generator's seeds.

    Args:
        generators: Of the runs; all of them draw whenever a seed is asked for.
        number: Of the run, which differs between those that are mapped.
    """
    while True:
        yield torch.stack([draw_seed(generator=generator) for generator in generators]).gather(0, number[None])[0]
