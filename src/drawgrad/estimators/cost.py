"""The user's cost, with its results checked."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.utils.checkpoint import checkpoint

from drawgrad._checks import check_count
from drawgrad._typing import Tensor
from drawgrad.estimators.registry import names
from drawgrad.kernels.state import is_transformed
from drawgrad.variables import Countable

__all__ = ["Cost", "flatten_batch"]


class Cost:
    """A cost function whose results are checked: ``costs = cost(z)`` as the user's own, or a clear error.

    Args:
        function: maps ``z`` of shape ``(samples, *batch, *event)`` to costs ``(samples, *lead)``. For several
            distributions z is a list or a dict of samples.
        batch_shape: batch shape of ``q``; ``lead`` must be a prefix of it.
        asker: name of the estimator, for the errors.
        has_aux: whether the function returns ``(costs, aux)``.

    Raises:
        TypeError: if ``function`` cannot be called.
    """

    def __init__(
        self, function: Callable[[Any], Any], batch_shape: Sequence[int], asker: str, has_aux: bool = False
    ) -> None:
        if not callable(function):
            raise TypeError(
                f"cost must be a function of the sample z, but it is {function!r} ({type(function).__name__}); give "
                "one that returns a tensor: lambda z: ..."
            )
        self.function = function
        self.batch_shape = tuple(batch_shape)
        self.asker = asker
        self.has_aux = has_aux
        self.is_one_for_all = False
        self._aux: list[Any] | None = []

    def __call__(self, z: Any) -> Tensor:
        """Costs of the samples ``z``, shape ``(samples, *lead)``."""
        shapes = [tuple(part.shape) for part in tensors_in(z)]
        costs = self._called(z)
        if not isinstance(costs, Tensor):
            cure = "say has_aux=True if it returns (costs, aux)" if isinstance(costs, tuple) else "use torch operations"
            raise TypeError(f"cost must return a tensor, but it returned {type(costs).__name__}; {cure}")
        if not costs.is_floating_point():
            raise TypeError(f"cost must return floating-point numbers, but their dtype is {costs.dtype}; use .float()")
        lead = tuple(costs.shape[1:])
        if costs.dim() == 0 or costs.shape[0] != shapes[0][0] or lead != self.batch_shape[: len(lead)]:
            raise ValueError(self._wrong_shape(shapes, costs))
        self.is_one_for_all = not lead and len(self.batch_shape) > 1 and self.batch_shape[0] > 1
        # Backward keeps costs, and what was computed in inference mode cannot be kept.
        return costs.clone() if not torch.compiler.is_compiling() and costs.is_inference() else costs

    def warn(self) -> None:
        """Tell of what is probably a mistake, after the call: a mean over the batch, which makes all of it one cost."""
        if self.is_one_for_all and not torch.compiler.is_compiling():
            warnings.warn(
                f"cost returned one number a sample, so all variables of q.batch_shape = {self.batch_shape} share it; "
                f"sum over the last dimensions only, not over the batch, or say that they belong together: "
                f"Independent(q, {len(self.batch_shape)})",
                stacklevel=3,
            )

    @property
    def aux(self) -> Any:
        """What the function returned beside the costs of the samples that count, those of all calls in a row."""
        found, self._aux = self._aux or [], None
        return _joined(found)

    def _called(self, z: Any) -> Any:
        found = self.function(z)
        if not self.has_aux:
            return found
        if not isinstance(found, tuple) or len(found) != 2:
            raise TypeError(
                f"cost must return (costs, aux) with has_aux=True, but it returned {type(found).__name__}; return "
                "the two in a tuple"
            )
        if self._aux is not None:
            self._aux.append(found[1])
        return found[0]

    def of_states(self, variable: Countable, number: Tensor, chunk: int | None = None) -> Tensor:
        """Costs of the states with these numbers, shape ``(samples, *batch)``, ``chunk`` of them at a time.

        In chunks, what the cost computes is not kept for the backward pass but computed again there.
        """
        if chunk is None or len(number) <= chunk:
            return self(variable.sample_of(variable.state(number)))

        def costs_of(part: Tensor) -> Tensor:
            return self(variable.sample_of(variable.state(part)))

        parts = number.split(chunk)
        if not torch.is_grad_enabled():
            return torch.cat([costs_of(part) for part in parts])
        return torch.cat([checkpoint(costs_of, part, use_reentrant=False) for part in parts])

    def gradient(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Costs of ``z``, shape ``(samples, *lead)``, and their gradient for ``z``, like ``z``; no graph is kept.

        Nothing that the cost closes over receives a gradient, and what it returns beside the costs is dropped.
        """
        aside = self.aside()
        if is_transformed():
            found, costs = torch.func.grad(aside._sum, has_aux=True)(z.detach())
            return costs.detach(), found.detach()
        with torch.enable_grad():
            leaf = z.detach().requires_grad_()
            # No leaf and a copy, so that the cost may work in place.
            costs = aside(leaf.clone())
            found = torch.autograd.grad(costs.sum(), leaf, allow_unused=True)[0] if costs.requires_grad else None
        if found is None:
            raise self.lacks_gradient("cost")
        return costs.detach(), found

    def differentiated(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Costs of ``z`` with the graph of all that they close over, and their gradient for ``z``: one evaluation."""
        if is_transformed():
            slope, costs = torch.func.grad(self._sum, has_aux=True)(z.detach())
            return costs, slope.detach()
        leaf = z.detach().requires_grad_()
        costs = self(leaf.clone())  # the cost may work in place
        slope = None
        if costs.requires_grad:
            (slope,) = torch.autograd.grad(costs.sum(), leaf, retain_graph=True, allow_unused=True)
        if slope is None:
            raise self.lacks_gradient("cost")
        return costs, slope

    def _sum(self, z: Tensor) -> tuple[Tensor, Tensor]:
        costs = self(z)
        return costs.sum(), costs

    def through(self, z: Any) -> Tensor:
        """Costs of samples that carry a gradient, shape ``(samples, *lead)``, checked to be reached by it."""
        parts = tensors_in(z)
        costs = self(z)
        if torch.is_grad_enabled() and any(part.requires_grad for part in parts) and not _leads_to(costs, parts):
            raise self.lacks_gradient("result of the cost")
        return costs

    def aside(self) -> Cost:
        """The same cost for points that are no samples: what it returns beside the costs is dropped."""
        return Cost(self.function, self.batch_shape, self.asker, self.has_aux)

    def lacks_gradient(self, what: str) -> ValueError:
        """The error for a cost through which no gradient reaches the sample."""
        return ValueError(
            f"{self.asker} needs the gradient of the cost, but no gradient leads from the {what} to the sample z; "
            f"make the cost differentiable in z (no argmax, rounding, detach or no_grad on the way), or use one that "
            f"needs the values only: {', '.join(names(lambda cls: not cls.needs_cost_gradient))}"
        )

    def _wrong_shape(self, shapes: list[tuple[int, ...]], costs: Tensor) -> str:
        samples = shapes[0][0]
        expected = [(samples, *self.batch_shape[:lead]) for lead in range(len(self.batch_shape) + 1)]
        return (
            f"cost must return one number a sample, shape (samples, *lead) with lead a prefix of q.batch_shape = "
            f"{self.batch_shape}: {' or '.join(map(str, expected))} for z of shape {', '.join(map(str, shapes))}, but "
            f"it returned shape {tuple(costs.shape)}; sum over the event and over the variables that share a cost, not "
            f"over samples"
        )


def flatten_batch(function: Callable[..., Tensor], *inputs: Tensor, lead: int = 1) -> Callable[[Any], Tensor]:
    """A cost of a function that takes one batch dimension, in which samples and batch are flattened.

    Args:
        function: maps samples ``(n, ...)`` and the inputs, ``(n, ...)`` each, to costs ``(n,)``.
        inputs: what else it takes, such as the data, shape ``(*lead, ...)``; repeated for each sample.
        lead: how many dimensions of q's batch the costs have.

    Returns:
        The cost, which maps ``(samples, *lead, ...)`` to ``(samples, *lead)``.

    Example:
        >>> import torch
        >>> from torch.distributions import OneHotCategorical
        >>> from drawgrad.estimators import ReinMax
        >>> decoder, x = torch.nn.Linear(3, 4), torch.zeros(5, 4)
        >>> cost = flatten_batch(lambda z, x: (decoder(z) - x).square().sum(-1), x)
        >>> ReinMax(samples=2)(cost, OneHotCategorical(logits=torch.zeros(5, 3))).shape
        torch.Size([5])
    """

    def cost(z: Any) -> Tensor:
        front = tensors_in(z)[0].shape[: 1 + lead]
        if isinstance(z, dict):
            flat: Any = {key: part.flatten(0, lead) for key, part in z.items()}
        else:
            flat = [part.flatten(0, lead) for part in z] if isinstance(z, list) else z.flatten(0, lead)
        repeated = [value.expand(front[0], *value.shape).flatten(0, lead) for value in inputs]
        return function(flat, *repeated).reshape(front)

    return cost


def check_chunk(chunk: int | None) -> None:
    """Refuse a number of states that the cost cannot see at once."""
    if chunk is not None:
        check_count(chunk, "chunk", minimum=1)


def tensors_in(z: Any) -> list[Tensor]:
    """The samples of all distributions, whatever holds them."""
    if isinstance(z, dict):
        return list(z.values())
    return list(z) if isinstance(z, list | tuple) else [z]


def _joined(found: list[Any]) -> Any:
    """Values of several calls as those of one: tensors one after the other, in whatever holds them."""
    if len(found) == 1:
        return found[0]
    first = found[0] if found else None
    if isinstance(first, Tensor) and first.dim():
        return torch.cat(found)
    if isinstance(first, dict):
        return {key: _joined([one[key] for one in found]) for key in first}
    if isinstance(first, list | tuple):
        return type(first)(_joined(list(values)) for values in zip(*found, strict=True))
    return found


def _leads_to(result: Tensor, targets: list[Tensor]) -> bool:
    """Whether the gradient of ``result`` reaches one of ``targets``."""
    if torch.compiler.is_compiling():
        return True  # A graph under construction cannot be searched; the eager run has the check.
    wanted = {target.grad_fn for target in targets}
    seen = set()
    stack = [result.grad_fn]
    while stack:
        node = stack.pop()
        if node is None or node in seen:
            continue
        if node in wanted:
            return True
        seen.add(node)
        stack.extend(parent for parent, _ in node.next_functions)
    return False
