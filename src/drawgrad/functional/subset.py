"""Subsets of k out of K classes whose probability is a product of weights: their normalizer, inclusions and samples."""

from __future__ import annotations

import math

import torch

from drawgrad._checks import check_count, check_dim, check_floating, check_mask
from drawgrad._typing import Bool, Float, Tensor
from drawgrad.functional._polynomials import derivative, product_tree, split
from drawgrad.functional.noise import logistic_noise

__all__ = ["log_esp", "subset_marginals", "subset_sample"]

BISECTIONS = 30
"""They end within 1e-5 of the best number to add where logits differ by 1e4; any number that is near serves."""


def log_esp(
    logits: Float[Tensor, "*batch k"],
    k: int,
    *,
    mask: Bool[Tensor, "..."] | None = None,
) -> Float[Tensor, "*batch"]:
    r"""The logarithm of an elementary symmetric polynomial: the normalizer of the subsets of k out of K classes.

    .. math:: \log e_k(w) = \log \sum_{|S| = k} \prod_{i \in S} w_i, \qquad w_i = e^{l_i}

    It takes O(K k) work in O(log K) steps, in float64 whatever the dtype of the logits. Its gradient for the logits are
    the :func:`subset_marginals`, and it has derivatives of any order.

    Args:
        logits: log-weights of K classes along the last dimension; -inf is a class that is in no subset.
        k: size of the subsets, from 0 to K.
        mask: True where a class is allowed; broadcasts to the logits.

    Returns:
        The logarithm in the dtype of the logits; -inf for a row with fewer than k allowed classes.

    Raises:
        ValueError: if ``k`` is not between 0 and K, or if the mask does not broadcast.
        TypeError: if a dtype or type is wrong.

    Example:
        >>> import torch
        >>> log_esp(torch.tensor([1.0, 2.0, 3.0]).log(), 2).exp().round()  # 1 * 2 + 1 * 3 + 2 * 3
        tensor(11.)

    References:
        Chen, Dempster, Liu. Weighted finite population sampling to maximize entropy. Biometrika 81, 1994.
    """
    front, logits = _distinct(logits, mask)
    scores, possible, tilt = _tilted(logits, k)
    levels = product_tree(_terms(scores), max(k, 1))
    chance = levels[-1][k, 0]
    allowed = scores != -torch.inf
    # Of Bernoulli variables: P(N = k) prod (1 + w exp(tilt)) exp(-k tilt), in which the tilt cancels.
    ones = torch.where(allowed, torch.nn.functional.softplus(torch.where(allowed, scores, 0.0)), 0.0).sum(0)
    value = torch.where(possible, torch.where(possible, chance, 1.0).log() + ones - k * tilt, -torch.inf)
    return value.reshape(logits.shape[:-1]).to(logits.dtype).expand([*front, *logits.shape[:-1]])


def subset_marginals(
    logits: Float[Tensor, "*batch k"],
    k: int,
    *,
    mask: Bool[Tensor, "..."] | None = None,
) -> Float[Tensor, "*batch k"]:
    r"""The probability of each class to be in a random subset of k classes (conditional Poisson sampling).

    .. math:: \mu_i = P(i \in S) = \frac{w_i\, e_{k-1}(w_{-i})}{e_k(w)}, \qquad
        P(S) = \frac{1}{e_k(w)} \prod_{i \in S} w_i, \quad w_i = e^{l_i}

    Arguments and errors as in :func:`log_esp`. Small marginals keep their relative precision.

    Args:
        logits: log-weights of K classes along the last dimension; -inf is a class that is in no subset.
        k: size of the subsets, from 0 to K.
        mask: True where a class is allowed; broadcasts to the logits.

    Returns:
        Marginals, of the shape and dtype of the logits; rows sum to k. A row with fewer than k allowed classes is zero.

    Raises:
        ValueError: if ``k`` is not between 0 and K, or if the mask does not broadcast.
        TypeError: if a dtype or type is wrong.

    Example:
        >>> import torch
        >>> subset_marginals(torch.tensor([0.0, 0.0, 1.0, -torch.inf]), 2)
        tensor([0.5777, 0.5777, 0.8446, 0.0000])

    References:
        Chen, Dempster, Liu. Weighted finite population sampling to maximize entropy. Biometrika 81, 1994.
        Ahmed, Zeng, Niepert, Van den Broeck. SIMPLE: a gradient estimator for k-subset sampling. ICLR 2023.
    """
    front, logits = _distinct(logits, mask)
    scores, possible, _ = _tilted(logits, k)
    terms = _terms(scores)
    levels = product_tree(terms, max(k, 1))
    chance = torch.where(possible, levels[-1][k, 0], 1.0)
    marginals = terms[1] * derivative(levels, k)[1, : len(scores)] / chance
    marginals = torch.where(possible, marginals, 0.0)
    return marginals.T.reshape(logits.shape).to(logits.dtype).expand([*front, *logits.shape])


def subset_sample(
    logits: Float[Tensor, "*shape k"],
    k: int,
    *,
    mask: Bool[Tensor, "..."] | None = None,
    generator: torch.Generator | None = None,
    seed: int | Tensor | None = None,
    row_offset: int = 0,
) -> Float[Tensor, "*shape k"]:
    r"""Draw a random subset of k classes, exactly, with probability proportional to the product of its weights.

    Down a balanced tree over the classes, the number of chosen classes splits between halves, each time with its exact
    conditional probability: O(K k) work for the tree, O(log K) steps a sample. No gradient reaches the logits.

    Args:
        logits: log-weights of K classes along the last dimension; -inf is a class that is in no subset.
        k: size of the subset, from 0 to K.
        mask: True where a class is allowed; broadcasts to the logits.
        generator: draws the seed; torch's default generator of the logits' device if None.
        seed: the seed itself, an int or a 0-dim int64 tensor, instead of ``generator``. One seed gives one sample.
        row_offset: number of the first row, when the logits are one part of a larger batch.

    Returns:
        Vectors of zeros and k ones, of the shape and dtype of the logits; zero where fewer than k classes are allowed,
        NaN where a logit is.

    Raises:
        ValueError: if ``k`` is not between 0 and K, or if a shape does not fit.
        TypeError: if a dtype or type is wrong.

    Example:
        >>> import torch
        >>> subset_sample(torch.tensor([0.0, 50.0, 0.0, 50.0]), 2, seed=0)
        tensor([0., 1., 0., 1.])

    References:
        Chen, Liu. Statistical applications of the Poisson-binomial and conditional Bernoulli distributions. Statistica
        Sinica 7, 1997.
    """
    with torch.no_grad():
        shape = logits.shape
        front, logits = _distinct(logits, mask)
        repeats = math.prod(front)
        scores, possible, _ = _tilted(logits, k)
        levels = product_tree(_terms(scores), max(k, 1))
        classes, rows = scores.shape
        coins = max(sum(level.shape[1] // 2 for level in levels[:-1]), 1)
        noise = logistic_noise(
            (*shape[:-1], coins),
            dtype=torch.float64,
            device=logits.device,
            generator=generator,
            seed=seed,
            row_offset=row_offset,
        )
        uniform = noise.sigmoid().reshape(repeats, rows, coins).transpose(1, 2)
        counts = torch.where(possible, k, 0).expand(repeats, 1, rows)
        drawn = split(levels, counts, uniform)[:, :classes].transpose(1, 2)
        failed = scores.isnan().any(0)[:, None]
        return torch.where(failed, torch.nan, drawn.double()).reshape(shape).to(logits.dtype)


def _distinct(logits: Tensor, mask: Tensor | None) -> tuple[list[int], Tensor]:
    """The leading dimensions that only repeat what is inside, samples mostly: one tree serves them all. The inside."""
    check_floating(logits, "logits")
    check_dim(-1, logits, "logits")
    if mask is not None:
        check_mask(mask, logits)
        logits = torch.where(mask, logits, -torch.inf)
    front: list[int] = []
    while logits.dim() > 1 and logits.shape[0] > 1 and logits.stride(0) == 0:
        front.append(logits.shape[0])
        logits = logits[0]
    return front, logits


def _terms(scores: Tensor) -> Tensor:
    """The polynomials q + p x of Bernoulli variables with log-odds ``scores``, shape ``(2, classes, rows)``."""
    terms = torch.stack([(-scores).sigmoid(), scores.sigmoid()])
    if len(scores):
        return terms
    return terms.new_tensor([1.0, 0.0])[:, None, None].expand(-1, 1, scores.shape[1])


def _tilted(logits: Tensor, k: int) -> tuple[Tensor, Tensor, Tensor]:
    """Log-odds of independent Bernoulli variables that have the law of the subset, given that k of them are ones.

    The same number is added to all logits of a row, which does not change that law, so that about k ones are expected:
    then their number is k with a probability that is far from zero, and plain probabilities can be computed with.

    Returns:
        Log-odds in float64, shape ``(classes, rows)``; whether k classes are allowed, and what was added, ``(rows,)``.
    """
    check_count(k, "k")
    classes = logits.shape[-1]
    if k > classes:
        raise ValueError(f"k must be at most the number of classes, {classes}, but it is {k}; choose fewer")
    scores = logits.reshape(math.prod(logits.shape[:-1]), classes).T.double()
    plain = scores.detach()
    possible = ~((plain != -torch.inf).sum(0) < k)
    tilt = _tilt(plain, k)
    tilt = torch.where(possible & tilt.isfinite(), tilt, 0.0)
    return scores + tilt, possible, tilt


def _tilt(scores: Tensor, k: int) -> Tensor:
    """What to add to log-odds so that about k ones are expected, shape ``(rows,)``, by bisection."""
    classes, rows = scores.shape
    if not classes:
        return scores.new_zeros(rows)
    # The largest k + 1: the threshold lies between the last two of them, up to log K.
    top = scores.topk(min(k + 1, classes), 0)[0]
    inside = top[k - 1] if k else top[0] + 2 * math.log(classes)
    outside = torch.where(top[k] == -torch.inf, inside, top[k]) if k < classes else inside
    width = math.log(classes)
    if k == 0:
        return -inside - width
    full = (scores != -torch.inf).sum(0) == k
    # Relative to the threshold single precision is plenty.
    scores = (scores - inside).float()
    low, high = (outside - inside).float() - width, torch.full_like(scores[0], width)
    for _ in range(BISECTIONS):
        middle = low + (high - low) / 2
        many = (scores - middle).sigmoid().sum(0) > k
        low, high = torch.where(many, middle, low), torch.where(many, high, middle)
    return -inside - torch.where(full, -width, high).double()
