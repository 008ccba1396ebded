"""Jobs on a real Ray cluster of two nodes on this machine, one of which is lost while they run."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from drawgrad.studies.engine import ClusterError, Job, RayCluster, run
from tests.studies.engine.recipes import Square

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What came out on the cluster."""
    if importlib.util.find_spec("ray") is None:
        pytest.skip("Ray is not installed; pip install 'drawgrad[ray]'")
    out = tmp_path_factory.mktemp("cluster")
    paths = [str(ROOT / "src"), str(ROOT), os.environ.get("PYTHONPATH", "")]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        # Ray takes 127.0.0.1 for another address of this machine, unless clusters are said to be impossible.
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
        "RAY_USAGE_STATS_ENABLED": "0",
        # Whoever gives way to all others takes minutes to import torch on a busy machine.
        "RAY_worker_niceness": "0",
    }
    environment.pop("RAY_ADDRESS", None)
    command = [sys.executable, "-m", "tests.studies.engine.on_a_cluster", str(out)]
    process = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert process.returncode == 0, f"{process.stdout[-3000:]}\n{process.stderr[-3000:]}"
    return json.loads((out / "found.json").read_text())


def test_a_node_is_lost_and_every_result_is_there(found: dict[str, Any]) -> None:
    assert found["files"] == ["first", "second", "square", "training"]
    assert found["results"].keys() == {"first", "second", "square", "training"}
    assert (found["results"]["first"], found["results"]["second"]) == ({"seed": 0}, {"seed": 1})
    # One of the two began again, on the node that was left.
    assert found["begun"] == 3
    assert [message for name, message in found["told"] if name in ("first", "second")] == [
        "again, for its node is gone"
    ]


def test_what_jobs_say_meanwhile_is_told(found: dict[str, Any]) -> None:
    told = [tuple(said) for said in found["told"]]
    assert ("square", "squaring") in told
    assert ("training", "measuring 100 %") in told


def test_failures_are_told_and_take_no_other_job_with_them(found: dict[str, Any]) -> None:
    assert found["failures"].keys() == {"bad", "killed"}
    assert found["failures"]["bad"] == "ArithmeticError: the loss is nan"
    assert "its process ended" in found["failures"]["killed"]


def test_results_are_those_of_this_machine(found: dict[str, Any]) -> None:
    there, here = found["results"], found["here"]
    assert there["square"]["process"] != here["square"]["process"]
    for name, differing in (("square", "process"), ("training", "seconds")):
        # To the last bit: JSON keeps all digits of a number.
        assert {**there[name], differing: None} == {**here[name], differing: None}
    assert 0 < here["training"]["value"] < 64


def test_each_job_of_a_stack_has_its_own_end(found: dict[str, Any]) -> None:
    together = {"seeds": [0, 1, 2]}
    assert found["stacked"] == {"stack/0": together, "stack/1": "ArithmeticError: 1 is bad", "stack/2": together}
    assert "1 is bad" in found["log"]


def test_without_ray_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ClusterError, match=r"Ray is not installed; pip install 'drawgrad\[ray\]'"):
        list(run([Job("two", Square(2.0), 0)], tmp_path, engine=RayCluster()))
