"""Discrete sites of a Pyro program, relaxed where inference needs a gradient: the program itself stays discrete."""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import cache
from typing import Any

from pyro.distributions.torch_distribution import TorchDistributionMixin
from pyro.poutine.messenger import Messenger
from torch import Tensor
from torch.distributions import Bernoulli, Distribution, Independent, OneHotCategorical

from drawgrad._checks import as_flag, check_temperature
from drawgrad.distributions import (
    RelaxedBernoulli,
    RelaxedBernoulliStraightThrough,
    RelaxedOneHotCategorical,
    RelaxedOneHotCategoricalStraightThrough,
)

__all__ = ["pyro_distribution", "relax"]

RELAXATIONS: dict[type[Distribution], tuple[type[Distribution], type[Distribution]]] = {
    OneHotCategorical: (RelaxedOneHotCategorical, RelaxedOneHotCategoricalStraightThrough),
    Bernoulli: (RelaxedBernoulli, RelaxedBernoulliStraightThrough),
}
"""What stands in for a discrete distribution: its relaxation, and the hard sample with the relaxation's gradient."""


@cache
def pyro_distribution(cls: Any) -> Any:
    """A distribution of this package, or of torch, as a class that Pyro takes at its sites.

    Args:
        cls: the class, such as :class:`drawgrad.distributions.KSubset`.

    Returns:
        A subclass of the same name that is a Pyro distribution too. The same class gives the same subclass.

    Raises:
        TypeError: if it is no class of distributions.

    Example:
        >>> import pyro, torch
        >>> from drawgrad.distributions import KSubset
        >>> pyro.sample("z", pyro_distribution(KSubset)(torch.zeros(4), k=2)).sum()
        tensor(2.)
    """
    if not (isinstance(cls, type) and issubclass(cls, Distribution)):
        raise TypeError(f"cls must be a class of distributions, but it is {cls!r}; give the class and not an object")
    return cls if issubclass(cls, TorchDistributionMixin) else type(cls.__name__, (cls, TorchDistributionMixin), {})


def relax(
    program: Callable[..., Any],
    tau: float | Tensor | Callable[[], float | Tensor],
    *,
    hard: bool = True,
    sites: Collection[str] | None = None,
) -> Callable[..., Any]:
    """A model or a guide whose discrete latent sites are relaxed, for inference alone; the program stays as it is.

    Sites of ``OneHotCategorical`` and ``Bernoulli`` distributions get samples with a gradient, so that ``Trace_ELBO``
    needs no score function for them. Relax guide and model alike: ``SVI(relax(model, tau), relax(guide, tau), ...)``.
    For prediction, use the programs themselves. Observed and enumerated sites stay discrete.

    Args:
        program: a Pyro model or guide.
        tau: the temperature; a function is asked for it at every run, so that a schedule can lower it.
        hard: whether samples are exact, with the gradient of the relaxation (straight-through), and log-probabilities
            those of the discrete distribution. If False, samples are relaxed and have the relaxed density: that of a
            prior on one-hot vectors becomes one on the simplex, and the bound is one for the relaxed model.
        sites: names of the sites to relax; all discrete latent ones if None.

    Returns:
        The program under the handler.

    Raises:
        TypeError: at a discrete site for which there is no relaxation.
        ValueError: if ``tau`` is not positive.

    Example:
        >>> import pyro, torch
        >>> from pyro.distributions import OneHotCategorical
        >>> def guide():
        ...     logits = pyro.param("logits", torch.zeros(3))
        ...     return pyro.sample("z", OneHotCategorical(logits=logits))
        >>> z = relax(guide, tau=0.5)()
        >>> sorted(z.tolist()), z.requires_grad, guide().requires_grad
        ([0.0, 0.0, 1.0], True, False)

    References:
        Jang, Gu, Poole. Categorical reparameterization with Gumbel-Softmax. ICLR 2017.
    """
    if not callable(tau):
        check_temperature(tau, "for samples without a gradient use the program as it is")
    handled: Callable[..., Any] = _Relaxation(tau, as_flag(hard, "hard"), sites)(program)
    return handled


class _Relaxation(Messenger):
    """Puts relaxed distributions in the place of discrete ones, before anything is drawn or scored."""

    def __init__(self, tau: Any, hard: bool, sites: Collection[str] | None) -> None:
        super().__init__()
        self.tau = tau
        self.hard = hard
        self.sites = sites

    def _pyro_sample(self, msg: Any) -> None:
        fn = msg["fn"]
        meant = msg["name"] in self.sites if self.sites is not None else _is_discrete(fn)
        if not meant or msg["is_observed"] or (msg["infer"] or {}).get("enumerate"):
            return
        tau = self.tau() if callable(self.tau) else self.tau
        msg["fn"] = self._relaxed(fn, tau, msg["name"])

    def _relaxed(self, fn: Any, tau: float | Tensor, site: str) -> Any:
        if isinstance(fn, Independent):
            return self._relaxed(fn.base_dist, tau, site).to_event(fn.reinterpreted_batch_ndims)
        if getattr(fn, "has_rsample", False):
            return fn
        found = next((pair for kind, pair in RELAXATIONS.items() if isinstance(fn, kind)), None)
        if found is None:
            raise TypeError(
                f"the site {site!r} is a {type(fn).__name__}, which has no relaxation; write it as a OneHotCategorical "
                "or a Bernoulli, enumerate it, or name those to relax in sites"
            )
        kind: Any = found[self.hard]
        return pyro_distribution(kind)(tau, logits=fn.logits)


def _is_discrete(fn: Any) -> bool:
    return bool(getattr(fn, "support", None) is not None and fn.support.is_discrete)
