"""Pure functions of tensors: noise, samples, and the straight-through line."""

from __future__ import annotations

from drawgrad.functional.beam import Beams, beam_weights, gumbel_given_largest, stochastic_beam_search
from drawgrad.functional.binary import binary_concrete
from drawgrad.functional.bound import multi_sample_bound
from drawgrad.functional.categorical import gumbel_max, gumbel_softmax
from drawgrad.functional.conditional import conditional_gumbel, conditional_logistic
from drawgrad.functional.divergence import bernoulli_kl, categorical_kl
from drawgrad.functional.implicit import implicit_sample
from drawgrad.functional.linear import gumbel_max_linear, gumbel_max_linear_shard, winner_of_shards
from drawgrad.functional.lookup import gumbel_lookup
from drawgrad.functional.noise import gumbel_noise, logistic_noise
from drawgrad.functional.permanent import log_permanent, permutation_marginals, permutation_sample
from drawgrad.functional.permutation import Sinkhorn, assignment, gumbel_sinkhorn, sinkhorn
from drawgrad.functional.ranking import gumbel_top_k, relaxed_top_k
from drawgrad.functional.seeds import draw_seed, fold_seed
from drawgrad.functional.solver_gradient import StepRule, perturb_and_map, sum_of_gamma_noise
from drawgrad.functional.subset import log_esp, subset_marginals, subset_sample
from drawgrad.functional.surrogate import differentiable_once, not_differentiable, straight_through
from drawgrad.functional.torch_draws import seeded

__all__ = [
    "Beams",
    "Sinkhorn",
    "StepRule",
    "assignment",
    "beam_weights",
    "bernoulli_kl",
    "binary_concrete",
    "categorical_kl",
    "conditional_gumbel",
    "conditional_logistic",
    "differentiable_once",
    "draw_seed",
    "fold_seed",
    "gumbel_given_largest",
    "gumbel_lookup",
    "gumbel_max",
    "gumbel_max_linear",
    "gumbel_max_linear_shard",
    "gumbel_noise",
    "gumbel_sinkhorn",
    "gumbel_softmax",
    "gumbel_top_k",
    "implicit_sample",
    "log_esp",
    "log_permanent",
    "logistic_noise",
    "multi_sample_bound",
    "not_differentiable",
    "permutation_marginals",
    "permutation_sample",
    "perturb_and_map",
    "relaxed_top_k",
    "seeded",
    "sinkhorn",
    "stochastic_beam_search",
    "straight_through",
    "subset_marginals",
    "subset_sample",
    "sum_of_gamma_noise",
    "winner_of_shards",
]
