"""An evidence bound of Pyro whose discrete latent sites get their gradient from an estimator of this package."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch
from pyro import poutine
from pyro.distributions.util import scale_and_mask
from pyro.infer import ELBO
from torch import Tensor
from torch.distributions import kl_divergence

from drawgrad.estimators import Estimator
from drawgrad.variables import Countable, variables_of

__all__ = ["TraceEstimator_ELBO"]


class TraceEstimator_ELBO(ELBO):
    r"""The negative evidence bound, with the gradient of its discrete latent sites from an estimator.

    .. math:: E_{z \sim q}\Big[-\log p(x \mid z) + \sum_i \mathrm{KL}\big(q_i \,\|\, p_i(\cdot \mid z)\big)\Big]

    The discrete sites of the guide are the distributions q of the estimator, and the rest of model and guide is the
    cost: the model runs once for each sample z that the estimator asks for. Divergences are exact where torch knows a
    formula, and differences of log-probabilities elsewhere. Continuous sites are drawn once a step, with the gradient
    that ``rsample`` gives them.

    Where all discrete sites stand in the same plates, and these are the first dimensions of their batches, each element
    of the plates has a cost of its own. That is what keeps the variance of score functions low. Elsewhere all choices
    share one cost.

    Args:
        estimator: any of :mod:`drawgrad.estimators` that takes the distributions of the guide's sites. One that needs
            the gradient of the cost needs a model that is differentiable in the values of these sites, so one-hot
            vectors or zeros and ones, not class numbers. What a module learns is its own parameters, which are not in
            Pyro's store.

    Raises:
        TypeError: if ``estimator`` is none, or does not take the sites.
        ValueError: in a step, if no site of the guide is discrete, if a site of the guide depends on a discrete one, or
            if one of them is enumerated.

    Example:
        >>> import pyro, torch
        >>> from pyro.distributions import Normal, OneHotCategorical
        >>> from drawgrad.estimators import ReinMax
        >>> def model(x):
        ...     with pyro.plate("data", len(x)):
        ...         z = pyro.sample("z", OneHotCategorical(logits=torch.zeros(2)))
        ...         pyro.sample("x", Normal(z @ torch.tensor([-2.0, 2.0]), 1.0), obs=x)
        >>> def guide(x):
        ...     with pyro.plate("data", len(x)):
        ...         pyro.sample("z", OneHotCategorical(logits=pyro.param("logits", torch.zeros(3, 2))))
        >>> svi = pyro.infer.SVI(model, guide, pyro.optim.Adam({"lr": 0.1}), TraceEstimator_ELBO(ReinMax()))
        >>> _ = pyro.set_rng_seed(0)
        >>> for step in range(50):
        ...     _ = svi.step(torch.tensor([-2.1, 1.9, 2.2]))
        >>> pyro.param("logits").argmax(-1)
        tensor([0, 1, 1])
        >>> pyro.clear_param_store()
    """

    def __init__(self, estimator: Estimator) -> None:
        if not isinstance(estimator, Estimator):
            raise TypeError(
                f"estimator must be an estimator of drawgrad.estimators, but it is {estimator!r}; give ReinMax(), say"
            )
        super().__init__()
        self.estimator = estimator
        self._checked: set[frozenset[str]] = set()

    def loss(self, model: Callable[..., Any], guide: Callable[..., Any], *args: Any, **kwargs: Any) -> float:
        """An estimate of the negative bound, without a gradient."""
        with torch.no_grad():
            return float(self.differentiable_loss(model, guide, *args, **kwargs))

    def loss_and_grads(self, model: Callable[..., Any], guide: Callable[..., Any], *args: Any, **kwargs: Any) -> float:
        """An estimate of the negative bound, after its backward pass."""
        loss = self.differentiable_loss(model, guide, *args, **kwargs)
        if loss.requires_grad:
            loss.backward(retain_graph=self.retain_graph)
        return float(loss.detach())

    def differentiable_loss(
        self, model: Callable[..., Any], guide: Callable[..., Any], *args: Any, **kwargs: Any
    ) -> Tensor:
        """An estimate of the negative bound, 0-dim, whose gradient is the estimator's."""
        drawn = poutine.trace(guide).get_trace(*args, **kwargs)
        choices = {name: site for name, site in _latent(drawn) if not site["fn"].has_rsample}
        self._check(choices, drawn, guide, args, kwargs)
        drawn.compute_log_prob(site_filter=lambda name, site: name not in choices)
        plates = _common_plates(list(choices.values()))
        q = {name: site["fn"] for name, site in choices.items()}
        alone = next(iter(q)) if len(q) == 1 else None

        def cost(given: Any) -> tuple[Tensor, Tensor]:
            z: dict[str, Tensor] = given if alone is None else {alone: given}
            found = [
                self._terms({name: value[number] for name, value in z.items()}, plates, drawn, model, args, kwargs)
                for number in range(len(next(iter(z.values()))))
            ]
            return torch.stack([terms.inside for terms in found]), torch.stack([terms.outside for terms in found])

        # Some estimators take one distribution, but not several.
        loss, outside = self.estimator(cost, q if alone is None else q[alone], has_aux=True)
        # What stands outside of the plates does not depend on z, and every sample says the same.
        total: Tensor = loss.sum() + outside.mean()
        return total

    def _get_trace(self, model: Callable[..., Any], guide: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        # Pyro's other bounds are made of pairs of traces.
        raise NotImplementedError("the model runs as often as the estimator asks: there is no one trace of it")

    def _terms(
        self, z: dict[str, Tensor], plates: list[_Plate], drawn: Any, model: Callable[..., Any], args: Any, kwargs: Any
    ) -> _Terms:
        """The terms of the negative bound at a value of the choices."""
        trace = drawn.copy()
        for name, value in z.items():
            trace.nodes[name] = trace.nodes[name] | {"value": value}
        run = poutine.trace(poutine.replay(model, trace=trace)).get_trace(*args, **kwargs)
        run.compute_log_prob(site_filter=lambda name, site: name not in z)
        terms = _Terms.of(plates, next(iter(z.values())))
        for name, site in run.nodes.items():
            if site["type"] != "sample":
                continue
            if name not in z:
                terms = terms.plus(-site["log_prob"], site, plates)
                continue
            terms = terms.plus(_divergence(drawn.nodes[name], site, z[name]), site, plates)
        for _, site in _latent(drawn):
            if "log_prob" in site:
                terms = terms.plus(site["log_prob"], site, plates)
        return terms

    def _check(self, choices: dict[str, Any], drawn: Any, guide: Callable[..., Any], args: Any, kwargs: Any) -> None:
        """Refuse a guide that this bound is wrong for; once for each set of sites, as it takes a run of the guide."""
        if not choices:
            raise ValueError(
                "the guide has no discrete site, so that there is nothing to estimate; use pyro.infer.Trace_ELBO"
            )
        enumerated = [name for name, site in choices.items() if site["infer"].get("enumerate")]
        if enumerated:
            raise ValueError(
                f"the site {enumerated[0]!r} is enumerated; leave out infer, or use pyro.infer.TraceEnum_ELBO"
            )
        if frozenset(choices) in self._checked:
            return
        other = drawn.copy()
        for name, site in choices.items():
            other.nodes[name] = site | {"value": _another(site)}
        with torch.no_grad(), poutine.block():
            again = poutine.trace(poutine.replay(guide, trace=other)).get_trace(*args, **kwargs)
        for name, site in _latent(again):
            if name not in drawn.nodes or not _same(site["fn"], drawn.nodes[name]["fn"]):
                raise ValueError(
                    f"the site {name!r} of the guide depends on one of the discrete sites {', '.join(choices)}; draw "
                    "discrete sites last, and independently of each other"
                )
        self._checked.add(frozenset(choices))


class _Plate(NamedTuple):
    """A vectorized plate: its name, and its dimension counted from the right."""

    name: str
    dim: int


class _Terms(NamedTuple):
    """The negative bound at one sample: its terms inside the common plates, an element each, and the others."""

    inside: Tensor
    outside: Tensor

    @classmethod
    def of(cls, plates: list[_Plate], like: Tensor) -> _Terms:
        zero = torch.zeros((), device=like.device, dtype=torch.get_default_dtype())
        return cls(zero.expand([1] * len(plates)), zero)

    def plus(self, term: Tensor, site: Any, plates: list[_Plate]) -> _Terms:
        around = {frame.name for frame in site["cond_indep_stack"]}
        if not all(plate.name in around for plate in plates):
            return self._replace(outside=self.outside + term.sum())
        kept = [term.dim() + plate.dim for plate in plates]
        others = [dim for dim in range(term.dim()) if dim not in kept]
        return self._replace(inside=self.inside + (term.sum(others) if others else term))


def _latent(trace: Any) -> Iterator[tuple[str, Any]]:
    """The sites of a guide that are drawn."""
    for name, site in trace.nodes.items():
        if site["type"] == "sample" and not site["is_observed"] and not poutine.util.site_is_subsample(site):
            yield name, site


def _common_plates(sites: list[Any]) -> list[_Plate]:
    """The plates that all sites stand in, as far as they are the first dimensions of all batches, in their order."""
    common = set.intersection(
        *({_Plate(frame.name, frame.dim) for frame in site["cond_indep_stack"] if frame.vectorized} for site in sites)
    )
    by_place = [{len(site["fn"].batch_shape) + plate.dim: plate for plate in common} for site in sites]
    found: list[_Plate] = []
    while len({places.get(len(found)) for places in by_place}) == 1 and len(found) in by_place[0]:
        found.append(by_place[0][len(found)])
    return found


def _divergence(guide_site: Any, model_site: Any, z: Tensor) -> Tensor:
    """KL of guide and prior at a site, of the batch shape, or the difference of the log-probabilities of z."""
    q, p = guide_site["fn"], model_site["fn"]
    try:
        term = kl_divergence(q, p)
    except NotImplementedError:
        term = q.log_prob(z) - p.log_prob(z)
    scaled: Tensor = scale_and_mask(term, scale=guide_site["scale"], mask=guide_site["mask"])
    return scaled


def _another(site: Any) -> Tensor:
    """A value of a site that is another one in every element, as far as its states can be counted."""
    variable = variables_of(site["fn"])
    if not isinstance(variable, Countable):
        drawn: Tensor = site["fn"].sample()
        return drawn
    number = variable.number(variable.index_of(site["value"][None]))
    return variable.sample_of(variable.state((number + 1) % variable.states))[0]


def _same(one: Any, other: Any) -> bool:
    """Whether two distributions of one site have the same parameters."""
    while hasattr(one, "base_dist") and hasattr(other, "base_dist"):
        one, other = one.base_dist, other.base_dist
    return type(one) is type(other) and all(
        torch.equal(torch.as_tensor(getattr(one, name)), torch.as_tensor(getattr(other, name)))
        for name in one.arg_constraints
    )
