"""A model of text, one character after the other: a small recurrent network."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from drawgrad._typing import Float, Int, Tensor
from drawgrad.studies.data.text import Text
from drawgrad.studies.runs.checkpoints import Checkpoints
from drawgrad.studies.runs.journal import Journal
from drawgrad.studies.runs.loop import Plan, Progress, Run, fit

__all__ = ["CharacterModel", "train_characters"]

BATCH, WINDOW = 64, 64
CHECKPOINT_EVERY = 200


class CharacterModel(nn.Module):
    """Logits of the next character, from all those before it.

    Args:
        characters: In the alphabet.
        hidden: Units of the recurrent layer.
    """

    def __init__(self, characters: int, hidden: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(characters, 32)
        self.recurrent = nn.GRU(32, hidden, batch_first=True)
        self.output = nn.Linear(hidden, characters)

    def forward(self, tokens: Int[Tensor, "rows length"]) -> Float[Tensor, "rows length characters"]:
        """The logits after each character of texts."""
        return self.output(self.recurrent(self.embedding(tokens))[0])

    def read(self, tokens: Int[Tensor, "rows length"]) -> Float[Tensor, "rows hidden"]:
        """What the model remembers after texts."""
        return self.recurrent(self.embedding(tokens))[1][0]

    def step(
        self, state: Float[Tensor, "rows hidden"], tokens: Int[Tensor, "rows"]
    ) -> tuple[Float[Tensor, "rows characters"], Float[Tensor, "rows hidden"]]:
        """The logits after one more character, and what the model remembers then."""
        _, after = self.recurrent(self.embedding(tokens)[:, None], state[None].contiguous())
        return self.output(after[0]), after[0]


class _Task:
    """Windows of the text, each beginning anywhere."""

    def __init__(self, model: CharacterModel, text: Text, steps: int, seed: int) -> None:
        self.model, self.text = model, text
        self.examples = steps * BATCH
        drawn = torch.Generator().manual_seed(seed)
        self.starts = torch.randint(len(text.train) - WINDOW - 1, (self.examples,), generator=drawn)

    def loss(self, rows: Tensor, step: int, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """Nats a character."""
        nats = self._nats(self.text.train, self.starts[rows])
        return nats, {"nats": nats.detach()}

    def settings(self, step: int) -> dict[str, float]:
        """Nothing is scheduled."""
        return {}

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """Nats a character of the validation text."""
        return {"nats": float(self._nats(self.text.valid, torch.arange(0, len(self.text.valid) - WINDOW - 1, WINDOW)))}

    def _nats(self, text: Tensor, starts: Tensor) -> Tensor:
        windows = text[starts[:, None] + torch.arange(WINDOW + 1)]
        return cross_entropy(self.model(windows[:, :-1]).flatten(0, 1), windows[:, 1:].flatten())


def train_characters(
    text: Text,
    folder: Path,
    *,
    steps: int,
    hidden: int,
    seed: int,
    settings: str,
    listener: Callable[[Progress], None] = lambda progress: None,
) -> tuple[CharacterModel, Progress]:
    """Train a model, or continue from the newest checkpoint in a folder, which has that of a finished one too.

    Args:
        text: The text.
        folder: Of the checkpoints and of what was measured.
        steps: Of Adam.
        hidden: Units of the recurrent layer.
        seed: Of weights and batches.
        settings: What the checkpoints are of; those of other settings are refused.
        listener: Told of every step.

    Returns:
        The model and the final progress, which holds the nats a character of the validation text.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = CharacterModel(len(text.alphabet), hidden)
    progress = fit(
        Run(
            _Task(model, text, steps, seed),
            torch.optim.Adam(model.parameters(), lr=4e-3),
            Plan(epochs=1, batch_size=BATCH, seed=seed, checkpoint_every=CHECKPOINT_EVERY),
            torch.Generator().manual_seed(seed),
            Checkpoints(folder / "checkpoints", settings),
            lambda step: Journal(folder / "metrics.jsonl", folder / "tensorboard", step),
            listener=listener,
        )
    )
    return model.eval(), progress
