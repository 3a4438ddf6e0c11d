"""Start a real Ray cluster for tests: two nodes on this machine, each with its own folders."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil

from tuner.config import ExecutorSettings, read_executor


class RayCluster:
    """A head without CPUs, and nodes that are added and killed.

    Each node has a temporary folder of its own, as machines do.
    """

    def __init__(self, root: Path) -> None:
        from ray.cluster_utils import Cluster

        self.root = root
        self._cluster = Cluster(
            initialize_head=True,
            head_node_args={
                "num_cpus": 0,
                "include_dashboard": False,
                "_system_config": {"health_check_period_ms": 500},
            },
        )
        self.nodes: dict[str, Any] = {}

    @property
    def address(self) -> str:
        """Address for `executor.address`."""
        address: str = self._cluster.address
        return address

    def settings(self, **changes: Any) -> ExecutorSettings:
        """Return settings of an executor that does two runs at once."""
        values = {"kind": "ray", "address": self.address, "workers": 2, "cpus_per_run": 1}
        return read_executor(values | changes)

    def add(self, name: str) -> None:
        """Add a node of two CPUs."""
        self.folder(name).mkdir(exist_ok=True)
        self.nodes[name] = self._cluster.add_node(
            num_cpus=2, env_vars={"TMPDIR": str(self.folder(name))}
        )

    def kill(self, name: str) -> None:
        """Kill a node as a power cut does."""
        self._cluster.remove_node(self.nodes.pop(name), allow_graceful=False)

    def folder(self, name: str) -> Path:
        """Return a node's temporary folder."""
        return self.root / name

    def parcels(self) -> dict[str, list[str]]:
        """Return the data that were sent to each node, as inode and name of each folder."""
        return {
            name: sorted(f"{p.stat().st_ino} {p.name}" for p in folder.glob("tuner-*/data/*"))
            for name in self.nodes
            for folder in [self.folder(name)]
        }

    def trainings(self, name: str = "") -> list[psutil.Process]:
        """Find the processes that train on a node, or on any: each leads a group of its own."""
        folder, found = str(self.root / name), []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error, ProcessLookupError):
                ours = process.environ().get("TMPDIR", "").startswith(folder)
                forked = "multiprocessing.forkserver" in " ".join(process.cmdline())
                if ours and forked and os.getpgid(process.pid) == process.pid:
                    found.append(process)
        return found

    def stop(self) -> None:
        """End every node."""
        self._cluster.shutdown()


@contextlib.contextmanager
def two_nodes() -> Iterator[RayCluster]:
    """Start a cluster of the nodes `one` and `two`; end it, and this process's connection."""
    import ray

    # Sockets have short paths, so not below pytest's folder.
    with tempfile.TemporaryDirectory(prefix="tuner-ray-", ignore_cleanup_errors=True) as root:
        cluster = RayCluster(Path(root))
        try:
            cluster.add("one")
            cluster.add("two")
            yield cluster
        finally:
            ray.shutdown()
            cluster.stop()
