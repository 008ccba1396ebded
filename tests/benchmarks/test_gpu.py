"""The script for a machine with a GPU, as far as it goes without one: tiny, on the CPU, with a clock of paper."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from unittest import mock

import pytest
import torch

from benchmarks import RESULTS, ROOT, _gpu_checks, gpu
from benchmarks._gpu_cases import Bench, layers, others, samplers
from benchmarks._gpu_checks import checks, errors
from drawgrad.functional import gumbel_max
from drawgrad.studies.records import Measurement, read

CPU = torch.device("cpu")
without_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a CUDA device")


class Paper:
    """A clock that runs a call and reads its time off a list, one entry a turn."""

    def __init__(self, seconds: Callable[[int], float] = lambda _: 1e-3) -> None:
        self.seconds = seconds
        self.turns = 0

    def turn(self, call: Callable[[], object], calls: int) -> float:
        assert calls > 0
        call()
        self.turns += 1
        return self.seconds(self.turns - 1)

    def peak(self, call: Callable[[], object]) -> int:
        call()
        return 3 << 20


def _bench(clock: Paper) -> Bench:
    return Bench(CPU, clock, compiled=lambda sampler: sampler, turns=3, calls=2)


def _values(cells: list[Measurement]) -> dict[str, float]:
    return {cell.quantity: cell.value for cell in cells}


class TestComparison:
    def test_the_first_turn_does_not_count_and_ratios_are_of_one_turn(self) -> None:
        # Sides take turns: copy, torch, drawgrad, and so on; the last two get slower together.
        times = [9.0, 9.0, 9.0, 1.0, 4.0, 2.0, 1.0, 8.0, 4.0, 1.0, 16.0, 8.0]
        bench = _bench(Paper(lambda turn: 1e-3 * times[turn]))
        call = partial(torch.zeros, 1)
        cells = bench.compare("case", {"copy": call, "torch": call, "drawgrad": call}, moved=5)
        assert _values(cells) == pytest.approx(
            {"copy": 1.0, "torch": 8.0, "drawgrad": 4.0, "over torch": 2.0, "of the copy's bandwidth": 100 * 2.5 / 4}
        )
        assert {cell.samples for cell in cells} == {3}

    def test_a_copy_has_the_bandwidth_of_a_copy(self) -> None:
        call = partial(torch.zeros, 1)
        cells = _bench(Paper()).compare("case", {"copy": call, "drawgrad": call}, moved=2)
        assert _values(cells)["of the copy's bandwidth"] == pytest.approx(100)


@pytest.mark.parametrize("backward", [False, True], ids=["forward", "backward"])
def test_samplers_have_a_row_for_every_shape_dtype_and_kind(backward: bool) -> None:
    cells = [cell for case in samplers(_bench(Paper()), ((5, 3), (2, 4)), backward=backward) for cell in case]
    sides = itertools.product(("5 x 3", "2 x 4"), ("float32", "bfloat16"), ("soft", "hard"))
    kinds = {", ".join(side) for side in sides}
    assert {cell.case for cell in cells} == kinds
    for case in kinds:
        found = {cell.quantity: cell for cell in cells if cell.case == case}
        assert list(found) == [
            "copy", "torch", "torch, compiled", "drawgrad", "over torch", "over torch, compiled",
            "of the copy's bandwidth", "torch, peak", "torch, compiled, peak", "drawgrad, peak",
        ]  # fmt: skip
        elements = 15 if case.startswith("5") else 8
        size = elements * (4 if "float32" in case else 2)
        assert found["drawgrad, peak"].value == pytest.approx((3 << 20) / size)
        assert found["of the copy's bandwidth"].value == pytest.approx(250 if backward else 100)


def test_the_other_samplers_and_the_layer_are_timed() -> None:
    cells = [cell for case in others(_bench(Paper()), ((5, 3),)) for cell in case]
    assert {cell.case.partition(",")[0] for cell in cells} == {"gumbel_max", "binary_concrete", "gumbel_noise"}
    cells = [cell for case in layers(_bench(Paper()), ((2, 30),), features=4) for cell in case]
    assert {cell.case for cell in cells} == {"2 x 4 to 30, float32", "2 x 4 to 30, bfloat16"}
    assert _values(cells)["drawgrad, peak"] == 3


class TestChecks:
    SIZES = ((50, 5), (20, 100))

    @pytest.fixture(autouse=True)
    def _small_layer(self) -> Iterator[None]:
        with mock.patch.object(_gpu_checks, "LAYER", (20, 8, 50)):
            yield

    def test_the_cpu_passes_as_a_device(self) -> None:
        cells = [cell for case in checks(CPU, self.SIZES) for cell in case]
        checked = [cell for cell in cells if cell.quantity == "checked"]
        assert {cell.case.partition(",")[0] for cell in checked} == {
            "gumbel_noise", "gumbel_max", "gumbel_softmax", "binary_concrete", "gumbel_max_linear",
        }  # fmt: skip
        assert all(cell.value > 0 for cell in checked)
        assert errors(cells) == []

    @pytest.mark.parametrize(
        "sampler", ["gumbel_noise", "gumbel_max", "gumbel_softmax", "binary_concrete", "gumbel_max_linear"]
    )
    def test_another_draw_is_an_error(self, sampler: str) -> None:
        function = getattr(_gpu_checks, sampler)

        def other_seed(*arguments: object, **options: object) -> object:
            return function(*arguments, **{**options, "seed": 1})

        with mock.patch.object(_gpu_checks, sampler, other_seed):
            wrong = errors([cell for case in checks(CPU, self.SIZES) for cell in case])
        assert sampler in {cell.case.partition(",")[0] for cell in wrong}

    def test_ties_are_counted_and_are_no_errors(self) -> None:
        logits, noise = torch.tensor([[0.0, 0.0], [0.0, 1.0]]), torch.zeros(2, 2)
        index = torch.tensor([1, 0])
        assert _values(_gpu_checks._check_winners("case", index, logits, noise)) == {
            "checked": 2,
            "wrong": 1,
            "ties": 1,
        }


class TestRun:
    @staticmethod
    def _cases(bench: Bench) -> Iterator[list[Measurement]]:
        yield bench.compare("first", {"drawgrad": partial(gumbel_max, torch.zeros(3))})
        yield bench.compare("second", {"drawgrad": partial(gumbel_max, torch.zeros(3))})

    def test_every_case_is_in_the_record_as_soon_as_it_is_measured(self, tmp_path: Path) -> None:
        run = gpu.Run(_bench(Paper()), tmp_path / "records", commit="abc")
        seen = []

        def measure(bench: Bench) -> Iterator[list[Measurement]]:
            for cells in self._cases(bench):
                yield cells
                seen.append([cell.case for cell in read(tmp_path / "records" / "gpu-some.json").measurements])

        run.section("gpu-some", gpu.Section("Title", measure))
        assert seen == [["first"], ["first", "second"]]
        record = read(tmp_path / "records" / "gpu-some.json")
        assert (record.commit, record.clean) == ("abc", True)
        assert set(record.versions) == {"python", "torch", "triton", "drawgrad"}
        assert " cores, " in record.device

    def test_what_was_not_measured_on_a_gpu_does_not_go_to_the_results(self) -> None:
        with pytest.raises(ValueError, match="name another one"):
            gpu.Run(_bench(Paper()), RESULTS)

    def test_failed_checks_end_a_run_before_anything_is_timed(self, tmp_path: Path) -> None:
        wrong = [Measurement("case", "wrong", 1.0, 0.0, "", 1)]
        timed = mock.Mock()
        sections = {"gpu-agreement": gpu.Section("Title", lambda _: iter([wrong]), "counts"),
                    "gpu-forward": gpu.Section("Title", timed)}  # fmt: skip
        with (
            mock.patch.multiple(gpu, SECTIONS=sections, _missing=lambda: None, CudaClock=lambda _: Paper()),
            mock.patch.multiple(torch.cuda, current_device=lambda: 0, get_device_name=lambda *_: "a GPU"),
        ):
            assert gpu.main(["--out", str(tmp_path)]) == 1
        timed.assert_not_called()
        assert json.loads((tmp_path / "gpu-agreement.json").read_text())["device"] == "a GPU"

    def test_without_the_packages_of_the_tests_the_tests_are_left_out(self, capsys: pytest.CaptureFixture[str]) -> None:
        with mock.patch.object(gpu, "NEEDED", ("pytest", "no_such_package")):
            assert gpu.run_tests()
        assert "not run, without no_such_package" in capsys.readouterr().out


@without_gpu
def test_without_a_gpu_it_ends_with_one_line_and_no_record(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks.gpu", "--out", str(tmp_path / "records")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    run = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 2
    assert run.stdout == ""
    assert run.stderr.splitlines() == [
        "benchmarks.gpu: torch sees no CUDA device, so there is nothing to measure; run it on a machine with a GPU"
    ]
    assert not (tmp_path / "records").exists()


def test_committed_records_of_gpus_are_of_gpus() -> None:
    """There may be none; one of a CPU would be no record of a GPU."""
    devices = {path.name: read(path).device for path in RESULTS.glob("*.json")}
    assert any(" cores, " in device for device in devices.values())
    assert not [name for name, device in devices.items() if name.startswith("gpu-") and " cores, " in device]
