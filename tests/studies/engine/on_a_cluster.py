"""What the test of the cluster runs in a process of its own: two nodes of a Ray cluster on the loopback address.

Ray takes what it is told from the environment as soon as it is imported, and leaves threads behind.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from drawgrad.studies.engine import Job, Local, Outcome, RayCluster, run
from tests.studies.engine.recipes import Failing, Held, Square, Stackable, alive
from tests.studies.reproduction.small import TABLE

NODE = {"node_ip_address": "127.0.0.1", "num_cpus": 1, "object_store_memory": 80 * 2**20}
LIMIT = 400.0
TRAINING = TABLE.cells[0].recipe.changed(epochs=1, lr=0.01)
HELD = [Job("first", Held(), 0), Job("second", Held(), 1)]
SAME = [Job("square", Square(3.0), 7), Job("training", TRAINING, 3)]
STACK = [Job(f"stack/{seed}", Stackable(1.0, failing=(1,)), seed) for seed in range(3)]
FAILING = [Job("bad", Failing("raises"), 0), Job("killed", Failing("killed"), 0)]


def until(condition: Callable[[], bool]) -> None:
    """Wait for something, not for ever."""
    end = time.monotonic() + LIMIT
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError
        time.sleep(0.05)


def main(root: Path) -> None:
    """Two jobs run, one on each node, until one node is killed; then they may end, and others follow."""
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args=NODE | {"include_dashboard": False})
    worker = cluster.add_node(**NODE)
    outcomes: list[Outcome] = []
    told: list[tuple[str, str]] = []
    doing = run(
        [*HELD, *SAME, *FAILING], root / "there", engine=RayCluster(cluster.address),
        listener=lambda *said: told.append(said),
    )  # fmt: skip
    thread = threading.Thread(target=lambda: outcomes.extend(doing), daemon=True)
    thread.start()
    begun = [root / "there" / job.name / "begun" for job in HELD]
    until(lambda: all(path.exists() and path.read_text().endswith("\n") for path in begun))
    processes = [int(path.read_text()) for path in begun]
    cluster.remove_node(worker, allow_graceful=False)
    until(lambda: not all(alive(process) for process in processes))
    (root / "there" / "release").touch()
    thread.join(LIMIT)
    stacked = run(STACK, root / "stacked", engine=RayCluster(cluster.address), stack=3)
    here = {outcome.job.name: outcome.result for outcome in run(SAME, root / "here", engine=Local())}
    found = {
        "results": {outcome.job.name: outcome.result for outcome in outcomes if outcome.result is not None},
        "failures": {outcome.job.name: outcome.failure for outcome in outcomes if outcome.failure is not None},
        "told": told,
        "begun": sum(len(path.read_text().split()) for path in begun),
        "files": sorted(path.parent.name for path in (root / "there").rglob("result.json")),
        "here": here,
        "stacked": {outcome.job.name: outcome.result or outcome.failure for outcome in stacked},
        "log": (root / "stacked" / "stack" / "1" / "log.txt").read_text(),
    }
    (root / "found.json").write_text(json.dumps(found))
    cluster.shutdown()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
