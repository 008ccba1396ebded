"""Hugging Face: temperatures follow their schedules, also in a run that is resumed, and pitfalls are told."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.distributions import OneHotCategorical

from drawgrad.diagnostics import Monitor
from drawgrad.functional import gumbel_softmax
from drawgrad.integrations import TrainerMonitor, TrainerTemperature, swapped_gumbel_softmax
from drawgrad.schedules import linear

transformers = pytest.importorskip("transformers")

SCHEDULE = linear(1.0, 0.2, steps=8)


class Quantizer(nn.Module):
    """As Wav2Vec2 has it: a temperature as an attribute, which the recipe lowers from outside."""

    def __init__(self) -> None:
        super().__init__()
        self.temperature = 9.0
        self.logits = nn.Parameter(torch.zeros(4))


class Chooser(nn.Module):
    """Learns which class is cheap, and notes the temperature of each step."""

    def __init__(self) -> None:
        super().__init__()
        self.quantizer = Quantizer()
        self.seen: list[float] = []

    def forward(self, cost: torch.Tensor, labels: Any = None) -> dict[str, torch.Tensor]:
        tau = self.quantizer.temperature
        self.seen.append(tau)
        q = OneHotCategorical(logits=self.quantizer.logits.expand(*cost.shape))
        self.choices = {"q": q, "tau": tau, "variables": 0}
        return {"loss": (gumbel_softmax(q.logits, tau, hard=True) * cost).sum(-1).mean()}


def train(folder: Path, steps: int, *callbacks: Any, resume: bool = False) -> tuple[Any, Chooser]:
    model = Chooser()
    settings = transformers.TrainingArguments(
        output_dir=str(folder), max_steps=steps, save_steps=5, logging_steps=1, per_device_train_batch_size=8,
        report_to=[], disable_tqdm=True, use_cpu=True, dataloader_num_workers=0,
    )  # fmt: skip
    data = [{"cost": torch.arange(4.0)} for _ in range(64)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trainer = transformers.Trainer(model=model, args=settings, train_dataset=data, callbacks=list(callbacks))
        trainer.remove_callback(transformers.PrinterCallback)
        trainer.train(resume_from_checkpoint=resume)
    return trainer, model


def schedule() -> TrainerTemperature:
    return TrainerTemperature({"quantizer.temperature": SCHEDULE})


def test_attributes_follow_the_schedule_also_in_a_run_that_is_resumed(tmp_path: Path) -> None:
    trainer, model = train(tmp_path, 5, schedule())
    assert model.seen == [SCHEDULE(step) for step in range(5)]
    logged = [entry["quantizer.temperature"] for entry in trainer.state.log_history if "loss" in entry]
    assert logged == model.seen
    _, model = train(tmp_path, 8, schedule(), resume=True)
    assert model.seen == [SCHEDULE(step) for step in (5, 6, 7)]


def test_the_monitor_sees_choices_and_gradients(tmp_path: Path) -> None:
    monitor = Monitor(every=1)
    trainer, model = train(tmp_path, 3, TrainerMonitor(monitor))
    assert {"entropy", "gradient"} <= monitor.figures.keys()
    assert any("monitor/gradient" in entry for entry in trainer.state.log_history)
    assert model.choices is None
    assert not model._forward_hooks, "the hook is taken off"


def test_mistakes(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="schedules must be a dict"):
        TrainerTemperature(SCHEDULE)
    with pytest.raises(TypeError, match="must be a Monitor"):
        TrainerMonitor(50)
    with pytest.raises(AttributeError, match=r"Chooser has no 'quantizer.tau' .* Quantizer has no attribute 'tau'"):
        train(tmp_path, 1, TrainerTemperature({"quantizer.tau": SCHEDULE}))


def test_wav2vec2_is_served() -> None:
    from transformers.models.wav2vec2.modeling_wav2vec2 import Wav2Vec2Config, Wav2Vec2GumbelVectorQuantizer

    torch.manual_seed(0)
    config = Wav2Vec2Config(num_codevectors_per_group=8, num_codevector_groups=2, codevector_dim=6, conv_dim=[5] * 7)
    quantizer = Wav2Vec2GumbelVectorQuantizer(config).train()
    hidden = torch.randn(2, 3, 5)
    with swapped_gumbel_softmax(torch.Generator().manual_seed(1)) as swap:
        vectors, _ = quantizer(hidden)
    logits = quantizer.weight_proj(hidden).reshape(12, 8).float()
    choice = gumbel_softmax(logits, quantizer.temperature, hard=True, generator=torch.Generator().manual_seed(1))
    expected = (choice.reshape(6, 16, 1) * quantizer.codevectors).view(6, 2, 8, -1).sum(-2).view(2, 3, -1)
    torch.testing.assert_close(vectors, expected)
    assert "1 call from transformers.models.wav2vec2.modeling_wav2vec2.Wav2Vec2GumbelVectorQuantizer" in str(swap)
