"""One value forward, another one's gradient backward."""

from __future__ import annotations

from drawgrad._typing import Float, Tensor

__all__ = ["straight_through"]


def straight_through(hard: Float[Tensor, "*shape"], soft: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """The value of ``hard`` with the gradient of ``soft``.

    Args:
        hard: what the forward pass sees; no gradient reaches it.
        soft: finite tensor of the same shape, which receives the whole gradient.

    Returns:
        ``hard``, to the last bit.

    Raises:
        ValueError: if the shapes differ.
        TypeError: if one of them is no tensor.

    Example:
        >>> import torch
        >>> logits = torch.zeros(3, requires_grad=True)
        >>> z = straight_through(torch.tensor([0.0, 1.0, 0.0]), logits.softmax(-1))
        >>> z
        tensor([0., 1., 0.], grad_fn=<SubBackward0>)

    References:
        Bengio, Leonard, Courville. Estimating or propagating gradients through stochastic neurons. 2013.
    """
    for name, tensor in (("hard", hard), ("soft", soft)):
        if not isinstance(tensor, Tensor):
            raise TypeError(
                f"{name} must be a tensor, but it is of type {type(tensor).__name__}; wrap it in torch.tensor"
            )
    if hard.shape != soft.shape:
        raise ValueError(
            f"hard and soft must have one shape, but they have {tuple(hard.shape)} and {tuple(soft.shape)}; "
            "expand the smaller one"
        )
    # A finite number minus itself is exactly zero, and subtracting zero changes no number, nor the sign of a zero.
    return hard.detach() - (soft.detach() - soft)
