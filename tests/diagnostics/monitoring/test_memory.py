"""What a monitor remembers: steps in a row, and how a gradient grew."""

from __future__ import annotations

import pytest

from drawgrad.diagnostics.monitoring.memory import WINDOW, Memory


class TestStepsInARow:
    def test_count_steps_not_looks(self) -> None:
        memory = Memory()
        assert [memory.steps_in_a_row("a", True, step) for step in (0, 0, 0, 1, 1, 7)] == [1, 1, 1, 2, 2, 3]

    def test_end_with_one_healthy_look(self) -> None:
        memory = Memory()
        looks = ((0, True), (1, True), (1, False), (1, True), (2, True), (3, False), (4, True))
        assert [memory.steps_in_a_row("a", seen, step) for step, seen in looks] == [1, 2, 0, 0, 1, 0, 1]

    def test_are_of_one_symptom(self) -> None:
        memory = Memory()
        memory.steps_in_a_row("a", True, 0)
        assert memory.steps_in_a_row("b", True, 1) == 1
        assert memory.steps_in_a_row("a", True, 1) == 2


class TestGrowth:
    def test_compares_medians_with_those_of_the_first_looks(self) -> None:
        memory = Memory()
        for _ in range(WINDOW - 1):
            assert memory.growth(1.0, 0.5, 1.0) == {}
        assert memory.growth(1.0, 0.5, 1.0)["peak_growth"] == 1
        for _ in range(WINDOW // 2):
            assert memory.growth(20.0, 0.1, 0.2)["peak_growth"] == 1  # a spike is no explosion
        found = memory.growth(20.0, 0.1, 0.2)
        assert found == pytest.approx({"peak_growth": 20, "spread_fall": 5, "tau_fall": 5})

    def test_of_a_gradient_of_zero_is_unknown(self) -> None:
        memory = Memory()
        assert [memory.growth(0.0, 0.0, 1.0) for _ in range(WINDOW)] == [{}] * WINDOW
