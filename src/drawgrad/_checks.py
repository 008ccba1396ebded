"""The wording of errors: what is wrong, with its name and value, the rule, and the cure.

Checks look at Python numbers, shapes and dtypes only, never at the values of a tensor: they do not wait for a device.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from numbers import Integral, Real

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

__all__ = [
    "as_flag",
    "as_integers",
    "as_modules",
    "as_numbers",
    "check_at_hand",
    "check_callable",
    "check_count",
    "check_dim",
    "check_distribution",
    "check_dtype",
    "check_flag",
    "check_floating",
    "check_integer",
    "check_integral",
    "check_mask",
    "check_module",
    "check_nonnegative",
    "check_number",
    "check_offset",
    "check_temperature",
]


def check_temperature(tau: float | Tensor, cure: str, name: str = "tau", dtype: torch.dtype = torch.float64) -> None:
    """Refuse a temperature that is not a positive finite number of ``dtype``; tensors are taken as they are."""
    if type(tau) is float and 1e-30 < tau < 1e30:
        return  # A number of every dtype that is computed in, without a look at its limits.
    if isinstance(tau, Tensor):
        if not tau.is_floating_point():
            raise TypeError(f"{name} must be a floating-point tensor, but its dtype is {tau.dtype}; convert it first")
        return
    if isinstance(tau, torch.SymFloat):
        return
    if isinstance(tau, bool) or not isinstance(tau, Real):
        raise TypeError(f"{name} must be a number or a tensor, but it is {tau!r} ({type(tau).__name__})")
    if not 0 < tau < math.inf:
        raise ValueError(f"{name} must be positive and finite, but it is {tau!r}; {cure}")
    limits = torch.finfo(dtype)
    if not limits.tiny <= tau <= limits.max:
        raise ValueError(
            f"{name} must be a normal number of {dtype}, {limits.tiny:.3g} at least and {limits.max:.3g} at most, but "
            f"it is {tau!r}; {cure}"
        )


def check_at_hand(tensor: Tensor, device: torch.device, name: str) -> None:
    """Refuse a tensor without numbers, which cannot be moved to where there are some."""
    if tensor.device.type == "meta" and device.type != "meta":
        raise ValueError(
            f"{name} must hold a number, but it is a tensor on the device meta, which has none; make it on {device}"
        )


def check_dtype(dtype: object) -> None:
    """Refuse anything but a floating dtype."""
    if not isinstance(dtype, torch.dtype):
        raise TypeError(f"dtype must be a torch.dtype, but it is {dtype!r} ({type(dtype).__name__}); use torch.float32")
    if not dtype.is_floating_point:
        raise TypeError(f"dtype must be a floating dtype, but it is {dtype}; use torch.float32")


def check_integral(tensor: Tensor, name: str) -> None:
    """Refuse a tensor that does not hold indices."""
    if not isinstance(tensor, Tensor):
        raise TypeError(f"{name} must be a tensor, but it is of type {type(tensor).__name__}; wrap it in torch.tensor")
    if tensor.is_floating_point() or tensor.is_complex() or tensor.dtype == torch.bool:
        raise TypeError(f"{name} must be of an integer dtype, but it is {tensor.dtype}; convert it with {name}.long()")


def check_floating(tensor: Tensor, name: str) -> None:
    """Refuse a tensor that is not of a floating dtype."""
    if not isinstance(tensor, Tensor):
        raise TypeError(f"{name} must be a tensor, but it is of type {type(tensor).__name__}; wrap it in torch.tensor")
    if not tensor.is_floating_point():
        raise TypeError(
            f"{name} must be of a floating dtype (float16, bfloat16, float32 or float64), but it is {tensor.dtype}; "
            f"convert it with {name}.float()"
        )


def check_flag(value: bool, name: str) -> None:
    """Refuse anything but True and False: torch's own signature has other positional arguments here."""
    if not isinstance(value, bool):
        raise TypeError(f"{name} must be True or False, but it is {value!r} ({type(value).__name__})")


def as_flag(value: object, name: str) -> bool:
    """True or False, also as the 1 or 0 that torch's own functions take; anything else is refused."""
    if value is True or value is False:
        return value
    if isinstance(value, Integral) and value in (0, 1):
        return bool(value)
    check_flag(value, name)  # type: ignore[arg-type]
    return bool(value)


def _is_integer(value: object) -> bool:
    """Whether it is an integer; True and False are none."""
    return isinstance(value, Integral) and not isinstance(value, bool)


def check_integer(value: object, name: str) -> None:
    """Refuse anything but an integer; True and False are none."""
    if not _is_integer(value):
        raise TypeError(
            f"{name} must be an integer, but it is {value!r} ({type(value).__name__}); convert it with int()"
        )


def as_integers(value: object, name: str) -> tuple[int, ...]:
    """An integer, or a sequence of them, as a tuple; anything else is refused."""
    found = tuple(value) if isinstance(value, Sequence) else (value,)
    for each in found:
        if not _is_integer(each):
            raise TypeError(
                f"{name} must be an integer or a sequence of integers, but it is {value!r} ({type(value).__name__}); "
                "convert each with int()"
            )
    return tuple(int(each) for each in found)


def check_count(value: int, name: str, minimum: int = 0) -> None:
    """Refuse anything but an integer of at least `minimum`; True and False are no counts."""
    check_integer(value, name)
    if value < minimum:
        raise ValueError(f"{name} must be at least {minimum}, but it is {value!r}; give a larger integer")


def check_number(value: object, name: str) -> None:
    """Refuse anything but a number; True and False are none."""
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(
            f"{name} must be a number, but it is {value!r} ({type(value).__name__}); convert it with float()"
        )


def as_numbers(values: object, name: str) -> tuple[float, ...]:
    """A sequence of numbers as a tuple; anything else is refused."""
    if not isinstance(values, Sequence):
        raise TypeError(
            f"{name} must be a sequence of numbers, but it is {values!r} ({type(values).__name__}); give a list"
        )
    for each in values:
        check_number(each, f"each of {name}")
    return tuple(float(each) for each in values)


def check_nonnegative(value: float, name: str) -> None:
    """Refuse anything but a finite number of zero or more; True and False are no numbers."""
    check_number(value, name)
    if not (value >= 0 and math.isfinite(value)):
        raise ValueError(f"{name} must be finite and not negative, but it is {value!r}; give a number from 0 on")


def check_module(value: object, name: str) -> None:
    """Refuse anything but a module."""
    if not isinstance(value, nn.Module):
        what = f"the class {value.__name__}" if isinstance(value, type) else f"of type {type(value).__name__}"
        raise TypeError(f"{name} must be a module, but it is {what}; make it a torch.nn.Module")


def as_modules(values: object, name: str) -> list[nn.Module]:
    """Modules from anything that holds some; anything else is refused."""
    if not isinstance(values, Iterable) or isinstance(values, str | Tensor):
        raise TypeError(
            f"{name} must be modules, but they are {values!r} ({type(values).__name__}); give a list of torch.nn.Module"
        )
    found = list(values)
    for each in found:
        check_module(each, f"each of {name}")
    return found


def check_callable(value: Callable[..., object], name: str) -> None:
    """Refuse what cannot be called."""
    if not callable(value):
        raise TypeError(
            f"{name} must be a function or a module, but it is {value!r} ({type(value).__name__}); such as torch.relu"
        )


def check_distribution(q: Distribution) -> None:
    """Refuse anything but an object of torch.distributions."""
    if not isinstance(q, Distribution):
        what = f"the class {q.__name__}" if isinstance(q, type) else f"a {type(q).__name__}"
        raise TypeError(
            f"q must be a distribution, but it is {what}; make one, such as OneHotCategorical(logits=logits)"
        )


def check_dim(dim: int, tensor: Tensor, name: str, of: str = "classes") -> None:
    """Refuse a tensor without dimensions, and a dimension that it does not have."""
    if tensor.dim() == 0:
        raise ValueError(f"{name} must have a dimension of {of}, but they are 0-dim; give them shape ({of},)")
    if type(dim) is not int and not _is_integer(dim):
        raise TypeError(f"dim must be an int, but it is {dim!r} ({type(dim).__name__}); -1 is the last dimension")
    if not -tensor.dim() <= dim < tensor.dim():
        raise IndexError(
            f"dim must be in [{-tensor.dim()}, {tensor.dim() - 1}] for {tensor.dim()}-dim {name}, but it is {dim}; "
            "-1 is the last dimension"
        )


def check_mask(mask: Tensor, logits: Tensor) -> None:
    """Refuse a mask that is not boolean or does not broadcast to the logits."""
    if not isinstance(mask, Tensor) or mask.dtype != torch.bool:
        what = mask.dtype if isinstance(mask, Tensor) else type(mask).__name__
        raise TypeError(
            f"mask must be a boolean tensor, True where a class is allowed, but it is {what}; use mask.bool()"
        )
    if mask.shape == logits.shape:
        return
    trailing = zip(reversed(mask.shape), reversed(logits.shape), strict=False)
    if mask.dim() > logits.dim() or any(m not in (1, n) for m, n in trailing):
        raise ValueError(
            f"mask must broadcast to the shape of the logits, {tuple(logits.shape)}, but its shape is "
            f"{tuple(mask.shape)}; reshape it, or expand the logits first"
        )


def check_offset(offset: int, name: str, count: int = 0, limit: int | None = None) -> None:
    """Refuse an offset that does not count from zero, or from which ``count`` more exceed the ``limit``."""
    if isinstance(offset, bool) or not isinstance(offset, Integral | torch.SymInt):
        raise TypeError(f"{name} must be an int, but it is {offset!r} ({type(offset).__name__}); convert it with int()")
    if offset < 0:
        raise ValueError(f"{name} must not be negative, but it is {offset}; it counts from zero")
    if limit is not None and offset + count > limit:
        raise ValueError(
            f"{name} and the {count} that follow must stay below {limit}, but it is {offset}; count from a lower number"
        )
