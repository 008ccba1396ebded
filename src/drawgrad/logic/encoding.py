"""A problem as one array of integers: what the hard engine reads, and any other machine may read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from drawgrad._checks import check_count
from drawgrad.logic._bits import words_for

if TYPE_CHECKING:
    from drawgrad.logic.constraints import Constraint, Rule

__all__ = ["decode", "encode"]

VERSION = 1
HEADER = 10


def encode(variables: int, values: int, constraints: Sequence[Constraint], rules: Sequence[Rule]) -> Any:
    """The program of a problem, a NumPy array of int64; :meth:`Problem.program` keeps it.

    ========== =====================================================================================================
    place      what
    ========== =====================================================================================================
    0          version of this layout, 1
    1, 2, 3    number n of variables, number of values, number of 64-bit words of a domain
    4          number m of constraints
    5          place T of a table of m places, where the constraints are
    6          place S of n + 1 numbers, and
    7          place L of a list: the constraints of variable i are L[S[i]] up to L[S[i + 1] - 1], in ascending order
    8, 9       how many words the masks of a constraint take at most, and how many numbers of working memory it needs
    ========== =====================================================================================================

    A constraint is the place of its rule, its number of variables, and their numbers. A rule is the number of its kind
    and its data; constraints share one where they have the same. The kinds, and what a propagator does in one step with
    the domains before it; a value stays only if every constraint leaves it:

    1. *All different*; data: c. A value of variable i stays if every other variable has another value. And if c > 0:
       the value v stays if each other value below c is in the domain of a variable other than i.
    2. *Pairs*; data: number of values k, number of words w; for each value of the first variable the w words of its
       partners; the same for the second variable. A value stays if the other variable has a partner of it.
    3. *Tuples*; data: number of tuples, the tuples. A value stays if a tuple has it all of whose values are there.
    4. *Sums*; data: number of sums s; s numbers, 1 where a sum is allowed; for each variable the number of its
       values and what each one adds. A value stays if the others have values with which the sum is allowed.
    5. *Literals*; data: p. Values are 0 and 1; the first p variables are true at 1, the others at 0. The false value
       of a variable stays if another one can be true.
    6. *Lookup*; no data. Variables: index, result, array. An index stays if its place has a value in common with the
       result; a value of the result, if a place that the index may have has it; and a value of the array, if the
       result has it and the index its place, or if the index has another place with a value in common with the result.
    7. *Matching*; data: number of values. All different; a value stays if the other variables have values that differ
       from it and from each other.

    Args:
        variables: number of variables.
        values: number of values.
        constraints: the constraints.
        rules: the rule of each.

    Raises:
        ValueError: if a number does not fit into 64 bits.
    """
    import numpy as np

    for name, number in (("variables", variables), ("values", values)):
        check_count(number, name)
    words = words_for(values)
    rule_at: dict[Rule, int] = {}
    code = [0] * HEADER
    for rule in rules:
        if rule not in rule_at:
            rule_at[rule] = len(code)
            code += rule.code()
    at = []
    of_variable: list[list[int]] = [[] for _ in range(variables)]
    for number, (constraint, rule) in enumerate(zip(constraints, rules, strict=True)):
        at.append(len(code))
        code += [rule_at[rule], len(constraint.scope), *constraint.scope]
        for variable in constraint.scope:
            of_variable[variable].append(number)
    table = len(code)
    code += at
    starts = len(code)
    code += [0] * (variables + 1)
    lists = len(code)
    for variable, numbers in enumerate(of_variable):
        code += numbers
        code[starts + variable + 1] = len(code) - lists
    masks = max((rule.arity * words for rule in rule_at), default=0)
    work = max((rule.work(words) for rule in rule_at), default=0)
    code[:HEADER] = [VERSION, variables, values, words, len(at), table, starts, lists, masks, work]
    return np.array(code, dtype=np.int64)


def decode(program: Any) -> tuple[int, int, list[tuple[int, list[int], list[int]]]]:
    """What is in a program, as a solver in Python likes it: the inverse of :func:`encode`.

    Returns:
        Number of variables, number of values, and for each constraint the number of its kind, what follows that number
        in its rule, up to the next rule or the first constraint at least, and its variables.

    Raises:
        ValueError: if the program has another version.

    Example:
        >>> from drawgrad.logic import AllDifferent, Problem
        >>> decode(Problem(3, 3, [AllDifferent([0, 2])]).program)
        (3, 3, [(1, [0], [0, 2])])
    """
    code = program.tolist()
    if code[0] != VERSION:
        raise ValueError(f"program must have version {VERSION}, but it is {code[0]}; encode the problem anew")
    variables, values, count, table = code[1], code[2], code[4], code[5]
    constraints = [code[place] for place in range(table, table + count)]
    ends = sorted({code[at] for at in constraints} | set(constraints))
    found = []
    for at in constraints:
        rule, arity = code[at], code[at + 1]
        end = next(place for place in ends if place > rule)
        found.append((code[rule], code[rule + 1 : end], code[at + 2 : at + 2 + arity]))
    return variables, values, found
