"""Times of one source tree, printed as JSON: what each layer of a small draw takes, and what a step of a training adds.

A program of its own, run by path with ``PYTHONPATH`` naming the tree: so two states of the package are measured side by
side by one and the same code. It uses only what both have.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.distributions import OneHotCategorical, kl_divergence
from torch.nn import functional as F

from drawgrad.functional import gumbel_softmax
from drawgrad.kernels import cpu, ops

__all__ = ["main"]

CALLS, TURNS = 200, 5
ROWS, CLASSES = 20, 10
BATCH, STEPS = 100, 100


def draws() -> dict[str, Callable[[], object]]:
    """Each layer of a draw of 20 x 10, from the kernel's door outwards."""
    logits = torch.randn(ROWS, CLASSES)
    leaf, grad = logits.clone().requires_grad_(), torch.randn(ROWS, CLASSES)
    return {
        "twin: memory, threads, kernel": lambda: cpu.gumbel_softmax(logits, 1.0, 3, 0, 0, False),
        "operator: who watches, which twin": lambda: ops.gumbel_softmax(logits, 1.0, 3, 0, 0, False),
        "function: the call with seed=": lambda: gumbel_softmax(logits, seed=3),
        "a seed drawn": lambda: gumbel_softmax(logits),
        "recorded for backward": lambda: gumbel_softmax(leaf),
        "with backward": lambda: torch.autograd.grad(gumbel_softmax(leaf), leaf, grad),
    }


class Table(nn.Module):
    """In place of an autoencoder: its posterior is a table, and its cost a product with another one."""

    def __init__(self, config: object) -> None:
        super().__init__()
        from drawgrad.studies.tasks.autoencoder.code import code_of
        from drawgrad.studies.tasks.autoencoder.gradient import make_estimator

        self.code = code_of(config.model)
        self.estimator = make_estimator(config)
        self.logits = nn.Parameter(torch.randn(BATCH, self.code.parameters))
        self.prior_parameters = nn.Parameter(torch.zeros(self.code.parameters))
        self.weight = torch.randn(self.code.features)
        self.register_buffer("mean", torch.zeros(1))

    def posterior(self, _x: Tensor) -> object:
        return self.code.distribution(self.logits)

    def prior(self) -> object:
        return self.code.distribution(self.prior_parameters)

    def cost(self, z: Tensor, _x: Tensor) -> Tensor:
        return self.code.flat(z) @ self.weight


def steps(monitored: bool) -> Callable[[], None]:
    """The steps of the default training between two looks of the monitor, the second one included."""
    from drawgrad.studies.data import Images
    from drawgrad.studies.tasks.autoencoder.config import configure
    from drawgrad.studies.tasks.autoencoder.objective import VAETask

    config = configure()
    pixels = torch.zeros(BATCH, 1, dtype=torch.uint8)
    model = Table(config)
    task = VAETask(model, Images("none", 1, 1, 1, pixels, pixels, pixels), config, 10 * STEPS)
    if not monitored:
        task.monitor.observe = lambda *_, **__: None
    rows, generator = torch.arange(BATCH), torch.Generator().manual_seed(0)

    def run() -> None:
        for step in range(STEPS):
            loss, _ = task.loss(rows, step, generator)
            model.zero_grad(set_to_none=True)
            loss.backward()

    return run


def steps_by_hand() -> Callable[[], None]:
    """The same steps as one would write them with torch alone: no estimator, no schedules, no measures, no monitor."""
    from drawgrad.studies.tasks.autoencoder.config import configure

    model = Table(configure())

    def run() -> None:
        for _ in range(STEPS):
            logits = model.logits.unflatten(-1, (-1, model.code.categories))
            prior = model.prior_parameters.unflatten(-1, (-1, model.code.categories))
            q = OneHotCategorical(logits=logits, validate_args=False)
            p = OneHotCategorical(logits=prior, validate_args=False)
            cost = model.cost(F.gumbel_softmax(q.logits, tau=0.5), q.logits).mean()
            loss = cost + kl_divergence(q, p).mean(0).sum()
            model.zero_grad(set_to_none=True)
            loss.backward()

    return run


def microseconds(call: Callable[[], object], calls: int) -> float:
    """Mean time of a call."""
    begin = time.perf_counter()
    for _ in range(calls):
        call()
    return (time.perf_counter() - begin) / calls * 1e6


def main() -> None:
    """Measure what the argument names."""
    torch.set_num_threads(1)
    if sys.argv[1] == "draws":
        found = {name: (call, CALLS) for name, call in draws().items()}
    else:
        kinds = {
            "100 steps": steps(True),
            "100 steps, no monitor": steps(False),
            "100 steps, written with torch": steps_by_hand(),
        }
        found = {name: (call, 1) for name, call in kinds.items()}
    times: dict[str, list[float]] = {name: [] for name in found}
    for turn in range(TURNS + 1):
        for name, (call, calls) in found.items():
            taken = microseconds(call, calls)
            if turn:
                times[name].append(taken)
    print(json.dumps({name: sorted(values)[TURNS // 2] for name, values in times.items()}))


if __name__ == "__main__":
    main()
