"""A Ray cluster of several nodes on this machine, in a process of its own: `python clusters.py N`.

It tells the cluster's address, and after each line of stdin that it has killed a node and started
another one. It ends with its stdin. Whoever starts it says by the environment what the nodes see.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from processes import python_path

_QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DISABLE_DOCKER_CPU_WARNING": "1",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}


@dataclass
class Cluster:
    address: str
    process: subprocess.Popen[str]

    def replace_a_node(self) -> None:
        """Kill one, with all that it works on, and start another one."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline().strip() == "replaced"


@contextmanager
def cluster(nodes: int, env: Mapping[str, str]) -> Iterator[Cluster]:
    """A cluster of so many nodes with one CPU each, beside a head without any."""
    process = subprocess.Popen(
        [sys.executable, __file__, str(nodes)],
        env={**python_path(), **_QUIET, **env},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield Cluster(process.stdout.readline().strip(), process)
    finally:
        process.stdin.close()
        process.wait()
        process.stdout.close()


def _added(local: Any) -> Any:
    """One more node. Ray waits half a minute for it, a busy machine may need more."""
    for _ in range(5):
        with suppress(Exception):  # Ray raises no other class
            return local.add_node(num_cpus=1, object_store_memory=80_000_000)
    return local.add_node(num_cpus=1, object_store_memory=80_000_000)


def main(count: int) -> None:
    from ray.cluster_utils import Cluster as Local

    told = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # Ray prints
    local = Local(
        initialize_head=True,
        head_node_args={
            "num_cpus": 0,
            "include_dashboard": False,
            "object_store_memory": 80_000_000,
        },
    )
    nodes = [_added(local) for _ in range(count)]
    local.wait_for_nodes()
    print(local.address, file=told, flush=True)
    for _ in sys.stdin:
        local.remove_node(nodes.pop(0), allow_graceful=False)
        nodes.append(_added(local))
        print("replaced", file=told, flush=True)
    local.shutdown()


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    main(int(sys.argv[1]))
