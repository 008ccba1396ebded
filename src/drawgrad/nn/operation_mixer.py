"""Architecture search: which of several operations belongs here is learned with their weights."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any, Literal

import torch
from torch import nn

from drawgrad._checks import as_modules, as_numbers, check_count
from drawgrad._typing import Float, Int, Tensor
from drawgrad.estimators import SurrogateEstimator
from drawgrad.nn.choice import Choice
from drawgrad.variables import OneHot, Subset

__all__ = ["OperationMixer", "discretize"]


class OperationMixer(nn.Module):
    r"""One of several operations, or some of them, in a place of a network.

    .. math:: y = \frac{1}{k} \sum_i z_i\, o_i(x), \qquad z \sim \mathrm{softmax}(l) \text{ or a set of } k
        \qquad\text{or}\qquad z = \mathrm{softmax}(l)

    ``train()`` draws which operations run, for the whole batch; ``eval()`` runs the most probable ones. After training,
    :func:`discretize` returns the network without the others.

    Args:
        operations: modules with inputs of one shape and outputs of one shape.
        k: how many of them are chosen.
        estimator: one whose sample carries its gradient; ``STGumbelSoftmax()`` if None, ``STGumbelTopK()`` for k > 1.
        runs: ``"chosen"`` runs the chosen operations alone, in training too: the time and memory of those (GDAS). The
            logits then hear of what the chosen ones made, and nothing of what others would have made. ``"all"`` runs
            all of them, for a gradient with less bias. ``"expectation"`` draws nothing and weighs all outputs with the
            probabilities, in evaluation too (DARTS).
        costs: what each operation costs, such as its multiplications, for :meth:`expected_cost`.
        device: of the logits.
        dtype: of the logits.

    Raises:
        ValueError: if an argument breaks its rule.
        TypeError: if an argument is of a wrong type, or the estimator does not take such a choice.

    Example:
        >>> import torch
        >>> mixer = OperationMixer([torch.nn.Linear(4, 4), torch.nn.Identity()], costs=[16.0, 0.0])
        >>> mixer(torch.randn(2, 4)).shape, mixer.expected_cost().item()
        (torch.Size([2, 4]), 8.0)
        >>> with torch.no_grad():
        ...     _ = mixer.logits.copy_(torch.tensor([0.0, 1.0]))
        >>> discretize(torch.nn.Sequential(mixer, torch.nn.ReLU()))
        Sequential(
          (0): Identity()
          (1): ReLU()
        )

    References:
        Liu, Simonyan, Yang. DARTS: differentiable architecture search. ICLR 2019. Dong, Yang. Searching for a robust
        neural architecture in four GPU hours. CVPR 2019 (GDAS). Xie, Zheng, Liu, Lin. SNAS. ICLR 2019.
    """

    costs: Tensor | None

    def __init__(
        self,
        operations: Iterable[nn.Module],
        k: int = 1,
        *,
        estimator: SurrogateEstimator | None = None,
        runs: Literal["chosen", "all", "expectation"] = "chosen",
        costs: Sequence[float] | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.operations = nn.ModuleList(as_modules(operations, "operations"))
        count = len(self.operations)
        check_count(count, "the number of operations", minimum=1)
        check_count(k, "k", minimum=1)
        if k > count:
            raise ValueError(f"k must be at most the number of operations, {count}, but it is {k}; choose fewer")
        if runs not in ("chosen", "all", "expectation"):
            raise ValueError(f"runs must be 'chosen', 'all' or 'expectation', but it is {runs!r}; 'chosen' is usual")
        listed = None if costs is None else as_numbers(costs, "costs")
        if listed is not None and len(listed) != count:
            raise ValueError(f"costs must be one for each of {count} operations, but there are {len(listed)}; list all")
        self.k, self.runs = k, runs
        among: Any = OneHot if k == 1 else partial(Subset, k=k)
        eval_mode: Literal["argmax", "mean"] = "mean" if runs == "expectation" else "argmax"
        self.choice = Choice(estimator, among, eval_mode=eval_mode, device=device, dtype=dtype)
        self.logits = nn.Parameter(torch.empty(count, device=device, dtype=dtype))
        held = None if listed is None else torch.tensor(listed, device=device, dtype=self.logits.dtype)
        self.register_buffer("costs", held, persistent=False)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """All operations equally probable; their own parameters stay."""
        nn.init.zeros_(self.logits)

    def extra_repr(self) -> str:
        """The options."""
        return f"k={self.k}, runs={self.runs!r}"

    def forward(
        self, x: Any, *, generator: torch.Generator | None = None, seed: int | Tensor | None = None
    ) -> Float[Tensor, "..."]:
        """Run the operations.

        Args:
            x: what they take.
            generator: draws the seed; torch's default generator if None.
            seed: the seed itself, an int or a 0-dim int64 tensor, instead of ``generator``.
        """
        if self.runs == "expectation":
            z = self.choice.settled(self.logits)
        else:
            z = self.choice(self.logits, generator=generator, seed=seed)
        z = z / self.k
        if self.runs == "chosen" and not torch.compiler.is_compiling():
            numbers: list[int] = z.detach().nonzero()[:, 0].tolist()
        else:
            # A graph holds all operations, and what was not chosen is left out of its gradients too.
            numbers = list(range(len(self.operations)))
            if self.runs == "chosen":
                z = torch.where(z.detach() != 0, z, 0.0)
        outputs = [(z[number], self.operations[number](x)) for number in numbers]
        total = outputs[0][1] * outputs[0][0].to(outputs[0][1].dtype)
        for weight, output in outputs[1:]:
            total = total + output * weight.to(output.dtype)
        return total

    def expected_cost(self) -> Float[Tensor, ""]:
        """The cost of what is drawn, as expected, with a gradient: add it, times a weight, to the loss."""
        if self.costs is None:
            raise ValueError("costs were not given, so nothing is known of what operations cost; give costs=[...]")
        variable: Any = self.choice.among(self.logits)
        return (variable.mean() * self.costs).sum()

    @torch.no_grad()
    def chosen(self) -> Int[Tensor, "k"]:
        """The numbers of the most probable operations, in order."""
        return self.logits.topk(self.k)[1].sort()[0]


class _Mean(nn.Module):
    """The mean of what several operations make."""

    def __init__(self, operations: Iterable[nn.Module]) -> None:
        super().__init__()
        self.operations = nn.ModuleList(as_modules(operations, "operations"))

    def forward(self, x: Any) -> Any:
        return sum(operation(x) for operation in self.operations) / len(self.operations)


def discretize(module: nn.Module) -> nn.Module:
    """A copy of a network with the chosen operations in place of every :class:`OperationMixer`.

    Args:
        module: a network with mixers anywhere in it, or a mixer; it stays as it is.

    Returns:
        The plain network, in the mode of ``module``. Its outputs are those of ``module.eval()``, unless a mixer takes
        the expectation.

    Raises:
        ValueError: if there is no mixer in it.
    """
    if not any(isinstance(part, OperationMixer) for part in module.modules()):
        raise ValueError("module must hold an OperationMixer, but there is none in it; it is a plain network already")
    return _plain(copy.deepcopy(module))


def _plain(module: nn.Module) -> nn.Module:
    if isinstance(module, OperationMixer):
        kept = [_plain(module.operations[number]) for number in module.chosen().tolist()]
        return kept[0] if len(kept) == 1 else _Mean(kept)
    for name, child in module.named_children():
        setattr(module, name, _plain(child))
    return module
