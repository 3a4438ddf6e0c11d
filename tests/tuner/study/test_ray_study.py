"""Studies on a Ray cluster of two nodes: spread, nodes and launchers killed, ended by Ctrl-C."""

from __future__ import annotations

import signal
import socket
import threading
import time
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml

from tests.journals import begun, done, events, records
from tests.launchers import launched, lives
from tests.ray_cluster import RayCluster
from tests.specs import QUICK, toy_study, toy_tree
from tests.starts import Started
from tuner.store.records import RunRecord
from tuner.study.progress import RunNotice
from tuner.study.run import StudyOutcome, run_study
from tuner.tracking import open_reader

pytestmark = pytest.mark.ray

SECONDS_TO_END = 15
CURVES = ("train/loss", "validation/macro_f1")


def test_a_study_spreads_over_nodes_and_gives_the_same_numbers(
    ray_cluster: RayCluster, tmp_path: Path
) -> None:
    """Both nodes work, and every score is that of the same study in the launcher."""
    for name, executor in (("ray", _ray(ray_cluster)), ("here", {"kind": "inprocess"})):
        config = toy_study(executor=executor | {"threads": 1})
        outcome = run_study(config, store=tmp_path / name, tracking="none")
        assert outcome == StudyOutcome(failures=(), unfinished=())
    assert _scores(records(tmp_path / "ray")) == _scores(records(tmp_path / "here"))
    assert [len(parcels) for parcels in ray_cluster.parcels().values()] != [0, 0]


def test_runs_of_a_killed_node_are_done_elsewhere_once(
    ray_cluster: RayCluster,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The lost run is shown as killed; each run is finished once, each event kept once."""
    epochs = 20  # long enough for the node to be killed in the middle
    tree: dict[str, Any] = {"executor": _ray(ray_cluster), "train": QUICK | {"epochs": epochs}}
    killed = threading.Event()

    def watch(notice: RunNotice) -> None:
        epoch = notice.event.epoch if notice.event else 0
        if epoch >= 1 and not killed.is_set() and ray_cluster.trainings("two"):
            killed.set()
            ray_cluster.kill("two")

    try:
        outcome = run_study(toy_study(**tree), store=tmp_path, tracking="none", watch=watch)
    finally:
        ray_cluster.add("two")
    assert killed.is_set()
    assert "; done again" in caplog.text
    assert "raylet" not in "".join(capfd.readouterr())
    assert outcome == StudyOutcome(failures=(), unfinished=())
    reader = open_reader(tmp_path)
    runs = reader.runs("toy-study")
    lost = [run for run in runs if run.state == "killed"]
    finished = [run for run in runs if run.state == "finished"]
    assert len(runs) == len(lost) + len(finished)
    assert 1 <= len(lost) <= 2  # the node may have had both
    assert all("lost" in run.reason for run in lost)
    assert len({run.digest for run in finished}) == len(finished) == 6
    for run in finished:
        (curve,) = reader.curves([run.run_id], ["validation/macro_f1"])
        assert len(curve.steps) == len(set(curve.steps)) == epochs
        journal = [event.model_dump_json() for event in events(tmp_path, run)]
        assert len(journal) == len(set(journal))
        assert sum('"kind":"epoch"' in line for line in journal) == epochs
    alone = tree | {"executor": {"kind": "inprocess", "threads": 1}}
    run_study(toy_study(**alone), store=tmp_path / "here", tracking="none")
    assert _scores(finished) == _scores(records(tmp_path / "here"))


def test_a_killed_launcher_leaves_nothing_and_goes_on_when_started_again(
    ray_cluster: RayCluster, tmp_path: Path
) -> None:
    """Kill -9 of `tuner run-study`: its runs end by themselves; nothing is lost or doubled."""
    study = _write_study(tmp_path, _ray(ray_cluster), epochs=30)
    with _launch(study, tmp_path) as launcher:
        _wait_for(lambda: (tmp_path / "store/tuner.db").exists() and done(tmp_path / "store"))
        _wait_for(ray_cluster.trainings)
        launcher.kill()
    before = set(done(tmp_path / "store"))
    _wait_for(lambda: not ray_cluster.trainings(), seconds=SECONDS_TO_END)
    with _launch(study, tmp_path) as again:
        output, errors = again.communicate()
    assert again.returncode == 0, errors
    assert _beside_what_was_read(errors) == []
    runs = records(tmp_path / "store")
    finished = [run.digest for run in runs if run.state == "finished"]
    assert len(finished) == len(set(finished)) == 4
    assert before <= set(finished)
    assert output.count("(found)") == len(before)


def test_ctrl_c_ends_a_study_on_a_ray_of_its_own_with_all_its_processes(tmp_path: Path) -> None:
    """A laptop's Ray comes and goes with the study, and says nothing at the terminal."""
    study = _write_study(tmp_path, {"kind": "ray", "threads": 1}, epochs=2000)
    with _launch(study, tmp_path) as launcher:
        _wait_for(lambda: begun(tmp_path / "store"))
        children = psutil.Process(launcher.pid).children(recursive=True)
        assert len(children) > 4
        launcher.send_signal(signal.SIGINT)
        _, errors = launcher.communicate(timeout=60)
    assert launcher.returncode != 0
    assert "ray" not in errors.lower()
    _wait_for(lambda: not any(map(lives, children)), seconds=SECONDS_TO_END)
    (run,) = records(tmp_path / "store")
    assert run.state == "killed"


def test_ctrl_c_does_not_wait_for_a_cluster_that_does_not_answer(tmp_path: Path) -> None:
    """Something listens at the address, but it is no Ray; where nothing does, that is said."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        study = _write_study(tmp_path, {"kind": "ray", "address": address}, epochs=1)
        with _launch(study, tmp_path) as launcher:
            silent.accept()[0].close()
            time.sleep(2)  # until Ray itself tries
            launcher.send_signal(signal.SIGINT)
            _, errors = launcher.communicate(timeout=SECONDS_TO_END)
        assert launcher.returncode == 130, errors
        assert "tuner: interrupted" in errors
    with _launch(study, tmp_path) as late:
        _, errors = late.communicate(timeout=60)
    assert late.returncode == 2
    (line,) = _beside_what_was_read(errors)
    assert line.startswith(f"tuner: executor.address: {address}: ConnectionRefusedError")


def _beside_what_was_read(errors: str) -> list[str]:
    return [line for line in errors.splitlines() if not line.startswith("toy: ")]


def _ray(cluster: RayCluster) -> dict[str, Any]:
    return cluster.settings(threads=1).model_dump()


def _scores(runs: list[RunRecord]) -> dict[str, dict[str, float]]:
    return {
        run.digest: {
            name: value
            for name, value in run.metrics.items()
            if name.startswith(("validation/", "test/", "train/"))
        }
        for run in runs
    }


def _write_study(folder: Path, executor: dict[str, Any], *, epochs: int) -> Path:
    tree = toy_tree(
        executor=executor,
        train=QUICK | {"epochs": epochs},
        confirm={"seeds": [1, 2, 3, 4]},
        arms={"full": {"method": "full"}},
    )
    path = folder / "study.yaml"
    path.write_text(yaml.safe_dump(tree))
    return path


def _launch(study: Path, folder: Path) -> AbstractContextManager[Started]:
    """Start `tuner run-study` as a user does."""
    return launched(folder, str(study), "--store", str(folder / "store"))


def _wait_for(condition: Any, seconds: float = 250) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)
