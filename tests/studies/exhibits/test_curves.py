"""Runs that are trained at once, and the curves that they leave."""

from __future__ import annotations

import json

import pytest
import torch
from matplotlib.figure import Figure

from drawgrad.studies.exhibits.curves import Curves, descend, over_runs

CURVES = Curves(torch.tensor([0, 10]), torch.tensor([[1.0, 3.0], [0.1, 0.2]]))


def test_mean_and_error_over_runs() -> None:
    found = over_runs(torch.tensor([1.0, 3.0], dtype=torch.float64))
    assert (found.value, found.error) == (2.0, pytest.approx(1.0))
    assert CURVES.mean.tolist() == pytest.approx([2.0, 0.15])
    assert CURVES.error.tolist() == pytest.approx([1.0, 0.05])
    assert CURVES.final.value == pytest.approx(0.15)


def test_come_back_from_json_as_they_were() -> None:
    found = Curves.read(json.loads(json.dumps(CURVES.plain())))
    assert torch.equal(found.steps, CURVES.steps)
    assert torch.equal(found.values.float(), CURVES.values)


def test_know_what_was_after_a_step() -> None:
    assert torch.equal(CURVES.after(10), CURVES.values[1])
    with pytest.raises(ValueError, match="9"):
        CURVES.after(9)


def test_are_drawn_as_a_line_a_band_and_thin_lines() -> None:
    axes = Figure().add_subplot()
    CURVES.draw(axes, "red")
    assert len(axes.lines) == 3
    assert len(axes.collections) == 1
    assert list(axes.lines[-1].get_ydata()) == pytest.approx([2.0, 0.15])


class TestDescent:
    def test_takes_the_steps_of_adam_and_looks_on_the_way(self) -> None:
        x = torch.tensor([1.0, -2.0], requires_grad=True)
        looks, found = descend(lambda: x**2, [x], lambda: x.detach().clone(), steps=5, lr=0.1, every=2)
        assert looks.tolist() == [0, 2, 4, 5]
        assert found.shape == (4, 2)
        twin = torch.tensor([1.0, -2.0], requires_grad=True)
        optimizer = torch.optim.Adam([twin], lr=0.1)
        for _ in range(5):
            optimizer.zero_grad()
            (twin**2).sum().backward()
            optimizer.step()
        torch.testing.assert_close(found[-1], twin.detach())

    @pytest.mark.parametrize("options", [{"steps": 0, "every": 1}, {"steps": 1, "every": 0}])
    def test_needs_a_step(self, options: dict[str, int]) -> None:
        x = torch.zeros(2, requires_grad=True)
        with pytest.raises(ValueError, match="must be at least 1"):
            descend(lambda: x**2, [x], lambda: x, lr=0.1, **options)
