"""A layer of many experts, of which each token sees k."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn

from drawgrad._typing import Bool, Float, Tensor
from drawgrad.nn.grouped import ExpertList, FeedForwardExperts
from drawgrad.nn.router import Router, Routing

__all__ = ["MixtureOfExperts"]


class MixtureOfExperts(nn.Module):
    """Send each token to the experts that a router chooses, and sum their outputs with its weights.

    Tokens are sorted by expert, so that each expert sees its own in one piece and no other.

    Args:
        router: chooses; its ``gradient`` says what the choice costs in training.
        experts: as many as the router chooses among: :class:`FeedForwardExperts`, whose products are grouped, or any
            modules that map rows ``(n, width)`` to rows ``(n, out)``.

    Raises:
        ValueError: if their number is another one.
        TypeError: if the router is none, or experts are no modules.

    Example:
        >>> moe = MixtureOfExperts(Router(8, experts=4, k=2), FeedForwardExperts(4, 8, 16))
        >>> y, routing = moe(torch.ones(2, 3, 8))
        >>> y.shape, routing.load.sum()
        (torch.Size([2, 3, 8]), tensor(12.))
        >>> loss = y.square().mean() + 0.01 * routing.balance_loss + 0.001 * routing.z_loss

    References:
        Shazeer et al. Outrageously large neural networks: the sparsely-gated mixture-of-experts layer. ICLR 2017.
        Gale, Narayanan, Young, Zaharia. MegaBlocks: efficient sparse training with mixture-of-experts. MLSys 2023.
    """

    def __init__(self, router: Router, experts: FeedForwardExperts | ExpertList | Iterable[nn.Module]) -> None:
        super().__init__()
        if not isinstance(router, Router):
            raise TypeError(
                f"router must be a Router, but it is of type {type(router).__name__}; make one, such as "
                "Router(width, experts=8, k=2)"
            )
        self.router = router
        self.experts = experts if isinstance(experts, FeedForwardExperts | ExpertList) else ExpertList(experts)
        if len(self.experts) != router.experts:
            raise ValueError(
                f"experts must be as many as the router chooses among, {router.experts}, but they are "
                f"{len(self.experts)}; make the router with experts={len(self.experts)}"
            )

    def forward(
        self,
        x: Float[Tensor, "*batch width"],
        *,
        mask: Bool[Tensor, "*batch"] | None = None,
        generator: torch.Generator | None = None,
        seed: int | Tensor | None = None,
    ) -> tuple[Float[Tensor, "*batch out"], Routing]:
        """Apply the experts.

        Args:
            x: tokens.
            mask: True for tokens, False for padding, whose result is zero.
            generator: draws the seed; torch's default generator if None.
            seed: the seed itself, an int or a 0-dim int64 tensor.

        Returns:
            The mixed outputs, zero for a token without an expert; and the routing, with the losses to add.

        Raises:
            ValueError: as the router.
            TypeError: likewise.
        """
        router = self.router
        routing = router(x, mask=mask, generator=generator, seed=seed)
        rows = x.reshape(-1, x.shape[-1])
        weights = routing.weights.reshape(-1, router.k)
        assigned = routing.experts.reshape(-1)
        # What goes nowhere is sorted to the end.
        assigned = torch.where(assigned < 0, router.experts, assigned)
        order = assigned.argsort(stable=True)
        counts = assigned.new_zeros(router.experts + 1).scatter_add(0, assigned, torch.ones_like(assigned))
        ends = counts[:-1].cumsum(0).to(torch.int32)

        seen = rows.index_select(0, order // router.k)
        if mask is None and router.capacity is None:
            found = self.experts(seen, ends)
        else:
            # Grouped products leave anything in rows of no group, forward and backward: zero stands in for it.
            belongs = (assigned[order] < router.experts)[:, None]
            found = torch.where(belongs, self.experts(torch.where(belongs, seen, 0.0), ends), 0.0)
        back = torch.empty_like(order).scatter(0, order, torch.arange(len(order), device=order.device))
        found = found.index_select(0, back).reshape(len(rows), router.k, found.shape[-1])
        mixed = (found * weights[..., None].to(found.dtype)).sum(1)
        if router.gradient == "dense" and self.training and torch.is_grad_enabled():
            mixed = mixed + self._of_the_others(rows, routing)
        return mixed.to(x.dtype).reshape(*x.shape[:-1], mixed.shape[-1]), routing

    def reset_parameters(self) -> None:
        """Nothing of its own: router and experts have theirs."""

    def extra_repr(self) -> str:
        """How many experts a token sees."""
        return f"{self.router.k} of {self.router.experts} experts"

    def _of_the_others(self, rows: Tensor, routing: Routing) -> Tensor:
        """Zero, with the gradient of the probabilities of the experts that were not chosen."""
        assert routing.probs is not None
        probs = routing.probs.reshape(len(rows), self.router.experts)
        experts = routing.experts.reshape(len(rows), self.router.k)
        chosen = torch.zeros_like(probs).scatter_add(1, experts.clamp(min=0), (experts >= 0).to(probs.dtype))
        if self.router.normalize:
            probs = probs / (probs * chosen).sum(-1, keepdim=True).detach().clamp(min=1e-9)
        with torch.no_grad():
            outputs = self.experts.of_all(rows)
        nothing = (probs - probs.detach()) * (1 - chosen) * (experts >= 0).any(-1, keepdim=True)
        return torch.einsum("ne,enw->nw", nothing.to(outputs.dtype), outputs)
