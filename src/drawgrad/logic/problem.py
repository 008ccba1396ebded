"""A constraint problem: variables, their values, and constraints among them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any, overload

import torch
from torch.utils.checkpoint import checkpoint

from drawgrad._checks import check_count, check_flag
from drawgrad._typing import Bool, Int, Tensor
from drawgrad.logic._bits import pack_bits, unpack_bits
from drawgrad.logic._programs import Programs
from drawgrad.logic.constraints import Constraint, Rule
from drawgrad.logic.domains import HardDomains, SoftDomains
from drawgrad.logic.encoding import encode
from drawgrad.logic.semirings import Boolean, Semiring
from drawgrad.logic.solvers import Limits, Solutions, Solver, run

__all__ = ["Problem"]

MOST_SCORE = 1e100
"""What counts as the logarithm of a larger, or infinite, soft element."""
MOST_ROUNDS = 1000
"""After which propagation of soft domains to a fixed point ends without one."""


class Problem:
    """Variables with finitely many values, and constraints among them.

    Args:
        variables: number of variables; they count from 0.
        values: number of values of every variable, or of each one; they count from 0.
        constraints: relations among the variables.

    Raises:
        ValueError: if a constraint names a variable or a value that there is not.
        TypeError: if something in ``constraints`` is none.

    Example:
        >>> import torch
        >>> from drawgrad.logic import AllDifferent, Less
        >>> problem = Problem(3, 3, [AllDifferent([0, 1, 2]), Less(0, 2)])
        >>> problem.solve(limit=10).solutions()
        tensor([[0, 1, 2],
                [0, 2, 1],
                [1, 0, 2]])
        >>> beliefs = problem.domains(torch.tensor([[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.4, 0.3, 0.3]]))
        >>> problem.propagate(beliefs, rounds=2).most_likely()
        tensor([0, 1, 2])
    """

    def __init__(self, variables: int, values: int | Sequence[int], constraints: Iterable[Constraint]) -> None:
        check_count(variables, "variables")
        sizes = tuple(values) if isinstance(values, Sequence | Tensor) else (values,) * variables
        if len(sizes) != variables:
            raise ValueError(
                f"values must be one number, or one for each of the {variables} variables, but there are {len(sizes)}; "
                "complete them"
            )
        for number, size in enumerate(sizes):
            check_count(size, "values" if isinstance(values, int) else f"values[{number}]", minimum=1)
        self.variables = int(variables)
        self.sizes = tuple(int(size) for size in sizes)
        self.values = max(self.sizes, default=1)
        self.constraints = tuple(constraints)
        self.rules = tuple(self._rule(constraint) for constraint in self.constraints)
        self._programs = Programs(
            self.variables, self.values, [(rule, c.scope) for rule, c in zip(self.rules, self.constraints, strict=True)]
        )
        self._possible = (
            torch.arange(self.values, device="cpu") < torch.tensor(self.sizes, dtype=torch.int64, device="cpu")[:, None]
        )
        self._everything = HardDomains.from_mask(self._possible)

    def __repr__(self) -> str:
        values = self.values if len(set(self.sizes)) <= 1 else f"{min(self.sizes)} to {self.values}"
        return f"Problem({self.variables} variables, {values} values, {len(self.constraints)} constraints)"

    def _rule(self, constraint: Constraint) -> Rule:
        if not isinstance(constraint, Constraint):
            raise TypeError(
                f"constraints must be Constraint objects such as AllDifferent, but one is {constraint!r}; make one"
            )
        for variable in constraint.scope:
            if variable >= self.variables:
                raise ValueError(
                    f"{type(constraint).__name__} names variable {variable}, but there are {self.variables}; they "
                    "count from 0"
                )
        return constraint.rule(tuple(self.sizes[variable] for variable in constraint.scope))

    def domains(
        self, probs: Tensor | None = None, *, where: Bool[Tensor, "*batch variables"] | None = None
    ) -> SoftDomains:
        """Soft domains from what a network believes.

        Args:
            probs: how possible each value is, in [0, 1]: ``(*batch, variables, values)``, or, with ``where``,
                ``(count, values)`` for the variables of which something is believed, in order. None: all is possible.
            where: True at variables of which something is believed; all values of the others are possible.

        Raises:
            ValueError: if a shape does not fit.

        Example:
            >>> import torch
            >>> problem = Problem(2, 3, [])
            >>> problem.domains(torch.tensor([[0.2, 0.5, 0.3]]), where=torch.tensor([False, True])).elements
            tensor([[1.0000, 1.0000, 1.0000],
                    [0.2000, 0.5000, 0.3000]])
        """
        if probs is None:
            return SoftDomains(self._mask(None).to(torch.get_default_dtype()))
        if where is not None and where.shape[-1:] != (self.variables,):
            raise ValueError(
                f"where must have shape (*batch, {self.variables}), but it is {tuple(where.shape)}; it marks variables"
            )
        dense = probs.dim() >= 2 and probs.shape[-2:] == (self.variables, self.values)
        # With a batch of marks, two dimensions are rows, whatever their number happens to be.
        packed = where is not None and probs.dim() == 2 and (where.dim() > 1 or not dense)
        if not (dense or packed) or probs.shape[-1] != self.values:
            raise ValueError(
                f"probs must have shape (*batch, {self.variables}, {self.values}), or (count, {self.values}) with "
                f"where, but it is {tuple(probs.shape)}; give one row a variable"
            )
        possible = self._mask(probs.device).to(probs.dtype)
        if where is None:
            return SoftDomains(probs * possible)
        if not packed:
            return SoftDomains(torch.where(where[..., None], probs * possible, possible))
        # The count is a value: where looking at it would wait for a device, or break a graph, nobody looks.
        if where.device.type == "cpu" and not torch.compiler.is_compiling() and len(probs) != where.sum():
            raise ValueError(
                f"probs must have a row for each of the {int(where.sum())} variables that where marks, but there are "
                f"{len(probs)}; give as many rows, in order"
            )
        everything = possible.expand(*where.shape, self.values)
        return SoftDomains(everything.masked_scatter(where[..., None].expand_as(everything), probs) * possible)

    def fixed(self, assignment: Int[Tensor, "*batch variables"]) -> HardDomains:
        """Hard domains in which some variables have one value.

        Args:
            assignment: a value for each variable, -1 for one that is open.

        Example:
            >>> import torch
            >>> Problem(3, 3, []).fixed(torch.tensor([2, -1, 0])).bits
            tensor([4, 7, 1])
        """
        if assignment.shape[-1:] != (self.variables,):
            raise ValueError(
                f"assignment must have shape (*batch, {self.variables}), but it is {tuple(assignment.shape)}; give a "
                "value for each variable, -1 for an open one"
            )
        everything = self._everything.words.to(assignment.device)
        own = pack_bits(torch.eye(self.values + 1, dtype=torch.bool, device=assignment.device))[
            :, : everything.shape[-1]
        ]
        words = own[assignment.clamp(0, self.values)]
        return self._hard(torch.where(assignment[..., None] < 0, everything, words & everything))

    def satisfied(self, assignment: Int[Tensor, "*batch variables"]) -> Bool[Tensor, "*batch"]:
        """Whether an assignment has values that there are and keeps every constraint.

        Example:
            >>> import torch
            >>> from drawgrad.logic import NotEqual
            >>> Problem(2, 2, [NotEqual(0, 1)]).satisfied(torch.tensor([[0, 1], [1, 1]]))
            tensor([ True, False])
        """
        sizes = torch.tensor(self.sizes, device=assignment.device)
        good = ((assignment >= 0) & (assignment < sizes)).all(-1)
        inside = assignment.clamp_min(0).minimum(sizes - 1)
        for rule, constraint in zip(self.rules, self.constraints, strict=True):
            good = good & rule.holds(inside[..., list(constraint.scope)])
        return good

    @overload
    def propagate(
        self,
        domains: SoftDomains,
        semiring: Semiring | None = None,
        *,
        rounds: int | None = None,
        recompute: bool = False,
        tolerance: float = 1e-4,
    ) -> SoftDomains: ...
    @overload
    def propagate(self, domains: HardDomains, *, rounds: int | None = None) -> HardDomains: ...

    def propagate(
        self,
        domains: SoftDomains | HardDomains,
        semiring: Semiring | None = None,
        *,
        rounds: int | None = None,
        recompute: bool = False,
        tolerance: float = 1e-4,
    ) -> SoftDomains | HardDomains:
        r"""Narrow domains by what the constraints say, round by round.

        .. math:: d^{(t+1)}_{iv} \propto d^{(0)}_{iv} \otimes \bigotimes_{c \ni i} s_{civ}(d^{(t)})

        The support s is how far the other variables of constraint c have values that go with v. What was believed at
        first counts once, however many rounds there are; for hard domains it makes no difference. Before each round
        the largest element of each domain is scaled to one (in semirings whose products shrink). Domains of zeros and
        ones stay such: there soft and hard propagation give the same, round by round.

        Args:
            domains: soft ones, or hard ones, which the hard engine narrows.
            semiring: what AND and OR are for soft ones; that of the domains, :class:`Probability` as a rule, if None.
            rounds: how many; None for as many as change anything.
            recompute: whether the backward pass computes each round again, instead of keeping what is inside it:
                memory of one round for a second forward pass.
            tolerance: with ``rounds=None``, what does not count as a change of a soft element.

        Returns:
            Domains of the same kind, with gradients through all rounds.

        Raises:
            ValueError: if the domains are not of this problem's variables and values.
            TypeError: if the domains' elements are already of another semiring.

        Example:
            >>> import torch
            >>> from drawgrad.logic import NotEqual
            >>> problem = Problem(2, 2, [NotEqual(0, 1)])
            >>> logits = torch.tensor([[1.0, 0.0]], requires_grad=True)
            >>> first = problem.domains(logits.softmax(-1), where=torch.tensor([True, False]))
            >>> loss = -problem.propagate(first, rounds=1).log_prob(torch.tensor([0, 1]))[1]
            >>> torch.autograd.grad(loss, logits)[0]
            tensor([[-0.2689,  0.2689]])
        """
        if rounds is not None:
            check_count(rounds, "rounds")
        if isinstance(domains, HardDomains):
            return self._propagate_hard(self._words(domains), rounds)
        check_flag(recompute, "recompute")
        self.check(domains)
        domains = domains if semiring is None else domains.within(semiring)
        algebra, first = domains.semiring, domains.elements
        if len(set(self.sizes)) > 1:
            first = torch.where(self._mask(first.device), first, algebra.zero)
        elements = first = algebra.rescale(first, -1)

        def one_round(elements: Tensor) -> Tensor:
            return algebra.rescale(algebra.times(first, self._programs.support(elements, algebra)), -1)

        for _ in range(MOST_ROUNDS if rounds is None else rounds):
            if recompute and torch.is_grad_enabled():
                found = checkpoint(one_round, elements, use_reentrant=False, preserve_rng_state=False)
            else:
                found = one_round(elements)
            if rounds is None and not _changed(elements, found, tolerance):
                break
            elements = found
        return SoftDomains(elements, algebra)

    def solve(
        self,
        domains: HardDomains | None = None,
        *,
        limit: int = 1,
        nodes: int | None = None,
        seconds: float | None = None,
        solver: Solver | None = None,
    ) -> Solutions:
        """All solutions, up to a limit.

        Args:
            domains: what each variable may be, shape ``(*batch, variables)``; every value if None.
            limit: how many solutions of each problem are enough; 2 tell whether one is unique.
            nodes: how many decisions the search for them may take, for each problem.
            seconds: how long the search may take in all.
            solver: :class:`HardEngine` if None.

        Example:
            >>> from drawgrad.logic import NotEqual
            >>> Problem(2, 2, [NotEqual(0, 1)]).solve(limit=5).counts
            tensor(2)
        """
        check_count(limit, "limit", minimum=1)
        words = self._everything.words if domains is None else self._words(domains)
        return run(solver, self.program, words, None, Limits(limit, nodes, seconds))

    def most_likely(
        self,
        domains: SoftDomains,
        *,
        nodes: int | None = None,
        seconds: float | None = None,
        solver: Solver | None = None,
    ) -> Solutions:
        """The solution with the largest product of soft elements: exact, by searches with more and more slack.

        Args:
            domains: soft domains, shape ``(*batch, variables, values)``; a value of zero is ruled out.
            nodes: how many decisions the search may take for each problem; then the best solution so far is returned,
                if there is one.
            seconds: how long the search may take in all.
            solver: :class:`HardEngine` if None.

        Example:
            >>> import torch
            >>> from drawgrad.logic import NotEqual
            >>> problem = Problem(2, 2, [NotEqual(0, 1)])
            >>> problem.most_likely(problem.domains(torch.tensor([[0.6, 0.4], [0.9, 0.1]]))).solutions()
            tensor([[1, 0]])
        """
        self.check(domains)
        # Sums of scores stay finite, so that differences of them say what a choice costs.
        scores = domains.semiring.log(domains.elements.detach()).double().clamp_max(MOST_SCORE)
        mask = (scores > -torch.inf) & self._mask(scores.device)
        return run(solver, self.program, pack_bits(mask), scores, Limits(1, nodes, seconds))

    @cached_property
    def program(self) -> Any:
        """The problem as a NumPy array of int64, as :func:`encode` describes it: what solvers read."""
        return encode(self.variables, self.values, self.constraints, self.rules)

    def _mask(self, device: torch.device | None) -> Tensor:
        """Which values there are, ``(variables, values)``."""
        return self._possible if device is None else self._possible.to(device)

    def check(self, domains: SoftDomains) -> None:
        """See that domains are of this problem's variables and values.

        Raises:
            ValueError: if they are not.
        """
        self._check_domains(tuple(domains.elements.shape[:-1]), domains.elements.shape[-1])

    def _check_domains(self, shape: tuple[int, ...], values: int) -> None:
        if not shape or shape[-1] != self.variables or values != self.values:
            raise ValueError(
                f"domains must be of {self.variables} variables and {self.values} values, but they are of "
                f"{shape[-1] if shape else 'no'} and {values}; make them with the problem's domains() or fixed()"
            )

    def _words(self, domains: HardDomains) -> Tensor:
        """Domains of this problem as words, without values that there are not."""
        words = domains.words
        self._check_domains(tuple(words.shape[:-1]), domains.values)
        return words & self._everything.words.to(words.device)

    def _hard(self, words: Tensor) -> HardDomains:
        return HardDomains(words if words.shape[-1] > 1 else words.squeeze(-1), self.values)

    def _propagate_hard(self, words: Tensor, rounds: int | None) -> HardDomains:
        if words.device.type != "cpu":
            # The twin in tensors: the same bits, without a way to the CPU and back.
            mask = unpack_bits(words, self.values)
            return HardDomains.from_mask(self.propagate(SoftDomains(mask, Boolean()), rounds=rounds).elements)
        from drawgrad.logic.engine.batch import propagate

        flat = words.reshape(math.prod(words.shape[:-2]), *words.shape[-2:]).numpy()
        found = propagate(self.program, flat, -1 if rounds is None else rounds)
        return self._hard(torch.from_numpy(found).reshape(words.shape))


def _changed(before: Tensor, after: Tensor, tolerance: float) -> bool:
    if before.dtype == torch.bool:
        return not torch.equal(before, after)
    # Equal infinities differ by NaN.
    return bool(((before != after) & ~((before - after).abs() <= tolerance)).any())
