"""The schedules: their values against the formulas, their arguments, and that they are plain values."""

from __future__ import annotations

import copy
import math
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drawgrad import schedules

EXAMPLES = [
    schedules.constant(0.5),
    schedules.exponential(1.0, 1e-4, floor=0.5, every=500),
    schedules.linear(0.0, 1.0, 100),
    schedules.cosine(1.0, 0.5, 100),
    schedules.join([schedules.constant(1.0), schedules.linear(1.0, 0.5, 10)], [5]),
]


@pytest.mark.parametrize("schedule", EXAMPLES, ids=lambda schedule: type(schedule).__name__)
def test_every_schedule_is_a_plain_value(schedule: schedules.Schedule) -> None:
    assert pickle.loads(pickle.dumps(schedule)) == schedule
    assert copy.deepcopy(schedule) == schedule
    assert eval(repr(schedule), vars(schedules).copy()) == schedule
    assert len({schedule, copy.deepcopy(schedule)}) == 1
    with pytest.raises(AttributeError):
        schedule.value = 3.0  # type: ignore[attr-defined]


def test_every_public_schedule_is_an_example() -> None:
    assert {type(schedule).__name__ for schedule in EXAMPLES} | {"Schedule"} == set(schedules.__all__)


@pytest.mark.parametrize("schedule", EXAMPLES, ids=lambda schedule: type(schedule).__name__)
@pytest.mark.parametrize("step", [-1, True, 1.0, math.nan, math.inf, "1", None])
def test_every_schedule_refuses_a_step_that_counts_nothing(schedule: schedules.Schedule, step: object) -> None:
    with pytest.raises((TypeError, ValueError), match="step must be"):
        schedule(step)  # type: ignore[arg-type]


@pytest.mark.parametrize("schedule", EXAMPLES, ids=lambda schedule: type(schedule).__name__)
@given(step=st.integers(0, 10**12))
def test_every_schedule_depends_on_the_step_only(schedule: schedules.Schedule, step: int) -> None:
    value = schedule(step)
    assert type(value) is float
    assert 0.0 <= value <= 1.0
    assert schedule(step) == value


def test_constant_returns_a_float() -> None:
    assert schedules.constant(1)(7) == 1.0
    assert type(schedules.constant(1)(7)) is float


@given(
    initial=st.floats(0.5, 2.0),
    rate=st.floats(0.0, 1.0),
    floor=st.floats(0.0, 0.5),
    every=st.integers(1, 2000),
    step=st.integers(0, 10**6),
)
def test_exponential_follows_the_held_formula(initial: float, rate: float, floor: float, every: int, step: int) -> None:
    schedule = schedules.exponential(initial, rate, floor, every)
    last_update = step
    while last_update % every:
        last_update -= 1
    assert schedule(step) == pytest.approx(max(floor, initial * math.exp(-rate * last_update)), rel=1e-12)
    assert schedule(step) == schedule(last_update)
    assert schedule(step + every) <= schedule(step)


def test_exponential_holds_and_reaches_its_floor() -> None:
    schedule = schedules.exponential(1.0, rate=1e-3, floor=0.5, every=100)
    assert len({schedule(step) for step in range(100)}) == 1
    assert schedule(100) == math.exp(-0.1) < schedule(99)
    assert schedule(10**9) == 0.5
    assert schedules.exponential(1.0, rate=0.0, floor=0.5)(10**9) == 1.0


@pytest.mark.parametrize("ramp", [schedules.linear, schedules.cosine])
@given(initial=st.floats(0.0, 5.0), final=st.floats(0.0, 5.0), steps=st.integers(1, 1000), after=st.integers(0, 10**6))
def test_ramps_begin_and_end_exactly(
    ramp: type[schedules.linear], initial: float, final: float, steps: int, after: int
) -> None:
    schedule = ramp(initial, final, steps)
    assert schedule(0) == initial
    assert schedule(steps + after) == final
    mid = (schedule(steps // 2) + schedule(steps - steps // 2)) / 2
    assert mid == pytest.approx((initial + final) / 2, abs=1e-12)


@pytest.mark.parametrize("ramp", [schedules.linear, schedules.cosine])
def test_ramps_move_one_way(ramp: type[schedules.linear]) -> None:
    rising = [ramp(0.0, 1.0, 50)(step) for step in range(60)]
    falling = [ramp(1.0, 0.0, 50)(step) for step in range(60)]
    assert rising == sorted(rising)
    assert falling == sorted(falling, reverse=True)
    assert len(set(rising)) == 51


def test_linear_and_cosine_differ_where_their_formulas_do() -> None:
    assert schedules.linear(1.0, 0.0, 4)(1) == 0.75
    assert schedules.cosine(1.0, 0.0, 4)(1) == pytest.approx((1 + math.sqrt(0.5)) / 2)


def test_join_hands_each_schedule_the_steps_since_its_beginning() -> None:
    seen: list[tuple[str, int]] = []

    def spy(name: str) -> schedules.Schedule:
        def schedule(step: int) -> float:
            seen.append((name, step))
            return 1

        return schedule

    joined = schedules.join([spy("a"), spy("b"), spy("c")], [3, 10])
    values = [joined(step) for step in (0, 2, 3, 9, 10, 1000)]
    assert seen == [("a", 0), ("a", 2), ("b", 0), ("b", 6), ("c", 0), ("c", 990)]
    assert all(type(value) is float for value in values)


def test_join_of_one_and_of_joins() -> None:
    ramp = schedules.linear(0.0, 1.0, 4)
    assert [schedules.join([ramp], [])(step) for step in range(6)] == [ramp(step) for step in range(6)]
    nested = schedules.join([schedules.constant(2.0), schedules.join([ramp, schedules.constant(3.0)], [2])], [10])
    assert [nested(step) for step in (9, 10, 11, 12)] == [2.0, 0.0, 0.25, 3.0]


def test_join_keeps_its_own_copy() -> None:
    parts: list[schedules.Schedule] = [schedules.constant(1.0), schedules.constant(2.0)]
    boundaries = [5]
    joined = schedules.join(parts, boundaries)
    parts[0] = schedules.constant(9.0)
    boundaries[0] = 0
    assert [joined(4), joined(5)] == [1.0, 2.0]


WRONG_NUMBERS = [-1.0, math.nan, math.inf, True, "1", None]


@pytest.mark.parametrize("wrong", WRONG_NUMBERS)
@pytest.mark.parametrize(
    ("schedule", "arguments", "name"),
    [
        (schedules.constant, {"value": 1.0}, "value"),
        (schedules.exponential, {"initial": 1.0, "rate": 1e-4}, "initial"),
        (schedules.exponential, {"initial": 1.0, "rate": 1e-4}, "rate"),
        (schedules.exponential, {"initial": 1.0, "rate": 1e-4, "floor": 0.5}, "floor"),
        (schedules.linear, {"initial": 1.0, "final": 0.5, "steps": 10}, "initial"),
        (schedules.linear, {"initial": 1.0, "final": 0.5, "steps": 10}, "final"),
        (schedules.cosine, {"initial": 1.0, "final": 0.5, "steps": 10}, "initial"),
        (schedules.cosine, {"initial": 1.0, "final": 0.5, "steps": 10}, "final"),
    ],
)
def test_wrong_numbers_are_refused_by_name(schedule: type, arguments: dict, name: str, wrong: object) -> None:
    schedule(**arguments)
    with pytest.raises((TypeError, ValueError), match=f"{name} must be"):
        schedule(**{**arguments, name: wrong})


@pytest.mark.parametrize("wrong", [0, -1, 1.5, math.nan, math.inf, True, None])
@pytest.mark.parametrize(
    ("schedule", "arguments", "name"),
    [
        (schedules.exponential, {"initial": 1.0, "rate": 1e-4}, "every"),
        (schedules.linear, {"initial": 1.0, "final": 0.5}, "steps"),
        (schedules.cosine, {"initial": 1.0, "final": 0.5}, "steps"),
    ],
)
def test_wrong_counts_are_refused_by_name(schedule: type, arguments: dict, name: str, wrong: object) -> None:
    schedule(**arguments, **{name: 1})
    with pytest.raises((TypeError, ValueError), match=f"{name} must be"):
        schedule(**arguments, **{name: wrong})


def test_a_floor_above_the_initial_value_is_refused() -> None:
    assert schedules.exponential(0.5, 1e-4, floor=0.5)(100) == 0.5
    with pytest.raises(ValueError, match=r"floor must not be above initial.*0\.5.*0\.3"):
        schedules.exponential(0.3, 1e-4)


ONE = schedules.constant(1.0)


@pytest.mark.parametrize(
    ("parts", "boundaries", "message"),
    [
        ([], [], "at least one schedule"),
        ([ONE, ONE], [], "one fewer than the schedules"),
        ([ONE], [1], "one fewer than the schedules"),
        ([ONE, ONE], [0], r"boundaries\[0\] must be at least 1"),
        ([ONE, ONE], [2.0], r"boundaries\[0\] must be an integer"),
        ([ONE, ONE, ONE], [5, 5], "must increase"),
        ([ONE, ONE, ONE], [5, 3], "must increase"),
        ([ONE, 0.5], [5], r"schedules\[1\] must be a function of the step"),
    ],
)
def test_wrong_joins_are_refused(parts: list, boundaries: list, message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        schedules.join(parts, boundaries)
