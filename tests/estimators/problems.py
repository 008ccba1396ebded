"""Small problems with a known answer: value and gradients by enumeration, written apart from the package."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.distributions import Bernoulli, Distribution, OneHotCategorical

from drawgrad.estimators import Estimator

__all__ = ["GRID", "Gradients", "Problem"]

Form = Literal["linear", "quadratic", "polynomial", "neural"]


@dataclass(frozen=True)
class Gradients:
    """Losses, and their gradients for the logits and for the cost's own parameters; one row a draw."""

    value: Tensor
    logits: Tensor
    parameters: Tensor


@dataclass(frozen=True)
class Problem:
    """E[f(z; parameters)] of ``variables`` categorical variables with ``classes`` classes each, or Bernoulli ones."""

    form: Form
    classes: int
    variables: int
    binary: bool = False

    @property
    def name(self) -> str:
        kind = "bernoulli" if self.binary else f"{self.classes} classes"
        return f"{self.form}, {kind}, {self.variables} variables"

    @property
    def features(self) -> int:
        """Numbers in a sample."""
        return self.variables * (1 if self.binary else self.classes)

    @property
    def logits(self) -> Tensor:
        generator = torch.Generator().manual_seed(self.classes + 10 * self.variables)
        shape = (self.variables,) if self.binary else (self.variables, self.classes)
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    @property
    def parameters(self) -> Tensor:
        generator = torch.Generator().manual_seed(77 + self.features)
        return torch.randn(self.features, generator=generator, dtype=torch.float64)

    def distribution(self, logits: Tensor) -> Distribution:
        return Bernoulli(logits=logits) if self.binary else OneHotCategorical(logits=logits)

    def cost(self, z: Tensor, parameters: Tensor) -> Tensor:
        """Costs ``(...)`` of samples ``(..., *variables)``; parameters ``(..., features)``."""
        x = z if self.binary else z.flatten(-2)
        match self.form:
            case "linear":
                return (x * parameters).sum(-1)
            case "quadratic":
                # Products between variables, and squares that differ from what a linear cost could express.
                return 0.5 * (x * parameters).sum(-1) ** 2 + (x**2 * parameters).sum(-1)
            case "polynomial":
                return ((x - 0.45).abs() ** 3 * parameters).sum(-1) + 0.3 * (x * parameters).sum(-1) ** 3
            case "neural":
                weights = torch.linspace(-2, 2, 4 * self.features, dtype=x.dtype).reshape(self.features, 4)
                hidden = torch.tanh(x @ torch.sin(7 * weights) * 2 + parameters[..., :1])
                return (hidden * torch.tensor([1.0, -2.0, 1.5, 1.0], dtype=x.dtype)).sum(-1) + (x * parameters).sum(-1)
            case _:
                raise AssertionError(self.form)

    def states(self) -> Tensor:
        """All samples, shape ``(states, *variables)``."""
        digits = torch.cartesian_prod(*[torch.arange(self.classes)] * self.variables).reshape(-1, self.variables)
        eye = torch.eye(self.classes, dtype=torch.float64)
        return digits.double() if self.binary else eye[digits]

    def largest_cost(self) -> float:
        """The largest size of a cost."""
        return self.cost(self.states(), self.parameters).abs().max().item()

    def probabilities(self, logits: Tensor) -> Tensor:
        """Probabilities of all states."""
        z = self.states()
        if self.binary:
            p = torch.sigmoid(logits)
            return (z * p + (1 - z) * (1 - p)).prod(-1)
        return (z * logits.softmax(-1)).sum(-1).prod(-1)

    def exact(self) -> Gradients:
        """The expectation and its gradients, summed state by state."""
        logits, parameters = self.logits.requires_grad_(), self.parameters.requires_grad_()
        value = (self.probabilities(logits) * self.cost(self.states(), parameters)).sum()
        return Gradients(value.detach(), *torch.autograd.grad(value, (logits, parameters)))

    def estimates(self, estimator: Estimator, draws: int, seed: int = 1) -> Gradients:
        """Independent estimates, all in one call: each has logits and parameters of its own."""
        logits = self.logits.expand(draws, *self.logits.shape).clone().requires_grad_()
        parameters = self.parameters.expand(draws, -1).clone().requires_grad_()
        loss = estimator(lambda z: self.cost(z, parameters), self.distribution(logits), seed=seed)
        assert loss.shape == (draws,)
        return Gradients(loss.detach(), *torch.autograd.grad(loss.sum(), (logits, parameters)))

    def expectation(self, gradient: Callable[[Tensor], Tensor]) -> Tensor:
        """The exact mean of a gradient that depends on the sample alone: ``gradient`` of all states, weighted."""
        p = self.probabilities(self.logits)
        found = gradient(self.states())
        return (p.reshape(-1, *[1] * (found.dim() - 1)) * found).sum(0)


def _grid() -> list[Problem]:
    """Every form of cost of one, two and three variables of every kind."""
    forms: tuple[Form, ...] = ("linear", "quadratic", "polynomial", "neural")
    kinds = [(2, True), (2, False), (3, False), (10, False)]
    return [
        Problem(form, classes, variables, binary)
        for form, (classes, binary), variables in itertools.product(forms, kinds, (1, 2, 3))
    ]


GRID = _grid()
