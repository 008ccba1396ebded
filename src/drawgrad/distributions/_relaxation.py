"""What the relaxed distributions share: a temperature with probabilities or logits, their shapes and their checks."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch.distributions import Distribution, constraints
from torch.distributions.utils import lazy_property

from drawgrad._checks import check_floating, check_temperature
from drawgrad._typing import Float, Tensor
from drawgrad.distributions._base import Expandable, Seeded
from drawgrad.distributions._numerics import as_tensor, log_odds, log_or_minus_infinity, scalar, wide_dtype
from drawgrad.kernels.log_probs import log_softmax, softmax

__all__ = ["BinaryRelaxation", "CategoricalRelaxation", "Relaxation"]


class Relaxation(Seeded, Expandable):
    """A distribution with a temperature and either ``probs`` or ``logits``, kept as they were given.

    Subclasses say what an event is, how the parameters are converted, and what a valid one is.
    """

    _tensors = {"_parameter": 0}  # noqa: RUF012
    _settings: ClassVar[tuple[str, ...]] = ("_temperature", "_given")
    _event_dims: int
    _parameter: Tensor
    _temperature: Tensor

    def __init__(
        self,
        temperature: float | Float[Tensor, "..."],
        probs: float | Float[Tensor, "..."] | None = None,
        logits: float | Float[Tensor, "..."] | None = None,
        validate_args: bool | None = None,
    ) -> None:
        self._given = "logits" if probs is None else "probs"
        given = logits if probs is None else probs
        if given is None or (probs is not None and logits is not None):
            found = "neither is" if given is None else "both are"
            raise ValueError(f"probs or logits must be given, but {found}; pass one of the two")
        parameter = as_tensor(given, temperature)
        check_floating(parameter, self._given)
        if parameter.dim() < self._event_dims:
            raise ValueError(
                f"{self._given} must have a dimension of classes, but they are 0-dim; give them shape (*batch, classes)"
            )
        self._parameter = parameter
        self._temperature = self._batch_temperature(temperature)
        validating = self._validate_args if validate_args is None else validate_args
        if validating:
            self._check_values()
        batch_dims = parameter.dim() - self._event_dims
        batch_shape = _broadcast(self.temperature.shape, parameter.shape[:batch_dims], self._given)
        event_shape = parameter.shape[batch_dims:]
        if parameter.shape != batch_shape + event_shape:  # A view would be no leaf, which deepcopy asks for.
            self._parameter = parameter.expand(batch_shape + event_shape)
        # Not by way of super(): a subclass may inherit from a torch distribution too, with a constructor of its own.
        Distribution.__init__(self, batch_shape, event_shape, validate_args=False)
        self._validate_args = validating

    def _batch_temperature(self, temperature: float | Tensor) -> Tensor:
        check_temperature(temperature, "for the limit of zero use the discrete distribution itself", "temperature")
        if not isinstance(temperature, Tensor):
            return scalar(temperature, wide_dtype(self._parameter.dtype), self._parameter.device)
        if not self._event_dims or temperature.dim() < self._parameter.dim():
            return temperature
        if temperature.shape[-1] != 1:
            raise ValueError(
                f"temperature must be one number for each row of the {self._given}, whose shape is "
                f"{tuple(self._parameter.shape)}, but its shape is {tuple(temperature.shape)}; "
                "give it the batch shape, or the batch shape and a last dimension of 1"
            )
        return temperature.squeeze(-1)

    def _check_values(self) -> None:
        _check_all(self.temperature, (self.temperature > 0) & self.temperature.isfinite(), "temperature", "positive")

    # A property, so that a subclass can be one of torch's or Pyro's relaxed distribution too, where it is one.
    @property
    def temperature(self) -> Float[Tensor, "..."]:
        """Temperature, broadcasts with the batch shape."""
        return self._temperature

    @property
    def _tau(self) -> Tensor:
        """The temperature, as it broadcasts to the logits."""
        return self.temperature[..., None] if self._event_dims and self.temperature.dim() else self.temperature

    @property
    def param_shape(self) -> torch.Size:
        """Shape of ``probs`` and ``logits``."""
        return self._parameter.shape

    def _checked(self, value: Tensor) -> Tensor:
        """A value that a density is asked for; one of whole numbers in the dtype of the parameters."""
        if self._validate_args:
            self._validate_sample(value)
        return value if value.is_floating_point() else value.to(self._parameter.dtype)

    def __repr__(self) -> str:
        shown = {"temperature": self.temperature.detach(), self._given: self._parameter.detach()}
        parts = [f"{name}: {value.item() if value.dim() == 0 else value.shape}" for name, value in shown.items()]
        return f"{type(self).__name__}({', '.join(parts)})"


class CategoricalRelaxation(Relaxation):
    """A relaxation over the last dimension of ``probs`` or ``logits``, which need not be normalized."""

    arg_constraints = {  # noqa: RUF012  torch's declaration
        "temperature": constraints.positive,
        "probs": constraints.simplex,
        "logits": constraints.real_vector,
    }
    _event_dims = 1
    _tensors = {"_parameter": 1}  # noqa: RUF012

    def _check_values(self) -> None:
        super()._check_values()
        param = self._parameter
        if self._given == "probs":
            valid = ((param >= 0) & param.isfinite()).all(-1) & (param > 0).any(-1)
            _check_all(param, valid, "probs", "finite and not negative, with one in each row above zero")
        else:
            valid = (param < torch.inf).all(-1) & (param > -torch.inf).any(-1)
            _check_all(param, valid, "logits", "numbers or -inf, with one in each row above -inf")

    @property
    def _scores(self) -> Tensor:
        """Log-probabilities up to a constant of the row: the parameters where possible, which spares a pass."""
        return self._parameter if self._given == "logits" else self._wide_scores.to(self._parameter.dtype)

    @lazy_property
    def _wide_scores(self) -> Tensor:
        """The same in the dtype to compute in."""
        wide = self._parameter.to(wide_dtype(self._parameter.dtype))
        return wide if self._given == "logits" else log_or_minus_infinity(wide)

    @lazy_property
    def _log_probs(self) -> Tensor:
        """Normalized log-probabilities in the dtype to compute in."""
        return log_softmax(self._wide_scores)

    def _allowed(self, dtype: torch.dtype) -> Tensor:
        """How many classes can be drawn, shape ``batch_shape``."""
        return (self._parameter > (-torch.inf if self._given == "logits" else 0)).sum(-1).to(dtype)

    def _log_constant(self, dtype: torch.dtype) -> Tensor:
        """The part of a log-density that depends on neither the probabilities nor the sample, shape ``batch_shape``."""
        k = self._allowed(dtype)
        return k.lgamma() + (k - 1) * self.temperature.to(dtype).log()

    @lazy_property
    def logits(self) -> Float[Tensor, "*batch k"]:
        """Normalized log-probabilities."""
        return self._log_probs.to(self._parameter.dtype)

    @lazy_property
    def probs(self) -> Float[Tensor, "*batch k"]:
        """Normalized probabilities."""
        wide = self._parameter.to(wide_dtype(self._parameter.dtype))
        probs = wide / wide.sum(-1, keepdim=True) if self._given == "probs" else softmax(wide)
        return probs.to(self._parameter.dtype)


class BinaryRelaxation(Relaxation):
    """A relaxation of each element of ``probs`` or ``logits``."""

    arg_constraints = {  # noqa: RUF012  torch's declaration
        "temperature": constraints.positive,
        "probs": constraints.unit_interval,
        "logits": constraints.real,
    }
    _event_dims = 0

    def _check_values(self) -> None:
        super()._check_values()
        param = self._parameter
        if self._given == "probs":
            _check_all(param, (param >= 0) & (param <= 1), "probs", "between 0 and 1")
        else:
            _check_all(param, ~param.isnan(), "logits", "numbers")

    @lazy_property
    def _wide_logits(self) -> Tensor:
        """The log-odds in the dtype to compute in."""
        wide = self._parameter.to(wide_dtype(self._parameter.dtype))
        return wide if self._given == "logits" else log_odds(wide)

    @lazy_property
    def logits(self) -> Float[Tensor, "..."]:
        """Log-odds of a one; infinite where the probability is exactly 0 or 1."""
        return self._parameter if self._given == "logits" else self._wide_logits.to(self._parameter.dtype)

    @lazy_property
    def probs(self) -> Float[Tensor, "..."]:
        """Probability of a one."""
        return self._parameter if self._given == "probs" else self._parameter.sigmoid()


def _broadcast(temperature: torch.Size, batch: torch.Size, name: str) -> torch.Size:
    try:
        return torch.broadcast_shapes(temperature, batch)
    except RuntimeError:
        raise ValueError(
            f"temperature must broadcast with the batch shape of the {name}, {tuple(batch)}, but its shape is "
            f"{tuple(temperature)}; give it that shape, or one number"
        ) from None


def _check_all(values: Tensor, valid: Tensor, name: str, rule: str) -> None:
    """Refuse a tensor some of whose elements or rows break a rule, and show the first of them."""
    if not torch._is_all_true(valid):
        first = values[~valid][0].tolist()
        raise ValueError(
            f"{name} must be {rule}, but a tensor of shape {tuple(values.shape)} holds {first}; "
            "correct it, or pass validate_args=False to skip this check"
        )
