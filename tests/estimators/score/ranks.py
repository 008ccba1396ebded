"""What each of several processes does in the test of synchronized baselines; a module, for they import it."""

from __future__ import annotations

from datetime import timedelta

import torch
from torch import distributed
from torch.distributions import Bernoulli

from drawgrad.estimators import MovingAverage, Nvil, Reinforce

__all__ = ["COSTS", "run", "states"]

COSTS = ((1.0, 2.0, torch.inf), (5.0, -3.0, 4.0))
"""Costs of the three coins that each process tosses."""


def states(costs: list[float], calls: int, synchronized: bool) -> dict[str, torch.Tensor]:
    """The state of two baselines after some calls with given costs."""
    found = {}
    network = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.zeros_(network.weight)
    for baseline in (MovingAverage(0.5, synchronized), Nvil(network, 0.5, synchronized=synchronized)):
        estimator = Reinforce(baseline)
        q = Bernoulli(logits=torch.zeros(len(costs)))
        for call in range(calls):
            given = torch.tensor(costs) * (call + 1)
            estimator(lambda z, given=given: z * 0 + given, q, seed=call)
        moments = {f"{type(baseline).__name__}.{name}": value for name, value in baseline.named_buffers()}
        found |= {name: value.clone() for name, value in moments.items()}
    return found


def run(rank: int, folder: str) -> None:
    """One of the processes: its states into a file."""
    store = distributed.FileStore(f"{folder}/store", len(COSTS))
    distributed.init_process_group(
        "gloo", store=store, rank=rank, world_size=len(COSTS), timeout=timedelta(seconds=120)
    )
    found = {flag: states(list(COSTS[rank]), 3, flag) for flag in (True, False)}
    torch.save(found, f"{folder}/{rank}.pt")
    distributed.destroy_process_group()
