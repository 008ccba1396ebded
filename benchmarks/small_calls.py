"""What a small call costs: samplers, distributions and an estimator against the same thing written with torch.

Both sides take turns, many calls to a turn; a ratio is the median over the turns of the ratio of their times, below one
where drawgrad is faster. A second table shows where the time goes, layer by layer, and a third one what the first call
of a fresh installation takes.

Run: ``python -m benchmarks.small_calls``, with ``--before PATH`` for a second source tree to be held against, such as
one that ``git worktree add PATH COMMIT`` makes.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor
from torch.distributions import OneHotCategorical, RelaxedBernoulli, RelaxedOneHotCategorical
from torch.nn import functional as F

import drawgrad as dg
from benchmarks import RESULTS, ROOT
from drawgrad.functional import gumbel_softmax
from drawgrad.studies.records import Measurement, describe_device, median_of, write

__all__ = ["main"]

SHAPES = ((1, 10), (20, 10), (256, 16))
CALLS, TURNS = 40, 15
"""Calls in a turn, which is short enough not to be interrupted on most machines."""
STARTS = 3
"""Processes that are started for each figure."""

Call = Callable[[], object]


def samplers(rows: int, classes: int) -> dict[str, tuple[Call, Call]]:
    """Forward calls, and the same with backward."""
    logits, grad = torch.randn(2, rows, classes)
    leaf, tau, mask = logits.clone().requires_grad_(), torch.tensor(0.7), torch.rand(rows, classes) > 0.3

    def masked(x: Tensor) -> Tensor:
        return F.gumbel_softmax(x.masked_fill(~mask, -torch.inf))

    pairs: dict[str, tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]] = {
        "soft": (F.gumbel_softmax, gumbel_softmax),
        "hard": (lambda x: F.gumbel_softmax(x, hard=True), lambda x: gumbel_softmax(x, hard=True)),
        "seed=": (F.gumbel_softmax, lambda x: gumbel_softmax(x, seed=3)),
        "tensor tau": (lambda x: F.gumbel_softmax(x, tau), lambda x: gumbel_softmax(x, tau)),
        "mask": (masked, lambda x: gumbel_softmax(x, mask=mask)),
    }

    def with_backward(sampler: Callable[[Tensor], Tensor]) -> Call:
        return lambda: torch.autograd.grad(sampler(leaf), leaf, grad)

    cases: dict[str, tuple[Call, Call]] = {}
    for name, (theirs, ours) in pairs.items():
        cases[name] = (lambda f=theirs: f(logits), lambda f=ours: f(logits))
        cases[f"{name}, with backward"] = (with_backward(theirs), with_backward(ours))
    return cases


def objects(rows: int, classes: int) -> dict[str, tuple[Call, Call]]:
    """Samples of distributions, and an estimator of a linear cost with its backward pass."""
    logits, weight = torch.randn(rows, classes), torch.randn(classes)
    leaf, tau = logits.clone().requires_grad_(), torch.tensor(0.7)
    theirs = RelaxedOneHotCategorical(tau, logits=logits), RelaxedBernoulli(tau, logits=logits)
    ours = (
        dg.distributions.RelaxedOneHotCategorical(tau, logits=logits),
        dg.distributions.RelaxedBernoulli(tau, logits=logits),
    )
    estimator = dg.estimators.StraightThrough()

    def by_hand() -> object:
        q = OneHotCategorical(logits=leaf)
        z = q.sample((1,)) + (q.probs - q.probs.detach())
        return torch.autograd.grad((z * weight).sum(-1).mean(), leaf)

    def estimated() -> object:
        q = OneHotCategorical(logits=leaf)
        return torch.autograd.grad(estimator(lambda z: (z * weight).sum(-1), q).mean(), leaf)

    return {
        "RelaxedOneHotCategorical.rsample": (theirs[0].rsample, ours[0].rsample),
        "RelaxedBernoulli.rsample": (theirs[1].rsample, ours[1].rsample),
        "StraightThrough, with backward": (by_hand, estimated),
    }


def microseconds(call: Call, calls: int = CALLS) -> float:
    """Mean time of a call."""
    begin = time.perf_counter()
    for _ in range(calls):
        call()
    return (time.perf_counter() - begin) / calls * 1e6


def calls(turns: int = TURNS) -> list[Measurement]:
    """Times of both sides and their ratio, for each case and shape."""
    cells = []
    for shape in SHAPES:
        for name, pair in (samplers(*shape) | objects(*shape)).items():
            measured = [tuple(microseconds(call) for call in pair) for _ in range(turns + 1)][1:]
            case = f"{shape[0]} x {shape[1]}, {name}"
            cells += [
                median_of(case, "torch", (theirs for theirs, _ in measured), "µs"),
                median_of(case, "drawgrad", (ours for _, ours in measured), "µs"),
                median_of(case, "ratio", (ours / theirs for theirs, ours in measured), "x"),
            ]
    return cells


def layers(before: Path | None) -> list[Measurement]:
    """What the layers of a draw and the steps of a training take, in each source tree; the trees take turns."""
    trees = ({} if before is None else {"before": before}) | {"now": ROOT}
    found: dict[tuple[str, str], list[float]] = {}
    for _ in range(STARTS):
        for tree, root in trees.items():
            for part in ("draws", "steps"):
                run = _python(root, str(ROOT / "benchmarks" / "_layers.py"), part)
                for case, value in json.loads(run).items():
                    found.setdefault((case, tree), []).append(value)
    cells = [median_of(case, tree, values, "µs") for (case, tree), values in found.items()]
    ratios = {case: zip(found[case, "now"], found[case, "before"], strict=True) for case, tree in found if before}
    return cells + [median_of(case, "ratio", (now / was for now, was in pairs), "x") for case, pairs in ratios.items()]


FIRST = """
import time, torch
from drawgrad.functional import gumbel_softmax
begin = time.perf_counter()
{call}
print(time.perf_counter() - begin)
"""
FIRST_CALLS = {
    "soft": "gumbel_softmax(torch.zeros(20, 10))",
    "hard": "gumbel_softmax(torch.zeros(20, 10), hard=True)",
    "soft with backward": "gumbel_softmax(torch.zeros(20, 10, requires_grad=True)).sum().backward()",
}
IMPORT = "import time; begin = time.perf_counter(); import {package}; print(time.perf_counter() - begin)"


def starts(repeats: int = STARTS) -> list[Measurement]:
    """The first call of a fresh installation and of a later process, and the time of an import."""
    cells = []
    for case, call in FIRST_CALLS.items():
        times: dict[str, list[float]] = {"no cache": [], "cached": []}
        for _ in range(repeats):
            with tempfile.TemporaryDirectory() as cache:
                for taken in times.values():
                    taken.append(float(_python(ROOT, "-c", FIRST.format(call=call), XDG_CACHE_HOME=cache)))
        cells += [median_of(f"first call, {case}", state, values, "s") for state, values in times.items()]
    imports = [
        [float(_python(ROOT, "-c", IMPORT.format(package=p))) for p in ("torch", "drawgrad")] for _ in range(repeats)
    ]
    for at, package in enumerate(("torch", "drawgrad")):
        cells.append(median_of(f"import {package}", "cached", (pair[at] for pair in imports), "s"))
    return cells


def _python(root: Path, *arguments: str, **environment: str) -> str:
    path = os.pathsep.join([str(root / "src"), *filter(None, [os.environ.get("PYTHONPATH")])])
    changed = os.environ | {"PYTHONPATH": path} | environment
    run = subprocess.run([sys.executable, *arguments], env=changed, capture_output=True, text=True, check=True)
    return run.stdout


def main(arguments: list[str] | None = None) -> None:
    """Measure and write the records."""
    parser = argparse.ArgumentParser(description="Time small calls against torch's, and what surrounds them.")
    parser.add_argument("--before", type=Path, help="a second source tree whose layers are timed as well")
    parser.add_argument("--only", choices=("calls", "layers", "starts"), help="one of the three records")
    chosen = parser.parse_args(arguments)
    records: dict[str, tuple[str, Callable[[], list[Measurement]]]] = {
        "calls": ("Small calls in float32 against torch's own, one thread", calls),
        "layers": (
            "Where a draw of 20 x 10 and a training step spend their time, one thread",
            lambda: layers(chosen.before),
        ),
        "starts": ("The first call of a process, and an import, one thread", starts),
    }
    vectors = describe_device().rpartition(", ")[2]
    for name, (title, measure) in records.items():
        if chosen.only not in (None, name):
            continue
        begin = time.perf_counter()
        cells = measure()
        path = write(
            f"small-{name}-{vectors.lower()}",
            title=f"{title}, {vectors}",
            measurements=cells,
            spread="half the interquartile range",
            command="python -m benchmarks.small_calls",
            seconds=time.perf_counter() - begin,
            folder=RESULTS,
        )
        for cell in cells:
            print(f"{cell.case:55} {cell.quantity:10} {cell.value:10.3f} +- {cell.spread:.3f} {cell.unit}")
        print(path)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
