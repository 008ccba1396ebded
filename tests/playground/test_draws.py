"""The page draws what the library draws for the same seed."""

from __future__ import annotations

import pytest
import torch

from drawgrad.functional import fold_seed, gumbel_max, gumbel_noise, gumbel_softmax
from drawgrad.kernels.philox import EXTREME, WORD, random_bits
from tests.playground.page import computed, needs_node

pytestmark = needs_node

SEEDS = [0, 7, -1, 2**63 - 1, -(2**63), 2**64 - 1, 20170314]
LOGITS = [1.0, 0.5, -0.5, 0.0, 0.8]


def close(found: object, expected: torch.Tensor) -> None:
    torch.testing.assert_close(torch.tensor(found, dtype=torch.float64).reshape(expected.shape), expected,
                               rtol=1e-12, atol=1e-14)  # fmt: skip


def test_words_are_those_of_the_reference() -> None:
    found = computed(
        f"[{', '.join(f'{seed}n' for seed in SEEDS)}].map((seed) => [0, 1, 4999].map((row) => [0, 1, 2].map((block) => "
        "Philox.block(Philox.key(seed), row, block, 2, new Uint32Array(4)))))"
    )
    seeds = torch.tensor([seed - 2**64 if seed >= 2**63 else seed for seed in SEEDS])
    expected = random_bits(seeds, 5000, 12, 0, 0, stream=2)[:, [0, 1, 4999]]
    assert torch.equal(torch.tensor(found).reshape(expected.shape), expected)


@pytest.mark.parametrize("classes", [3, 4, 10])
def test_noise(classes: int) -> None:
    found = computed(f"[{', '.join(f'{seed}n' for seed in SEEDS)}].map((seed) => Draws.gumbel(seed, 6, {classes}))")
    for seed, noise in zip(SEEDS, found, strict=True):
        close(noise, gumbel_noise((6, classes), seed=seed, dtype=torch.float64))


def test_noise_of_extreme_words() -> None:
    # A row with a word at either end, where a second word tells more; one number in half a million is like that.
    rows, seed = 25_000, 187
    bits = random_bits(torch.tensor([seed]), rows, 3, 0, 0, stream=0)[0]
    low, high = (bits < EXTREME).any(-1), (bits > WORD - EXTREME).any(-1)
    assert low.any()
    assert high.any()
    picked = [int(low.nonzero()[0]), int(high.nonzero()[0])]
    found = computed(f"(() => {{ const noise = Draws.gumbel({seed}n, {rows}, 3); "
                     f"return {picked}.map((row) => noise.slice(3 * row, 3 * row + 3)); }})()")  # fmt: skip
    close(found, gumbel_noise((rows, 3), seed=seed, dtype=torch.float64)[picked])


@pytest.mark.parametrize("tau", [0.03125, 0.5, 8.0])
def test_samples(tau: float) -> None:
    logits = torch.tensor(LOGITS, dtype=torch.float64)
    rows = computed(f"Draws.relaxed({LOGITS}, Draws.gumbel(7n, 50, 5), {tau})")
    close(rows, gumbel_softmax(logits.expand(50, 5), tau=tau, seed=7))
    one = computed(f"Draws.softmax(Draws.perturbed({LOGITS}, Draws.gumbel(7n, 1, 5)), {tau})")
    close(one, gumbel_softmax(logits, tau=tau, seed=7))
    assert one == rows[:5], "the draw of the bars is the first of the points"


def test_float32_draws_the_same_to_its_rounding() -> None:
    found = torch.tensor(computed(f"Draws.relaxed({LOGITS}, Draws.gumbel(7n, 50, 5), 0.5)")).reshape(50, 5)
    torch.testing.assert_close(
        found, gumbel_softmax(torch.tensor(LOGITS).expand(50, 5), tau=0.5, seed=7), rtol=2e-5, atol=1e-7
    )


def test_classes() -> None:
    noise = "Draws.gumbel(7n, 50, 5)"
    found = computed(f"[...Array(50).keys()].map((row) => Draws.winner(Draws.perturbed({LOGITS}, {noise}, row)))")
    assert found == gumbel_max(torch.tensor(LOGITS, dtype=torch.float64).expand(50, 5), seed=7).tolist()
    assert set(found) == set(range(5))


def test_folded_seeds() -> None:
    numbers = [0, 1, -1, 10**6]
    found = computed(
        f"[{', '.join(f'{seed}n' for seed in SEEDS)}].map((seed) => {numbers}.map((n) => Seeds.fold(seed, n)))"
    )
    assert [[int(seed) for seed in row] for row in found] == [
        [int(fold_seed(seed, number)) for number in numbers] for seed in SEEDS
    ]


@pytest.mark.parametrize(
    ("text", "seed"),
    [(" 7 ", "7"), ("-9223372036854775808", str(-(2**63))), ("+18446744073709551615", str(2**64 - 1)),
     ("18446744073709551616", None), ("-9223372036854775809", None), ("", None), ("1.5", None), ("0x10", None),
     ("99999999999999999999999", None)],
)  # fmt: skip
def test_seeds_are_read_as_the_library_takes_them(text: str, seed: str | None) -> None:
    assert computed(f"Seeds.parse({text!r})") == seed
