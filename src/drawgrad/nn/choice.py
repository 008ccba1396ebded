"""A choice as a layer: logits in, sample out, with the gradient of an estimator."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Literal, cast

import torch

from drawgrad._checks import check_floating, check_mask
from drawgrad._typing import Bool, Float, Tensor
from drawgrad.estimators import (
    ESTIMATORS,
    Estimator,
    ReparameterizedEstimator,
    STGumbelSoftmax,
    STGumbelTopK,
    SurrogateEstimator,
)
from drawgrad.functional import draw_seed, straight_through
from drawgrad.nn.temperature import Tempered
from drawgrad.variables import OneHot, Variable, described

__all__ = ["Choice"]

EVAL_MODES = ("argmax", "sample", "mean")
FORBIDDEN = 1000.0
"""By how many nats what a mask forbids stands below all that it allows: more than any noise spans."""


class Choice(Tempered):
    """Draw from logits in training, and take the most probable choice in evaluation.

    ``train()`` draws a sample of the distribution of the logits, with the gradient of the estimator. ``eval()`` is
    deterministic, unless it is told to sample.

    Args:
        estimator: one whose sample carries its gradient, with ``samples=1``. Its temperature is where that of the
            module begins. Straight-through Gumbel-Softmax if None, or Gumbel-top-k where it takes sets.
        among: what the logits choose among, a kind of :mod:`drawgrad.variables`: ``OneHot`` for one class of the last
            dimension, ``Binary`` for a bit each, ``functools.partial(Subset, k=3)`` for a set of three classes, which
            takes an estimator for sets, such as ``STGumbelTopK()``.
        eval_mode: what evaluation returns: ``"argmax"``, the most probable sample, with the gradient of the mean;
            ``"sample"``, a draw as in training; or ``"mean"``, the probabilities.
        learned: whether the temperature is a parameter, ``log_tau``. It takes an estimator that has a gradient for it.
        device: where the temperature lives.
        dtype: its floating dtype.

    Raises:
        TypeError: if the estimator needs a cost, is none, or does not take what there is to choose among.
        ValueError: if it draws several samples, if an argument is not one of those listed, or if the temperature is to
            be learned and cannot.

    Example:
        >>> choice = Choice()
        >>> logits = torch.tensor([0.1, 0.2, 0.7]).log().requires_grad_()
        >>> choice(logits, seed=2).detach()
        tensor([0., 1., 0.])
        >>> choice.eval()(logits).detach()
        tensor([0., 0., 1.])
    """

    def __init__(
        self,
        estimator: SurrogateEstimator | None = None,
        among: Callable[..., Variable] = OneHot,
        *,
        eval_mode: Literal["argmax", "sample", "mean"] = "argmax",
        learned: bool = False,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        variable = _variable_of(among)
        if estimator is None:
            estimator = STGumbelTopK() if isinstance(variable, STGumbelTopK.takes) else STGumbelSoftmax()
        _check_estimator(estimator)
        if eval_mode not in EVAL_MODES:
            raise ValueError(
                f"eval_mode must be one of {', '.join(map(repr, EVAL_MODES))}, but it is {eval_mode!r}; 'argmax' is "
                "the default"
            )
        if not isinstance(variable, estimator.takes):
            raise TypeError(
                f"{type(estimator).__name__} takes {described(estimator.takes)}, but the choice is among "
                f"{_name(among)}, the kind of {variable.words}; choose another estimator"
            )
        name = estimator.temperature
        if learned and name is None:
            raise ValueError(
                f"learned=True needs an estimator with a temperature, but {type(estimator).__name__} has none; use "
                "STGumbelSoftmax or GumbelSoftmax"
            )
        super().__init__(
            None if name is None else float(getattr(estimator, name)), learned=learned, device=device, dtype=dtype
        )
        self.estimator = estimator
        self.among = among
        self.eval_mode = eval_mode
        if learned:
            self.current()  # which refuses a temperature that the estimator has no gradient for

    def current(self) -> SurrogateEstimator:
        """The estimator at the temperature of the module."""
        tau = self.temperature
        return self.estimator if tau is None else self.estimator.at(tau)

    def forward(
        self,
        logits: Float[Tensor, "*shape"],
        *,
        mask: Bool[Tensor, "..."] | None = None,
        among: Callable[..., Variable] | None = None,
        generator: torch.Generator | None = None,
        seed: int | Tensor | None = None,
        row_offset: int = 0,
    ) -> Float[Tensor, "*shape"]:
        """Choose.

        Args:
            logits: what the choice is made of, classes along the last dimension.
            mask: True where a class is allowed; broadcasts to the logits. The others are exactly zero in sample and
                gradient. Where fewer classes are allowed than are to be chosen, all of those are chosen.
            among: another kind for this call, such as a set of another size.
            generator: draws the seed; torch's default generator of the logits' device if None. Under activation
                checkpointing, which restores torch's own generators alone, give a seed or nothing.
            seed: the seed itself, an int or a 0-dim int64 tensor. It is the same noise in every layer that takes it:
                give each its own, ``fold_seed(seed, layer)``.
            row_offset: number of the first entry of the first dimension, when the logits are one part of a larger
                batch, such as that of one of several processes.

        Returns:
            The sample, of shape and dtype of the logits.

        Raises:
            TypeError: if a dtype or type is wrong.
            ValueError: if the mask does not broadcast, or ``generator`` and ``seed`` are both given.
        """
        check_floating(logits, "logits")
        if not self.training and self.eval_mode != "sample":
            return self.settled(logits, mask=mask, among=among)
        variable = (among or self.among)(logits if mask is None else _forbid(logits, mask))
        placed = variable.placed(row_offset) if row_offset else variable
        drawn = draw_seed(generator=generator, seed=seed, device=logits.device)
        sample = self.current().surrogate(cast(Any, placed), drawn)
        return sample if mask is None else torch.where(mask, sample, 0.0)

    def settled(
        self,
        logits: Float[Tensor, "*shape"],
        *,
        mask: Bool[Tensor, "..."] | None = None,
        among: Callable[..., Variable] | None = None,
    ) -> Float[Tensor, "*shape"]:
        """What is chosen without noise, in training as well: the mean for ``eval_mode="mean"``, else the most probable.

        Args:
            logits: as for a draw.
            mask: likewise.
            among: likewise.

        Returns:
            The choice, with the gradient of the mean.
        """
        check_floating(logits, "logits")
        variable: Any = (among or self.among)(logits if mask is None else _forbid(logits, mask))
        if self.eval_mode == "mean":
            sample: Tensor = variable.mean()
        else:
            sample = variable.mode()
            if variable.learns:
                sample = straight_through(sample, variable.mean())
        return sample if mask is None else torch.where(mask, sample, 0.0)

    def extra_repr(self) -> str:
        """The estimator, what it draws from, what evaluation returns."""
        parts = [repr(self.estimator), _name(self.among), f"eval_mode={self.eval_mode!r}"]
        if self.log_tau is not None:
            parts.append("learned=True")
        return ", ".join(parts)


def _check_estimator(estimator: object) -> None:
    if isinstance(estimator, SurrogateEstimator):
        if estimator.samples != 1:
            raise ValueError(
                f"estimator must draw one sample, but {type(estimator).__name__} has samples={estimator.samples!r}; "
                "a layer passes on one sample: repeat its input for more"
            )
        return
    fitting = [name for name, cls in ESTIMATORS.items() if issubclass(cls, SurrogateEstimator)]
    if isinstance(estimator, Estimator):
        lacks = "needs the costs of its samples; it belongs around the whole loss, loss = estimator(cost, q)"
        if isinstance(estimator, ReparameterizedEstimator):
            lacks = "gives none to choices"
        raise TypeError(
            f"estimator must be one whose sample carries its gradient, but {type(estimator).__name__} {lacks}; in a "
            f"layer use one of {', '.join(fitting)}"
        )
    what = f"the class {estimator.__name__}" if isinstance(estimator, type) else repr(estimator)
    raise TypeError(f"estimator must be an object such as STGumbelSoftmax(tau=0.5), but it is {what}; call the class")


def _forbid(logits: Tensor, mask: Tensor) -> Tensor:
    """Logits in which what is forbidden stands far below the rest, but at a number.

    A row of which nothing is allowed, or not enough, is then no special case of any estimator: what it chooses of the
    forbidden is taken away again.
    """
    check_mask(mask, logits)
    limit = 3e4  # Within all floating dtypes.
    lowest = torch.where(mask, logits.detach(), limit)
    lowest = lowest.amin(-1, keepdim=True) if logits.dim() else lowest
    return torch.where(mask, logits, lowest.clamp(-limit, limit) - FORBIDDEN)


def _variable_of(among: Callable[..., Variable]) -> Variable:
    """Some variable of a kind."""
    variable = among(torch.zeros(1)) if callable(among) else None
    if not isinstance(variable, Variable):
        raise TypeError(
            f"among must be a kind of drawgrad.variables, or a function that makes one of logits, but it is {among!r}; "
            "the default is OneHot"
        )
    return variable


def _name(among: Callable[..., Variable]) -> str:
    if isinstance(among, functools.partial):
        options = [f"{key}={value!r}" for key, value in among.keywords.items()]
        return f"{_name(among.func)}({', '.join(options)})"
    return getattr(among, "__name__", repr(among))
