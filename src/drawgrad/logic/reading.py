"""Problems from text: SAT in the DIMACS format, and Sudoku boards in lines of 81 characters."""

from __future__ import annotations

import functools
from collections.abc import Iterable

from drawgrad.logic.constraints import AllDifferent, Clause, Constraint, Table
from drawgrad.logic.problem import Problem

__all__ = ["read_dimacs", "read_sudoku", "sudoku", "write_sudoku"]

CELLS = 81


@functools.cache
def sudoku() -> Problem:
    """The 9 x 9 Sudoku: 81 variables, row by row, with values 0 to 8 for the digits 1 to 9.

    Example:
        >>> sudoku()
        Problem(81 variables, 9 values, 27 constraints)
    """
    cells = [[9 * row + column for column in range(9)] for row in range(9)]
    boxes = [
        [cells[3 * down + row][3 * across + column] for row in range(3) for column in range(3)]
        for down in range(3)
        for across in range(3)
    ]
    return Problem(CELLS, 9, [AllDifferent(unit) for unit in (*cells, *zip(*cells, strict=True), *boxes)])


def read_sudoku(line: str) -> list[int]:
    """The values of a board's cells, row by row, -1 for a blank: what :meth:`Problem.fixed` takes.

    Args:
        line: 81 characters: a digit 1 to 9, or 0 or . for a blank cell.

    Raises:
        ValueError: if it has another length or another character.

    Example:
        >>> read_sudoku("53" + "." * 79)[:3]
        [4, 2, -1]
    """
    if len(line) != CELLS:
        raise ValueError(f"a board has 81 characters, but the line has {len(line)}; write 0 or . for a blank cell")
    for place, character in enumerate(line):
        if character not in "0123456789.":
            raise ValueError(
                f"a board has digits and . only, but character {place + 1} is {character!r}; write 0 or . for a "
                "blank cell"
            )
    return [-1 if character in "0." else int(character) - 1 for character in line]


def write_sudoku(values: Iterable[int]) -> str:
    """The line of a board: the inverse of :func:`read_sudoku`, with 0 for a blank.

    Example:
        >>> write_sudoku(read_sudoku("53" + "." * 79))[:4]
        '5300'
    """
    return "".join(str(value + 1) for value in values)


def read_dimacs(text: str) -> Problem:
    r"""A problem of two-valued variables and clauses; variable n of the file is variable n - 1, true is 1.

    Literals that stand twice in a clause count once, and a clause that is always true is left out.

    Args:
        text: a file in DIMACS CNF format: lines ``c ...`` are comments, ``p cnf VARIABLES CLAUSES`` comes first, then
            clauses, each of them literals and a 0 at its end.

    Raises:
        ValueError: if it is not in that format; the message names the line.

    Example:
        >>> problem = read_dimacs("c an example\np cnf 2 2\n1 2 0\n-1 0\n")
        >>> problem.solve(limit=9).solutions()
        tensor([[0, 1]])

    References:
        DIMACS. Satisfiability: suggested format. 1993.
    """
    header: tuple[int, int] | None = None
    clauses: list[list[int]] = []
    literals: list[int] = []
    number = 0
    for number, line in enumerate(text.splitlines(), start=1):
        words = line.split()
        if not words or words[0].startswith("c"):
            continue
        if words[0] == "%":  # How the files of SATLIB end.
            break
        if words[0] == "p":
            if header is not None:
                raise ValueError(f"line {number}: there is a second header; a file has one")
            header = _header(words, number)
        elif header is None:
            raise ValueError(f"line {number}: clauses come after a header; write p cnf VARIABLES CLAUSES first")
        else:
            for word in words:
                literal = _literal(word, header[0], number)
                if literal:
                    literals.append(literal)
                else:
                    clauses.append(literals)
                    literals = []
    if header is None:
        raise ValueError("there is no header; write p cnf VARIABLES CLAUSES before the clauses")
    if literals:
        raise ValueError(f"line {number}: the last clause does not end; write 0 after it")
    if len(clauses) != header[1]:
        raise ValueError(f"the header promises {header[1]} clauses, but there are {len(clauses)}; correct one of them")
    # A clause without literals needs a variable to be a constraint of.
    variables = max(header[0], int([] in clauses))
    return Problem(variables, 2, [found for clause in clauses for found in _clause(clause)])


def _header(words: list[str], number: int) -> tuple[int, int]:
    good = len(words) == 4 and words[1] == "cnf" and words[2].isdecimal() and words[3].isdecimal()
    if not good:
        raise ValueError(f"line {number}: {' '.join(words)!r} is no header; write p cnf VARIABLES CLAUSES")
    return int(words[2]), int(words[3])


def _literal(word: str, variables: int, number: int) -> int:
    if not word.removeprefix("-").isdecimal():
        raise ValueError(
            f"line {number}: {word!r} is no literal; write the number of a variable, with - if it is negated"
        )
    literal = int(word)
    if abs(literal) > variables:
        raise ValueError(
            f"line {number}: {word} is beyond the {variables} variables of the header; correct one of them"
        )
    return literal


def _clause(literals: list[int]) -> list[Constraint]:
    positive = {literal - 1 for literal in literals if literal > 0}
    negative = {-literal - 1 for literal in literals if literal < 0}
    if positive & negative:
        return []
    if not literals:
        return [Table([0], [])]  # A clause without literals: nothing satisfies it.
    return [Clause(sorted(positive), sorted(negative))]
