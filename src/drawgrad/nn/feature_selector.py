"""Choose k of many features, the same ones for all rows, together with the network that uses them."""

from __future__ import annotations

from functools import partial
from typing import Any, Literal

import torch
from torch import nn

from drawgrad._checks import check_count, check_floating
from drawgrad._typing import Float, Int, Tensor
from drawgrad.estimators import GumbelSoftmax, Simple, SurrogateEstimator
from drawgrad.nn.choice import Choice
from drawgrad.variables import OneHot, Subset

__all__ = ["FeatureSelector"]


class FeatureSelector(nn.Module):
    r"""Pass on k features: a draw in training, the most probable ones in evaluation.

    .. math:: y = x \odot z, \quad z \in \{0, 1\}^n, \; |z| = k \qquad\text{or}\qquad
        y = x Z^\top, \quad Z \text{ of } k \text{ rows, each one of } n

    A ``"subset"`` has one logit a feature and draws k different ones; features that are not chosen are zero, so that
    what follows sees where each value comes from. A ``"concrete"`` selector has k rows of logits, each of which draws a
    feature by itself: its output has k columns, and two rows may end with the same feature. One draw serves all rows of
    a batch. Once trained, :meth:`chosen` says which columns of the data are needed.

    Args:
        features: n, how many there are.
        k: how many to choose.
        kind: ``"subset"`` or ``"concrete"``.
        estimator: one whose sample carries its gradient; ``Simple()`` for subsets and ``GumbelSoftmax()`` for the
            concrete selector if None. The temperature of the latter has to fall while it is trained.
        eval_mode: as in :class:`Choice`.
        device: of the logits.
        dtype: of the logits.

    Shape:
        x: ``(*batch, features)``; the result is shaped like it, or ``(*batch, k)`` of a concrete selector.

    Raises:
        ValueError: if ``k`` is not from 1 to ``features``, if ``kind`` is unknown, or if x has other columns.
        TypeError: if the estimator does not take such a choice.

    Example:
        >>> import torch
        >>> selector = FeatureSelector(5, k=2).eval()
        >>> with torch.no_grad():
        ...     _ = selector.logits.copy_(torch.tensor([0.0, 3.0, 0.0, 2.0, 0.0]))
        >>> selector(torch.tensor([[1.0, 2.0, 3.0, 4.0, 5.0]])).detach()
        tensor([[0., 2., 0., 4., 0.]])
        >>> selector.chosen()
        tensor([1, 3])

    References:
        Balin, Abid, Zou. Concrete autoencoders: differentiable feature selection and reconstruction. ICML 2019.
        Ahmed, Zeng, Niepert, Van den Broeck. SIMPLE: a gradient estimator for k-subset sampling. ICLR 2023.
    """

    def __init__(
        self,
        features: int,
        k: int,
        *,
        kind: Literal["subset", "concrete"] = "subset",
        estimator: SurrogateEstimator | None = None,
        eval_mode: Literal["argmax", "sample", "mean"] = "argmax",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        check_count(features, "features", minimum=1)
        check_count(k, "k", minimum=1)
        if k > features:
            raise ValueError(f"k must be at most features = {features}, but it is {k}; choose fewer")
        if kind not in ("subset", "concrete"):
            raise ValueError(f"kind must be 'subset' or 'concrete', but it is {kind!r}; 'subset' is the default")
        self.features, self.k, self.kind = features, k, kind
        if estimator is None:
            estimator = Simple() if kind == "subset" else GumbelSoftmax()
        among: Any = partial(Subset, k=k) if kind == "subset" else OneHot
        self.choice = Choice(estimator, among, eval_mode=eval_mode, device=device, dtype=dtype)
        shape = (features,) if kind == "subset" else (k, features)
        self.logits = nn.Parameter(torch.empty(shape, device=device, dtype=dtype))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Features alike, up to a little noise."""
        nn.init.normal_(self.logits, 0.0, 0.01)

    def extra_repr(self) -> str:
        """The options."""
        return f"features={self.features}, k={self.k}, kind={self.kind!r}"

    def forward(
        self,
        x: Float[Tensor, "*batch features"],
        *,
        generator: torch.Generator | None = None,
        seed: int | Tensor | None = None,
    ) -> Float[Tensor, "*batch columns"]:
        """Select.

        Args:
            x: the features.
            generator: draws the seed; torch's default generator if None.
            seed: the seed itself, an int or a 0-dim int64 tensor, instead of ``generator``.
        """
        check_floating(x, "x")
        if not x.dim() or x.shape[-1] != self.features:
            raise ValueError(
                f"x must have {self.features} features along the last dimension, but its shape is {tuple(x.shape)}; "
                "make the selector for as many"
            )
        z = self.choice(self.logits, generator=generator, seed=seed).to(x.dtype)
        return x * z if self.kind == "subset" else x @ z.T

    @torch.no_grad()
    def chosen(self) -> Int[Tensor, "k"]:
        """The numbers of the chosen features: in order, or one for each row of a concrete selector, in their order."""
        if self.kind == "subset":
            return self.logits.topk(self.k)[1].sort()[0]
        return self.logits.argmax(-1)

    def probabilities(self) -> Float[Tensor, "features"]:
        """How probable each feature is to be in a draw, with a gradient: certain ones say that training has settled."""
        if self.kind == "subset":
            return Subset(self.logits, k=self.k).mean()
        return 1 - (1 - self.logits.softmax(-1)).prod(0)
