"""What every test shares: checked annotations, a device, a seeded generator, the data at hand."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import jaxtyping  # noqa: F401  before drawgrad, whose shape annotations are real only then
import pytest
import torch

from tests import runtime_types

# The kernels are compiled by Numba and called by torch's dispatcher with fake tensors: wrappers would be in the way.
runtime_types.install("drawgrad", exclude=["drawgrad.kernels"])

SEED = 20170314


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--device", default="cpu", help="torch device of the tests that take one: cpu or cuda")


def pytest_configure(config: pytest.Config) -> None:
    # What a script starts in the background ignores interrupts, and so would all programs that tests interrupt.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if torch.cuda.is_available():
        return
    skip = pytest.mark.skip(reason="no CUDA device on this machine")
    for item in items:
        if item.get_closest_marker("gpu"):
            item.add_marker(skip)


@pytest.fixture(scope="session")
def device(request: pytest.FixtureRequest) -> torch.device:
    """The device under test, from ``--device``."""
    chosen = torch.device(request.config.getoption("--device"))
    if chosen.type == "cuda" and not torch.cuda.is_available():
        pytest.exit("--device cuda was asked for, but torch sees no CUDA device", returncode=4)
    return chosen


@pytest.fixture
def generator(device: torch.device) -> torch.Generator:
    """A generator on the device under test, in the same state at the start of every test."""
    return torch.Generator(device).manual_seed(SEED)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder with ``mnist/`` and ``binarized_mnist/``; tests that need it are skipped where there is none."""
    given = os.environ.get("DRAWGRAD_DATA_DIR")
    folder = Path(given) if given else Path(__file__).parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"no data in {folder}: name its folder in the environment variable DRAWGRAD_DATA_DIR")
    return folder


@pytest.fixture(autouse=True)
def _no_trace_left() -> Iterator[None]:
    """Seeds the default generator, and refuses a test that changes a global setting for those after it."""
    torch.manual_seed(SEED)
    before = _settings()
    yield
    after = _settings()
    if after != before:
        torch.set_default_dtype(before["dtype"])
        torch.set_num_threads(before["threads"])
        torch.set_grad_enabled(before["grad"])
        pytest.fail(f"the test changed torch's settings from {before} to {after}; restore them")


def _settings() -> dict[str, object]:
    return {
        "dtype": torch.get_default_dtype(),
        "threads": torch.get_num_threads(),
        "grad": torch.is_grad_enabled(),
    }
