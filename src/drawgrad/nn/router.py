"""Which k of many experts see a token: weights with a gradient, capacity, and what keeps the experts in use."""

from __future__ import annotations

import math
from functools import partial
from typing import Any, Literal, NamedTuple

import torch
from torch import nn

from drawgrad._checks import check_count, check_flag, check_floating, check_mask, check_nonnegative
from drawgrad._typing import Bool, Float, Int, Tensor
from drawgrad.estimators import StraightThrough, SurrogateEstimator
from drawgrad.functional import draw_seed, fold_seed, gumbel_max_linear
from drawgrad.kernels.log_probs import softmax
from drawgrad.nn._scores import best_in_blocks, softmax_in_blocks
from drawgrad.nn.choice import Choice
from drawgrad.variables import Binary, OneHot, Subset

__all__ = ["Router", "Routing"]

GRADIENTS = ("sparse", "straight-through", "sparsemixer", "dense")
OVERFLOWS = ("last", "lightest")
THIRD = 1 / 3


class Routing(NamedTuple):
    """Where tokens go, and what is to be known of it.

    Args:
        weights: of the outputs of the chosen experts, shape ``(*batch, k)``; zero where none is left.
        experts: their numbers, int64, shape ``(*batch, k)``; -1 where an assignment was dropped, and for padding.
        balance_loss: the loss of Switch Transformer: 1 where all experts are used alike, up to their number where one
            is used alone. Add a small multiple, such as 0.01 of it, to the loss.
        z_loss: the mean square of the log-sum-exp of the logits, which keeps them small. A usual multiple is 1e-3.
        load: how many tokens chose each expert, shape ``(experts,)``, before any was dropped.
        dropped: share of the assignments that exceeded the capacity.
        probs: of all experts, or of the candidates, shape ``(*batch, experts or candidates)``; without noise. None of a
            router that is fused.
    """

    weights: Float[Tensor, "*batch k"]
    experts: Int[Tensor, "*batch k"]
    balance_loss: Float[Tensor, ""]
    z_loss: Float[Tensor, ""]
    load: Float[Tensor, " experts"]
    dropped: Float[Tensor, ""]
    probs: Float[Tensor, "*batch c"] | None


class Router(nn.Module):
    r"""Choose k experts for each token.

    .. math:: l = W x, \quad p = \mathrm{softmax}(l), \quad S = \mathrm{top}_k(l + b + g), \quad
        y = \sum_{e \in S} w_e f_e(x), \quad w_e = p_e

    Training draws S with Gumbel noise g, in proportion to p; evaluation, or ``noise=False``, takes the k best. The
    weights and both losses are made of p, without noise and without the bias b. Logits are computed in float32 at
    least, also under autocast.

    The exact gradient for the logits of E[L(y)] has two parts: of the weights, and of which experts were chosen. What
    ``gradient`` makes of the second part, and what it costs:

    ==================  ==============================================================  ==============================
    gradient            second part                                                     cost
    ==================  ==============================================================  ==============================
    sparse              left out                                                        k experts for each token
    straight-through    that of the estimator, as if the experts that were not chosen   k experts, and the estimator
                        made no difference: their outputs are not known
    sparsemixer         the score of each chosen expert times how the loss changes as   k experts; in training three
                        its output grows from nothing, by a quadrature of third order   of four draws of an expert
                                                                                        that is not the likeliest have
                                                                                        a third of its weight
    dense               every expert that was not chosen counts as if its weight could  forward pass of all experts
                        grow from zero (DenseMixer)                                     for all tokens
    ==================  ==============================================================  ==============================

    Args:
        width: features of a token.
        experts: E, how many experts there are.
        k: how many see a token.
        gradient: see above.
        estimator: of the choice, with the gradient of ``"straight-through"``: for k = 1 any for one-hot vectors, such
            as ``ReinMax()``; for more one for sets. Straight-through Gumbel-Softmax, or Gumbel-top-k, if None.
        noise: whether training draws.
        candidates: m, how many of the likeliest experts are considered; all if None. After the one product that makes
            the logits, all work is in m instead of E, and so are p and the losses' log-sum-exp.
        normalize: whether the weights of a token are divided by their sum. It needs k > 1, for one weight would be
            constant.
        capacity: the largest multiple of its fair share, ``tokens * k / experts``, that an expert takes; None for any
            number. It makes what becomes of a token depend on the others, in evaluation too.
        overflow: which assignments are dropped where an expert has too many: the ``"last"`` ones in the batch, or the
            ``"lightest"``, by their weights. A token that loses all of its experts gets zero.
        fused: for k = 1 of thousands of experts: whether scores exist in blocks of experts only, and are made again in
            the backward pass, for memory that does not grow with tokens times experts. The winner is that of
            :func:`~drawgrad.functional.gumbel_max_linear`, the same one; weights and losses are the same to rounding.
            It takes five products in place of three, and the gradient ``"sparse"``: others need the scores.
        device: where the weights live.
        dtype: their floating dtype.

    Raises:
        ValueError: if an argument is not one of those listed, or if sizes do not fit.
        TypeError: if a type is wrong, or the estimator does not fit.

    Example:
        >>> router = Router(8, experts=4, k=2)
        >>> weights, experts, *_ = router(torch.ones(3, 8), seed=0)
        >>> weights.shape, experts.shape
        (torch.Size([3, 2]), torch.Size([3, 2]))

    References:
        Fedus, Zoph, Shazeer. Switch Transformers. JMLR 23, 2022 (balance loss, capacity).
        Zoph et al. ST-MoE. arXiv 2202.08906, 2022 (z-loss).
        Riquelme et al. Scaling vision with sparse mixture of experts. NeurIPS 2021 (dropping the lightest).
        Wang, Gao, Zhao, Sun, Dai. Auxiliary-loss-free load balancing strategy for mixture-of-experts. 2024 (bias).
        Liu, Gao, Chen. Sparse backpropagation for MoE training. 2023, and Liu et al. GRIN. 2024 (SparseMixer).
        Yao et al. DenseMixer: improving MoE post-training with precise router gradient. 2025.
    """

    expert_bias: Tensor

    def __init__(
        self,
        width: int,
        experts: int,
        k: int = 1,
        *,
        gradient: Literal["sparse", "straight-through", "sparsemixer", "dense"] = "sparse",
        estimator: SurrogateEstimator | None = None,
        noise: bool = True,
        candidates: int | None = None,
        normalize: bool = False,
        capacity: float | None = None,
        overflow: Literal["last", "lightest"] = "last",
        fused: bool = False,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        check_count(width, "width", minimum=1)
        check_count(experts, "experts", minimum=1)
        check_count(k, "k", minimum=1)
        considered = experts if candidates is None else candidates
        check_count(considered, "candidates", minimum=1)
        if not k <= considered <= experts:
            raise ValueError(
                f"k, candidates and experts must not decrease, but they are {k}, {considered} and {experts}; choose "
                "fewer, or have more to choose among"
            )
        _check_listed(gradient, GRADIENTS, "gradient")
        _check_listed(overflow, OVERFLOWS, "overflow")
        check_flag(noise, "noise")
        check_flag(normalize, "normalize")
        if normalize and k == 1:
            raise ValueError("normalize=True needs k > 1, but k is 1; the only weight would always be one")
        if gradient == "dense" and considered < experts:
            raise ValueError(
                f"gradient='dense' asks all experts, but candidates is {candidates} of {experts}; leave it out"
            )
        check_flag(fused, "fused")
        if fused and (k > 1 or gradient != "sparse" or candidates is not None):
            raise ValueError(
                f"fused=True needs k=1, gradient='sparse' and no candidates, as all else takes the scores of the "
                f"experts that are not chosen, but they are {k}, {gradient!r} and {candidates}; leave it out"
            )
        if capacity is not None:
            check_nonnegative(capacity, "capacity")
        self.width, self.experts, self.k = width, experts, k
        self.gradient, self.noise, self.candidates, self.normalize = gradient, noise, candidates, normalize
        self.capacity, self.overflow, self.fused = capacity, overflow, fused
        self.weight = nn.Parameter(torch.empty(experts, width, device=device, dtype=dtype))
        self.register_buffer("expert_bias", torch.empty(experts, device=device, dtype=dtype))
        factory: dict[str, Any] = {"device": device, "dtype": dtype}
        self.choice = Choice(estimator, OneHot if k == 1 else partial(Subset, k=k), **factory)
        self.coin = Choice(StraightThrough(), Binary, **factory) if gradient == "sparsemixer" else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Weights as those of :class:`torch.nn.Linear`, and no bias."""
        bound = 1 / math.sqrt(self.width)
        nn.init.uniform_(self.weight, -bound, bound)
        nn.init.zeros_(self.expert_bias)

    def forward(
        self,
        x: Float[Tensor, "*batch width"],
        *,
        mask: Bool[Tensor, "*batch"] | None = None,
        generator: torch.Generator | None = None,
        seed: int | Tensor | None = None,
    ) -> Routing:
        """Choose the experts of tokens.

        Args:
            x: tokens.
            mask: True for tokens, False for padding, which goes nowhere and counts nowhere.
            generator: draws the seed; torch's default generator if None.
            seed: the seed itself, an int or a 0-dim int64 tensor.

        Returns:
            The routing.

        Raises:
            ValueError: if a shape does not fit, or ``generator`` and ``seed`` are both given.
            TypeError: if a dtype or type is wrong.
        """
        check_floating(x, "x")
        if not x.dim() or x.shape[-1] != self.width:
            raise ValueError(f"x must have {self.width} features, but its shape is {tuple(x.shape)}; check the width")
        if mask is not None:
            check_mask(mask, x[..., 0])
        draws = self.training and self.noise
        drawn = draw_seed(generator=generator, seed=seed, device=x.device) if draws else None
        found = self._in_blocks(x, mask, drawn) if self.fused else self._of_scores(x, mask, drawn)
        weights, experts = found.weights, found.experts
        kept = torch.ones_like(experts, dtype=torch.bool) if mask is None else mask[..., None].expand_as(experts)
        dropped = found.dropped
        if self.capacity is not None:
            fitting = kept & self._within_capacity(torch.where(kept, experts, self.experts), weights)
            dropped = (kept & ~fitting).sum() / found.load.sum().clamp(min=1)
            kept = fitting
        return found._replace(
            weights=torch.where(kept, weights, 0.0).to(x.dtype),
            experts=torch.where(kept, experts, -1),
            dropped=dropped,
        )

    def _of_scores(self, x: Tensor, mask: Tensor | None, seed: Tensor | None) -> Routing:
        """The routing before anything is dropped."""
        logits = self._logits(x)
        biased = logits + self.expert_bias
        z_loss = _mean(logits.logsumexp(-1).square(), mask)
        names = None
        if self.candidates is not None:
            biased, names = biased.topk(self.candidates, -1)
            logits = logits.gather(-1, names)
        probs = softmax(logits)

        if self.gradient != "straight-through":
            biased = biased.detach()
        z = self.choice.settled(biased) if seed is None else self.choice(biased, seed=seed)
        place = z.detach().topk(self.k, -1)[1]
        weights = probs.gather(-1, place)
        if self.normalize:
            weights = weights / weights.sum(-1, keepdim=True)
        if self.gradient == "straight-through":
            weights = weights * z.gather(-1, place)
        elif self.gradient == "sparsemixer" and seed is not None:
            weights = self._mixed(weights, logits, z, place, seed)
        experts = place if names is None else names.gather(-1, place)

        load = self._count(experts, mask, probs.dtype)
        tokens = load.sum() / self.k
        balance_loss = self._balance_loss(probs, names, load, tokens, mask)
        return Routing(weights, experts, balance_loss, z_loss, load, load.new_zeros(()), probs)

    def _in_blocks(self, x: Tensor, mask: Tensor | None, seed: Tensor | None) -> Routing:
        """The same, of scores that never exist for all experts."""
        rows = self._wide(x).reshape(-1, self.width)
        weight = self.weight.to(rows.dtype)
        bias = self.expert_bias.to(rows)
        with torch.autocast(x.device.type, enabled=False):
            if seed is None:
                place = best_in_blocks(rows.detach(), weight.detach(), bias)
            else:
                place = gumbel_max_linear(rows, weight, bias, seed=seed)
            experts = place.reshape(*x.shape[:-1], 1)
            load = self._count(experts, mask, rows.dtype)
            log_sum, share = softmax_in_blocks(rows, weight, load / load.sum().clamp(min=1))
            own = (rows * weight[place]).sum(-1)
        weights = (own - log_sum).exp().reshape(experts.shape)
        lead = x.shape[:-1]
        balance_loss = self.experts * _mean(share.reshape(lead), mask)
        z_loss = _mean(log_sum.square().reshape(lead), mask)
        return Routing(weights, experts, balance_loss, z_loss, load, load.new_zeros(()), None)

    @torch.no_grad()
    def balance(self, load: Float[Tensor, " experts"], rate: float = 1e-3) -> None:
        """Move the bias of each expert, against the load that it had: balance without a loss.

        Call it once after each step. The bias decides which experts are chosen, and has no part in their weights.

        Args:
            load: of a routing; with several processes, the sum of theirs.
            rate: the step of each bias.
        """
        check_nonnegative(rate, "rate")
        self.expert_bias += rate * (load.mean() - load).sign().to(self.expert_bias)

    def extra_repr(self) -> str:
        """Sizes, and what differs from the defaults."""
        parts = [f"{self.width}, experts={self.experts}, k={self.k}, gradient={self.gradient!r}"]
        defaults = {
            "noise": True, "candidates": None, "normalize": False, "capacity": None, "overflow": "last", "fused": False,
        }  # fmt: skip
        parts += [f"{name}={getattr(self, name)!r}" for name, value in defaults.items() if getattr(self, name) != value]
        return ", ".join(parts)

    @staticmethod
    def _wide(x: Tensor) -> Tensor:
        # In float32, for the exponentials of rounded logits choose other experts.
        return x if x.dtype == torch.float64 else x.float()

    def _logits(self, x: Tensor) -> Tensor:
        wide = self._wide(x)
        with torch.autocast(x.device.type, enabled=False):
            return nn.functional.linear(wide, self.weight.to(wide.dtype))

    def _mixed(self, weights: Tensor, logits: Tensor, z: Tensor, place: Tensor, seed: Tensor) -> Tensor:
        """Weights that are scaled at random, with the gradient of the log-probability of each expert.

        An expert competes with those that are not chosen: so it was drawn, given the others of its set.
        """
        own = logits.gather(-1, place)
        # Not infinite, for the gradient of a sum of nothing would not be a number.
        nothing = torch.finfo(logits.dtype).min / 2
        others = torch.where(z.detach() > 0, nothing, logits).logsumexp(-1, keepdim=True)
        log_prob = own - torch.logaddexp(own, others)
        assert self.coin is not None
        full = self.coin(torch.full_like(weights, math.log(THIRD)), seed=fold_seed(seed, 1)).detach()
        likeliest = own >= logits.amax(-1, keepdim=True)
        scale = torch.where(likeliest, 1.0, full + (1 - full) * THIRD)
        return weights * (scale + (log_prob - log_prob.detach()))

    def _count(self, experts: Tensor, mask: Tensor | None, dtype: torch.dtype) -> Tensor:
        ones = torch.ones_like(experts, dtype=dtype)
        if mask is not None:
            ones = ones * mask[..., None]
        return ones.new_zeros(self.experts).scatter_add(0, experts.flatten(), ones.flatten())

    def _balance_loss(
        self, probs: Tensor, names: Tensor | None, load: Tensor, tokens: Tensor, mask: Tensor | None
    ) -> Tensor:
        each = probs if mask is None else torch.where(mask[..., None], probs, 0.0)
        if names is None:
            total = each.reshape(-1, self.experts).sum(0)
        else:
            total = each.new_zeros(self.experts).scatter_add(0, names.flatten(), each.flatten())
        tokens = tokens.clamp(min=1)
        return self.experts * (load / (tokens * self.k) * (total / tokens)).sum()

    def _within_capacity(self, experts: Tensor, weights: Tensor) -> Tensor:
        """Whether an assignment is among the first ones of its expert; those of padding count for none."""
        flat = experts.flatten()
        limit = math.ceil((self.capacity or 0.0) * flat.shape[0] / self.experts)
        if self.overflow == "lightest":
            order = weights.detach().flatten().argsort(descending=True, stable=True)
            order = order[flat[order].argsort(stable=True)]
        else:
            order = flat.argsort(stable=True)
        sorted_experts = flat[order]
        first = torch.searchsorted(sorted_experts, sorted_experts)
        number = torch.arange(flat.shape[0], device=flat.device) - first
        return torch.zeros_like(flat).scatter(0, order, number).reshape(experts.shape) < limit


def _mean(values: Tensor, mask: Tensor | None) -> Tensor:
    if mask is None:
        return values.mean() if values.numel() else values.sum()
    return torch.where(mask, values, 0.0).sum() / mask.sum().clamp(min=1)


def _check_listed(value: object, known: tuple[str, ...], name: str) -> None:
    if value not in known:
        raise ValueError(
            f"{name} must be one of {', '.join(map(repr, known))}, but it is {value!r}; choose one of them"
        )
