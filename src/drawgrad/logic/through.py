"""A solver in the forward pass: what it finds goes on exactly, and a surrogate brings a gradient back."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.nn.functional import one_hot

from drawgrad._checks import check_count, check_nonnegative
from drawgrad._typing import Tensor
from drawgrad.functional import gumbel_noise, straight_through
from drawgrad.logic.domains import SoftDomains
from drawgrad.logic.problem import Problem
from drawgrad.logic.semirings import MaxPlus, Probability, Semiring
from drawgrad.logic.solvers import Solver

__all__ = ["PerturbAndMap", "PropagationSurrogate", "SolverSurrogate", "SolverThrough"]


class SolverSurrogate(ABC):
    """What stands in for the gradient of a solver, which has none."""

    @abstractmethod
    def through(self, problem: Problem, domains: SoftDomains, solver: Solver | None) -> Tensor:
        """The solver's answer, one-hot ``(*batch, variables, values)``, with a gradient for the domains."""


@dataclass(frozen=True)
class SolverThrough:
    """The most likely solution under soft domains, found exactly, as a layer.

    Forward it is the solver's answer, one value for each variable; backward it is the surrogate's gradient. Where there
    is no solution every domain is empty.

    Args:
        problem: what is solved.
        surrogate: :class:`PropagationSurrogate` or :class:`PerturbAndMap`.
        solver: :class:`HardEngine` if None.

    Example:
        >>> import torch
        >>> from drawgrad.logic import NotEqual
        >>> problem = Problem(2, 2, [NotEqual(0, 1)])
        >>> layer = SolverThrough(problem)
        >>> logits = torch.tensor([[1.0, 0.0], [2.0, 0.0]], requires_grad=True)
        >>> answer = layer(problem.domains(logits.softmax(-1)))
        >>> answer.elements
        tensor([[0., 1.],
                [1., 0.]], grad_fn=<SubBackward0>)
        >>> torch.autograd.grad(answer.elements[0, 0], logits)[0].shape
        torch.Size([2, 2])
    """

    problem: Problem
    surrogate: SolverSurrogate = field(default_factory=lambda: PropagationSurrogate())
    solver: Solver | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.surrogate, SolverSurrogate):
            raise TypeError(
                f"surrogate must be a SolverSurrogate such as PropagationSurrogate(), but it is {self.surrogate!r}; "
                "make one"
            )

    def __call__(self, domains: SoftDomains) -> SoftDomains:
        """The solution as domains of one value each."""
        return SoftDomains(self.surrogate.through(self.problem, domains, self.solver))


@dataclass(frozen=True)
class PropagationSurrogate(SolverSurrogate):
    """Straight-through: the gradient of soft propagation, normalized over the values.

    Args:
        rounds: of propagation.
        semiring: of propagation.

    References:
        Bengio, Leonard, Courville. Estimating or propagating gradients through stochastic neurons. 2013.
    """

    rounds: int = 3
    semiring: Semiring = field(default_factory=Probability)

    def __post_init__(self) -> None:
        check_count(self.rounds, "rounds", minimum=1)

    def through(self, problem: Problem, domains: SoftDomains, solver: Solver | None) -> Tensor:
        soft = problem.propagate(domains, self.semiring, rounds=self.rounds).log_probs().exp()
        return straight_through(_answer(problem, domains, solver, soft.dtype), soft)


@dataclass(frozen=True)
class PerturbAndMap(SolverSurrogate):
    r"""The difference of two answers: of the domains, and of domains moved against the cost's gradient g.

    .. math:: (z(\theta + \epsilon) - z(\theta + \epsilon - \lambda g)) / \lambda

    where z is the solution with the largest sum of log-elements theta, and epsilon is Gumbel noise on a fraction of the
    scale of the logits.

    Args:
        step: lambda, in nats: by how much a gradient of one moves a value.
        noise: scale of the Gumbel noise; 0 for none.
        generator: draws the seed of the noise; torch's default one if None.

    References:
        Niepert, Minervini, Franceschi. Implicit MLE: backpropagating through discrete exponential family distributions.
        NeurIPS 2021.
        Pogancic, Paulus, Musil, Martius, Rolinek. Differentiation of blackbox combinatorial solvers. ICLR 2020.
    """

    step: float = 1.0
    noise: float = 0.0
    generator: torch.Generator | None = None

    def __post_init__(self) -> None:
        check_nonnegative(self.noise, "noise")
        check_nonnegative(self.step, "step")
        if self.step == 0:
            raise ValueError("step must be positive, but it is 0; 1.0 moves the values by the gradient")

    def through(self, problem: Problem, domains: SoftDomains, solver: Solver | None) -> Tensor:
        theta = domains.semiring.log(domains.elements)
        if self.noise > 0:
            noise = gumbel_noise(theta.shape, dtype=theta.dtype, device=theta.device, generator=self.generator)
            theta = theta + self.noise * noise
        return _Difference.apply(theta, problem, solver, self.step)


class _Difference(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, theta: Tensor, problem: Problem, solver: Solver | None, step: float) -> Tensor:
        ctx.problem, ctx.solver, ctx.step = problem, solver, step
        answer = _best(problem, theta, solver)
        ctx.save_for_backward(theta, answer)
        return answer

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        theta, answer = ctx.saved_tensors
        moved = _best(ctx.problem, theta - ctx.step * grads[0], ctx.solver)
        return (answer - moved) / ctx.step, None, None, None


def _answer(problem: Problem, domains: SoftDomains, solver: Solver | None, dtype: torch.dtype) -> Tensor:
    return _best(problem, domains.semiring.log(domains.elements.detach()).to(dtype), solver)


def _best(problem: Problem, theta: Tensor, solver: Solver | None) -> Tensor:
    """The best solution for log-elements, one-hot; all zero where there is none."""
    found = problem.most_likely(SoftDomains(theta.detach(), MaxPlus()), solver=solver)
    marks = one_hot(found.first().clamp_min(0), problem.values) * found.solved()[..., None, None]
    return marks.to(theta.dtype)
