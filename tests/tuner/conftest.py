"""What tests of the tuner share: one Ray cluster, started by the first that wants it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.ray_cluster import RayCluster, two_nodes


@pytest.fixture(scope="session")
def ray_cluster() -> Iterator[RayCluster]:
    """Start a cluster of the nodes `one` and `two`, with two CPUs each."""
    pytest.importorskip("ray", reason="needs the extra `ray`")
    with two_nodes() as cluster:
        yield cluster
