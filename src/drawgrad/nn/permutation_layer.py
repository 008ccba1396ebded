"""A learned order: relaxed while it is trained, a permutation in evaluation."""

from __future__ import annotations

from typing import Self

import torch
from torch import nn

from drawgrad._checks import (
    check_count,
    check_flag,
    check_floating,
    check_integer,
    check_nonnegative,
    check_temperature,
)
from drawgrad._typing import Float, Int, Tensor
from drawgrad.functional import assignment, gumbel_sinkhorn
from drawgrad.nn.temperature import CURE, Tempered

__all__ = ["PermutationLayer"]


OFF = 1e-3
"""How far sums of rows and columns may be from one: what is learned is an order, and no sum."""


class PermutationLayer(Tempered):
    r"""Permute the entries of a dimension in an order that is learned.

    .. math:: y = P x, \qquad P = \mathrm{Sinkhorn}((S + G) / \tau)

    ``train()`` multiplies with a doubly stochastic matrix, one draw for the whole batch; ``eval()`` puts the entries
    into the best order for the scores S, which it finds when it is called, by SciPy, and keeps in the buffer ``order``.

    Args:
        n: how many entries there are.
        dim: their dimension.
        tau: temperature; low ones are near a permutation. Let it fall while the order is trained.
        scale: of the noise; 0 is Sinkhorn's matrix of the scores themselves.
        hard: whether training permutes as well, with the gradient of the relaxed matrix.
        device: of the scores.
        dtype: of the scores.

    Shape:
        x: n entries along ``dim``; the result is shaped like it.

    Raises:
        ValueError: if an argument breaks its rule, or if x has another number of entries.
        TypeError: if an argument is of a wrong type, or x is not of a floating dtype.

    Example:
        >>> import torch
        >>> layer = PermutationLayer(3)
        >>> with torch.no_grad():
        ...     _ = layer.scores.copy_(torch.tensor([[0.0, 0.0, 5.0], [5.0, 0.0, 0.0], [0.0, 5.0, 0.0]]))
        >>> layer.eval()(torch.tensor([10.0, 20.0, 30.0])).detach()
        tensor([30., 10., 20.])

    References:
        Mena, Belanger, Linderman, Snoek. Learning latent permutations with Gumbel-Sinkhorn networks. ICLR 2018.
    """

    order: Tensor

    def __init__(
        self,
        n: int,
        *,
        dim: int = -1,
        tau: float = 1.0,
        scale: float = 1.0,
        hard: bool = False,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        check_temperature(tau, CURE)
        super().__init__(tau, device=device, dtype=dtype)
        check_count(n, "n", minimum=1)
        check_integer(dim, "dim")
        check_nonnegative(scale, "scale")
        check_flag(hard, "hard")
        self.n, self.dim, self.scale, self.hard = n, dim, scale, hard
        self.scores = nn.Parameter(torch.empty(n, n, device=device, dtype=dtype))
        self.register_buffer("order", torch.empty(n, device=device, dtype=torch.long))
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """All orders alike, up to a little noise, and the temperature that it began with."""
        super().reset_parameters()
        nn.init.normal_(self.scores, 0.0, 0.01)
        self.order.copy_(torch.arange(self.n, device=self.order.device))

    def extra_repr(self) -> str:
        """The options."""
        return f"n={self.n}, dim={self.dim}, scale={self.scale}, hard={self.hard}"

    def train(self, mode: bool = True) -> Self:
        """Switch to training, or to evaluation with the best order for the scores as they are now."""
        super().train(mode)
        if not mode and self.scores.device.type != "meta":
            with torch.no_grad():
                self.order.copy_(assignment(self.scores.detach()).argmax(-1))
        return self

    def matrix(
        self, *, generator: torch.Generator | None = None, seed: int | Tensor | None = None
    ) -> Float[Tensor, "n n"]:
        """What x is multiplied with in training: row i says where entry i of the result comes from."""
        assert self.temperature is not None
        tau = self.temperature.reshape(1, 1)
        return gumbel_sinkhorn(
            self.scores, tau, self.hard, scale=self.scale, tolerance=OFF, generator=generator, seed=seed
        )

    def permutation(self) -> Int[Tensor, "n"]:
        """Which entry of x comes where, in the best order for the scores: ``y = x[permutation]``."""
        return assignment(self.scores.detach()).argmax(-1)

    def forward(
        self,
        x: Float[Tensor, "..."],
        *,
        generator: torch.Generator | None = None,
        seed: int | Tensor | None = None,
    ) -> Float[Tensor, "..."]:
        """Permute.

        Args:
            x: what is permuted.
            generator: draws the seed, in ``train()``; torch's default generator if None.
            seed: the seed itself, an int or a 0-dim int64 tensor, instead of ``generator``.
        """
        check_floating(x, "x")
        if not -x.dim() <= self.dim < x.dim() or x.shape[self.dim] != self.n:
            raise ValueError(
                f"x must have {self.n} entries along dimension {self.dim}, but its shape is {tuple(x.shape)}; make the "
                "layer for as many"
            )
        if not self.training:
            return x.index_select(self.dim, self.order)
        matrix = self.matrix(generator=generator, seed=seed).to(x.dtype)
        return (x.movedim(self.dim, -1) @ matrix.T).movedim(-1, self.dim)
