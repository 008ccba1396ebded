"""Training by a lesson."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from drawgrad.studies.tasks.reading import training as rooms
from drawgrad.studies.tasks.reading.network import Reader
from drawgrad.studies.tasks.reading.training import Trained, Training, train


class Bright:
    """Is the image bright?"""

    examples = 16

    def __init__(self, seen: float = 0.5) -> None:
        self.rows: list[list[int]] = []
        self.seen = seen

    def loss(self, reader: nn.Module, rows: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        self.rows.append(rows.tolist())
        bright = (rows % 2).float()
        noise = torch.rand(len(rows), 1, 28, 28, generator=generator)
        return nn.functional.cross_entropy(reader(noise * bright[:, None, None, None]), rows % 2)

    def watch(self, reader: nn.Module) -> float:
        with torch.no_grad():
            answers = reader(torch.stack([torch.zeros(1, 28, 28), torch.full((1, 28, 28), 0.5)])).argmax(-1)
        return float((answers == torch.arange(2)).double().mean()) if self.seen else 0.0


def reader() -> Reader:
    return Reader(2, channels=(2, 2), hidden=(4,))


def test_it_learns_and_says_when(tmp_path: Path) -> None:
    heard: list[str] = []
    lesson = Bright()
    found = train(lesson, reader, Training(epochs=10, batch=8, lr=1e-2, watch_every=5), 0, tmp_path, heard.append)
    assert found.curve[-1][0] == 20
    assert found.curve[-1][2] == 1.0
    assert found.seconds > 0
    assert [step for step, _, _ in found.curve] == [5, 10, 15, 20]
    seconds = [seconds for _, seconds, _ in found.curve]
    assert seconds == sorted(seconds)
    assert sorted(lesson.rows[0] + lesson.rows[1]) == list(range(16))
    assert heard[-1] == "step 20 of 20, 100.00% of digits right"


def test_nothing_depends_on_the_spectator(tmp_path: Path) -> None:
    weights = []
    for name, seen in (("one", 0.5), ("other", 0.0)):
        (tmp_path / name).mkdir()
        found = train(Bright(seen), reader, Training(2, 8, watch_every=1), 0, tmp_path / name)
        weights.append(torch.cat([each.flatten() for each in found.reader.parameters()]))
    assert torch.equal(*weights)


def test_a_run_that_was_stopped_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rooms, "CHECKPOINT_EVERY", 2)
    (tmp_path / "whole").mkdir()
    whole = train(Bright(), reader, Training(3, 8, watch_every=2), 0, tmp_path / "whole")

    def stop(message: str) -> None:
        if message.startswith("step 4"):
            raise KeyboardInterrupt

    (tmp_path / "cut").mkdir()
    with pytest.raises(KeyboardInterrupt):
        train(Bright(), reader, Training(3, 8, watch_every=2), 0, tmp_path / "cut", stop)
    lesson = Bright()
    cut = train(lesson, reader, Training(3, 8, watch_every=2), 0, tmp_path / "cut")
    assert len(lesson.rows) == 2
    for one, other in zip(whole.reader.parameters(), cut.reader.parameters(), strict=True):
        assert torch.equal(one, other)
    assert [step for step, _, _ in cut.curve] == [2, 4, 6]


def test_when_a_share_was_reached() -> None:
    trained = Trained(reader(), [(25, 1.0, 0.5), (50, 2.0, 0.98), (75, 3.0, 0.9)])
    assert trained.reached(0.97) == (50, 2.0)
    assert trained.reached(0.99) is None


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"epochs": 0}, "epochs must be at least 1"), ({"lr": 2.0}, "lr must be above 0 and below 1")],
)
def test_mistakes(settings: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Training(**({"epochs": 1, "batch": 1} | settings))
