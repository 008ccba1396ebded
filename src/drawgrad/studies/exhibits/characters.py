"""Continuations of a text without replacement: how well do k of them tell the entropy of the model?

A small recurrent network is trained on plays. For some places of the test text the entropy of its next four characters
is known exactly, by enumeration. It is estimated from k continuations: independent ones, or different ones from a
stochastic beam search, at the same number of evaluations of the model.

Both kinds also come with the entropies of the single steps in place of the log-probability of the whole, which have the
same mean and less variance: sum_t H(next | first t) for -log p.

References:
    Kool, van Hoof, Welling. Stochastic beams and where to find them: the Gumbel-top-k trick for sampling sequences
    without replacement. ICML 2019.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import torch

from drawgrad._checks import check_count
from drawgrad._typing import Float, Int, Tensor
from drawgrad.functional import beam_weights, fold_seed, gumbel_max, stochastic_beam_search
from drawgrad.studies.data.text import load_text
from drawgrad.studies.drawing import COLORS, plain_axes, sign
from drawgrad.studies.engine import Job
from drawgrad.studies.exhibits.study import Found, Sweep
from drawgrad.studies.records import Measurement, mean_of
from drawgrad.studies.tasks.characters import CharacterModel, train_characters

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.figure import Figure

__all__ = ["ESTIMATES", "STEPS", "Characters", "CharactersRecipe", "Continuations", "estimates"]

STEPS = 500
CONTEXT = 48
"""Characters that the model has read at each place."""
ESTIMATES = (
    "independent",
    "beam, unbiased weights",
    "beam, normalized weights",
    "independent, entropies of steps",
    "beam, normalized, entropies of steps",
)


@dataclass(frozen=True)
class Continuations:
    """What may follow at one place of a text.

    Args:
        model: The model.
        state: What it remembers of the characters before the last one, shape `(1, hidden)`.
        last: The last character, shape `(1,)`.
        length: Characters of a continuation.
        temperature: By which its logits are divided.
    """

    model: CharacterModel
    state: Float[Tensor, "1 hidden"]
    last: Int[Tensor, "1"]
    length: int
    temperature: float

    def step(self, state: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Log-probabilities of the next characters, float64, and the next state."""
        logits, after = self.model.step(state, tokens)
        return (logits.double() / self.temperature).log_softmax(-1), after

    def entropy(self) -> float:
        """The entropy in nats, exactly: the sum of the entropies of all steps, over all prefixes."""
        state, last, log_p = self.state, self.last, torch.zeros(1, dtype=torch.float64)
        total = 0.0
        for place in range(self.length):
            following, state = self.step(state, last)
            total += float((log_p.exp() * _entropy(following)).sum())
            if place < self.length - 1:
                characters = following.shape[1]
                log_p = (log_p[:, None] + following).flatten()
                last = torch.arange(characters).repeat(len(state))
                state = state.repeat_interleave(characters, 0)
        return total

    def independent(self, count: int, seed: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Draw independent continuations: characters, log-probabilities, and sums of the entropies of the steps."""
        state, last = self.state.expand(count, -1), self.last.expand(count)
        log_p = entropies = torch.zeros(count, dtype=torch.float64)
        tokens = []
        for place in range(self.length):
            following, state = self.step(state, last)
            last = gumbel_max(following, seed=fold_seed(seed, place))
            log_p = log_p + following.gather(1, last[:, None])[:, 0]
            entropies = entropies + _entropy(following)
            tokens.append(last)
        return torch.stack(tokens, -1), log_p, entropies

    def entropies(self, tokens: Int[Tensor, "rows length"]) -> Float[Tensor, "rows"]:
        """The sums of the entropies of the steps of given continuations."""
        state, last = self.state.expand(len(tokens), -1), self.last.expand(len(tokens))
        total = torch.zeros(len(tokens), dtype=torch.float64)
        for place in range(self.length):
            following, state = self.step(state, last)
            total = total + _entropy(following)
            last = tokens[:, place]
        return total


def _entropy(log_p: Float[Tensor, "rows characters"]) -> Float[Tensor, "rows"]:
    return -(log_p.exp() * log_p).sum(-1)


@torch.no_grad()
def estimates(of: Continuations, k: int, repeats: int, seed: Tensor) -> tuple[dict[str, Tensor], float]:
    """Estimate the entropy many times from k continuations.

    Args:
        of: The continuations.
        k: How many each estimate takes.
        repeats: How many estimates.
        seed: Of the draws.

    Returns:
        For each way of :data:`ESTIMATES` its estimates, shape `(repeats,)`; and which share of k independent
        continuations are different ones, on average.
    """
    tokens, log_p, entropies = of.independent(repeats * k, fold_seed(seed, 0))
    beams = stochastic_beam_search(
        of.step,
        k,
        of.length,
        start=of.last.expand(repeats),
        state=of.state.expand(repeats, -1),
        seed=fold_seed(seed, 1),
    )
    steps = of.entropies(beams.tokens.flatten(0, 1).clamp_min(0)).reshape(repeats, k)
    unbiased, normalized = (beam_weights(beams.log_prob, beams.threshold, normalized=flag) for flag in (False, True))
    surprise = torch.where(beams.log_prob == -torch.inf, 0.0, -beams.log_prob)
    found = (
        -log_p.reshape(repeats, k).mean(1),
        (unbiased * surprise).sum(1),
        (normalized * surprise).sum(1),
        entropies.reshape(repeats, k).mean(1),
        (normalized * steps).sum(1),
    )
    characters = 1 + int(tokens.max())
    numbers = (tokens * characters ** torch.arange(of.length)).sum(-1).reshape(repeats, k).sort(-1)[0]
    distinct = float(((numbers[:, 1:] != numbers[:, :-1]).sum(-1) + 1).double().mean()) / k
    return dict(zip(ESTIMATES, found, strict=True)), distinct


@dataclass(frozen=True)
class CharactersRecipe:
    """Train one model, and estimate the entropy of what it writes.

    Args:
        steps: Of the training.
        hidden: Units of the model.
        counts: How many continuations an estimate takes.
        temperatures: Of the model when it writes.
        length: Characters of a continuation; the exact entropy takes as many evaluations as there are shorter ones.
        places: Of the text.
        repeats: Estimates of each kind.
        data_dir: Folder of the text; None to download it.
    """

    steps: int = STEPS
    hidden: int = 96
    counts: tuple[int, ...] = (5, 10, 20, 50, 100)
    temperatures: tuple[float, ...] = (1.0, 0.5)
    length: int = 4
    places: int = 3
    repeats: int = 60
    data_dir: Path | None = field(default=None, compare=False)

    def run(self, seed: int, folder: Path, listener: Callable[[str], None]) -> dict[str, Any]:
        """Train and estimate; see :class:`~drawgrad.studies.engine.Recipe`."""
        text = load_text(self.data_dir)

        def tell(progress: Any) -> None:
            if progress.step % 20 == 0:
                listener(f"step {progress.step} of {self.steps}")

        model, progress = train_characters(
            text, folder, steps=self.steps, hidden=self.hidden, seed=seed, settings=Job("", self, seed).key,
            listener=tell,
        )  # fmt: skip
        found: dict[str, Any] = {}
        with torch.no_grad():
            for temperature in self.temperatures:
                listener(f"entropy at temperature {temperature:g}")
                found[f"{temperature:g}"] = self._measured(model, text.test, temperature, torch.tensor(seed))
        return {"nats": progress.latest["valid/nats"], "temperatures": found}

    def _measured(self, model: CharacterModel, text: Tensor, temperature: float, seed: Tensor) -> dict[str, Any]:
        places = list(self._places(model, text, temperature))
        exact = [place.entropy() for place in places]
        by_count = {}
        for k in self.counts:
            off: dict[str, list[Tensor]] = {name: [] for name in ESTIMATES}
            shares = []
            for number, (place, entropy) in enumerate(zip(places, exact, strict=True)):
                drawn, distinct = estimates(place, k, self.repeats, fold_seed(fold_seed(seed, k), number))
                shares.append(distinct)
                for name, values in drawn.items():
                    off[name].append(values - entropy)
            errors = {name: torch.stack(values) for name, values in off.items()}
            by_count[str(k)] = {
                "distinct": sum(shares) / len(shares),
                "rmse": {name: math.sqrt(values.square().mean()) for name, values in errors.items()},
                "bias": {name: float(values.mean()) for name, values in errors.items()},
            }
        return {"entropy": exact, "counts": by_count}

    def _places(self, model: CharacterModel, text: Tensor, temperature: float) -> Iterator[Continuations]:
        for place in range(self.places):
            begin = (len(text) - CONTEXT) * place // self.places
            context = text[None, begin : begin + CONTEXT]
            yield Continuations(model, model.read(context[:, :-1]), context[:, -1], self.length, temperature)


@dataclass(frozen=True)
class Characters(Sweep):
    """Models of several seeds.

    Args:
        seeds: Models.
        recipe: What is done with each.
    """

    recipe: CharactersRecipe = CharactersRecipe()
    name: ClassVar[str] = "characters"
    title: ClassVar[str] = "Entropy of a character model from k continuations: root mean squared error in nats"

    def cases(self) -> Mapping[str, CharactersRecipe]:
        """One model with each seed."""
        return {"model": self.recipe}

    def cells(self, found: Found) -> list[Measurement]:
        """Errors by estimate and k, and how many independent continuations are different ones."""
        cells = []
        for temperature in self.recipe.temperatures:
            of = [one["temperatures"][f"{temperature:g}"]["counts"] for one in found["model"]]
            for name in ESTIMATES:
                for k in self.recipe.counts:
                    case = f"temperature {temperature:g}: {name}"
                    cells.append(mean_of(case, f"k = {k}", [one[str(k)]["rmse"][name] for one in of]))
            for k in self.recipe.counts:
                case = f"temperature {temperature:g}: different ones of k independent"
                shares = [100 * one[str(k)]["distinct"] for one in of]
                cells.append(mean_of(case, f"k = {k}", shares, "%"))
        return cells

    def note(self, found: Found) -> str:
        """The set-up."""
        of = found["model"]
        nats = statistics.fmean(one["nats"] for one in of)
        known = ", ".join(
            f"{statistics.fmean(e for one in of for e in one['temperatures'][f'{t:g}']['entropy']):.2f} nats at {t:g}"
            for t in self.recipe.temperatures
        )
        return (
            f"A recurrent network of {self.recipe.hidden} units, trained for {self.recipe.steps} steps "
            f"({nats:.3f} nats a character of the validation text). The entropy of its next {self.recipe.length} "
            f"characters at {self.recipe.places} places of the test text is known by enumeration (on average {known}) "
            f"and estimated {self.recipe.repeats} times from k continuations; mean and standard error over "
            f"{self.words(found)}. A beam of k takes no more evaluations than k independent continuations, but for the "
            "one beyond k that its threshold needs. All continuations of a beam are different. The entropies of steps "
            "stand for -log p of the whole: the same mean, less variance."
        )

    def draw(self, figure: Figure, found: Found) -> None:
        """Errors over k, a panel for each temperature, and the share of different ones."""
        temperatures = self.recipe.temperatures
        panels = figure.subplots(1, len(temperatures) + 1)
        counts = list(self.recipe.counts)
        for axes, temperature in zip(panels[:-1], temperatures, strict=True):
            of = [one["temperatures"][f"{temperature:g}"]["counts"] for one in found["model"]]
            for color, name in zip(COLORS, ESTIMATES, strict=False):
                cells = [mean_of("", "", [one[str(k)]["rmse"][name] for one in of]) for k in counts]
                axes.errorbar(counts, [cell.value for cell in cells], yerr=[cell.spread for cell in cells], color=color,
                              marker="o", ms=3.5, lw=1.4, capsize=2,
                              ls="--" if "steps" in name else "-")  # fmt: skip
            axes.set(xscale="log", yscale="log", xticks=counts, xticklabels=counts)
            axes.minorticks_off()
            plain_axes(axes, f"Temperature {temperature:g}", "k", "root mean squared error in nats")
        for color, temperature in zip(("#3f6bbd", "#d1495b", "#3c7a57"), temperatures, strict=False):
            of = [one["temperatures"][f"{temperature:g}"]["counts"] for one in found["model"]]
            cells = [mean_of("", "", [100 * one[str(k)]["distinct"] for one in of]) for k in counts]
            panels[-1].errorbar(counts, [cell.value for cell in cells], yerr=[cell.spread for cell in cells],
                                color=color, marker="o", ms=3.5, lw=1.4, capsize=2,
                                label=f"temperature {temperature:g}")  # fmt: skip
        panels[-1].set(xscale="log", ylim=(0, 102), xticks=counts, xticklabels=counts)
        panels[-1].minorticks_off()
        panels[-1].legend(frameon=False, fontsize=8)
        plain_axes(panels[-1], "Different ones of k independent", "k", "%")

    def signs(self) -> list[Artist]:
        """One for each estimate."""
        return [
            sign(name, color, marker="o", ms=3.5, lw=1.4, ls="--" if "steps" in name else "-")
            for color, name in zip(COLORS, ESTIMATES, strict=False)
        ]

    @property
    def size(self) -> tuple[float, float]:
        """A panel for each temperature, and one more."""
        return 4.0 * len(self.recipe.temperatures) + 4.0, 4.4

    def __post_init__(self) -> None:
        super().__post_init__()
        check_count(self.recipe.steps, "steps", minimum=1)
