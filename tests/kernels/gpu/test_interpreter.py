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

HERE = Path(__file__).parent
MODULES = sorted(
    str(path) for path in HERE.glob("test_*.py") if re.search(r"^pytestmark = marks$", path.read_text(), re.M)
)


def test_kernels_in_the_interpreter() -> None:
    """In one process for all modules: to start one takes as long as half the tests of a module."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", *MODULES]
    environment = {**os.environ, "TRITON_INTERPRET": "1", "OMP_NUM_THREADS": "1"}
    for inherited in ("PYTEST_ADDOPTS", "PYTEST_XDIST_WORKER"):
        environment.pop(inherited, None)
    run = subprocess.run(
        command, env=environment, cwd=HERE.parents[2], capture_output=True, text=True, check=False, timeout=1800
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert MODULES
    assert re.search(r"^\d+ passed", run.stdout.splitlines()[-1]), run.stdout
