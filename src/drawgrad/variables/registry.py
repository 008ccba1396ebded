"""Which variable belongs to which type of distribution: the only place that asks for types."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from torch.distributions import Distribution, Independent

from drawgrad._checks import check_distribution
from drawgrad.variables.opaque import Opaque, OpaqueScored
from drawgrad.variables.variable import Variable

__all__ = ["described", "register_variable", "variables_of"]

_KINDS: dict[type[Distribution], type[Variable]] = {}

Kind = TypeVar("Kind", bound=type[Variable])


def register_variable(distribution: type[Distribution]) -> Callable[[Kind], Kind]:
    """Make a class of variables that of a type of distribution: a decorator of the class.

    Args:
        distribution: the type; its subclasses are meant as well, unless they are registered themselves.

    Returns:
        A decorator.

    Example:
        >>> from torch.distributions import OneHotCategorical
        >>> from drawgrad.variables import OneHot
        >>> class MyOneHotCategorical(OneHotCategorical): ...
        >>> register_variable(MyOneHotCategorical)(OneHot)
        <class 'drawgrad.variables.one_hot.OneHot'>
    """

    def decorate(kind: Kind) -> Kind:
        _KINDS[distribution] = kind
        return kind

    return decorate


def variables_of(q: Distribution) -> Variable:
    """What a distribution chooses among.

    Looked up by its type, inside any number of ``Independent``. One of an unknown type is drawn with its own sampler.

    Args:
        q: the distribution.

    Returns:
        The variable, attached to the parameters of ``q``.

    Raises:
        TypeError: if ``q`` is no distribution.

    Example:
        >>> import torch
        >>> from torch.distributions import Bernoulli, Independent
        >>> variables_of(Independent(Bernoulli(logits=torch.zeros(2, 3)), 1)).batch_shape
        torch.Size([2, 3])
    """
    check_distribution(q)
    base, reinterpreted = q, 0
    while isinstance(base, Independent):
        base, reinterpreted = base.base_dist, reinterpreted + base.reinterpreted_batch_ndims
    unknown = Opaque if type(base).log_prob is Distribution.log_prob else OpaqueScored
    kind = next((_KINDS[family] for family in type(base).__mro__ if family in _KINDS), unknown)
    return replace(kind.of(base), reinterpreted=reinterpreted, q=q)


def described(capability: type[Variable]) -> str:
    """What kinds of q have a capability, in words: by their names as far as they are known."""
    if capability in (Variable, Opaque) or not (known := [k for k in _KINDS.values() if issubclass(k, capability)]):
        return capability.words
    if issubclass(OpaqueScored, capability):
        return capability.words
    names = list(dict.fromkeys(kind.words for kind in known))
    return " or ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
