"""Samples of a softmax over the outputs of a linear layer, whose logits never exist as a whole."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

from drawgrad._checks import check_floating, check_integral
from drawgrad._typing import Float, Int, Tensor
from drawgrad.functional._rows import Rows
from drawgrad.functional._seeds import seed_of
from drawgrad.kernels.linear import linear_winner

if TYPE_CHECKING:
    from torch.distributed import ProcessGroup

__all__ = ["gumbel_max_linear", "gumbel_max_linear_shard", "winner_of_shards"]


def gumbel_max_linear(
    hidden: Float[Tensor, "*batch features"],
    weight: Float[Tensor, "classes features"],
    bias: Float[Tensor, " classes"] | None = None,
    *,
    tau: float | Float[Tensor, "..."] = 1.0,
    generator: torch.Generator | None = None,
    seed: int | Tensor | None = None,
    row_offset: int = 0,
    class_offset: int = 0,
) -> Int[Tensor, "*batch"]:
    r"""Draw from the softmax of a linear layer's outputs without computing them all at once.

    .. math:: \arg\max_i ((W h + b)_i / \tau + g_i) \sim \mathrm{Categorical}(\mathrm{softmax}((W h + b) / \tau))

    For vocabularies that are so large that writing the logits costs more than the choice: each block of classes keeps
    its winner only. The draw is the one that ``gumbel_max(linear(hidden, weight, bias) / tau)`` makes with the same
    seed, up to ties within the rounding of the products, which are summed in float32 (float64 for float64 input) and
    not rounded to a narrower dtype. Rare classes are drawn as exactly as in
    :func:`~drawgrad.functional.gumbel_softmax`.

    Args:
        hidden: inputs of the layer.
        weight: weights of the layer, as :class:`torch.nn.Linear` holds them, of the same dtype.
        bias: its bias; -inf is a class that is never chosen.
        tau: temperature of the distribution, a positive number, or a tensor that broadcasts to ``(*batch, 1)``. Unlike
            in :func:`~drawgrad.functional.gumbel_softmax`, it divides the logits before the noise is added: it changes
            what is drawn.
        generator: draws the seed; torch's default generator of the inputs' device if None.
        seed: the seed itself, an int or a 0-dim int64 tensor, instead of ``generator``.
        row_offset: number of the first row, when the inputs are one part of a larger batch.
        class_offset: number of the first class, when the weights are one shard of the classes.

    Returns:
        Indices, int64, counted within ``weight``; -1 for a row without an allowed class. In a row with a NaN it is the
        index of the first one.

    Raises:
        ValueError: if shapes do not fit, if ``tau`` is a number that is not positive and finite, or if ``generator``
            and ``seed`` are both given.
        TypeError: if a dtype or type is wrong.

    Example:
        >>> import torch
        >>> hidden, weight = torch.eye(2), torch.tensor([[0.0, 50.0], [50.0, 0.0], [0.0, 0.0]])
        >>> gumbel_max_linear(hidden, weight, seed=0)
        tensor([1, 0])
    """
    return _winner(hidden, weight, bias, tau, generator, seed, row_offset, class_offset)[1]


def gumbel_max_linear_shard(
    hidden: Float[Tensor, "*batch features"],
    weight: Float[Tensor, "classes features"],
    bias: Float[Tensor, " classes"] | None = None,
    *,
    tau: float | Float[Tensor, "..."] = 1.0,
    seed: int | Tensor,
    row_offset: int = 0,
    class_offset: int,
) -> tuple[Float[Tensor, "*batch"], Int[Tensor, "*batch"]]:
    """The winner of one shard of the classes, with its score: what :func:`winner_of_shards` compares.

    Args:
        hidden: as in :func:`gumbel_max_linear`, the same in all processes; likewise all that is not listed here.
        weight: rows of the layer's weights that this process holds.
        bias: the same part of its bias.
        tau: temperature of the distribution.
        seed: the same in all processes.
        row_offset: number of the first row.
        class_offset: number of the first class of this shard.

    Returns:
        Scores, float32 (float64 for float64 input), -inf for a row without an allowed class; and the classes that have
        them, int64, counted over all shards, -1 for a row without an allowed class.

    Example:
        >>> import torch
        >>> hidden, weight = torch.randn(3, 4), torch.randn(10, 4)
        >>> scores, classes = zip(
        ...     gumbel_max_linear_shard(hidden, weight[:5], seed=0, class_offset=0),
        ...     gumbel_max_linear_shard(hidden, weight[5:], seed=0, class_offset=5),
        ... )
        >>> winner = torch.where(scores[0] >= scores[1], classes[0], classes[1])
        >>> bool((winner == gumbel_max_linear(hidden, weight, seed=0)).all())
        True
    """
    score, index = _winner(hidden, weight, bias, tau, None, seed, row_offset, class_offset)
    return score, torch.where(index < 0, -1, index + class_offset)


def winner_of_shards(
    score: Float[Tensor, "*batch"], index: Int[Tensor, "*batch"], group: ProcessGroup | None = None
) -> Int[Tensor, "*batch"]:
    """The class that one device would have drawn, from the winners of all shards of the classes.

    Every process of the group gets the same result. Between equal scores the lowest class wins, and a NaN wins over
    all numbers, as on one device.

    Args:
        score: this process's scores, from :func:`gumbel_max_linear_shard`.
        index: the classes that have them, counted over all shards.
        group: the processes that hold the shards; all of them if None.

    Returns:
        Classes, int64; -1 for a row without an allowed class in any shard.

    Raises:
        RuntimeError: if ``torch.distributed`` has no process group.
    """
    from torch import distributed

    check_floating(score, "score")
    check_integral(index, "index")
    if index.shape != score.shape:
        raise ValueError(
            f"score and index must have one shape, but they have {tuple(score.shape)} and {tuple(index.shape)}; give "
            "both as gumbel_max_linear_shard returns them"
        )
    if not (distributed.is_available() and distributed.is_initialized()):
        raise RuntimeError(
            "the winner of shards needs the processes that hold them, but there is no process group; call "
            "torch.distributed.init_process_group first"
        )
    shards = distributed.get_world_size(group)
    scores = [torch.empty_like(score, memory_format=torch.contiguous_format) for _ in range(shards)]
    indices = [torch.empty_like(index, memory_format=torch.contiguous_format) for _ in range(shards)]
    distributed.all_gather(scores, score.contiguous(), group)
    distributed.all_gather(indices, index.contiguous(), group)
    all_scores, all_indices = torch.stack(scores), torch.stack(indices)
    top = all_scores.amax(0)
    best = (all_scores == top) | all_scores.isnan()
    winner = torch.where(best, all_indices, torch.iinfo(torch.int64).max).amin(0)
    return torch.where(top == -torch.inf, -1, winner)


def _winner(
    hidden: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    tau: float | Tensor,
    generator: torch.Generator | None,
    seed: int | Tensor | None,
    row_offset: int,
    class_offset: int,
) -> tuple[Tensor, Tensor]:
    _check_tensors(hidden, weight, bias)
    hidden, weight, bias = _autocast(hidden, weight, bias)
    _check_layer(hidden, weight, bias)
    *batch, features = hidden.shape
    inputs = hidden.detach().reshape(math.prod(batch), features)
    # The logits that are never made: their shape without memory.
    logits = hidden.new_empty(()).expand(*batch, weight.shape[0])
    rows = Rows.of(logits, -1, row_offset, class_offset)
    of_rows = rows.temperature(tau, "for the most likely class, use argmax")
    if of_rows is None:
        raise ValueError(
            f"tau must hold one temperature a row, but its shape is {tuple(torch.as_tensor(tau).shape)}; give it the "
            "shape (*batch, 1)"
        )
    if isinstance(of_rows, Tensor):
        of_rows = of_rows.detach()
        of_rows = of_rows.expand(*batch, 1).reshape(-1, 1) if of_rows.dim() else of_rows
    biases = None if bias is None else bias.detach()
    drawn = seed_of(generator, seed, hidden.device)
    score, index = linear_winner(inputs, weight.detach(), biases, of_rows, drawn, *rows.place)
    return score.reshape(batch), index.reshape(batch)


def _check_tensors(hidden: Tensor, weight: Tensor, bias: Tensor | None) -> None:
    check_floating(hidden, "hidden")
    check_floating(weight, "weight")
    if bias is not None:
        check_floating(bias, "bias")


def _autocast(hidden: Tensor, weight: Tensor, bias: Tensor | None) -> tuple[Tensor, Tensor, Tensor | None]:
    """In the dtype in which a linear layer would multiply under ``torch.autocast``, which leaves float64 alone."""
    kind = hidden.device.type
    if not torch.is_autocast_enabled(kind) or hidden.dtype == torch.float64:
        return hidden, weight, bias
    dtype = torch.get_autocast_dtype(kind)
    return hidden.to(dtype), weight.to(dtype), None if bias is None else bias.to(dtype)


def _check_layer(hidden: Tensor, weight: Tensor, bias: Tensor | None) -> None:
    if hidden.dim() == 0 or weight.dim() != 2 or hidden.shape[-1] != weight.shape[1]:
        raise ValueError(
            f"weight must have the shape (classes, features) for hidden of shape (*batch, features), but they have "
            f"{tuple(weight.shape)} and {tuple(hidden.shape)}; give the weight as torch.nn.Linear holds it"
        )
    if bias is not None and bias.shape != weight.shape[:1]:
        raise ValueError(
            f"bias must have the shape (classes,), {tuple(weight.shape[:1])}, but its shape is {tuple(bias.shape)}; "
            "give one number for each row of weight"
        )
    for name, tensor in (("weight", weight), ("bias", bias)):
        if tensor is not None and (tensor.dtype != hidden.dtype or tensor.device != hidden.device):
            raise TypeError(
                f"{name} must have dtype and device of hidden, {hidden.dtype} on {hidden.device}, but it is "
                f"{tensor.dtype} on {tensor.device}; convert it with {name}.to(hidden)"
            )
