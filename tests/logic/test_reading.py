"""DIMACS files and Sudoku lines."""

from __future__ import annotations

import pytest
import torch

from drawgrad.logic import all_solutions, read_dimacs, read_sudoku, sudoku, write_sudoku

BOARD = "530070000600195000098000060800060003400803001700020006060000280000419005000080079"
ANSWER = "534678912672195348198342567859761423426853791713924856961537284287419635345286179"


class TestSudoku:
    def test_the_units(self) -> None:
        problem = sudoku()
        scopes = [constraint.scope for constraint in problem.constraints]
        assert len(scopes) == 27
        assert scopes[0] == tuple(range(9))
        assert scopes[9] == tuple(range(0, 81, 9))
        assert scopes[22] == (30, 31, 32, 39, 40, 41, 48, 49, 50)
        assert sorted(variable for scope in scopes for variable in scope) == sorted(3 * list(range(81)))

    def test_a_board(self) -> None:
        problem = sudoku()
        found = problem.solve(problem.fixed(torch.tensor(read_sudoku(BOARD))), limit=2)
        assert found.counts == 1
        assert write_sudoku(found.first().tolist()) == ANSWER
        assert problem.satisfied(found.first())

    def test_a_board_with_as_few_clues_as_can_be(self) -> None:
        problem = sudoku()
        line = "000000010400000000020000000000050407008000300001090000300400200050100000000806000"
        found = problem.solve(problem.fixed(torch.tensor(read_sudoku(line))), limit=2)
        assert found.counts == 1
        assert problem.satisfied(found.first())
        solved = write_sudoku(found.first().tolist())
        assert all(given in ("0", digit) for given, digit in zip(line, solved, strict=True))

    def test_lines(self) -> None:
        assert read_sudoku(BOARD) == read_sudoku(BOARD.replace("0", "."))
        assert write_sudoku(read_sudoku(BOARD)) == BOARD
        with pytest.raises(ValueError, match="81 characters, but the line has 80"):
            read_sudoku(BOARD[:-1])
        with pytest.raises(ValueError, match="character 3 is 'x'"):
            read_sudoku(BOARD[:2] + "x" + BOARD[3:])


class TestDimacs:
    def test_a_file(self) -> None:
        problem = read_dimacs("c a comment\np cnf 3 3\n1 -2\n0 2 3 0\n-1 -3 0\n")
        assert problem.sizes == (2, 2, 2)
        expected = [
            [a, b, c] for a in (0, 1) for b in (0, 1) for c in (0, 1) if (a or not b) and (b or c) and (not a or not c)
        ]
        assert all_solutions(problem).tolist() == expected
        assert sorted(problem.solve(limit=9).solutions().tolist()) == expected

    def test_oddities(self) -> None:
        problem = read_dimacs("p cnf 2 4\n1 1 0\n2 -2 0\n\n-1 2 2\n0\n1 2 0\n%\n0\n")
        assert problem.solve(limit=9).solutions().tolist() == [[1, 1]]
        assert len(problem.constraints) == 3

    def test_an_empty_clause_is_a_contradiction(self) -> None:
        for text in ("p cnf 2 1\n0\n", "p cnf 0 1\n0\n"):
            assert read_dimacs(text).solve().contradiction()
        assert read_dimacs("p cnf 2 0\n").solve(limit=9).counts == 4

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("", "there is no header"),
            ("1 2 0\n", "line 1: clauses come after a header"),
            ("p cnf 2\n", "line 1: 'p cnf 2' is no header"),
            ("p sat 2 1\n1 0\n", "line 1: 'p sat 2 1' is no header"),
            ("c\np cnf 2 1\np cnf 2 1\n1 0\n", "line 3: there is a second header"),
            ("p cnf 2 1\n1 x 0\n", "line 2: 'x' is no literal"),
            ("p cnf 2 1\n1 --2 0\n", "line 2: '--2' is no literal"),
            ("p cnf 2 1\n1 3 0\n", "line 2: 3 is beyond the 2 variables"),
            ("p cnf 2 1\n1 2\n", "line 2: the last clause does not end"),
            ("p cnf 2 2\n1 2 0\n", "the header promises 2 clauses, but there are 1"),
        ],
    )
    def test_mistakes(self, text: str, message: str) -> None:
        with pytest.raises(ValueError, match=message):
            read_dimacs(text)
