"""The executor that spreads runs over a Ray cluster: a real one of two nodes, on this machine."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.ray_cluster import RayCluster
from tests.specs import toy_spec, workspace
from trainers.contract import RunEvent, RunSpec, StopRun
from trainers.errors import ConfigError, RunFailed
from tuner.config import read_executor
from tuner.executors import Executor, RunLost
from tuner.store.database import RunInterrupted

pytestmark = pytest.mark.ray

LONG = {"epochs": 2000}


@pytest.fixture(scope="module")
def shared(ray_cluster: RayCluster) -> Iterator[Executor]:
    """Make one executor for all tests of the module, so that torch is loaded once."""
    executor = ray_cluster.settings().open()
    yield executor
    executor.close()


class TestRay:
    """A run on a node is as one in the launcher, whatever happens to it."""

    @pytest.fixture
    def executor(self, shared: Executor) -> Executor:
        """Give the module's."""
        return shared

    def test_what_a_run_leaves_comes_back(self, executor: Executor, tmp_path: Path) -> None:
        """Predictions, model and log stand in the launcher's folder as if it had been there."""
        spec = toy_spec(read_test=True, save=True)
        result = executor.run(spec, lambda event: None, workspace(tmp_path / "there"))
        launcher = read_executor("inprocess").open()
        launcher.run(spec, lambda event: None, workspace(tmp_path / "here"))
        here, there = _files(tmp_path / "here/run"), _files(tmp_path / "there/run")
        assert there.pop("stderr.log") is not None
        assert there == here
        assert any(name.endswith(".safetensors") for name in here)
        assert result.facts["git_commit"]

    def test_a_killed_run_is_a_failed_run_that_names_the_signal(
        self, executor: Executor, tmp_path: Path, ray_cluster: RayCluster
    ) -> None:
        """A kill -9 of the run's process is no loss of its node."""

        def kill(event: RunEvent) -> None:
            if event.kind == "step":
                for process in ray_cluster.trainings():
                    process.kill()

        with pytest.raises(RunFailed, match="SIGKILL"):
            executor.run(toy_spec(train=LONG), kill, workspace(tmp_path))

    def test_peak_memory_is_the_runs_own(self, executor: Executor, tmp_path: Path) -> None:
        """Neither launcher nor place shows in it."""
        result = executor.run(toy_spec(), lambda event: None, workspace(tmp_path))
        assert 2 * 1024**3 > result.memory["train/peak_bytes"] > 50 * 1024**2

    def test_a_stopped_run_leaves_no_process_and_its_place_serves_again(
        self, executor: Executor, tmp_path: Path, ray_cluster: RayCluster
    ) -> None:
        """Its place has torch loaded, so that the next run begins at once."""

        def stop(event: RunEvent) -> None:
            if event.kind == "step":
                assert ray_cluster.trainings()
                raise StopRun("enough")

        with pytest.raises(StopRun):
            executor.run(toy_spec(train=LONG), stop, workspace(tmp_path / "stopped"))
        assert ray_cluster.trainings() == []

    def test_a_lost_place_is_no_failure_of_the_run(
        self, executor: Executor, tmp_path: Path, ray_cluster: RayCluster
    ) -> None:
        """Whoever asked for the run may ask for it again."""
        with pytest.raises(RunLost, match="died"):
            executor.run(toy_spec(train=LONG), _Killer(ray_cluster), workspace(tmp_path))
        _wait_until_none_trains(ray_cluster)

    @pytest.mark.slow
    def test_a_run_that_is_lost_again_and_again_fails(
        self, executor: Executor, tmp_path: Path, ray_cluster: RayCluster
    ) -> None:
        """It may be the run that brings its nodes down."""
        spec = toy_spec(train=LONG | {"epochs": 1999})  # which no other test has lost
        kill = _Killer(ray_cluster)
        for _ in range(2):
            with pytest.raises(RunLost):
                executor.run(spec, kill, workspace(tmp_path))
        with pytest.raises(RunFailed, match="lost with its node 3 times"):
            executor.run(spec, kill, workspace(tmp_path))


def test_ranks_of_a_run_stay_together(ray_cluster: RayCluster, tmp_path: Path) -> None:
    """On one node, by a placement group that ends with them; numbers are those of `process`."""
    import ray
    from ray.util import placement_group_table

    nodes: list[set[str]] = []

    def look(event: RunEvent) -> None:
        if event.kind == "epoch" and not nodes:  # early: events may come late
            nodes.append({training.environ()["TMPDIR"] for training in ray_cluster.trainings()})
            assert len(ray_cluster.trainings()) == 2
            (bundle,) = _living_group()["bundles"].values()
            assert bundle == {"CPU": 2.0}

    def _living_group() -> dict[str, Any]:
        groups = placement_group_table().values()
        (group,) = [group for group in groups if group["state"] == "CREATED"]
        assert group["strategy"] == "STRICT_PACK"
        return dict(group)

    spec = toy_spec(ranks=2, train={"epochs": 20})
    executor = ray_cluster.settings().open()
    result = executor.run(spec, look, workspace(tmp_path / "there"))
    assert [len(places) for places in nodes] == [1]
    executor.close()
    assert ray.is_initialized()
    assert all(group["state"] == "REMOVED" for group in placement_group_table().values())
    process = read_executor("process").open()
    here = process.run(spec, lambda event: None, workspace(tmp_path / "here", threads=2))
    assert result.validation == here.validation
    process.close()


def test_closing_ends_the_runs_that_are_going_on(ray_cluster: RayCluster, tmp_path: Path) -> None:
    """Within seconds, with no process left."""
    executor = ray_cluster.settings().open()
    begun = threading.Event()
    raised: list[BaseException] = []

    def work() -> None:
        try:
            executor.run(toy_spec(train=LONG), lambda event: begun.set(), workspace(tmp_path))
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    assert begun.wait(60)
    executor.close()
    thread.join(10)
    assert not thread.is_alive()
    assert isinstance(raised[0], RunInterrupted)
    _wait_until_none_trains(ray_cluster)


def test_data_are_sent_to_a_node_once(
    ray_cluster: RayCluster, shared: Executor, tmp_path: Path
) -> None:
    """Runs find rows and tokens on their node: the task's files are not read there.

    It comes after others, which need the places that it leaves taken.
    """
    place = workspace(tmp_path)
    spec = _text_file_spec(place.data_dir)
    before = ray_cluster.parcels()
    threads = [
        threading.Thread(
            target=shared.run,
            args=(_reseeded(spec, seed), lambda event: None, workspace(tmp_path / str(seed))),
        )
        for seed in (1, 2)
    ]
    # Packed by the first; gone before the others begin.
    shared.run(spec, lambda event: None, place)
    for file in place.data_dir.iterdir():
        file.unlink()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    after = ray_cluster.parcels()
    shared.run(_reseeded(spec, 3), lambda event: None, workspace(tmp_path / "3"))
    assert ray_cluster.parcels() == after
    fresh = {name: set(after[name]) - set(before[name]) for name in after}
    assert [len(folders) for folders in fresh.values()] == [1, 1]
    assert (tmp_path / "1/run/stderr.log").exists()
    assert (tmp_path / "2/run/stderr.log").exists()


def test_what_this_machine_cannot_do_is_said(ray_cluster: RayCluster, tmp_path: Path) -> None:
    """Without a cluster that might grow, nothing waits for ever."""
    settings = ray_cluster.settings(address=None, gpus_per_run=1)
    executor = settings.open()
    with pytest.raises(ConfigError, match=r"a run needs 1 CPU, 1 GPU; no node .* 2 CPU, 0 GPU"):
        executor.run(toy_spec(), lambda event: None, workspace(tmp_path))


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """One line says what to install."""
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ConfigError, match=r"tuner-studies\[ray\]"):
        read_executor("ray").open()


class _Killer:
    """Kills the node of the only running run, when its model is built."""

    def __init__(self, cluster: RayCluster) -> None:
        self._cluster = cluster

    def __call__(self, event: RunEvent) -> None:
        if event.kind == "start":
            (training,) = self._cluster.trainings()
            _, place, *_ = training.parents()
            place.kill()


def _files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def _text_file_spec(data_dir: Path) -> RunSpec:
    data_dir.mkdir(parents=True)
    lines = [f"{'good' if i % 2 else 'bad'} text {i},{i % 2}" for i in range(40)]
    for split in ("train", "test"):
        rows = [line.replace("text", split) for line in lines]
        (data_dir / f"{split}.csv").write_text("\n".join(["text,label", *rows]))
    return toy_spec(task={"kind": "text_file", "train": "train.csv", "test": "test.csv"})


def _reseeded(spec: RunSpec, seed: int) -> RunSpec:
    return spec.model_copy(update={"seeds": spec.seeds.model_copy(update={"init": seed})})


def _wait_until_none_trains(cluster: RayCluster) -> None:
    deadline = time.monotonic() + 10
    while cluster.trainings():
        assert time.monotonic() < deadline
        time.sleep(0.1)


_LOCAL = """
import ray
from tuner.config import read_executor
from tuner.executors.ray.pool import ActorPool
ActorPool(read_executor("ray")).connect()
print(ray.is_initialized())
ray.shutdown()
"""


def test_a_ray_of_its_own_leaves_no_token_in_the_users_home(tmp_path: Path) -> None:
    """A cluster that is started later without a word about tokens would demand it."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("RAY_")}
    done = subprocess.run(
        [sys.executable, "-c", _LOCAL],
        env=kept | {"HOME": str(tmp_path)},
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "True\n"
    assert not (tmp_path / ".ray" / "auth_token").exists()
