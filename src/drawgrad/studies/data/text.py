"""The plays of Shakespeare that character models are tried on: a million characters, in three parts."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import torch

from drawgrad._typing import Int, Tensor
from drawgrad.studies.data.files import DataError, RemoteFile, load_file

__all__ = ["Text", "load_text"]

FILE = RemoteFile(
    "text/tiny_shakespeare.txt",
    ("https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt",),
    "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
)


@dataclass(frozen=True)
class Text:
    """A text as numbers of characters.

    Args:
        alphabet: The characters, in the order of their numbers.
        train, valid, test: Its parts, one after the other.
    """

    alphabet: str
    train: Int[Tensor, "train"]
    valid: Int[Tensor, "valid"]
    test: Int[Tensor, "test"]

    @classmethod
    def of(cls, text: str) -> Text:
        """The first eighteen of twenty equal parts train, the other two validate and test."""
        alphabet = "".join(sorted(set(text)))
        places = {character: place for place, character in enumerate(alphabet)}
        numbers = torch.tensor([places[character] for character in text])
        ends = [len(text) * part // 20 for part in (18, 19)]
        return cls(alphabet, numbers[: ends[0]], numbers[ends[0] : ends[1]], numbers[ends[1] :])

    def written(self, numbers: Int[Tensor, "length"]) -> str:
        """Numbers as the text that they stand for."""
        return "".join(self.alphabet[number] for number in numbers.tolist())


def load_text(data_dir: Path | None = None) -> Text:
    """Load the text.

    Args:
        data_dir: Folder with `text/tiny_shakespeare.txt`; without it the file is downloaded once into a cache.

    Raises:
        DataError: If the file is missing, damaged, or cannot be downloaded.
    """
    return load_file(FILE, _parsed, data_dir)


def _parsed(content: bytes, expected: str) -> Text:
    found = hashlib.sha256(content).hexdigest()
    if found != expected:
        raise DataError(f"its sha256 is {found}, but {expected} was expected")
    return Text.of(content.decode())
