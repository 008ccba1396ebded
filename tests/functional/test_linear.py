"""Winners of linear layers against those of the logits, on one device and over shards of the classes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import torch
from torch import Tensor, distributed, multiprocessing

from drawgrad.functional import gumbel_max, gumbel_max_linear, gumbel_max_linear_shard, winner_of_shards
from drawgrad.kernels import linear
from tests.statistics import assert_frequencies

SEED = 17


def _layer(batch: tuple[int, ...], features: int, classes: int, dtype: torch.dtype = torch.float32) -> list[Tensor]:
    generator = torch.Generator().manual_seed(3)
    shapes = [(*batch, features), (classes, features), (classes,)]
    return [torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype) for shape in shapes]


def _disagreements(winner: Tensor, logits: Tensor, precision: float, **draw: Any) -> int:
    """How many winners differ from those of the logits; each of them has to be a tie within the rounding."""
    expected = gumbel_max(logits, **draw)
    different = winner != expected
    for row in different.nonzero():
        at = tuple(row.tolist())
        # The draw of this row with only the two candidates allowed, one of them handicapped by the precision.
        handicapped = logits.clone()
        handicapped[(*at, expected[at])] -= precision
        assert gumbel_max(handicapped, **draw)[at] == winner[at], f"{at} is no tie"
    return int(different.sum())


@pytest.mark.parametrize("block", [1, 7, 64, 1 << 20])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize(("batch", "features", "classes"), [((), 3, 5), ((4,), 1, 1), ((2, 1, 5, 3), 8, 333)], ids=str)
def test_draws_what_the_logits_draw(
    batch: tuple[int, ...], features: int, classes: int, dtype: torch.dtype, block: int, device: torch.device
) -> None:
    hidden, weight, bias = (tensor.to(device) for tensor in _layer(batch, features, classes, dtype))
    draw = {"seed": SEED, "row_offset": 2**32 - 1, "class_offset": 6}
    rows = max(1, hidden.numel() // features)
    with mock.patch.object(linear, "ELEMENTS", block * rows):
        for tau in (1.0, 0.3, torch.linspace(0.2, 2.0, rows, device=device).view(*batch, 1)):
            logits = torch.nn.functional.linear(hidden, weight, bias) / tau
            winner = gumbel_max_linear(hidden, weight, bias, tau=tau, **draw)
            assert winner.shape == batch
            precision = 8 * features * float(logits.abs().max()) * torch.finfo(dtype).eps
            assert _disagreements(winner, logits, precision, **draw) <= 1


def test_samples_the_softmax_at_the_temperature() -> None:
    weight = torch.tensor([0.0, 1.0, -0.5, 0.3, 2.0])[:, None]
    winner = gumbel_max_linear(torch.ones(200_000, 1), weight, tau=0.5, seed=SEED)
    assert_frequencies(winner.bincount(minlength=5)[None], (weight[:, 0] / 0.5).softmax(0)[None], resolution=0.01)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_products_of_narrow_inputs_are_not_rounded(dtype: torch.dtype) -> None:
    hidden, weight, bias = _layer((50,), 64, 200, dtype)
    exact = torch.nn.functional.linear(hidden.float(), weight.float(), bias.float())
    draw = {"seed": SEED}
    assert _disagreements(gumbel_max_linear(hidden, weight, bias, **draw), exact, 1e-4, **draw) <= 1


def test_a_bias_of_minus_infinity_forbids_a_class() -> None:
    hidden, weight, _ = _layer((300,), 4, 6)
    bias = torch.tensor([0.0, -torch.inf, 0.0, 0.0, -torch.inf, 0.0])
    drawn = gumbel_max_linear(hidden, weight, bias, seed=SEED).unique()
    assert drawn.tolist() == [0, 2, 3, 5]
    assert gumbel_max_linear(hidden, weight, torch.full((6,), -torch.inf), seed=SEED).unique().tolist() == [-1]


def test_a_nan_wins_in_its_row_only() -> None:
    hidden, weight, _ = _layer((3,), 4, 6)
    hidden[1] = torch.nan
    healthy = gumbel_max_linear(hidden[::2], weight, seed=torch.tensor(SEED))
    with mock.patch.object(linear, "ELEMENTS", 6):
        assert gumbel_max_linear(hidden, weight, seed=SEED)[1] == 0
        weight[4:] = torch.nan
        assert gumbel_max_linear(hidden[:1], weight, seed=SEED) == 4
    assert healthy.shape == (2,)


@pytest.mark.parametrize(("batch", "features", "classes"), [((0,), 3, 4), ((2,), 0, 4), ((2,), 3, 0)])
def test_empty(batch: tuple[int, ...], features: int, classes: int) -> None:
    hidden, weight, bias = _layer(batch, features, classes)
    winner = gumbel_max_linear(hidden, weight, bias, seed=SEED)
    assert torch.equal(winner, gumbel_max(torch.nn.functional.linear(hidden, weight, bias), seed=SEED))


def test_the_generator_governs_the_draw(generator: torch.Generator, device: torch.device) -> None:
    hidden, weight, _ = (tensor.to(device) for tensor in _layer((100,), 4, 50))
    state = generator.get_state()
    first, second = (gumbel_max_linear(hidden, weight, generator=generator) for _ in range(2))
    assert not torch.equal(first, second)
    generator.set_state(state)
    assert torch.equal(first, gumbel_max_linear(hidden, weight, generator=generator))


def test_the_default_generator_governs_calls_without_a_seed() -> None:
    hidden, weight, _ = _layer((100,), 4, 50)
    draws = []
    for _ in range(2):
        torch.manual_seed(5)
        draws.append([gumbel_max_linear(hidden, weight) for _ in range(2)])
    assert torch.equal(draws[0][0], draws[1][0])
    assert torch.equal(draws[0][1], draws[1][1])
    assert not torch.equal(draws[0][0], draws[0][1])


def test_maps_what_a_loop_draws() -> None:
    hidden, weight, bias = _layer((3, 20), 4, 50)
    seeds = torch.arange(3)

    def draw(hidden: Tensor, seed: Tensor) -> Tensor:
        return gumbel_max_linear(hidden, weight, bias, tau=0.8, seed=seed)

    looped = torch.stack([draw(*pair) for pair in zip(hidden, seeds, strict=True)])
    assert torch.equal(torch.vmap(draw)(hidden, seeds), looped)


# The logits take 256 MiB, a block of them 4 MiB.
MEMORY = """
from pathlib import Path
import torch
from drawgrad.functional import gumbel_max, gumbel_max_linear

def resident(field):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field)) / 1024

def fused(classes):
    return gumbel_max_linear(hidden, weight[:classes], seed=1)

def stored(classes):
    return gumbel_max(hidden @ weight[:classes].T, seed=1)

hidden, weight = torch.randn(512, 4), torch.randn(1 << 17, 4)
for call in (fused, stored):
    call(1 << 12)
    Path("/proc/self/clear_refs").write_text("5")  # peak := present
    before = resident("VmRSS")
    call(1 << 17)
    print(resident("VmHWM") - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells the peak of a process's memory")
def test_logits_never_exist_as_a_whole() -> None:
    run = subprocess.run([sys.executable, "-c", MEMORY], check=True, capture_output=True, text=True)
    fused, stored = map(float, run.stdout.split())
    assert fused < 64, f"{fused} MiB"
    assert stored > 250, f"the check would not see {stored} MiB"


def test_compiles_whole() -> None:
    hidden, weight, bias = _layer((5,), 4, 50)
    compiled = torch.compile(lambda hidden: gumbel_max_linear(hidden, weight, bias, tau=0.7, seed=SEED), fullgraph=True)
    assert torch.equal(compiled(hidden), gumbel_max_linear(hidden, weight, bias, tau=0.7, seed=SEED))


def test_the_operator_passes_torchs_checks() -> None:
    hidden, weight, bias = _layer((5,), 4, 50)
    arguments = (hidden, weight, bias, torch.tensor(1.0), torch.tensor(SEED), 0, 0)
    torch.library.opcheck(torch.ops.drawgrad.linear_winner.default, arguments)


@pytest.mark.parametrize(
    ("changed", "error", "said"),
    [
        ({"hidden": torch.zeros(2, 3, dtype=torch.int64)}, TypeError, "hidden must be of a floating dtype"),
        ({"weight": torch.zeros(4, 2)}, ValueError, "weight must have the shape"),
        ({"weight": torch.zeros(3)}, ValueError, "weight must have the shape"),
        ({"weight": torch.zeros(4, 3, dtype=torch.float64)}, TypeError, "weight must have dtype and device of hidden"),
        ({"bias": torch.zeros(3)}, ValueError, "bias must have the shape"),
        ({"bias": torch.zeros(4, dtype=torch.float16)}, TypeError, "bias must have dtype and device of hidden"),
        ({"tau": 0.0}, ValueError, "tau must be positive"),
        ({"tau": torch.ones(2, 4)}, ValueError, "tau must"),
        ({"class_offset": -1}, ValueError, "class_offset must not be negative"),
        ({"seed": 0, "generator": torch.Generator()}, ValueError, "both given"),
    ],
)
def test_mistakes_are_named(changed: dict[str, Any], error: type[Exception], said: str) -> None:
    arguments = {"hidden": torch.zeros(2, 3), "weight": torch.zeros(4, 3), **changed}
    with pytest.raises(error, match=said):
        gumbel_max_linear(**arguments)


PROCESSES = 2


def _shard_cases() -> dict[str, tuple[list[Tensor], list[int], Tensor]]:
    """Layers, where each process's shard ends, and the draw of one device."""
    hidden, weight, bias = _layer((40,), 8, 301)
    nothing = bias.clone()
    nothing[150:] = -torch.inf
    failed = weight.clone()
    failed[200] = torch.nan
    ties = [
        torch.zeros(6, 8),
        torch.zeros(301, 8),
        torch.full((301,), -1e30).index_fill(0, torch.tensor([90, 260]), 1e30),
    ]
    cases = {
        "halves": ([hidden, weight, bias], [150, 301]),
        "uneven": ([hidden, weight, bias], [3, 301]),
        "an empty one": ([hidden, weight, bias], [0, 301]),
        "several batch dims": ([hidden.view(2, 1, 20, 8), weight, bias], [150, 301]),
        "nothing allowed in the second": ([hidden, weight, nothing], [150, 301]),
        "nothing allowed": ([hidden, weight, torch.full_like(bias, -torch.inf)], [150, 301]),
        "a NaN in the second": ([hidden, failed, bias], [150, 301]),
        "ties": (ties, [150, 301]),
    }  # fmt: skip
    return {name: (layer, ends, gumbel_max_linear(*layer, tau=0.8, seed=SEED)) for name, (layer, ends) in cases.items()}


def _draw_shards(rank: int, store: str, cases: dict[str, Any], out: Any) -> None:
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=PROCESSES)
    try:
        for name, ((hidden, weight, bias), ends, _) in cases.items():
            begin, end = [0, *ends][rank], ends[rank]
            shard = gumbel_max_linear_shard(
                hidden, weight[begin:end], bias[begin:end], tau=0.8, seed=SEED, class_offset=begin
            )
            out.put((name, rank, winner_of_shards(*shard).tolist()))
    finally:
        distributed.destroy_process_group()


@pytest.fixture(scope="module")
def drawn_by_shards(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, int], list[int]]:
    context = multiprocessing.get_context("spawn")
    out = context.SimpleQueue()
    cases = _shard_cases()
    store: Path = tmp_path_factory.mktemp("gloo") / "store"
    multiprocessing.spawn(_draw_shards, (str(store), cases, out), nprocs=PROCESSES)
    results = [out.get() for _ in range(PROCESSES * len(cases))]
    return {(name, rank): winner for name, rank, winner in results}


@pytest.mark.parametrize("rank", range(PROCESSES))
@pytest.mark.parametrize("name", _shard_cases())
def test_shards_draw_what_one_device_draws(
    name: str, rank: int, drawn_by_shards: dict[tuple[str, int], list[int]]
) -> None:
    assert drawn_by_shards[name, rank] == _shard_cases()[name][2].tolist()


def test_the_cases_of_shards_are_what_they_say() -> None:
    winners = {name: case[2] for name, case in _shard_cases().items()}
    assert 0 < (winners["halves"] < 150).float().mean() < 1
    assert int(winners["nothing allowed in the second"].max()) < 150
    assert winners["nothing allowed"].unique().tolist() == [-1]
    assert winners["a NaN in the second"].unique().tolist() == [200]
    assert winners["ties"].unique().tolist() == [90]


def test_without_a_process_group_there_is_no_winner() -> None:
    with pytest.raises((RuntimeError, ValueError), match="process group"):
        winner_of_shards(torch.zeros(2), torch.zeros(2, dtype=torch.int64))


@pytest.mark.parametrize("dtypes", [(torch.bfloat16, torch.float32), (torch.float32, torch.float32)])
def test_under_autocast_it_takes_what_a_linear_layer_takes(dtypes: tuple[torch.dtype, torch.dtype]) -> None:
    hidden, weight, bias = _layer((5,), 4, 50)
    narrow = [tensor.to(torch.bfloat16) for tensor in (hidden, weight, bias)]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = gumbel_max_linear(hidden.to(dtypes[0]), weight.to(dtypes[1]), bias, seed=SEED)
    assert torch.equal(found, gumbel_max_linear(*narrow, seed=SEED))


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: gumbel_max_linear([0.0], torch.zeros(3, 1)), TypeError, "hidden must be a tensor"),
        (lambda: gumbel_max_linear(torch.zeros(1), [[0.0]]), TypeError, "weight must be a tensor"),
        (lambda: gumbel_max_linear(torch.zeros(1), torch.zeros(3, 1), [0.0]), TypeError, "bias must be a tensor"),
        (lambda: winner_of_shards(torch.zeros(2), torch.zeros(3).long()), ValueError, "score and index must have one"),
        (lambda: winner_of_shards(torch.zeros(2), torch.zeros(2)), TypeError, "index must be of an integer dtype"),
    ],
)
def test_wrong_types_are_told_in_words(call: Callable[[], Tensor], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        call()


def test_of_no_features_only_the_bias_decides() -> None:
    bias = torch.tensor([0.0, 1.0, -torch.inf])
    index = gumbel_max_linear(torch.zeros(0), torch.zeros(3, 0), bias, seed=SEED)
    assert torch.equal(index, gumbel_max(bias, seed=SEED))
