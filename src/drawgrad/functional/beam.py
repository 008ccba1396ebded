"""Sequences without replacement from an autoregressive model: stochastic beam search and its importance weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch

from drawgrad._checks import check_count
from drawgrad._typing import Float, Int, Tensor
from drawgrad.functional.noise import gumbel_noise
from drawgrad.functional.seeds import draw_seed, fold_seed

__all__ = ["Beams", "beam_weights", "gumbel_given_largest", "stochastic_beam_search"]


class Beams(NamedTuple):
    """What :func:`stochastic_beam_search` returns, the sequences of an input in the order of their draw."""

    tokens: Tensor
    """Sequences, int64, shape ``(batch, k, steps)``; what follows the end is the end token again, and a place without a
    sequence is -1."""
    lengths: Tensor
    """Tokens of each sequence, the end among them, int64, shape ``(batch, k)``; 0 where there is none."""
    log_prob: Tensor
    """Log-probabilities, float64, shape ``(batch, k)``, with a gradient for the model; -inf where there is none."""
    perturbed: Tensor
    """Log-probabilities with Gumbel noise, descending, float64, shape ``(batch, k)``."""
    threshold: Tensor
    """The next one of these, shape ``(batch,)``; -inf if there are no more sequences."""


def stochastic_beam_search(
    step: Callable[[Any, Tensor], tuple[Tensor, Any]],
    k: int,
    length: int,
    *,
    start: Int[Tensor, "batch"],
    state: Any = None,
    end: int | None = None,
    generator: torch.Generator | None = None,
    seed: int | Tensor | None = None,
    row_offset: int = 0,
) -> Beams:
    r"""Draw k different sequences of an autoregressive model, without replacement.

    .. math:: \mathrm{argtop}_k(\log p(y) + g_y), \qquad g_y \sim \mathrm{Gumbel}(0, 1) \text{ for each sequence } y

    A beam search finds them without listing all sequences: the noisy log-probability of a prefix is the largest of its
    continuations, so noise is drawn from the front to the back, each time given its maximum. The model is called once a
    token, for all k + 1 prefixes of all inputs together.

    Args:
        step: ``step(state, tokens)`` for tokens of shape ``(rows,)``, the last ones of all prefixes, returns
            log-probabilities of the next tokens, shape ``(rows, vocabulary)`` (logits are normalized), and the next
            state.
        k: how many sequences for each input.
        length: largest number of tokens.
        start: the token before the first one, for each input.
        state: what the model remembers: None, a tensor whose first dimension counts rows, or tuples, lists or dicts of
            such states. It is given for the inputs, and follows the prefixes from then on.
        end: the token after which a sequence is complete; None if all have the full length.
        generator: draws the seed; torch's default generator of the device of ``start`` if None.
        seed: the seed itself, an int or a 0-dim int64 tensor, instead of ``generator``. One seed gives one draw.
        row_offset: number of the first input, when they are one part of a larger batch.

    Returns:
        The sequences with their log-probabilities, with and without noise, and the threshold that
        :func:`beam_weights` needs.

    Raises:
        ValueError: if a number breaks its rule, if the model returns a wrong shape, or if ``generator`` and ``seed``
            are both given.
        TypeError: if a type is wrong.

    Example:
        >>> import torch
        >>> table = torch.tensor([[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.3, 0.3, 0.4]]).log()
        >>> beams = stochastic_beam_search(lambda _, last: (table[last], None), 4, 3, start=torch.tensor([0]), seed=0)
        >>> beams.tokens.shape, len(beams.tokens[0].unique(dim=0))
        (torch.Size([1, 4, 3]), 4)

    References:
        Kool, van Hoof, Welling. Stochastic beams and where to find them: the Gumbel-top-k trick for sampling sequences
        without replacement. ICML 2019.
    """
    check_count(k, "k", minimum=1)
    check_count(length, "length", minimum=1)
    if start.dim() != 1 or start.dtype != torch.int64:
        raise ValueError(
            f"start must hold one token an input, int64 of shape (batch,), but it is of dtype {start.dtype} and shape "
            f"{tuple(start.shape)}"
        )
    drawn = draw_seed(generator=generator, seed=seed, device=start.device)
    batch = len(start)
    width = 1
    first = torch.arange(batch, device=start.device)[:, None]
    last, done = start[:, None], torch.zeros(batch, 1, dtype=torch.bool, device=start.device)
    tokens, lengths = start.new_zeros(batch, 1, 0), start.new_zeros(batch, 1)
    log_p = torch.zeros(batch, 1, dtype=torch.float64, device=start.device)
    # The noise of the whole is that of the best sequence, so that each one has Gumbel noise of its own.
    scores = gumbel_noise((batch, 1), dtype=torch.float64, device=start.device, seed=drawn, row_offset=row_offset)
    for place in range(length):
        following, state = _next(step, state, last.flatten())
        vocabulary = following.shape[1]
        if end is not None and not 0 <= end < vocabulary:
            raise ValueError(f"end must be a token of the model, from 0 to {vocabulary - 1}, but it is {end}")
        following = following.double().log_softmax(-1).reshape(batch, width, vocabulary)
        if end is not None:
            # A complete sequence has one continuation, which is certain.
            stay = torch.full_like(following, -torch.inf)
            stay[..., end] = 0.0
            following = torch.where(done[..., None], stay, following)
        dead = log_p == -torch.inf
        extended = torch.where(dead[..., None], -torch.inf, torch.where(dead, 0.0, log_p)[..., None] + following)
        noise = gumbel_noise(
            (batch, width, vocabulary),
            dtype=torch.float64,
            device=start.device,
            seed=fold_seed(drawn, place + 1),
            row_offset=row_offset * width,
        )
        moved = gumbel_given_largest(extended.detach() + noise, scores)
        width = min(k + 1, width * vocabulary)
        scores, chosen = moved.flatten(1).topk(width)
        parent, last = chosen // vocabulary, chosen % vocabulary
        log_p = extended.flatten(1).gather(1, chosen)
        was_done = done.gather(1, parent)
        lengths = lengths.gather(1, parent) + (~was_done).long()
        tokens = torch.cat([tokens[first, parent], last[..., None]], -1)
        state = _rows(state, (parent + first * done.shape[1]).flatten())
        if end is not None:
            done = was_done | (last == end)
            if bool((done | (log_p == -torch.inf)).all()):
                break
        else:
            done = was_done
    return _trimmed(k, tokens, lengths, log_p, scores)


def beam_weights(
    log_prob: Float[Tensor, "*batch k"], threshold: Float[Tensor, "*batch"], *, normalized: bool = False
) -> Float[Tensor, "*batch k"]:
    r"""Importance weights of sequences that were drawn without replacement: sum them times f to estimate E[f].

    .. math:: w_y = \frac{p(y)}{q_\kappa(y)}, \qquad q_\kappa(y) = P(\log p(y) + g > \kappa) =
        1 - \exp(-e^{\log p(y) - \kappa})

    Args:
        log_prob: log-probabilities of the sequences; -inf where there is none.
        threshold: kappa, the largest noisy log-probability that is not among them; -inf if they are all there are.
        normalized: whether the weights are divided by their sum, which is 1 on average: a little bias, often for less
            variance.

    Returns:
        Weights, shape ``(*batch, k)``. Without ``normalized`` the estimate has no bias; where all sequences are drawn,
        the weights are their probabilities.

    Raises:
        ValueError: if the shapes do not fit.

    Example:
        >>> import torch
        >>> beam_weights(torch.tensor([0.5, 0.5]).log(), torch.tensor(-torch.inf))
        tensor([0.5000, 0.5000])

    References:
        Kool, van Hoof, Welling. Stochastic beams and where to find them. ICML 2019. Vieira. Estimating means in a
        finite universe. 2017.
    """
    if log_prob.shape[:-1] != threshold.shape:
        raise ValueError(
            f"threshold must have the shape of log_prob but its last dimension, {tuple(log_prob.shape[:-1])}, but its "
            f"shape is {tuple(threshold.shape)}"
        )
    # log q = log(1 - exp(-e^x)), which tends to x far below and to 0 far above.
    x = log_prob - threshold[..., None]
    near = x.clamp(-30.0, 5.0)
    log_q = torch.where(x < -30, x, torch.where(x > 5, 0.0, (-torch.expm1(-near.exp())).log()))
    none = log_prob == -torch.inf
    log_w = torch.where(none, -torch.inf, torch.where(none, 0.0, log_prob) - torch.where(none, 0.0, log_q))
    return log_w.softmax(-1) if normalized else log_w.exp()


def gumbel_given_largest(
    scores: Float[Tensor, "*batch k"], largest: Float[Tensor, "*batch"]
) -> Float[Tensor, "*batch k"]:
    r"""Perturbed logits, moved so that the largest of a row is the one given: their noise given its maximum.

    .. math:: \tilde x_i = -\log(e^{-T} - e^{-Z} + e^{-x_i}), \qquad Z = \max_i x_i

    Args:
        scores: logits with Gumbel noise, log-probabilities with a sum of one; -inf stays so.
        largest: T, what their maximum shall be; -inf makes a row -inf.

    Returns:
        Scores of the same shape, in the same order.

    Example:
        >>> import torch
        >>> gumbel_given_largest(torch.tensor([1.0, 3.0, 2.0]), torch.tensor(0.0)).argmax()
        tensor(1)

    References:
        Kool, van Hoof, Welling. Stochastic beams and where to find them. ICML 2019, appendix B.
    """
    top = scores.amax(-1, keepdim=True)
    none = (scores == -torch.inf) | (largest == -torch.inf)[..., None]
    safe = torch.where(none, 0.0, scores)
    bound = torch.where(largest == -torch.inf, 0.0, largest)[..., None]
    # Written so that nothing overflows; the largest itself has a gap of -inf.
    gap = bound - safe + (-torch.expm1((safe - top).clamp_max(0.0))).log()
    moved = bound - torch.logaddexp(gap, torch.zeros_like(gap))
    return torch.where(none, -torch.inf, moved)


def _next(step: Callable[[Any, Tensor], tuple[Tensor, Any]], state: Any, last: Tensor) -> tuple[Tensor, Any]:
    """What the model returns, checked."""
    answer: Any = step(state, last)
    if not isinstance(answer, tuple) or len(answer) != 2 or not isinstance(answer[0], Tensor):
        raise TypeError(
            "step must return a tensor of log-probabilities and the next state, but it returned a "
            f"{type(answer).__name__}; return (log_probs, state), with None for no state"
        )
    following, state = answer
    if following.dim() != 2 or len(following) != len(last) or not following.is_floating_point():
        raise ValueError(
            "step must return floating-point log-probabilities of shape (rows, vocabulary) for tokens of shape (rows,) "
            f"= ({len(last)},), but it returned {following.dtype} of shape {tuple(following.shape)}"
        )
    return following, state


def _rows(state: Any, index: Tensor) -> Any:
    """The state of chosen rows."""
    if state is None:
        return None
    if isinstance(state, Tensor):
        return state[index]
    if isinstance(state, dict):
        return {name: _rows(part, index) for name, part in state.items()}
    if isinstance(state, list):
        return [_rows(part, index) for part in state]
    if isinstance(state, tuple):
        parts = [_rows(part, index) for part in state]
        return type(state)(*parts) if hasattr(state, "_fields") else tuple(parts)
    raise TypeError(
        f"state must be None, a tensor, or tuples, lists or dicts of tensors whose first dimension counts rows, but "
        f"there is a {type(state).__name__} in it"
    )


def _trimmed(k: int, tokens: Tensor, lengths: Tensor, log_p: Tensor, scores: Tensor) -> Beams:
    """The first k sequences and the next one's score, filled up where there are fewer."""
    missing = max(0, k + 1 - scores.shape[1])
    pad = torch.nn.functional.pad
    scores, log_p = (pad(values, (0, missing), value=-torch.inf) for values in (scores, log_p))
    tokens, lengths = pad(tokens, (0, 0, 0, missing)), pad(lengths, (0, missing))
    none = log_p == -torch.inf
    scores = torch.where(none, -torch.inf, scores)
    tokens, lengths = torch.where(none[..., None], -1, tokens), torch.where(none, 0, lengths)
    return Beams(tokens[:, :k], lengths[:, :k], log_p[:, :k], scores[:, :k], scores[:, k])
