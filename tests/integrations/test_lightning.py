"""Lightning: temperatures follow their schedules, also in a run that is resumed, and pitfalls are told."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.distributions import OneHotCategorical

from drawgrad.diagnostics import Monitor
from drawgrad.estimators import STGumbelSoftmax
from drawgrad.integrations import LightningMonitor, LightningTemperature
from drawgrad.schedules import linear

lightning = pytest.importorskip("lightning.pytorch")
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:lightning", "ignore::FutureWarning")

SCHEDULE = linear(1.0, 0.2, steps=8)


class Chooser(lightning.LightningModule):
    """Learns which class is cheap, and notes the temperature of each step."""

    def __init__(self) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.zeros(4))
        self.estimator = STGumbelSoftmax(tau=9.0)
        self.register_buffer("warmth", torch.tensor(9.0))
        self.tau = 9.0
        self.seen: list[tuple[float, float, float]] = []

    def training_step(self, batch: Any, number: int) -> torch.Tensor:
        self.seen.append((self.tau, float(self.estimator.tau), float(self.warmth)))
        q = OneHotCategorical(logits=self.logits.expand(8, 4))
        self.choices = {"q": q, "tau": self.tau, "variables": 0}
        return self.estimator(lambda z: (z * torch.arange(4.0)).sum(-1), q).mean()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), lr=0.1)


def fit(folder: Path, steps: int, *callbacks: Any, **options: Any) -> tuple[Any, Chooser]:
    module = Chooser()
    data = torch.utils.data.DataLoader(torch.zeros(64, 1), batch_size=8)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="lightning")
        trainer = lightning.Trainer(
            default_root_dir=folder, max_steps=steps, callbacks=list(callbacks), logger=False, log_every_n_steps=1,
            enable_progress_bar=False, enable_model_summary=False, accelerator="cpu",
            enable_checkpointing=False,
        )  # fmt: skip
        trainer.fit(module, data, **options)
    return trainer, module


def schedules() -> LightningTemperature:
    return LightningTemperature({"tau": SCHEDULE, "estimator": SCHEDULE, "warmth": SCHEDULE})


def test_attributes_follow_the_schedule(tmp_path: Path) -> None:
    trainer, module = fit(tmp_path, 10, schedules())
    expected = torch.tensor([[SCHEDULE(step)] * 3 for step in range(10)])
    torch.testing.assert_close(torch.tensor(module.seen), expected)
    assert float(trainer.callback_metrics["tau"]) == pytest.approx(SCHEDULE(9))


def test_a_run_that_is_resumed_goes_on(tmp_path: Path) -> None:
    trainer, _ = fit(tmp_path, 5, schedules())
    path = tmp_path / "half.ckpt"
    trainer.save_checkpoint(path)
    _, module = fit(tmp_path, 8, schedules(), ckpt_path=str(path))
    assert [round(tau, 6) for tau, _, _ in module.seen] == [round(SCHEDULE(step), 6) for step in (5, 6, 7)]


def test_the_monitor_sees_choices_and_gradients(tmp_path: Path) -> None:
    monitor = Monitor(every=1)
    trainer, module = fit(tmp_path, 3, LightningMonitor(monitor))
    assert {"entropy", "gradient", "tau"} <= monitor.figures.keys()
    assert "monitor/entropy" in trainer.callback_metrics
    assert module.choices is None


def test_mistakes(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="schedules must be a dict"):
        LightningTemperature(SCHEDULE)
    with pytest.raises(TypeError, match=r"schedules\['tau'\] must be a function of the step, but it is 0.5"):
        LightningTemperature({"tau": 0.5})
    with pytest.raises(TypeError, match="must be a Monitor"):
        LightningMonitor(50)
    with pytest.raises(AttributeError, match=r"Chooser has no 'encoder.tau' .* Chooser has no attribute 'encoder'"):
        fit(tmp_path, 1, LightningTemperature({"encoder.tau": SCHEDULE}))
