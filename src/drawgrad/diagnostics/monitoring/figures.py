"""What can be read from a training step: how the choices are spread, how hard samples are, how large the gradient."""

from __future__ import annotations

import math

import torch

from drawgrad._typing import Tensor
from drawgrad.diagnostics.monitoring.usage import Usage, choosable, dead_classes
from drawgrad.variables import Countable, Relaxable, Variable

__all__ = ["choice_figures", "gradient_figures", "is_soft", "kl_figures", "sample_figures"]

SATURATED = 1e-6
"""A choice is saturated if all classes but one share less probability than this."""
ACTIVE = 0.01
"""A variable is active if it carries more nats than this."""
MOST_NUMBERS = 2**27
"""Probabilities of one look; of more, such as those of all subsets of many classes, there are no figures."""
HARD = 1e-3
"""Farthest from zero or one that an entry of a hard sample may be."""


def choice_figures(variable: Variable, variables: int, usage: Usage) -> dict[str, float]:
    """How the choices are spread, of a batch of variables whose states can be counted.

    Args:
        variable: batch shape ``(*examples, *variables)``.
        variables: how many of the last batch dimensions are different variables, rather than examples; one dimension at
            least is examples. Those that ``Independent`` takes for the event are variables in any case, as are several
            distributions.
        usage: of the looks before; these examples are added.

    Returns:
        ``entropy`` of a choice, from 0 to 1 (all classes alike); ``perplexity``, how many classes are in use on average
        over the latest examples; ``dead_classes``, the part of them that is not, once there were five examples for each
        class; ``saturated``, the part of the choices that are as good as certain. Classes that are ruled out do not
        count, nor do choices of which one class is left. Empty if the states are not counted, are too many, or cannot
        be listed.
    """
    if not isinstance(variable, Countable) or variable.states * variable.batch_shape.numel() > MOST_NUMBERS:
        return {}
    try:
        log_probs = variable.computed().log_probs().detach()
    except ValueError:  # such as rankings of more places than there are classes to fill them: not to be listed
        return {}
    possible = choosable(log_probs)
    p = torch.where(possible, log_probs.exp(), 0.0)
    classes = possible.sum(-1)
    distinct = max(len(variable.batch_shape) - len(variable.cost_shape), min(variables, len(variable.cost_shape) - 1))
    examples = p.dim() - 1 - distinct
    share = possible / classes[..., None].clamp(min=1)
    usage.add(*(x.reshape(p.shape[:examples].numel(), -1, p.shape[-1]) for x in (p, share)))
    used, fair = usage.averages()
    free = classes > 1
    spread = _entropy(p) / classes.clamp(min=2).log()
    certain = p.sum(-1) - p.amax(-1) < SATURATED
    figures = {
        "entropy": float(spread[free].mean()) if bool(free.any()) else 1.0,
        "perplexity": float(_entropy(used).exp().mean()),
        "saturated": float(certain[free].float().mean()) if bool(free.any()) else 0.0,
    }
    if usage.is_enough():
        figures["dead_classes"] = float(dead_classes(used, fair).sum() / (fair > 0).sum())
    return figures


def sample_figures(z: Tensor, variable: Variable | None) -> dict[str, float]:
    """How hard samples are: ``sharpness`` is 0 for a relaxed one in which all classes are alike, 1 for a hard one."""
    if not z.is_floating_point():
        return {"sharpness": 1.0}  # class numbers, one or a ranking of them
    z = z.detach().float()
    weights = variable.by_state(z) if isinstance(variable, Relaxable) else torch.stack([1 - z, z], -1)
    classes = weights.shape[-1]
    return {"sharpness": float((weights.amax(-1) * classes - 1).mean()) / (classes - 1) if classes > 1 else 1.0}


def is_soft(z: Tensor) -> bool:
    """Whether some entry is neither zero nor one."""
    return bool(((z - z.round()).abs() > HARD).any())


def kl_figures(kl: Tensor) -> dict[str, float]:
    """``kl`` in nats, summed over the variables, and ``active``, the part of them that carry any.

    Args:
        kl: shape ``(*examples, variables)``.
    """
    each = kl.detach().float().reshape(-1, kl.shape[-1] if kl.dim() else 1).mean(0)
    return {"kl": float(each.sum()), "active": float((each > ACTIVE).float().mean())}


def gradient_figures(grad: Tensor, choices: int) -> dict[str, float]:
    """Of the gradient for the logits: its root mean square, its peak, and how many choices have a part in it.

    Args:
        grad: like the logits.
        choices: how many of its dimensions tell the choices apart; what follows belongs to one of them.

    Returns:
        ``gradient`` and ``peak``, root mean square and maximum of the norm that one choice has; ``spread``, the part of
        the choices that carry the squared gradient, from nearly 0 (one of them carries it all) to 1.
    """
    squares = grad.detach().float().square()
    squares = squares.flatten(choices).sum(-1) if squares.dim() > choices else squares
    total = squares.sum()
    spread = total**2 / (squares.square().sum() * squares.numel())
    return {
        "gradient": math.sqrt(float(squares.mean())) if math.isfinite(float(total)) else math.nan,
        "peak": math.sqrt(float(squares.max())) if math.isfinite(float(total)) else math.nan,
        "spread": float(spread) if float(total) > 0 else 0.0,
    }


def _entropy(p: Tensor) -> Tensor:
    return torch.special.entr(p).sum(-1)
