"""Relaxed distributions, the logistic one beneath, subsets, rankings and permutations, as ``torch.distributions``.

The constructors are torch's, ``(temperature, probs=None, logits=None, validate_args=None)``, and so is everything else
that torch promises of a distribution. Beyond it:

* ``rsample`` and ``sample`` take ``generator`` or ``seed``, as the samplers of :mod:`drawgrad.functional` do;
* a temperature may be a number, or a tensor that broadcasts with the batch;
* a probability of exactly zero stays zero, so that class is never drawn.

Checks of values wait for the device and break a compiled graph: pass ``validate_args=False`` under ``torch.compile``,
which turns torch's default off for the whole process as soon as it is loaded.

In Pyro, mix each class with Pyro's own base, once, and use the result like any distribution of Pyro; a relaxed class
with Pyro's class of its name, by which ``GumbelSoftmaxReparam`` and ``AutoReparam`` know it::

    import pyro.distributions as dist
    from pyro.distributions.torch_distribution import TorchDistributionMixin

    class RelaxedOneHotCategorical(drawgrad.distributions.RelaxedOneHotCategorical, dist.RelaxedOneHotCategorical):
        pass

    class RelaxedBernoulliStraightThrough(
        drawgrad.distributions.RelaxedBernoulliStraightThrough, TorchDistributionMixin
    ):
        pass

Samples of the straight-through classes stay hard in plates, after ``expand`` and after ``to_event``. Their ``log_prob``
is the log-probability of the discrete outcome, not, as in Pyro's classes of these names, the density of the relaxed
sample behind it; so the ELBO is that of the discrete model. It passes a gradient to the sample, which the ELBO needs.
Take them for the prior as well: ``log_prob`` of torch's ``OneHotCategorical`` passes none.

Do not enumerate a straight-through site of a guide (``config_enumerate``, ``infer={"enumerate": "parallel"}``). Pyro
weighs no outcome of a site that can be reparameterized by its probability, so the ELBO would be wrong; guides that are
to be enumerated take Pyro's ``OneHotCategorical`` and ``Bernoulli``.
"""

from __future__ import annotations

from drawgrad.distributions import kl  # noqa: F401  registers the divergences with torch
from drawgrad.distributions.gibbs_permutation import GibbsPermutation
from drawgrad.distributions.gumbel_sinkhorn import GumbelSinkhorn
from drawgrad.distributions.hard_concrete import HardConcrete
from drawgrad.distributions.k_subset import KSubset
from drawgrad.distributions.kl_relaxed import ApproximateDivergence, monte_carlo_kl
from drawgrad.distributions.logistic import Logistic
from drawgrad.distributions.mixture_of_normals import MixtureOfNormals
from drawgrad.distributions.multi_categorical import MultiCategorical, PaddedOneHotCategorical
from drawgrad.distributions.plackett_luce import PlackettLuce
from drawgrad.distributions.relaxed_bernoulli import LogitRelaxedBernoulli, RelaxedBernoulli
from drawgrad.distributions.relaxed_categorical import ExpRelaxedCategorical, RelaxedOneHotCategorical
from drawgrad.distributions.relaxed_multinomial import RelaxedMultinomial
from drawgrad.distributions.sampling import rsample
from drawgrad.distributions.straight_through import (
    RelaxedBernoulliStraightThrough,
    RelaxedOneHotCategoricalStraightThrough,
)
from drawgrad.distributions.truncated_normal import TruncatedNormal
from drawgrad.distributions.von_mises import VonMises

__all__ = [
    "ApproximateDivergence",
    "ExpRelaxedCategorical",
    "GibbsPermutation",
    "GumbelSinkhorn",
    "HardConcrete",
    "KSubset",
    "Logistic",
    "LogitRelaxedBernoulli",
    "MixtureOfNormals",
    "MultiCategorical",
    "PaddedOneHotCategorical",
    "PlackettLuce",
    "RelaxedBernoulli",
    "RelaxedBernoulliStraightThrough",
    "RelaxedMultinomial",
    "RelaxedOneHotCategorical",
    "RelaxedOneHotCategoricalStraightThrough",
    "TruncatedNormal",
    "VonMises",
    "monte_carlo_kl",
    "rsample",
]
