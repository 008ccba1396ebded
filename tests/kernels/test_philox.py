"""The counter-based generator: the published answers, and which word belongs to which row and class."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from drawgrad.kernels.philox import CLASSES, GUMBEL_STREAM, LOGISTIC_STREAM, philox_4x32, random_bits, words_at
from tests.kernels.oracles import KNOWN_ANSWERS, philox, word_at
from tests.statistics import assert_mean, assert_uncorrelated

SEEDS = [0, 1, -1, 2**63 - 1, -(2**63), 0x299F31D0A4093822]


def as_tensors(words: tuple[int, ...]) -> tuple[Tensor, ...]:
    return tuple(torch.tensor(word) for word in words)


@pytest.mark.parametrize("name", KNOWN_ANSWERS)
def test_known_answers(name: str) -> None:
    counter, key, answer = KNOWN_ANSWERS[name]
    assert tuple(word.item() for word in philox_4x32(as_tensors(counter), as_tensors(key))) == answer


@pytest.mark.parametrize("name", KNOWN_ANSWERS)
def test_the_oracle_gives_the_known_answers_after_ten_rounds_only(name: str) -> None:
    counter, key, answer = KNOWN_ANSWERS[name]
    assert philox(counter, key) == answer
    assert philox(counter, key, rounds=9) != answer
    assert philox(counter, key[::-1]) != answer or key[0] == key[1]


def test_counters_and_keys_broadcast() -> None:
    column, row = torch.arange(3)[:, None], torch.arange(4)
    words = philox_4x32((column, row, column * 0, row * 0), (torch.tensor(7), torch.tensor(8)))
    for word in range(4):
        expected = [[philox((i, j, 0, 0), (7, 8))[word] for j in range(4)] for i in range(3)]
        assert words[word].tolist() == expected


@pytest.mark.parametrize("row_offset", [0, 5, 2**32 - 2, 2**33 + 5, 2**62])
@pytest.mark.parametrize("class_offset", [0, 1, 4, 6, 2**32 - 1, CLASSES - 7])
def test_a_word_is_that_of_its_row_and_class(row_offset: int, class_offset: int) -> None:
    rows, classes = 3, 7
    for stream in (GUMBEL_STREAM, LOGISTIC_STREAM):
        bits = random_bits(torch.tensor(SEEDS), rows, classes, row_offset, class_offset, stream)
        expected = [
            [
                [word_at(seed, row, class_, stream) for class_ in range(class_offset, class_offset + classes)]
                for row in range(row_offset, row_offset + rows)
            ]
            for seed in SEEDS
        ]
        assert bits.tolist() == expected


@pytest.mark.parametrize(
    ("what", "other"),
    [
        ("seed", {"seed": torch.tensor([2**32])}),
        ("row", {"row_offset": 1}),
        ("high word of the row", {"row_offset": 2**32}),
        ("class", {"class_offset": 1}),
        ("stream", {"stream": LOGISTIC_STREAM}),
    ],
)
def test_each_part_of_the_place_changes_the_words(what: str, other: dict[str, object]) -> None:
    place = {"seed": torch.tensor([0]), "rows": 8, "classes": 8, "row_offset": 0, "class_offset": 0}
    place |= {"stream": GUMBEL_STREAM}
    assert not bool((random_bits(**place) == random_bits(**(place | other))).any()), what


@pytest.mark.parametrize(("rows", "classes"), [(0, 3), (3, 0), (0, 0)])
def test_no_words(rows: int, classes: int) -> None:
    assert random_bits(torch.tensor([1, 2]), rows, classes, 3, 5, GUMBEL_STREAM).shape == (2, rows, classes)


def test_words_of_single_places_are_those_of_the_block() -> None:
    seed, offsets = torch.tensor([3, -5]), (2**32 - 1, 2)
    block = random_bits(seed, 3, 11, *offsets, LOGISTIC_STREAM)
    group, row, class_ = (part.flatten() for part in torch.meshgrid(*map(torch.arange, block.shape), indexing="ij"))
    words = words_at(seed[group], row + offsets[0], class_ + offsets[1], LOGISTIC_STREAM)
    assert torch.equal(words.view(block.shape), block)


class TestBits:
    """Every bit is a fair coin, and no two of a word, of neighboring classes, rows or streams know of each other."""

    RESOLUTION = 0.03

    def signs(self, stream: int = GUMBEL_STREAM) -> Tensor:
        words = random_bits(torch.tensor([42]), 1 << 11, 64, 0, 0, stream)[0]
        return 2.0 * ((words[..., None] >> torch.arange(32)) & 1) - 1

    def test_within_a_word(self) -> None:
        signs = self.signs().flatten(0, 1)
        assert_mean(signs, 0.0, resolution=self.RESOLUTION)
        assert_uncorrelated(signs, resolution=self.RESOLUTION)

    def test_of_neighbors(self) -> None:
        signs, other = self.signs(), self.signs(LOGISTIC_STREAM)
        assert_uncorrelated(signs[:, 1:].flatten(0, 1), signs[:, :-1].flatten(0, 1), resolution=self.RESOLUTION)
        assert_uncorrelated(signs[1:].flatten(0, 1), signs[:-1].flatten(0, 1), resolution=self.RESOLUTION)
        assert_uncorrelated(signs.flatten(0, 1), other.flatten(0, 1), resolution=self.RESOLUTION)

    def test_fewer_rounds_are_noticed(self) -> None:
        words = torch.tensor([philox((0, block, 0, 0), (42, 0), rounds=4) for block in range(1 << 15)]).flatten()
        signs = 2.0 * ((words[:, None] >> torch.arange(32)) & 1) - 1
        with pytest.raises(AssertionError, match="are correlated"):
            assert_uncorrelated(signs[:-1], signs[1:], resolution=self.RESOLUTION)
