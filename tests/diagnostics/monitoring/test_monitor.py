"""The monitor: every pitfall is really provoked once, and healthy runs of the same kind stay silent."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Bernoulli, Distribution, Normal, OneHotCategorical
from torch.nn import functional as F

from drawgrad.diagnostics import Monitor, PitfallWarning
from drawgrad.diagnostics.monitoring.pitfalls import PITFALLS
from drawgrad.functional import gumbel_softmax

STEPS = 300
VARIABLES, CLASSES, PIXELS = 4, 8, 32


class Records:
    """What TensorBoard would have got."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, float, int]] = []

    def add_scalar(self, tag: str, scalar_value: Any, global_step: int) -> None:
        self.rows.append((tag, scalar_value, global_step))


class Autoencoder(nn.Module):
    """A small one, for images that are noisy copies of 16 patterns."""

    def __init__(self) -> None:
        super().__init__()
        self.generator = torch.Generator().manual_seed(1)
        self.patterns = torch.rand(16, PIXELS, generator=self.generator).round()
        torch.manual_seed(1)
        self.encoder = nn.Sequential(nn.Linear(PIXELS, 64), nn.ReLU(), nn.Linear(64, VARIABLES * CLASSES))
        self.decoder = nn.Linear(VARIABLES * CLASSES, PIXELS)

    def images(self) -> Tensor:
        chosen = self.patterns[torch.randint(16, (64,), generator=self.generator)]
        flipped = torch.rand(chosen.shape, generator=self.generator) < 0.05
        return torch.where(flipped, 1 - chosen, chosen)


def train_autoencoder(
    monitor: Monitor,
    tau: Callable[[int], float] = lambda step: max(0.5, 1 - step / 400),
    kl_weight: float = 0.3,
    lr: float = 0.01,
    steps: int = STEPS,
) -> None:
    model = Autoencoder()
    optimizer = torch.optim.Adam([*model.encoder.parameters(), *model.decoder.parameters()], lr=lr)
    for step in range(steps):
        x = model.images()
        q = OneHotCategorical(logits=model.encoder(x).unflatten(-1, (VARIABLES, CLASSES)), validate_args=False)
        z = gumbel_softmax(q.logits, tau(step), generator=model.generator)
        likelihood = F.binary_cross_entropy_with_logits(model.decoder(z.flatten(1)), x, reduction="none").sum(-1)
        kl = (q.logits.exp() * (q.logits + torch.tensor(float(CLASSES)).log())).sum(-1)
        loss = (likelihood + kl_weight * kl.sum(-1)).mean()
        monitor.observe(step, q, loss=loss, z=z, tau=tau(step), kl=kl)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def train_bandit(monitor: Monitor, bonus: float, lr: float = 0.1) -> None:
    """Choices that all have the same favorite, with a bonus for the entropy."""
    logits = torch.zeros(VARIABLES, CLASSES, requires_grad=True)
    optimizer = torch.optim.Adam([logits], lr=lr)
    generator = torch.Generator().manual_seed(0)
    for step in range(STEPS):
        q = OneHotCategorical(logits=logits.expand(16, -1, -1))
        z = gumbel_softmax(q.logits, 1.0, True, generator=generator)
        loss = -(z[..., 0].mean() + bonus * q.entropy().mean())
        monitor.observe(step, q, loss=loss, z=z, tau=1.0)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def provoked(run: Callable[[Monitor], None]) -> tuple[Monitor, list[str]]:
    """The monitor after a run, and the messages of its warnings."""
    monitor = Monitor(every=1)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        run(monitor)
    assert {warning.category for warning in caught} <= {PitfallWarning}
    return monitor, [str(warning.message) for warning in caught]


class TestHealthyRuns:
    def test_of_an_autoencoder_are_silent(self) -> None:
        monitor, said = provoked(train_autoencoder)
        assert said == []
        assert monitor.figures["active"] == 1
        assert monitor.figures["tau"] == 0.5

    def test_of_a_bandit_with_an_entropy_bonus_are_silent(self) -> None:
        assert provoked(lambda monitor: train_bandit(monitor, bonus=1.0))[1] == []


class TestPitfalls:
    """Each warning names symptom, cause and cure, once."""

    def once(self, name: str, said: list[str]) -> str:
        pitfall = next(pitfall for pitfall in PITFALLS if pitfall.name == name)
        (message,) = [text for text in said if f"Cause: {pitfall.cause}. Cure: {pitfall.cure}." in text]
        return message

    def test_posterior_collapse(self) -> None:
        monitor, said = provoked(lambda monitor: train_autoencoder(monitor, kl_weight=30.0))
        assert "0% of the latent variables carry information" in self.once("posterior collapse", said)
        assert list(monitor.warned) == ["posterior collapse"]

    def test_exploding_gradients(self) -> None:
        def run(monitor: Monitor) -> None:
            train_autoencoder(monitor, tau=lambda step: max(0.003, 0.97**step), kl_weight=1.0)

        monitor, said = provoked(run)
        message = self.once("exploding gradients", said)
        assert "times what it was at a temperature" in message
        assert monitor.warned["exploding gradients"] > 20

    def test_spiky_gradients(self) -> None:
        # More choices than the autoencoder has: a share of them is judged.
        logits = torch.randn(2000, 4, generator=torch.Generator().manual_seed(0), requires_grad=True)

        def run(monitor: Monitor, tau: float) -> None:
            generator = torch.Generator().manual_seed(0)
            for step in range(40):
                q = OneHotCategorical(logits=logits)
                z = gumbel_softmax(q.logits, tau, generator=generator)
                loss = (z * torch.arange(4.0)).sum()
                monitor.observe(step, q, loss=loss, z=z, tau=tau)
                loss.backward()

        monitor, said = provoked(lambda monitor: run(monitor, 1e-3))
        assert "of the choices carry the whole gradient, at temperature 0.001" in self.once("spiky gradients", said)
        assert monitor.warned == {"spiky gradients": 19}
        assert provoked(lambda monitor: run(monitor, 0.1))[1] == []

    def test_temperature_too_high(self) -> None:
        monitor, said = provoked(lambda monitor: train_autoencoder(monitor, tau=lambda step: 100.0, steps=30))
        assert "nearly uniform at temperature 100" in self.once("temperature too high", said)
        # Samples that say nothing carry nothing either.
        assert list(monitor.warned) == ["temperature too high", "posterior collapse"]

    def test_collapse_of_the_entropy_with_dead_classes_and_saturated_logits(self) -> None:
        monitor, said = provoked(lambda monitor: train_bandit(monitor, bonus=0.0, lr=1.0))
        assert "88% of the classes are never chosen (perplexity 1." in self.once("dead classes", said)
        assert "the choices are nearly certain" in self.once("entropy collapse", said)
        assert "100% of the choices have one class with probability" in self.once("saturated logits", said)
        assert len(said) == 3
        assert set(monitor.warned) == {"dead classes", "entropy collapse", "saturated logits"}

    def test_soft_outputs_in_evaluation_mode(self) -> None:
        class Sampler(nn.Module):
            def __init__(self, careful: bool) -> None:
                super().__init__()
                self.careful = careful

            def forward(self, logits: Tensor) -> Tensor:
                return gumbel_softmax(logits, 0.5, hard=self.careful and not self.training, seed=0)

        def run(monitor: Monitor, careful: bool) -> None:
            sampler = Sampler(careful)
            handle = monitor.attach(sampler)
            for _ in range(3):
                sampler.train()(torch.zeros(5, 3))
                sampler.eval()(torch.zeros(5, 3))
            handle.remove()
            monitor.warned.clear()
            sampler.eval()(torch.zeros(5, 3))

        _, said = provoked(lambda monitor: run(monitor, careful=False))
        assert "soft in evaluation mode" in self.once("soft outputs in eval()", said)
        assert provoked(lambda monitor: run(monitor, careful=True))[1] == []
        # Told directly:
        assert (
            provoked(
                lambda monitor: monitor.attach(sampler := Sampler(False)).remove() or sampler.eval()(torch.zeros(3))
            )[1]
            == []
        )
        assert provoked(lambda monitor: monitor.observe(7, z=torch.tensor([0.0, 1.0]), training=False))[1] == []
        _, said = provoked(lambda monitor: monitor.observe(7, z=torch.tensor([0.2, 0.8]), training=False))
        assert said[0].startswith("step 7: the samples are soft")

    @pytest.mark.parametrize("where", ["loss", "logits"])
    def test_numbers_that_are_not_finite(self, where: str) -> None:
        def run(monitor: Monitor) -> None:
            for step in range(3):
                # The textbook noise in half precision: u = 0 is drawn, and log(0) follows.
                u = (torch.arange(12.0).reshape(4, 3) * 1e-8).half().float()
                noise = -torch.log(-torch.log(u))
                logits = (noise - noise if where == "logits" else torch.zeros(4, 3)).requires_grad_()
                q = Bernoulli(logits=logits, validate_args=False)
                loss = (q.logits**2).sum() if where == "logits" else (noise * 0).sum()
                monitor.observe(step, q, loss=loss, tau=0.01)
                if loss.requires_grad:
                    loss.backward()

        monitor, said = provoked(run)
        assert "NaN or infinite" in self.once("not finite", said)
        assert monitor.warned["not finite"] == 0

    def test_a_gradient_that_stays_without_end(self) -> None:
        def run(monitor: Monitor) -> None:
            for step in range(30):
                q = Bernoulli(logits=torch.zeros(4, 3, requires_grad=True), validate_args=False)
                loss = (q.logits - q.logits.detach()).abs().sqrt().sum()
                monitor.observe(step, q, loss=loss, tau=0.01)
                loss.backward()

        monitor, said = provoked(run)
        assert "the gradient of the logits has been NaN or infinite" in self.once("gradient not finite", said)
        assert monitor.warned == {"gradient not finite": 19}

    def test_every_one_is_provoked_here(self) -> None:
        provoked_here = {
            "posterior collapse", "exploding gradients", "spiky gradients", "temperature too high", "dead classes",
            "entropy collapse", "saturated logits", "soft outputs in eval()", "not finite", "gradient not finite",
        }  # fmt: skip
        assert {pitfall.name for pitfall in PITFALLS} == provoked_here

    def test_classes_that_are_ruled_out_are_finite(self) -> None:
        q = OneHotCategorical(logits=torch.tensor([[0.0, -torch.inf, 1.0]]), validate_args=False)
        assert provoked(lambda monitor: monitor.observe(0, q))[1] == []


class TestPatience:
    def test_a_symptom_that_passes_is_not_told(self) -> None:
        def run(monitor: Monitor) -> None:
            monitor.patience = 3
            for step, size in enumerate((0.0, 0.0, 5.0, 0.0, 0.0, 5.0)):
                monitor.observe(step, kl=torch.full((2, 4), size))

        assert provoked(run)[1] == []

    def test_a_symptom_that_stays_is_told_when_patience_ends(self) -> None:
        def run(monitor: Monitor) -> None:
            monitor.patience = 3
            for step in range(5):
                monitor.observe(step, kl=torch.zeros(2, 4))

        assert provoked(run)[0].warned == {"posterior collapse": 2}

    def test_counts_the_steps_of_each_variable(self) -> None:
        """A healthy variable on the same monitor does not hide one that collapsed."""

        def run(monitor: Monitor, *names: str) -> None:
            for step in range(25):
                for kl, name in zip((1.0, 0.0), names, strict=True):
                    monitor.observe(step, kl=torch.full((2, 4), kl), name=name)

        assert provoked(lambda monitor: run(monitor, "", ""))[0].warned == {"posterior collapse": 19}
        monitor, said = provoked(lambda monitor: run(monitor, "top", "bottom"))
        assert monitor.warned == {"bottom/posterior collapse": 19}
        assert said[0].startswith("step 19, bottom: 0% of the latent variables")
        assert (monitor.figures["top/active"], monitor.figures["bottom/active"]) == (1, 0)

    @pytest.mark.parametrize("name", ["", "code"])
    def test_is_not_used_up_by_the_parts_of_a_batch(self, name: str) -> None:
        def run(monitor: Monitor) -> None:
            for step in range(19):
                for _ in range(8):
                    monitor.observe(step, kl=torch.zeros(2, 4), name=name)

        assert provoked(run)[0].warned == {}

    def test_of_named_variables_ends_with_a_healthy_part_of_a_batch(self) -> None:
        def run(monitor: Monitor) -> None:
            for step in range(40):
                for kl in (0.0, 1.0, 0.0):
                    monitor.observe(step, kl=torch.full((2, 4), kl), name="code")

        assert provoked(run)[0].warned == {}

    def test_with_an_overflow_that_a_scaler_skips(self) -> None:
        """It is no pitfall, and hides none: a NaN later on is told at once."""
        logits = torch.zeros(4, 3, requires_grad=True)

        def run(monitor: Monitor) -> None:
            for step in range(30):
                overflow = step % 10 < 2
                q = Bernoulli(logits=logits.detach().clone().requires_grad_(), validate_args=False)
                loss = q.logits.sum() * (torch.nan if step == 25 else 1.0)
                monitor.observe(step, q, loss=loss, tau=0.5)
                (loss * (torch.inf if overflow else 2.0**16)).backward()

        monitor, said = provoked(run)
        assert monitor.warned == {"not finite": 25}
        assert len(said) == 1

    @pytest.mark.parametrize("healthy", [True, False])
    def test_with_dead_classes_waits_for_enough_examples(self, healthy: bool) -> None:
        """512 codes cannot all be chosen by 32 examples, nor 31/32 of them be called dead."""
        generator = torch.Generator().manual_seed(0)

        def run(monitor: Monitor) -> None:
            for step in range(200):
                chosen = torch.randint(512 if healthy else 64, (32, 1), generator=generator)
                logits = 20 * torch.nn.functional.one_hot(chosen, 512).float()
                monitor.observe(step, OneHotCategorical(logits=logits))

        monitor, _ = provoked(run)
        assert ("dead classes" in monitor.warned) != healthy
        if not healthy:
            # 80 looks have five examples for each class, and patience is 20 more.
            assert monitor.warned["dead classes"] == 98
            assert monitor.figures["dead_classes"] == pytest.approx(448 / 512)


class TestFigures:
    def look(self, q: Distribution, **options: Any) -> dict[str, float]:
        monitor = Monitor(every=1)
        monitor.observe(0, q, **options)
        return monitor.figures

    def test_of_the_gradient(self) -> None:
        logits = torch.zeros(4, 3, requires_grad=True)
        weights = torch.zeros(4, 3)
        weights[0] = torch.tensor([3.0, -3.0, 0.0])
        q = OneHotCategorical(logits=logits)
        monitor = Monitor(every=1)
        monitor.observe(0, q, tau=torch.tensor([0.5, 1.5]))
        (q.logits * weights).sum().backward()
        assert monitor.figures["gradient"] == pytest.approx((18 / 4) ** 0.5)
        assert monitor.figures["peak"] == pytest.approx(18**0.5)
        assert monitor.figures["spread"] == pytest.approx(0.25)
        assert monitor.figures["tau"] == 1.0

    def test_of_the_gradient_are_read_once_from_logits_that_are_a_parameter(self) -> None:
        logits = torch.zeros(4, requires_grad=True)
        records = Records()
        monitor = Monitor(records, every=2)
        for step in range(6):
            q = Bernoulli(logits=logits)
            assert q.logits is logits
            monitor.observe(step, q)
            if step != 2:  # A step that is given up, as by mixed precision.
                (q.logits * (step + 1)).sum().backward()
        seen = [(value, step) for tag, value, step in records.rows if tag == "monitor/gradient"]
        assert seen == [(1.0, 0), (4.0, 2), (5.0, 4)]

    def test_of_the_gradient_of_a_look_that_another_one_followed_are_left_out(self) -> None:
        logits = torch.zeros(4, requires_grad=True)
        records = Records()
        monitor = Monitor(records, every=1)
        for step in range(3):
            q = Bernoulli(logits=logits)
            monitor.observe(step, q)
        q.logits.sum().backward()
        assert [step for tag, _, step in records.rows if tag == "monitor/gradient"] == [2]

    def test_of_a_continuous_distribution_are_those_of_the_rest(self) -> None:
        figures = self.look(Normal(torch.zeros(3), 1.0), kl=torch.tensor([[0.5, 0.0]]), loss=torch.zeros(()))
        assert figures == {"kl": 0.5, "active": 0.5}

    def test_go_to_the_writer(self) -> None:
        records = Records()
        monitor = Monitor(records, every=10)
        for step in range(25):
            logits = torch.zeros(15, 2, 3, requires_grad=True)
            q = OneHotCategorical(logits=logits)
            monitor.observe(step, q, tau=1.0)
            q.logits.square().sum().backward()
        assert {step for _, _, step in records.rows} == {0, 10, 20}
        names = {tag for tag, _, _ in records.rows}
        assert names == {f"monitor/{name}" for name in monitor.figures}
        assert len(records.rows) == 3 * len(names)

    def test_go_to_tensorboard(self, tmp_path: Any) -> None:
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
        from torch.utils.tensorboard import SummaryWriter

        writer = SummaryWriter(str(tmp_path))
        Monitor(writer, every=1).observe(3, OneHotCategorical(logits=torch.zeros(5, 2, 4)))
        writer.close()
        events = EventAccumulator(str(tmp_path))
        events.Reload()
        (event,) = events.Scalars("monitor/perplexity")
        assert (event.step, event.value) == (3, pytest.approx(4))

    def test_cost_no_gradient_and_no_graph(self) -> None:
        logits = torch.zeros(5, 2, 3)
        monitor = Monitor(every=1)
        with torch.no_grad():
            monitor.observe(0, OneHotCategorical(logits=logits), z=torch.zeros(5, 2, 3), tau=1.0)
        assert "gradient" not in monitor.figures


def test_mistakes_in_a_look() -> None:
    with pytest.raises(TypeError, match="q must be a distribution, but it is a Tensor"):
        Monitor(every=1).observe(0, torch.zeros(3))  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"loss must be a tensor, but it is 3.0 \(float\); give it before"):
        Monitor(every=1).observe(0, loss=3.0)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"step": "3"}, "step must be an integer, but it is '3'"),
        ({"z": [0.0, 1.0]}, r"z must be a tensor, but it is \[0.0, 1.0\]"),
        ({"kl": 0.5}, r"kl must be a tensor, but it is 0.5 \(float\)"),
        ({"tau": "1"}, "tau must be a number or a tensor, but it is '1'"),
        ({"tau": 0.0}, "tau must be positive and finite"),
        ({"variables": 1.5}, "variables must be an integer"),
        ({"variables": -1}, "variables must be at least 0"),
        ({"training": 1}, "training must be True or False"),
        ({"name": 3}, r"name must be a string, but it is 3 \(int\); give str\(3\)"),
        ({"q": OneHotCategorical}, "q must be a distribution, but it is the class OneHotCategorical"),
    ],
)
@pytest.mark.parametrize("every", [1, 50])
def test_wrong_types_in_a_look(options: dict[str, Any], message: str, every: int) -> None:
    """They are told at once, not at the first step that is looked at."""
    with pytest.raises((TypeError, ValueError), match=message):
        Monitor(every=every).observe(**{"step": 7, **options})


def test_wrong_types_elsewhere() -> None:
    with pytest.raises(TypeError, match="writer must have a method add_scalar, but it is 'runs'"):
        Monitor("runs")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"module must be an nn\.Module, but it is 3"):
        Monitor().attach(3)  # type: ignore[arg-type]


@pytest.mark.parametrize("options", [{"every": 0}, {"patience": 0}, {"every": 1.5}])
def test_mistakes(options: dict[str, Any]) -> None:
    with pytest.raises((ValueError, TypeError), match=next(iter(options))):
        Monitor(**options)
