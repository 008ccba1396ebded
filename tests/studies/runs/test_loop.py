"""The loop on a task of two weights: what it reports, saves and continues."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
import torch
from torch import nn

from drawgrad.studies.runs.checkpoints import Checkpoints
from drawgrad.studies.runs.journal import Journal, read_metrics
from drawgrad.studies.runs.loop import Interrupted, NotFinite, Plan, Progress, Run, descend, epoch_order, falling, fit


class Task:
    """A noisy regression; remembers which examples it saw."""

    def __init__(self, examples: int = 10) -> None:
        self.examples = examples
        self.model = nn.Linear(2, 1)
        with torch.no_grad():
            self.model.weight.copy_(torch.tensor([[1.0, -1.0]]))
            self.model.bias.zero_()
        self.seen: list[list[int]] = []
        self.breaks_at: int | None = None
        self.validations = 0

    def loss(self, rows, step, generator):
        self.seen.append(rows.tolist())
        x = torch.randn(len(rows), 2, generator=generator)
        loss = (self.model(x) - rows.unsqueeze(1)).square().mean()
        if step == self.breaks_at:
            loss = loss / 0
        return loss, {"loss": loss.detach(), "rows": rows.float().mean()}

    def settings(self, step):
        return {"rate": 1.0 / (1 + step)}

    def validate(self):
        self.validations += 1
        return {"norm": float(self.model.weight.detach().norm())}


PLAN = Plan(epochs=3, batch_size=4, seed=5, checkpoint_every=2, log_every=2)


def run(folder: Path, task: Task | None = None, plan: Plan = PLAN, **options) -> tuple[Task, Progress]:
    task = task or Task()
    optimizer = torch.optim.Adam(task.model.parameters(), lr=0.1)
    generator = torch.Generator().manual_seed(7)
    folder.mkdir(exist_ok=True)
    progress = fit(
        Run(
            task,
            optimizer,
            plan,
            generator,
            Checkpoints(folder / "checkpoints", "these"),
            lambda step: Journal(folder / "metrics.jsonl", folder / "events", step),
            **options,
        )
    )
    return task, progress


def weights(task: Task) -> torch.Tensor:
    return torch.nn.utils.parameters_to_vector(task.model.parameters()).detach()


def without_time(folder: Path) -> list[dict]:
    return [
        {key: value for key, value in line.items() if key != "seconds"}
        for line in read_metrics(folder / "metrics.jsonl")
    ]


def test_an_epoch_shows_every_example_once_in_its_own_order(tmp_path):
    task, progress = run(tmp_path)
    assert progress.step == progress.steps == 9
    assert [len(rows) for rows in task.seen] == [4, 4, 2] * 3
    epochs = [[*itertools.chain(*task.seen[begin : begin + 3])] for begin in (0, 3, 6)]
    assert all(sorted(epoch) == list(range(10)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 3


def test_orders_differ_between_seeds_and_epochs():
    orders = {tuple(epoch_order(50, seed, epoch).tolist()) for seed in range(10) for epoch in range(10)}
    assert len(orders) == 100


def test_means_are_over_examples_and_settings_are_those_of_the_last_step(tmp_path):
    task, _ = run(tmp_path, plan=Plan(epochs=1, batch_size=4, seed=5, checkpoint_every=100, log_every=3))
    (train, valid) = without_time(tmp_path)
    assert train["kind"] == "train"
    assert train["step"] == 3
    assert train["rows"] == pytest.approx(4.5)
    assert train["rate"] == pytest.approx(1 / 3)
    assert valid == {"kind": "valid", "step": 3, "norm": pytest.approx(float(task.model.weight.detach().norm()))}


@pytest.mark.parametrize("at", range(1, 9))
def test_a_run_that_was_stopped_anywhere_ends_the_same(at, tmp_path):
    straight, _ = run(tmp_path / "straight")
    count = iter(range(1, 100))
    with pytest.raises(Interrupted, match=f"stopped after step {at}"):
        run(tmp_path / "stopped", stop=lambda: next(count) == at)
    resumed, progress = run(tmp_path / "stopped")
    assert progress.step == 9
    assert resumed.seen == straight.seen[at:]
    assert torch.equal(weights(resumed), weights(straight))
    assert without_time(tmp_path / "stopped") == without_time(tmp_path / "straight")


class Killed(BaseException):
    pass


@pytest.mark.parametrize("at", range(9))
def test_a_run_that_died_without_a_word_continues_from_its_last_checkpoint(at, tmp_path):
    def die(progress: Progress) -> None:
        if progress.step == at:
            raise Killed

    straight, _ = run(tmp_path / "straight")
    with pytest.raises(Killed):
        run(tmp_path / "died", listener=die)
    resumed, _ = run(tmp_path / "died")
    assert resumed.seen == straight.seen[at - at % 2 :]
    assert torch.equal(weights(resumed), weights(straight))
    assert without_time(tmp_path / "died") == without_time(tmp_path / "straight")


def test_the_comparison_notices_another_generator(tmp_path):
    straight, _ = run(tmp_path / "straight")
    count = iter(range(1, 100))
    with pytest.raises(Interrupted):
        run(tmp_path / "stopped", stop=lambda: next(count) == 3)
    saved = tmp_path / "stopped" / "checkpoints" / "step-000000003.pt"
    state = torch.load(saved, weights_only=True)
    state["generator"] = torch.Generator().manual_seed(8).get_state()
    torch.save(state, saved)
    resumed, _ = run(tmp_path / "stopped")
    assert not torch.equal(weights(resumed), weights(straight))


def test_a_finished_run_is_not_trained_again(tmp_path):
    first, _ = run(tmp_path)
    again, progress = run(tmp_path)
    assert again.seen == []
    assert progress.step == 9
    assert progress.latest["train/loss"] == read_metrics(tmp_path / "metrics.jsonl")[-2]["loss"]
    assert torch.equal(weights(again), weights(first))


def test_stopping_at_the_last_step_is_finishing(tmp_path):
    _, progress = run(tmp_path, stop=lambda: True, plan=Plan(1, 10, 5, 100))
    assert progress.step == 1


def test_the_listener_hears_of_every_step_and_of_the_newest_measurements(tmp_path):
    heard = []
    run(tmp_path, listener=lambda progress: heard.append((progress.step, sorted(progress.latest))))
    assert [step for step, _ in heard] == list(range(10))
    assert heard[1][1] == []
    assert heard[2][1] == ["train/loss", "train/rate", "train/rows"]
    assert "valid/norm" in heard[3][1]


def test_a_loss_that_is_not_finite_ends_the_run_with_a_cure(tmp_path):
    task = Task()
    task.breaks_at = 3
    with pytest.raises(NotFinite, match="loss is inf by step 4; lower the learning rate or raise the temperature"):
        run(tmp_path, task)
    assert [path.name for path in Checkpoints(tmp_path / "checkpoints", "these").paths()] == ["step-000000002.pt"]


def test_lost_weights_are_neither_validated_nor_saved(tmp_path):
    task = Task()
    task.breaks_at = 2
    with pytest.raises(NotFinite, match="by step 3"):
        run(tmp_path, task, Plan(epochs=3, batch_size=4, seed=5, checkpoint_every=3, log_every=100))
    assert task.validations == 0
    assert Checkpoints(tmp_path / "checkpoints", "these").paths() == []


def test_seconds_add_up_over_sessions(tmp_path):
    count = iter(range(1, 100))
    with pytest.raises(Interrupted):
        run(tmp_path, stop=lambda: next(count) == 5)
    before = torch.load(tmp_path / "checkpoints" / "step-000000005.pt", weights_only=True)["seconds"]
    _, progress = run(tmp_path)
    assert progress.seconds > before > 0


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("model", {}),
        ("model", {"weight": torch.zeros(1, 3), "bias": torch.zeros(1)}),
        ("optimizer", {}),
        ("generator", torch.zeros(3)),
        ("step", "three"),
        ("step", 10**6),
        ("latest", 7),
        ("sums", 7),
    ],
)
def test_a_checkpoint_with_other_contents_is_skipped(part, value, tmp_path):
    straight, _ = run(tmp_path / "straight")
    count = iter(range(1, 100))
    with pytest.raises(Interrupted):
        run(tmp_path / "stopped", stop=lambda: next(count) == 5)
    saved = tmp_path / "stopped" / "checkpoints" / "step-000000005.pt"
    torch.save(torch.load(saved, weights_only=True) | {part: value}, saved)
    with pytest.warns(
        RuntimeWarning, match=f"^{saved} is damaged and is skipped .it does not hold what this run needs"
    ):
        resumed, _ = run(tmp_path / "stopped")
    assert torch.equal(weights(resumed), weights(straight))


def test_an_optimizer_of_other_shapes_is_noticed(tmp_path):
    count = iter(range(1, 100))
    with pytest.raises(Interrupted):
        run(tmp_path, stop=lambda: next(count) == 3)
    saved = tmp_path / "checkpoints" / "step-000000003.pt"
    state = torch.load(saved, weights_only=True)
    state["optimizer"]["state"][0]["exp_avg"] = torch.zeros(5, 5)
    torch.save(state, saved)
    with pytest.warns(RuntimeWarning, match=r"exp_avg has shape \(5, 5\) for a parameter of \(1, 2\)"):
        run(tmp_path)


def test_descending_is_one_step_for_each_number():
    x = torch.tensor([1.0, 2.0], requires_grad=True)
    optimizer = torch.optim.SGD([x], lr=0.5)
    asked: list[int] = []

    def loss(step: int) -> torch.Tensor:
        asked.append(step)
        return x**2 / 2

    assert list(descend(loss, optimizer, range(3, 6))) == [4, 5, 6]
    assert asked == [3, 4, 5]
    assert torch.equal(x.detach(), torch.tensor([1.0, 2.0]) / 8)


def test_falling_rates_follow_a_cosine_from_what_each_group_begins_with():
    x, y = (torch.zeros((), requires_grad=True) for _ in range(2))
    optimizer = torch.optim.SGD([{"params": [x]}, {"params": [y], "lr": 2.0}], lr=1.0)
    seen = []

    def loss(step):
        seen.append([group["lr"] for group in optimizer.param_groups])
        return x + y

    for _ in descend(falling(loss, optimizer, 4), optimizer, range(4)):
        pass
    shares = torch.tensor([1.0, 0.853553, 0.5, 0.146447])
    torch.testing.assert_close(torch.tensor(seen), shares[:, None] * torch.tensor([1.0, 2.0]))
    assert x.item() == pytest.approx(-2.5, rel=1e-5)
