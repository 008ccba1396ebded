"""The tests of this folder in Triton's interpreter, which runs the kernels on the CPU, program by program.

What passes here holds on a GPU up to what the interpreter does not model: fused multiply-adds, the approximate
exponential of the hardware, and the order of sums.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
MODULES = sorted(
    path.name for path in HERE.glob("test_*.py") if re.search(r"^pytestmark = marks$", path.read_text(), re.M)
)


@pytest.mark.parametrize("module", MODULES)
def test_kernels_in_the_interpreter(module: str) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", str(HERE / module)]
    environment = {**os.environ, "TRITON_INTERPRET": "1", "OMP_NUM_THREADS": "1"}
    for inherited in ("PYTEST_ADDOPTS", "PYTEST_XDIST_WORKER"):
        environment.pop(inherited, None)
    run = subprocess.run(
        command, env=environment, cwd=HERE.parents[2], capture_output=True, text=True, check=False, timeout=600
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert re.search(r"^\d+ passed", run.stdout.splitlines()[-1]), run.stdout
