"""The cache of compiled kernels: it saves time where it works, and is no error where it does not."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from drawgrad.kernels.cpu import jit


def twice(values, out):
    for i in range(values.size):
        out[i] = 2 * values[i]


@pytest.fixture
def process(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], Callable[[], tuple[int, int]]]:
    """Compiles and runs a kernel as a new process with that cache folder would; returns hits and misses."""

    def process(home: Path | str) -> tuple[int, int]:
        monkeypatch.setenv("XDG_CACHE_HOME", str(home))
        jit._folder.cache_clear()
        kernel = jit.kernel(twice)
        values, out = np.arange(5.0), np.zeros(5)
        kernel(values, out)
        assert out.tolist() == [0, 2, 4, 6, 8]
        return sum(kernel.stats.cache_hits.values()), sum(kernel.stats.cache_misses.values())

    yield process
    jit._folder.cache_clear()


HIT, MISS = (1, 0), (0, 1)


class TestFolder:
    def test_the_second_process_loads_what_the_first_compiled(
        self, process: Callable[[Path], tuple[int, int]], tmp_path: Path
    ) -> None:
        assert process(tmp_path) == MISS
        before = {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*.nb*")}
        assert {file.suffix for file in before} == {".nbi", ".nbc"}
        assert process(tmp_path) == HIT
        assert {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*.nb*")} == before

    def test_a_change_in_any_source_leads_elsewhere(
        self, process: Callable[[Path], tuple[int, int]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert process(tmp_path) == MISS
        read = Path.read_bytes
        for changed in ("philox.py", "scalar.py", "wide.py"):
            with monkeypatch.context() as patch:
                patch.setattr(Path, "read_bytes", lambda path, name=changed: read(path) + b"#" * (path.name == name))
                assert process(tmp_path) == MISS, changed
        assert process(tmp_path) == HIT
        assert len(list((tmp_path / "drawgrad" / "kernels").iterdir())) == 4

    @pytest.mark.parametrize("suffix", [".nbi", ".nbc"])
    @pytest.mark.parametrize("length", [0, 1, 40])
    def test_damaged_files_are_written_anew(
        self, process: Callable[[Path], tuple[int, int]], tmp_path: Path, suffix: str, length: int
    ) -> None:
        assert process(tmp_path) == MISS
        for file in tmp_path.rglob("*" + suffix):
            file.write_bytes(file.read_bytes()[:length])
        assert process(tmp_path) == MISS
        assert process(tmp_path) == HIT

    @pytest.mark.parametrize("suffix", [".nbi", ".nbc"])
    def test_files_full_of_something_else_are_written_anew(
        self, process: Callable[[Path], tuple[int, int]], tmp_path: Path, suffix: str
    ) -> None:
        assert process(tmp_path) == MISS
        for file in tmp_path.rglob("*" + suffix):
            file.write_bytes(bytes(file.stat().st_size))
        assert process(tmp_path) == MISS
        assert process(tmp_path) == HIT

    def test_a_missing_file_is_written_anew(self, process: Callable[[Path], tuple[int, int]], tmp_path: Path) -> None:
        assert process(tmp_path) == MISS
        for file in tmp_path.rglob("*.nbc"):
            file.unlink()
        assert process(tmp_path) == MISS
        assert process(tmp_path) == HIT

    def test_a_folder_that_cannot_be_written_is_no_error(
        self, process: Callable[[Path], tuple[int, int]], tmp_path: Path
    ) -> None:
        # Not even root makes a folder below a file.
        file = tmp_path / "file"
        file.write_text("")
        assert process(file / "cache") == MISS
        assert process(file / "cache") == MISS

    def test_a_system_without_home_folders_is_no_error(
        self, process: Callable[[Path], tuple[int, int]], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def no_home() -> Path:
            raise RuntimeError("could not determine home directory")

        monkeypatch.setattr(Path, "home", no_home)
        # An empty variable or a relative path counts as none.
        for home in ("", ".", "cache", ""):
            assert process(home) == MISS

    def test_without_sources_nothing_is_cached(
        self, process: Callable[[Path], tuple[int, int]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A folder named without their digest could hold the kernels of another version."""
        monkeypatch.setattr(jit.philox, "__file__", str(tmp_path / "archive.zip" / "philox.py"))
        assert process(tmp_path) == MISS
        assert list(tmp_path.iterdir()) == []


SCRIPT = """
import sys, torch
from drawgrad.functional import gumbel_max
assert "numba" not in sys.modules
index = gumbel_max(torch.zeros(3, 5), seed=1)
from drawgrad.kernels.cpu import narrow
print(index.tolist(), sum(narrow.gumbel_max.stats.cache_hits.values()))
"""


def sample(cache: Path) -> str:
    """What a new process draws, and how often it found its kernel in the cache."""
    environment = os.environ | {"XDG_CACHE_HOME": str(cache)}
    run = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, env=environment, timeout=300)
    assert run.returncode == 0, run.stderr
    assert run.stderr == ""
    return run.stdout.strip()


def test_processes_share_the_cache(tmp_path: Path) -> None:
    first = sample(tmp_path)
    assert first.endswith(" 0")
    drawn = first.removesuffix("0")
    assert sample(tmp_path) == drawn + "1"


def test_a_function_becomes_a_part_of_the_kernels_that_call_it() -> None:
    @jit.device_function()
    def part(x):
        return x + 1

    def increased(values, out):
        for i in range(len(values)):
            out[i] = part(values[i])

    values, out = np.arange(6.0).reshape(2, 3), np.zeros((2, 3))
    jit.kernel(increased)(values[1], out[1])
    assert out.tolist() == [[0, 0, 0], [4, 5, 6]]
