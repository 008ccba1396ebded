"""Gates that close: what they multiply is exactly zero once they are, and how many are open has a gradient."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from drawgrad._checks import as_integers, check_count, check_flag, check_floating, check_number, check_temperature
from drawgrad._typing import Bool, Float, Tensor
from drawgrad.distributions import HardConcrete
from drawgrad.nn.temperature import CURE, Tempered

__all__ = ["HardConcreteGate"]

SPREAD = 0.01
"""Standard deviation of the logits at the start, as in the paper's code: equal gates would stay equal for long."""


class HardConcreteGate(Tempered):
    r"""Multiply by learned gates, many of which become exactly zero: L0 regularization.

    .. math:: y = x \odot z, \qquad z \sim \mathrm{HardConcrete}(l, \tau), \qquad
        E\|z\|_0 = \sum_i P(z_i \ne 0)

    Add :meth:`expected_l0` times a weight to the loss: without it, no gate has a reason to close. ``train()`` draws the
    gates; ``eval()`` uses those without noise, as the paper does. Once trained, :func:`drawgrad.nn.prune` takes out
    what closed gates multiply with zero.

    Args:
        shape: of what is gated: the last dimensions of x. ``(width,)``, or ``width`` alone, for the units of a linear
            layer, ``(channels, 1, 1)`` for the channels of a convolution.
        group: dimensions of ``shape`` whose entries share a gate: ``HardConcreteGate((32, 7, 7), group=(1, 2))`` has 32
            gates, each of which counts for 49 entries.
        initial: how far gates are open at the start: the sigmoid of their logits, above 0 and below 1.
        tau: temperature.
        stretch: the interval to which the gates are stretched before they are cut off.
        shared: whether all rows of a batch see one draw of the gates; else each row has its own.
        device: of the logits.
        dtype: of the logits.

    Shape:
        x: ``(*batch, *shape)``, or what broadcasts ``shape`` in its dimensions of size 1; the result is shaped like x.

    Raises:
        ValueError: if an argument breaks its rule, or if x does not end in ``shape``.
        TypeError: if an argument is of a wrong type, or x is not of a floating dtype.

    Example:
        >>> import torch
        >>> gate = HardConcreteGate((4,)).eval()
        >>> with torch.no_grad():
        ...     _ = gate.logits.copy_(torch.tensor([-9.0, 0.0, 9.0, -9.0]))
        >>> gate(torch.ones(1, 4)).detach()
        tensor([[0.0000, 0.5000, 1.0000, 0.0000]])
        >>> round(gate.expected_l0().item(), 2)
        1.83

    References:
        Louizos, Welling, Kingma. Learning sparse neural networks through L0 regularization. ICLR 2018.
    """

    def __init__(
        self,
        shape: int | Sequence[int],
        *,
        group: int | Sequence[int] = (),
        initial: float = 0.5,
        tau: float = 2 / 3,
        stretch: tuple[float, float] = (-0.1, 1.1),
        shared: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        check_temperature(tau, CURE)
        super().__init__(tau, device=device, dtype=dtype)
        self.shape = torch.Size(as_integers(shape, "shape"))
        for size in self.shape:
            check_count(size, "shape", minimum=1)
        self.group = _dimensions(group, len(self.shape))
        check_number(initial, "initial")
        if not 0 < initial < 1:
            raise ValueError(f"initial must be above 0 and below 1, but it is {initial!r}; 0.5 is the paper's")
        check_flag(shared, "shared")
        self.initial, self.shared = initial, shared
        gates = [1 if number in self.group else size for number, size in enumerate(self.shape)]
        self.logits = nn.Parameter(torch.empty(gates, device=device, dtype=dtype))
        # Made once so that a wrong interval is refused here.
        self.stretch = HardConcrete(1.0, self.logits, stretch, validate_args=False).stretch
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Gates as far open as ``initial`` says, up to a little noise, and the temperature that they began with."""
        super().reset_parameters()
        nn.init.normal_(self.logits, math.log(self.initial) - math.log1p(-self.initial), SPREAD)

    def extra_repr(self) -> str:
        """The options, and how many gates there are."""
        group = f", group={self.group}" if self.group else ""
        return f"{tuple(self.shape)}{group}, gates={self.logits.numel()}, shared={self.shared}"

    def distribution(self) -> HardConcrete:
        """Of the gates."""
        assert self.temperature is not None
        return HardConcrete(self.temperature, self.logits, self.stretch, validate_args=False)

    def expected_l0(self) -> Float[Tensor, ""]:
        """How many entries of ``shape`` are multiplied with something else than zero, as expected; with a gradient."""
        return self.distribution().expected_l0.sum() * (self.shape.numel() // self.logits.numel())

    def gates(self) -> Float[Tensor, "..."]:
        """What ``eval()`` multiplies with: the gates without noise, shaped like ``logits``."""
        return self.distribution().mean

    def is_open(self) -> Bool[Tensor, "..."]:
        """Which gates are not zero in ``eval()``, shaped like ``logits``."""
        return self.gates().detach() > 0

    def forward(
        self,
        x: Float[Tensor, "..."],
        *,
        generator: torch.Generator | None = None,
        seed: int | Tensor | None = None,
    ) -> Float[Tensor, "..."]:
        """Multiply with the gates.

        Args:
            x: what is gated, shape ``(*batch, *shape)``.
            generator: draws the seed, in ``train()``; torch's default generator if None.
            seed: the seed itself, an int or a 0-dim int64 tensor, instead of ``generator``.
        """
        check_floating(x, "x")
        batch = x.dim() - len(self.shape)
        fits = batch >= 0 and all(n in (1, size) for size, n in zip(x.shape[batch:], self.shape, strict=True))
        if not fits:
            raise ValueError(
                f"x must end in the shape of the gates, {tuple(self.shape)}, but its shape is {tuple(x.shape)}; make "
                f"the gates with HardConcreteGate(shape) for the last dimensions of x"
            )
        if self.training:
            rows: Any = torch.Size() if self.shared else x.shape[:batch]
            gates = self.distribution().rsample(rows, generator=generator, seed=seed)
        else:
            gates = self.gates()
        return x * gates.to(x.dtype)


def _dimensions(group: int | Sequence[int], dims: int) -> tuple[int, ...]:
    """The dimensions that share a gate, counted from the front."""
    given = as_integers(group, "group")
    for number in given:
        if not -dims <= number < dims:
            raise ValueError(
                f"group must name dimensions of a shape with {dims}, but it is {group!r}; give numbers from {-dims} to "
                f"{dims - 1}"
            )
    return tuple(sorted({number % dims for number in given}))
