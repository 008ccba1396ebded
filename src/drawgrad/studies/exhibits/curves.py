"""Training runs of one estimator, all of them at once, and the curves that they leave."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from drawgrad._checks import check_count
from drawgrad._typing import Float, Int, Tensor
from drawgrad.diagnostics import Estimate
from drawgrad.studies.drawing import INK, sign
from drawgrad.studies.runs import loop

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

__all__ = ["Curves", "descend", "over_runs", "signs"]


def over_runs(values: Float[Tensor, "runs"]) -> Estimate:
    """Mean and standard error over at least two runs."""
    return Estimate(float(values.mean()), float(values.std()) / math.sqrt(len(values)))


@dataclass(frozen=True)
class Curves:
    """A number that was looked at along independent runs.

    Attributes:
        steps: The steps after which was looked; the first one is 0.
        values: The number then, of every run.
    """

    steps: Int[Tensor, "looks"]
    values: Float[Tensor, "looks runs"]

    @property
    def mean(self) -> Float[Tensor, "looks"]:
        """Over the runs."""
        return self.values.mean(1)

    @property
    def error(self) -> Float[Tensor, "looks"]:
        """Standard error of the mean."""
        return self.values.std(1) / math.sqrt(self.values.shape[1])

    def after(self, step: int) -> Float[Tensor, "runs"]:
        """The number after a step at which was looked, of every run."""
        return self.values[self.steps.tolist().index(step)]

    @property
    def final(self) -> Estimate:
        """Mean and standard error at the end, over the runs."""
        return over_runs(self.values[-1])

    def plain(self) -> dict[str, Any]:
        """As JSON knows it."""
        return {"steps": self.steps.tolist(), "values": self.values.tolist()}

    @classmethod
    def read(cls, plain: dict[str, Any]) -> Curves:
        """What :meth:`plain` gave, in double precision."""
        return cls(torch.tensor(plain["steps"]), torch.tensor(plain["values"], dtype=torch.float64))

    def draw(self, axes: Axes, color: str) -> None:
        """The mean as a line, within two standard errors, and every run as a thin one."""
        axes.plot(self.steps, self.values, color=color, lw=0.5, alpha=0.3)
        axes.fill_between(
            self.steps, self.mean - 2 * self.error, self.mean + 2 * self.error, color=color, alpha=0.2, lw=0
        )
        axes.plot(self.steps, self.mean, color=color, lw=1.7)


def signs() -> list[Artist]:
    """What the lines mean that :meth:`Curves.draw` draws."""
    from matplotlib.patches import Patch

    return [
        sign("mean of the runs", lw=1.7),
        Patch(color=INK, alpha=0.2, lw=0, label="within two standard errors"),
        sign("single runs", lw=0.5, alpha=0.5),
        sign("optimum", lw=1, ls=(0, (4, 3))),
    ]


def descend(
    loss: Callable[[], Tensor],
    parameters: Iterable[Tensor],
    look: Callable[[], Float[Tensor, "*batch runs"]],
    *,
    steps: int,
    lr: float,
    every: int,
) -> tuple[Int[Tensor, "looks"], Float[Tensor, "looks *batch runs"]]:
    """Follow the gradient of a loss with Adam, and look at a number of every run along the way.

    Args:
        loss: Losses of all runs, with their gradients.
        parameters: What is trained.
        look: The number of every run as it is now.
        steps: Steps of Adam.
        lr: Learning rate.
        every: Steps from one look to the next.

    Returns:
        The steps after which was looked, the first one 0 and the last one `steps`, and what was seen.
    """
    check_count(steps, "steps", minimum=1)
    check_count(every, "every", minimum=1)
    optimizer = torch.optim.Adam(parameters, lr=lr, fused=True)
    looks, found = [0], [look()]
    for step in loop.descend(lambda step: loss(), optimizer, range(steps)):
        if step % every == 0 or step == steps:
            looks.append(step)
            found.append(look())
    return torch.tensor(looks), torch.stack(found).detach()
