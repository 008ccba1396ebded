"""Several runs as one program: each ends as it would in any other stack, whatever becomes of the others."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import nn

from drawgrad.functional import gumbel_noise
from drawgrad.studies.runs.checkpoints import CheckpointError, Checkpoints
from drawgrad.studies.runs.journal import Journal, read_metrics
from drawgrad.studies.runs.loop import NotFinite, Plan, Progress, Run, fit
from drawgrad.studies.runs.seeds import seeds_of
from drawgrad.studies.runs.stack import fit_together

PLAN = Plan(epochs=3, batch_size=4, seed=0, checkpoint_every=2, log_every=2)
"""Nine steps."""


class Remembering(nn.Module):
    """A linear model that sums what it has seen, in two ways: in place, and in a tensor that is replaced."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.weight = nn.Parameter(torch.randn(2, generator=generator))
        self.frozen = nn.Parameter(torch.randn(2, generator=generator), requires_grad=False)
        self.register_buffer("total", torch.zeros(()))
        self.register_buffer("replaced", torch.zeros(()))

    def forward(self, x):
        self.total += x.detach().sum()
        self.replaced = self.replaced + x.detach().sum()
        return x @ (self.weight + self.frozen)


class Task:
    """A regression with noise of two kinds: of the data, by torch, and of seeds."""

    def __init__(self, seed: int, breaks: bool = False) -> None:
        self.examples = 10
        self.model = Remembering(seed)
        if breaks:
            with torch.no_grad():
                self.model.weight.fill_(3e38)

    def batch(self, rows, generator):
        return rows[:, None] / 10 + torch.randn(len(rows), 2, generator=generator)

    def objective(self, x, step: int, seeds: Iterator):
        noise = gumbel_noise((len(x),), seed=next(seeds)) + gumbel_noise((len(x),), seed=next(seeds))
        loss = (self.model(x) - noise).square().mean()
        return loss, {"loss": loss.detach()}

    def loss(self, rows, step, generator):
        return self.objective(self.batch(rows, generator), step, seeds_of(generator))

    def settings(self, step):
        return {}

    def validate(self):
        return {"norm": float(self.model.weight.detach().norm())}


def run_of(folder: Path, seed: int, listener=lambda progress: None, **options) -> Run:
    task, place = Task(seed, **options), folder / str(seed)
    place.mkdir(parents=True, exist_ok=True)
    return Run(
        task,
        torch.optim.Adam([each for each in task.model.parameters() if each.requires_grad], lr=0.1),
        Plan(PLAN.epochs, PLAN.batch_size, seed, PLAN.checkpoint_every, PLAN.log_every),
        torch.Generator().manual_seed(seed),
        Checkpoints(place / "checkpoints", "these"),
        lambda step: Journal(place / "metrics.jsonl", place / "events", step),
        listener=listener,
    )


def state(run: Run) -> torch.Tensor:
    return torch.cat([each.flatten() for each in run.task.model.state_dict().values()])


def lines(folder: Path, seed: int) -> list[dict]:
    found = read_metrics(folder / str(seed) / "metrics.jsonl")
    return [{key: value for key, value in line.items() if key != "seconds"} for line in found]


@pytest.fixture(scope="module")
def alone(tmp_path_factory) -> dict[int, torch.Tensor]:
    """What seeds end with that the usual loop trains, one after the other."""
    folder = tmp_path_factory.mktemp("alone")
    runs = {seed: run_of(folder, seed) for seed in range(3)}
    for run in runs.values():
        fit(run)
    return {seed: state(run) for seed, run in runs.items()}


@pytest.mark.parametrize("seeds", [(1,), (2, 1), (0, 1, 2), (2, 1, 0)], ids=str)
def test_a_seed_ends_the_same_however_it_is_stacked(seeds, alone, tmp_path):
    runs = [run_of(tmp_path, seed) for seed in seeds]
    assert fit_together(runs) == [None] * len(seeds)
    for seed, run in zip(seeds, runs, strict=True):
        torch.testing.assert_close(state(run), alone[seed])
        assert run.progress.step == run.progress.steps == 9


def test_the_comparison_would_notice_another_seed(alone):
    for one, other in ((0, 1), (0, 2), (1, 2)):
        assert (alone[one] - alone[other]).abs().min() > 1e-3


def test_each_has_its_own_journal_and_its_share_of_the_time(tmp_path):
    single, stacked = tmp_path / "single", tmp_path / "stacked"
    fit(run_of(single, 1))
    runs = [run_of(stacked, seed) for seed in (0, 1)]
    fit_together(runs)
    here, there = lines(stacked, 1), lines(single, 1)
    assert [line.keys() for line in here] == [line.keys() for line in there]
    for line, other in zip(here, there, strict=True):
        assert line.pop("kind") == other.pop("kind")
        assert line == pytest.approx(other, rel=1e-4)
    assert runs[0].progress.seconds == pytest.approx(runs[1].progress.seconds)


class Killed(BaseException):
    pass


@pytest.mark.parametrize("at", [1, 4, 8])
def test_a_stack_that_died_goes_on_though_its_runs_are_at_different_steps(at, alone, tmp_path):
    def die(progress: Progress) -> None:
        if progress.step == at:
            raise Killed

    # Of the even steps, the first run has saved the one at which the second one dies.
    with pytest.raises(Killed):
        fit_together([run_of(tmp_path, 0), run_of(tmp_path, 1, die)])
    (tmp_path / "1" / "checkpoints" / f"step-{at:09d}.pt").unlink(missing_ok=True)
    seen: list[list[int]] = [[], []]
    runs = [run_of(tmp_path, seed, lambda now, of=seen[seed]: of.append(now.step)) for seed in (0, 1)]
    assert fit_together(runs) == [None, None]
    assert [steps[0] for steps in seen] == [at - at % 2, (at - 1) - (at - 1) % 2]
    for seed, run in enumerate(runs):
        torch.testing.assert_close(state(run), alone[seed])
        assert [line["step"] for line in lines(tmp_path, seed)] == [2, 3, 4, 6, 6, 8, 9, 9]


def test_one_alone_goes_on_with_a_run_that_a_stack_began_and_the_other_way_round(alone, tmp_path):
    def die(progress: Progress) -> None:
        if progress.step == 5:
            raise Killed

    with pytest.raises(Killed):
        fit_together([run_of(tmp_path, 0), run_of(tmp_path, 1, die)])
    first = run_of(tmp_path, 0)
    fit(first)
    with pytest.raises(Killed):
        fit(run_of(tmp_path, 2, die))
    others = [run_of(tmp_path, 1), run_of(tmp_path, 2)]
    fit_together(others)
    for seed, run in enumerate([first, *others]):
        torch.testing.assert_close(state(run), alone[seed])


def test_one_that_diverges_is_told_with_its_cause_and_the_others_go_on(alone, tmp_path):
    runs = [run_of(tmp_path, 0), run_of(tmp_path, 1, breaks=True), run_of(tmp_path, 2)]
    first, second, third = fit_together(runs)
    assert first is third is None
    assert isinstance(second, NotFinite)
    assert re.fullmatch("loss is (inf|nan) by step 2; lower the learning rate or raise the temperature", str(second))
    assert runs[1].progress.step == 2
    for seed in (0, 2):
        torch.testing.assert_close(state(runs[seed]), alone[seed])


def test_one_whose_checkpoints_are_lost_is_told_and_the_others_go_on(alone, tmp_path):
    folder = tmp_path / "1" / "checkpoints"
    folder.mkdir(parents=True)
    (folder / "step-000000002.pt").write_bytes(b"nothing")
    runs = [run_of(tmp_path, seed) for seed in (0, 1)]
    with pytest.warns(RuntimeWarning, match="is damaged"):
        first, second = fit_together(runs)
    assert first is None
    assert isinstance(second, CheckpointError)
    torch.testing.assert_close(state(runs[0]), alone[0])


def test_a_checkpoint_holds_the_weights_of_its_run_alone(tmp_path):
    fit_together([run_of(tmp_path, seed) for seed in (0, 1)])
    saved = torch.load(tmp_path / "1" / "checkpoints" / "step-000000009.pt", weights_only=True)["model"]
    assert {name: tensor.untyped_storage().nbytes() for name, tensor in saved.items()} == {
        "weight": 8, "frozen": 8, "total": 4, "replaced": 4
    }  # fmt: skip
