"""Timing two gradients of one model: the numbers belong together, whatever the machine is doing."""

from __future__ import annotations

import json

import pytest

from drawgrad.studies.reproduction import TimeClassifier, timing


@pytest.fixture
def recipe():
    return TimeClassifier({"data": "digits", "channels": 2, "units": 8, "categories": 12, "lr": 1e-3, "labels": 3})


def test_both_gradients_are_timed_in_turn(recipe, tmp_path, monkeypatch):
    now, taken = [0.0], []

    def step_of(config, images):
        name = config.gradient.estimator

        def step():
            taken.append(name)
            now[0] += {"Exact": 0.5, "GumbelSoftmax": 0.1}[name]

        return step

    monkeypatch.setattr(TimeClassifier, "_step", staticmethod(step_of))
    monkeypatch.setattr(timing.time, "perf_counter", lambda: now[0])
    found = recipe.run(0, tmp_path, lambda message: None)
    assert found == pytest.approx({
        "value": 5.0, "error": 0.0, "slow": 2.0, "slow_error": 0.0, "fast": 10.0, "fast_error": 0.0,
    })  # fmt: skip
    # One step of the slow one is enough, three of the fast one, after the warm-up of each.
    rounds = taken[2 * (timing.WARM + 1) :]
    assert rounds == (["Exact"] + ["GumbelSoftmax"] * 3) * timing.ROUNDS


def test_it_takes_real_steps(recipe, tmp_path, monkeypatch):
    monkeypatch.setattr(timing, "_enough", lambda step: 1)
    found = recipe.run(0, tmp_path, lambda message: None)
    json.dumps(found, allow_nan=False)
    assert min(found["slow"], found["fast"], found["value"]) > 0


def test_it_lasts_as_long_as_a_time_needs(recipe):
    assert recipe.lasting(5) is recipe
    assert recipe.evaluations() == 12
