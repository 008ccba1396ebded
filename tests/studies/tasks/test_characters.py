"""A model of text."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch.nn.utils import parameters_to_vector

from drawgrad.studies.data.text import Text
from drawgrad.studies.runs.journal import read_metrics
from drawgrad.studies.runs.loop import Progress
from drawgrad.studies.tasks import characters
from drawgrad.studies.tasks.characters import CharacterModel, train_characters

TEXT = Text.of("the cat sat on the mat and the rat sat on the cat. " * 100)


def train(folder: Path, steps: int = 12, stop_at: int | None = None) -> tuple[torch.Tensor, Progress, list[int]]:
    told: list[int] = []
    folder.mkdir(exist_ok=True)

    def listener(progress: Progress) -> None:
        told.append(progress.step)
        if progress.step == stop_at:
            raise KeyboardInterrupt

    model, progress = train_characters(TEXT, folder, steps=steps, hidden=8, seed=3, settings="x", listener=listener)
    return parameters_to_vector(model.parameters()).detach(), progress, told


def test_a_step_is_what_the_whole_text_gives() -> None:
    model = CharacterModel(5, 7)
    tokens = torch.tensor([[0, 3, 1, 4], [2, 2, 0, 1]])
    whole = model(tokens)
    logits, state = model.step(model.read(tokens[:, :-1]), tokens[:, -1])
    torch.testing.assert_close(logits, whole[:, -1])
    torch.testing.assert_close(state, model.read(tokens))


def test_training_learns(tmp_path: Path) -> None:
    _, progress, told = train(tmp_path, steps=60)
    assert told == list(range(61))
    lines = [line for line in read_metrics(tmp_path / "metrics.jsonl") if line["kind"] == "train"]
    # It begins by guessing among all characters.
    assert lines[0]["nats"] > progress.latest["valid/nats"] < 1.5 < torch.tensor(len(TEXT.alphabet)).log()


def test_a_training_that_was_killed_ends_as_if_it_had_not_been(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(characters, "CHECKPOINT_EVERY", 4)
    straight, _, _ = train(tmp_path / "straight")
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "killed", stop_at=7)
    resumed, progress, told = train(tmp_path / "killed")
    assert told == list(range(4, 13))
    assert torch.equal(resumed, straight)
    # A finished one is not trained again.
    again, once_more, told = train(tmp_path / "killed")
    assert told == [12]
    assert torch.equal(again, straight)
    assert once_more.latest == progress.latest


def test_seeds_begin_with_other_weights_and_leave_torch_alone(tmp_path: Path) -> None:
    before = torch.get_rng_state()
    weights = []
    for seed in (0, 1):
        (tmp_path / str(seed)).mkdir()
        model, _ = train_characters(TEXT, tmp_path / str(seed), steps=1, hidden=8, seed=seed, settings="x")
        weights.append(model.output.weight)
    assert not torch.equal(*weights)
    assert torch.equal(torch.get_rng_state(), before)
