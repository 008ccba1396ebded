"""A run of a model that the package does not know, with settings of its own: begun, stopped, continued, finished."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from torch import nn

from drawgrad.studies.runs.folder import RunFolder, RunFolderError
from drawgrad.studies.runs.journal import read_metrics
from drawgrad.studies.runs.loop import Interrupted, Plan, Progress, Run, fit
from drawgrad.studies.runs.settings import Between, SettingsChecked, assemble, setting


@dataclass(frozen=True, kw_only=True)
class Network(SettingsChecked):
    width: int = setting("units", Between(1, 100, example=8), default=8)


@dataclass(frozen=True, kw_only=True)
class Descent(SettingsChecked):
    rate: float = setting("learning rate", Between(1e-6, 1.0, example=0.01), default=0.01)
    epochs: int = setting("passes", Between(1, 100, example=4), default=4)


@dataclass(frozen=True, kw_only=True)
class Config:
    network: Network
    descent: Descent


class SineTask:
    """A regression: the sine of 40 numbers."""

    examples = 40

    def __init__(self, config: Config) -> None:
        width = config.network.width
        self.model = nn.Sequential(nn.Linear(1, width), nn.Tanh(), nn.Linear(width, 1))
        generator = torch.Generator().manual_seed(0)
        with torch.no_grad():
            for parameter in self.model.parameters():
                parameter.copy_(torch.randn(parameter.shape, generator=generator))
        self.x = torch.linspace(-3, 3, self.examples)[:, None]

    def loss(self, rows, step, generator):
        x = self.x[rows] + 0.01 * torch.randn(len(rows), 1, generator=generator)
        loss = (self.model(x) - x.sin()).square().mean()
        return loss, {"loss": loss.detach()}

    def settings(self, step):
        return {}

    def validate(self):
        with torch.no_grad():
            return {"loss": float((self.model(self.x) - self.x.sin()).square().mean())}


def train(
    root: Path, config: Config, resume: bool = False, stop_at: int | None = None
) -> tuple[torch.Tensor, Progress]:
    folder = RunFolder(root)
    if resume:
        config = folder.resume(config, given=set())
    with folder.held():
        if not resume:
            folder.begin(config)
        task, steps = SineTask(config), iter(range(1, 1000))
        progress = fit(
            Run(
                task,
                torch.optim.Adam(task.model.parameters(), lr=config.descent.rate),
                Plan(config.descent.epochs, batch_size=10, seed=1, checkpoint_every=3, log_every=2),
                torch.Generator().manual_seed(2),
                folder.saved(config),
                folder.journal,
                stop=lambda: next(steps) == stop_at,
            )
        )
    return torch.nn.utils.parameters_to_vector(task.model.parameters()).detach(), progress


def test_a_run_of_any_model_continues_where_it_was_stopped(tmp_path):
    config = assemble(Config, {"width": 5, "rate": 0.05})
    straight, progress = train(tmp_path / "straight", config)
    with pytest.raises(Interrupted, match="stopped after step 7"):
        train(tmp_path / "stopped", config, stop_at=7)
    with pytest.raises(RunFolderError, match="already holds a run"):
        train(tmp_path / "stopped", config)
    resumed, _ = train(tmp_path / "stopped", assemble(Config, {}), resume=True)
    assert torch.equal(resumed, straight)
    lines = read_metrics(tmp_path / "stopped" / "metrics.jsonl")
    assert [line["step"] for line in lines if line["kind"] == "train"] == [2, 4, 6, 8, 10, 12, 14, 16]
    assert progress.latest["valid/loss"] < lines[0]["loss"]
