"""Which variable belongs to which type of distribution: the only place that asks for types."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from torch.distributions import Distribution, Independent

from drawgrad._checks import check_distribution
from drawgrad.variables.countable import Countable
from drawgrad.variables.joint import Joint, JointCountable
from drawgrad.variables.opaque import Opaque, OpaqueScored
from drawgrad.variables.variable import Scored, Variable

__all__ = ["Distributions", "described", "register_variable", "variables_of"]

Distributions = Distribution | Sequence[Distribution] | Mapping[Any, Distribution]
"""What is drawn from: one distribution, or several independent ones in a list, a tuple or a dict."""

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


def variables_of(q: Distributions) -> Variable:
    """What a distribution chooses among.

    Looked up by its type, inside any number of ``Independent``. One of an unknown type is drawn with its own sampler.

    Args:
        q: the distribution; or several, in a list, a tuple or a dict, which are independent of each other.

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
    if isinstance(q, Mapping):
        return _joint([variables_of(one) for one in q.values()], tuple(q), q)
    if isinstance(q, list | tuple):
        return _joint([variables_of(one) for one in q], None, q)
    base: Any = q
    check_distribution(base)
    reinterpreted = 0
    while isinstance(base, Independent):
        base, reinterpreted = base.base_dist, reinterpreted + base.reinterpreted_batch_ndims
    unknown = Opaque if type(base).log_prob is Distribution.log_prob else OpaqueScored
    kind = next((_KINDS[family] for family in type(base).__mro__ if family in _KINDS), unknown)
    variable = kind.of(base)
    # In place, because it is new: ``replace`` would make another one, which takes longer than all else here.
    object.__setattr__(variable, "reinterpreted", reinterpreted)
    object.__setattr__(variable, "q", q)
    return variable


def _joint(each: list[Variable], keys: tuple[Any, ...] | None, q: Any) -> Variable:
    if not each:
        raise ValueError("q must hold at least one distribution, but it is empty; leave out what is drawn from nothing")
    if all(isinstance(part, Countable) for part in each):
        return JointCountable(tuple(each), keys, q=q)
    if all(isinstance(part, Scored) for part in each):
        return Joint(tuple(each), keys, q=q)
    lacking = next(part for part in each if not isinstance(part, Scored))
    raise TypeError(f"several distributions in one q must have log_prob, but {type(lacking.q).__name__} has none")


def described(capability: type[Variable]) -> str:
    """What kinds of q have a capability, in words: by their names as far as they are known.

    Example:
        >>> from drawgrad.variables import Relaxable, Scored
        >>> described(Relaxable)
        'Bernoulli or OneHotCategorical'
        >>> described(Scored)
        'any distribution with log_prob'
    """
    if capability in (Variable, Opaque) or not (known := [k for k in _KINDS.values() if issubclass(k, capability)]):
        return capability.words
    if issubclass(OpaqueScored, capability):
        return capability.words
    names = list(dict.fromkeys(kind.words for kind in known))
    return " or ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
