"""Codebooks: a vector becomes the number of a code, and a gradient finds its way back."""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import torch
from torch import nn
from torch.nn.functional import one_hot

from drawgrad._checks import check_count, check_floating, check_integral, check_nonnegative, check_number
from drawgrad._typing import Bool, Float, Int, Tensor
from drawgrad.estimators import SurrogateEstimator
from drawgrad.functional import logistic_noise, straight_through
from drawgrad.kernels.log_probs import softmax
from drawgrad.nn.choice import Choice

__all__ = ["Quantized", "Quantizer"]


class Quantized(NamedTuple):
    """What a :class:`Quantizer` returns."""

    values: Tensor
    """The codes that were chosen, of all groups one after the other: ``(*batch, width)``."""
    indices: Tensor
    """Their numbers, int64, ``(*batch, groups)``."""
    loss: Tensor
    """What draws inputs and codes together, to be added to the caller's loss, 0-dim."""
    logits: Tensor
    """Unnormalized log-probabilities of all codes, ``(rows, groups, codes)``."""
    counts: Tensor
    """One for each row that counts and zero for each that the mask leaves out, ``(rows,)``."""
    inputs: Tensor
    """What was quantized, without a gradient, ``(rows, groups, width / groups)``; of no columns with ``inputs``."""

    @property
    def chosen(self) -> Float[Tensor, "groups codes"]:
        """Which share of the rows has each code."""
        return self._mean(one_hot(self.indices.reshape(-1, self.logits.shape[1]), self.logits.shape[2]))

    @property
    def perplexity(self) -> Float[Tensor, "groups"]:
        """Of how many codes each group makes use: the exponential of the entropy of what was chosen."""
        return _entropy(self.chosen).exp()

    @property
    def diversity(self) -> Float[Tensor, ""]:
        """How far the codes are from being used alike, in nats, with a gradient: zero if all are equally probable.

        The diversity loss of wav2vec 2.0: add it with a small weight where few codes come to be used.
        """
        return math.log(self.logits.shape[-1]) - _entropy(self._mean(softmax(self.logits))).mean()

    @property
    def uncertainty(self) -> Float[Tensor, ""]:
        """Mean entropy of the choices, in nats, with a gradient: zero if each row has one code that is certain."""
        return self._mean(_entropy(softmax(self.logits))).mean()

    def _mean(self, of_rows: Tensor) -> Tensor:
        """Over the rows that count."""
        return torch.tensordot(self.counts, of_rows.to(self.counts.dtype), 1) / self.counts.sum().clamp_min(1.0)


class Quantizer(nn.Module):
    r"""Replace vectors by codes of a learned codebook: vector quantization, with one codebook for each group.

    .. math:: y = C_i, \qquad i = \arg\min_k \|x - C_k\|^2 \quad\text{or}\quad i \sim \mathrm{softmax}(l)

    Without an estimator the nearest code is taken, and x gets the gradient for y as if y were x (VQ-VAE). With one the
    code is drawn, and the gradient for the logits is the estimator's: logits are negative squared distances times a
    learned precision, or a linear function of x if ``inputs`` is given (wav2vec 2.0). In ``eval()`` the most probable
    code is taken.

    Nothing but the loss trains this module behind the caller's back. Where the codebook follows the mean of what
    chooses it (``decay``), and where codes that nothing chooses are moved (``restart``), call :meth:`update` once a
    step.

    Args:
        codes: of a group.
        width: of the codes, all groups together; also that of x unless ``inputs`` is given.
        groups: codebooks of ``width / groups`` columns, each for its own part of the vector (product quantization).
        estimator: one whose sample carries its gradient, such as ``STGumbelSoftmax(tau=2.0)``; None takes the nearest
            code.
        inputs: width of x, whose linear function the logits are to be; None makes logits of distances.
        commitment: weight of the squared distance of x from its code in :attr:`Quantized.loss`, for x alone. The weight
            for the code, one, is there if the nearest code is taken and ``decay`` is not given.
        decay: codes follow the running mean of the inputs that choose them, of which this is the share that stays in a
            step; 0.99 is usual. None trains them by gradients.
        restart: move codes that are chosen less often than this share of the average to inputs of the batch; 0 leaves
            them where they are, 0.1 is a start.
        eval_mode: as in :class:`Choice`, where there is an estimator.
        device: of the parameters.
        dtype: of the parameters.

    Shape:
        x: ``(*batch, width)``, or ``(*batch, inputs)``.

    Raises:
        ValueError: if an argument breaks its rule or contradicts another one.
        TypeError: if the estimator needs the costs of its samples.

    Example:
        >>> import torch
        >>> quantizer = Quantizer(codes=8, width=4, groups=2)
        >>> x = torch.randn(3, 5, 4)
        >>> out = quantizer(x)
        >>> out.values.shape, out.indices.shape
        (torch.Size([3, 5, 4]), torch.Size([3, 5, 2]))
        >>> bool((quantizer.decode(quantizer.encode(x)) == out.values).all())
        True

    References:
        van den Oord, Vinyals, Kavukcuoglu. Neural discrete representation learning. NeurIPS 2017 (nearest code, running
        means). Baevski, Zhou, Mohamed, Auli. wav2vec 2.0. NeurIPS 2020 (drawn codes, groups, diversity). Jegou, Douze,
        Schmid. Product quantization for nearest neighbor search. PAMI 33, 2011.
    """

    codebook: Tensor
    usage: Tensor
    sums: Tensor | None

    def __init__(
        self,
        codes: int,
        width: int,
        groups: int = 1,
        *,
        estimator: SurrogateEstimator | None = None,
        inputs: int | None = None,
        commitment: float = 0.25,
        decay: float | None = None,
        restart: float = 0.0,
        eval_mode: Literal["argmax", "sample", "mean"] = "argmax",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        for name, count in (("codes", codes), ("width", width), ("groups", groups)):
            check_count(count, name, minimum=1)
        if width % groups:
            raise ValueError(f"width must be a multiple of groups = {groups}, but it is {width}; change one of them")
        check_nonnegative(commitment, "commitment")
        check_nonnegative(restart, "restart")
        if decay is not None:
            check_number(decay, "decay")
        if decay is not None and not 0 <= decay < 1:
            raise ValueError(f"decay must be from 0 on and below 1, but it is {decay!r}; 0.99 is usual")
        if inputs is not None:
            check_count(inputs, "inputs", minimum=1)
            if estimator is None:
                raise ValueError(
                    f"inputs = {inputs!r} needs an estimator, but estimator is None, which takes the nearest code; "
                    "give one, such as STGumbelSoftmax(tau=2.0)"
                )
            if decay is not None or restart:
                raise ValueError(
                    "decay and restart move codes to inputs, but with inputs = "
                    f"{inputs!r} codes and inputs are vectors of different spaces; leave them out"
                )
        self.codes, self.width, self.groups, self.inputs = codes, width, groups, inputs
        self.commitment, self.decay, self.restart = commitment, decay, restart
        made = torch.empty(groups, codes, width // groups, device=device, dtype=dtype)
        if decay is None:
            self.codebook = nn.Parameter(made)
        else:
            self.register_buffer("codebook", made)
        wide = torch.promote_types(made.dtype, torch.float32)
        self.register_buffer("usage", torch.empty(groups, codes, device=device, dtype=wide))
        self.register_buffer("sums", None if decay is None else torch.empty_like(made, dtype=wide))
        # Made in any case, so that a wrong mode is refused in any case.
        choice = Choice(estimator, eval_mode=eval_mode, device=device, dtype=dtype)
        self.choice = None if estimator is None else choice
        self.projection = None if inputs is None else nn.Linear(inputs, groups * codes, device=device, dtype=dtype)
        learns_precision = estimator is not None and inputs is None
        self.log_precision = nn.Parameter(torch.empty((), device=device, dtype=dtype)) if learns_precision else None
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Codes of independent normal numbers, used alike; logits, where they are linear, as wav2vec 2.0 has them."""
        nn.init.normal_(self.codebook)
        self.usage.fill_(1 / self.codes)
        if self.sums is not None:
            self.sums.copy_(self.codebook * self.usage[..., None])
        if self.projection is not None:
            nn.init.normal_(self.projection.weight)
            nn.init.zeros_(self.projection.bias)
        if self.log_precision is not None:
            nn.init.zeros_(self.log_precision)

    def extra_repr(self) -> str:
        """The options."""
        return (
            f"codes={self.codes}, width={self.width}, groups={self.groups}, inputs={self.inputs}, "
            f"commitment={self.commitment}, decay={self.decay}, restart={self.restart}"
        )

    def forward(
        self,
        x: Float[Tensor, "*batch inputs"],
        *,
        mask: Bool[Tensor, "*batch"] | None = None,
        generator: torch.Generator | None = None,
        seed: int | Tensor | None = None,
    ) -> Quantized:
        """Quantize.

        Args:
            x: what is to be quantized.
            mask: True where a row counts, False where it is padding: of which codes are made as well, but which loss
                and statistics leave out.
            generator: draws the seed; torch's default generator if None.
            seed: the seed itself, an int or a 0-dim int64 tensor, instead of ``generator``.
        """
        rows, logits = self._scored(x)
        if self.choice is None:
            indices = logits.argmax(-1)
            codes = self._looked_up(indices)
        else:
            choice = self.choice(logits, generator=generator, seed=seed)
            indices = choice.argmax(-1)
            codes = torch.einsum("ngk,gkd->ngd", choice.to(self.codebook.dtype), self.codebook)
        counts = logits.new_ones(len(rows)) if mask is None else mask.reshape(-1).to(logits.dtype)
        loss = codes.new_zeros(())
        inputs = rows.detach()
        if self.inputs is None:
            loss = self._pull(rows, codes, counts)
        else:
            inputs = inputs[..., :0]
        if self.choice is None:
            codes = straight_through(codes.to(rows.dtype), rows)
        batch = x.shape[:-1]
        values = codes.reshape(*batch, self.width).to(x.dtype)
        return Quantized(values, indices.reshape(*batch, self.groups), loss, logits, counts, inputs)

    def encode(self, x: Float[Tensor, "*batch inputs"]) -> Int[Tensor, "*batch groups"]:
        """Numbers of the most probable codes, in ``train()`` as well."""
        _, logits = self._scored(x)
        return logits.argmax(-1).reshape(*x.shape[:-1], self.groups)

    def decode(self, indices: Int[Tensor, "*batch groups"]) -> Float[Tensor, "*batch width"]:
        """The codes of given numbers."""
        check_integral(indices, "indices")
        if not indices.dim() or indices.shape[-1] != self.groups:
            raise ValueError(
                f"indices must have one number for each of {self.groups} groups along the last dimension, but their "
                f"shape is {tuple(indices.shape)}; reshape them to (*batch, {self.groups})"
            )
        codes = self._looked_up(indices.reshape(-1, self.groups))
        return codes.reshape(*indices.shape[:-1], self.width)

    @torch.no_grad()
    def update(
        self, quantized: Quantized, *, generator: torch.Generator | None = None, seed: int | Tensor | None = None
    ) -> Int[Tensor, ""]:
        """Let the codebook follow its inputs, and move codes that nothing chooses. Call it once a training step.

        Several processes count what all of them have chosen.

        Args:
            quantized: what the forward pass of this step returned.
            generator: draws the seed of the inputs that codes are moved to; torch's default generator if None.
            seed: the seed itself, instead of ``generator``.

        Returns:
            How many codes were moved.
        """
        if self.inputs is not None:
            raise ValueError(
                f"codes follow inputs of their own space only, but the inputs have a width of {self.inputs} and a "
                "linear function to logits; leave the call out"
            )
        kept = quantized.counts.nonzero()[:, 0]
        inputs = quantized.inputs[kept].to(self.usage.dtype)
        chosen = one_hot(quantized.indices.reshape(-1, self.groups)[kept], self.codes).to(self.usage.dtype)
        rows = _over_processes(chosen.new_tensor(float(len(kept)))).clamp_min(1.0)
        keep = 0.99 if self.decay is None else self.decay
        self.usage.lerp_(_over_processes(chosen.sum(0)) / rows, 1 - keep)
        if self.sums is not None:
            self.sums.lerp_(_over_processes(torch.einsum("ngk,ngd->gkd", chosen, inputs)) / rows, 1 - keep)
            floor = torch.finfo(self.usage.dtype).tiny
            self.codebook.copy_(self.sums / self.usage.clamp_min(floor)[..., None])
        dead = self.usage < self.restart / self.codes
        if self.restart and len(inputs):
            uniform = logistic_noise(
                (self.groups, self.codes), device=inputs.device, generator=generator, seed=seed
            ).sigmoid()
            drawn = (uniform * len(inputs)).long().clamp_max(len(inputs) - 1)
            group = torch.arange(self.groups, device=inputs.device)[:, None]
            fresh = _of_first_process(inputs[drawn, group])
            self.codebook.copy_(torch.where(dead[..., None], fresh.to(self.codebook.dtype), self.codebook))
            # As if it were used like the others, so that it has time to find inputs.
            self.usage.masked_fill_(dead, 1 / self.codes)
            if self.sums is not None:
                self.sums.copy_(torch.where(dead[..., None], fresh / self.codes, self.sums))
        return dead.sum()

    def _scored(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Rows ``(rows, groups, ...)`` and logits ``(rows, groups, codes)``, which are computed in float32 at least."""
        check_floating(x, "x")
        width = self.width if self.inputs is None else self.inputs
        if not x.dim() or x.shape[-1] != width:
            raise ValueError(
                f"x must have {width} columns along the last dimension, but its shape is {tuple(x.shape)}; reshape it "
                "or make the quantizer for its width"
            )
        flat = x.reshape(-1, width)
        if self.projection is not None:
            return flat[:, None], self.projection(flat).reshape(-1, self.groups, self.codes)
        rows = flat.reshape(-1, self.groups, width // self.groups)
        # Halves are too few digits for a difference of large squares.
        with torch.autocast(x.device.type, enabled=False):
            dtype = torch.promote_types(torch.promote_types(rows.dtype, self.codebook.dtype), torch.float32)
            rows, codebook = rows.to(dtype), self.codebook.to(dtype)
            # Less the square of x, which no choice among codes depends on.
            logits = 2 * torch.einsum("ngd,gkd->ngk", rows, codebook) - codebook.square().sum(-1)
            return rows, logits if self.log_precision is None else logits * self.log_precision.to(dtype).exp()

    def _looked_up(self, indices: Tensor) -> Tensor:
        return self.codebook[torch.arange(self.groups, device=indices.device), indices]

    def _pull(self, rows: Tensor, codes: Tensor, counts: Tensor) -> Tensor:
        """What draws inputs to codes, and codes to inputs where nothing else moves them."""
        codes = codes.to(rows.dtype)

        def distance(of_inputs: Tensor, of_codes: Tensor) -> Tensor:
            each = (of_inputs - of_codes).square().mean((1, 2))
            return (each * counts).sum() / counts.sum().clamp_min(1.0)

        loss = self.commitment * distance(rows, codes.detach())
        if self.choice is None and self.decay is None:
            loss = loss + distance(rows.detach(), codes)
        return loss


def _entropy(p: Tensor) -> Tensor:
    """In nats, over the last dimension, with a gradient where a probability is zero."""
    return -torch.where(p > 0, p * p.clamp_min(torch.finfo(p.dtype).tiny).log(), 0.0).sum(-1)


def _over_processes(value: Tensor) -> Tensor:
    """The sum over all processes that train together."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.all_reduce(value)
    return value


def _of_first_process(value: Tensor) -> Tensor:
    """The same tensor for all processes that train together."""
    value = value.contiguous()
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.broadcast(value, src=0)
    return value
