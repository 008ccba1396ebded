"""A block that runs for those rows alone whose gate is open."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import nn

from drawgrad._checks import check_module, check_nonnegative
from drawgrad._typing import Bool, Float, Tensor
from drawgrad.estimators import SurrogateEstimator
from drawgrad.nn.choice import Choice
from drawgrad.variables import Binary

__all__ = ["Conditional", "Gated"]


class Gated(NamedTuple):
    """What gates did.

    Args:
        open: whether the block ran for a row, shape ``(*lead)``.
        rate: share of the rows whose gate was open.
        rate_loss: the square of the difference between the mean probability of an open gate and the target.
    """

    open: Bool[Tensor, "*lead"]
    rate: Float[Tensor, ""]
    rate_loss: Float[Tensor, ""]


class Conditional(nn.Module):
    r"""Add the output of a block to the rows whose gate is open, and pass on the others as they are.

    .. math:: y = x + z\, \mathrm{block}(x), \qquad z \in \{0, 1\}, \quad P(z = 1) = \sigma(\mathrm{gate}(x))

    The block sees the open rows only, in one piece: its work falls with their share. So nothing is known of what it
    would have done to the others, and their gates get no gradient from the output; those that are open get that of the
    estimator. Compiled and exported code, in which the number of open rows is not known, runs the block for all rows
    and leaves out what is closed.

    Args:
        gate: maps x to one logit a row: shape ``(*lead)`` or ``(*lead, 1)``, where lead is how the shape of x begins,
            such as that of ``Linear(width, 1)`` for tokens ``(batch, tokens, width)``.
        block: maps open rows ``(n, ...)`` to updates of the same shape.
        estimator: of the gate; straight-through Gumbel-Softmax if None.
        rate: the target of the rate loss, a share between 0 and 1.
        device: where the temperature of the choice lives.
        dtype: its floating dtype.

    Raises:
        ValueError: if ``rate`` is no share.
        TypeError: if gate or block is no module, or the estimator does not take bits.

    Example:
        >>> block = Conditional(nn.Linear(8, 1), nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 8)), rate=0.3)
        >>> y, gated = block(torch.ones(4, 5, 8), seed=0)
        >>> y.shape, gated.open.shape
        (torch.Size([4, 5, 8]), torch.Size([4, 5]))
        >>> loss = y.square().mean() + gated.rate_loss

    References:
        Bengio, Leonard, Courville. Estimating or propagating gradients through stochastic neurons. 2013.
        Veit, Belongie. Convolutional networks with adaptive inference graphs. ECCV 2018.
    """

    def __init__(
        self,
        gate: nn.Module,
        block: nn.Module,
        *,
        estimator: SurrogateEstimator | None = None,
        rate: float = 0.5,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        check_module(gate, "gate")
        check_module(block, "block")
        check_nonnegative(rate, "rate")
        if rate > 1:
            raise ValueError(f"rate must be a share of the rows, from 0 to 1, but it is {rate!r}; divide by 100")
        self.gate, self.block = gate, block
        self.choice = Choice(estimator, Binary, device=device, dtype=dtype)
        self.rate = rate

    def forward(
        self,
        x: Float[Tensor, "*shape"],
        *,
        generator: torch.Generator | None = None,
        seed: int | Tensor | None = None,
    ) -> tuple[Float[Tensor, "*shape"], Gated]:
        """Run the block where the gate is open.

        Args:
            x: rows along the dimensions for which the gate returns a logit each.
            generator: draws the seed; torch's default generator if None.
            seed: the seed itself, an int or a 0-dim int64 tensor.

        Returns:
            The rows, of the shape of x; and what the gates did.

        Raises:
            ValueError: if the gate returns another shape, or ``generator`` and ``seed`` are both given.
        """
        logits = self.gate(x)
        if logits.shape[-1:] == (1,) and logits.shape != x.shape[: logits.dim()]:
            logits = logits[..., 0]
        lead = logits.shape
        if lead != x.shape[: len(lead)] or not lead:
            raise ValueError(
                f"gate must return one logit a row, of a shape with which that of x, {tuple(x.shape)}, begins, but it "
                f"returned {tuple(lead)}; use Linear(width, 1), or reduce the other dimensions first"
            )
        z = self.choice(logits, generator=generator, seed=seed)
        opened = z > 0.5
        rows = x.reshape(math.prod(lead), *x.shape[len(lead) :])
        y = self._updated(rows, z.reshape(-1)).reshape(x.shape)
        if not lead.numel():  # A mean of nothing is no number.
            return y, Gated(opened, z.detach().sum(), logits.sum())
        loss = (logits.sigmoid().mean() - self.rate).square()
        return y, Gated(opened, opened.to(z.dtype).mean(), loss)

    def reset_parameters(self) -> None:
        """Nothing of its own: gate and block have theirs."""

    def extra_repr(self) -> str:
        """The target."""
        return f"rate={self.rate}"

    def _updated(self, rows: Tensor, z: Tensor) -> Tensor:
        weights = z.to(rows.dtype).reshape(-1, *[1] * (rows.dim() - 1))
        if torch.compiler.is_compiling():
            return torch.where(weights > 0, rows + weights * self.block(rows).to(rows.dtype), rows)
        places = z.nonzero()[:, 0]
        if not len(places):  # Not every block takes no rows at all.
            return rows + 0.0 * weights
        update = weights[places] * self.block(rows[places]).to(rows.dtype)
        return rows.index_add(0, places, update)
