"""A problem's constraints as a few tensor operations: those with equal rules run as one."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from drawgrad.logic.constraints import Rule
from drawgrad.logic.semirings import Semiring

__all__ = ["Programs"]


class Programs:
    """The soft propagators of a problem.

    Args:
        variables: number of variables.
        values: number of values of the domains.
        scoped: rules with their scopes.
    """

    def __init__(self, variables: int, values: int, scoped: Sequence[tuple[Rule, tuple[int, ...]]]) -> None:
        groups: dict[Rule, list[tuple[int, ...]]] = {}
        for rule, scope in scoped:
            groups.setdefault(rule, []).append(scope)
        self.rules = tuple(groups)
        scopes = [torch.tensor(found, device="cpu") for found in groups.values()]
        tables = [rule.tables(values) for rule in groups]
        places = _places(variables, scopes)
        # The place after the last is that of a neutral element, for variables with fewer constraints than others.
        self._padded = not scopes or bool((places == sum(scope.numel() for scope in scopes)).any())
        self._on: dict[torch.device, tuple[list[Tensor], list[tuple[Tensor, ...]], Tensor]] = {
            torch.device("cpu"): (scopes, tables, places)
        }

    def support(self, elements: Tensor, semiring: Semiring) -> Tensor:
        """What all constraints together leave of each value, ``(*batch, variables, values)`` like the elements."""
        scopes, tables, places = self._at(elements.device)
        found = []
        for rule, scope, constants in zip(self.rules, scopes, tables, strict=True):
            parts = elements.index_select(-2, scope.flatten()).unflatten(-2, tuple(scope.shape))
            found.append(rule.support(parts, semiring, *constants).flatten(-3, -2))
        if self._padded:
            found.append(semiring.lift(torch.ones_like(elements[..., :1, :], dtype=torch.bool), elements))
        everything = torch.cat(found, -2) if len(found) > 1 else found[0]
        gathered = everything.index_select(-2, places.flatten()).unflatten(-2, tuple(places.shape))
        return semiring.product(gathered, -3)

    def _at(self, device: torch.device) -> tuple[list[Tensor], list[tuple[Tensor, ...]], Tensor]:
        if device not in self._on:
            scopes, tables, places = self._on[torch.device("cpu")]
            moved = [tuple(table.to(device) for table in constants) for constants in tables]
            self._on[device] = [scope.to(device) for scope in scopes], moved, places.to(device)
        return self._on[device]


def _places(variables: int, scopes: Sequence[Tensor]) -> Tensor:
    """Where the supports of each variable lie among all, ``(most, variables)``; the place after the last fills up."""
    flat = torch.cat([torch.empty(0, dtype=torch.int64, device="cpu"), *(scope.flatten() for scope in scopes)])
    order = flat.argsort(stable=True)
    counts = flat.bincount(minlength=variables)
    rank = torch.arange(len(flat), device="cpu") - (counts.cumsum(0) - counts)[flat[order]]
    places = torch.full((int(counts.max()) if variables else 0, variables), len(flat), device="cpu")
    places[rank, flat[order]] = order
    return places
