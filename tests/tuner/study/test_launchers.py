"""Several launchers of one study: they share the work, and outlive each other and the database."""

from __future__ import annotations

import random
import signal
import time
from collections import Counter
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.launchers import (
    HEARTBEAT,
    INPROCESS,
    SEEDS,
    TRIALS,
    Launchers,
    lives,
    ranks_of,
    wait_until,
)
from tests.postgres import PostgresServer, postgres
from tests.ray_cluster import RayCluster
from tests.servers import serve
from tests.specs import QUICK
from trainers.errors import ConfigError
from tuner.store.database import opening

PASSWORD = "tell-nobody"
SECONDS_TO_END = 10


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """Run PostgreSQL."""
    with postgres() as running:
        yield running


@pytest.fixture
def local(tmp_path: Path) -> Iterator[Launchers]:
    """Give a study in a local store."""
    launchers = Launchers(tmp_path)
    launchers.write_study()
    yield launchers
    launchers.kill_all()


@pytest.fixture
def shared(tmp_path: Path, server: PostgresServer) -> Iterator[Launchers]:
    """Give a study whose trials and claims are in PostgreSQL."""
    url = server.make_database(f"study-{time.time_ns()}")
    launchers = Launchers(tmp_path, url)
    launchers.write_study()
    yield launchers
    launchers.kill_all()


def test_two_launchers_of_a_local_store_share_the_work(local: Launchers) -> None:
    """Started at the same moment on a store that is not there yet; no run is done twice."""
    local.write_study(executor=INPROCESS)
    first, second = local.start(), local.start()
    local.end(first)
    local.end(second)
    assert set(local.done().values()) == {1}
    assert len(local.done()) == TRIALS + 2 * SEEDS
    local.check()


def test_two_studies_of_a_store_do_equal_runs_once(local: Launchers) -> None:
    """Each has all of them in MLflow; while one does a run, the other waits for it."""
    for name in ("toy-study", "other-study"):
        local.write_study(name=name, executor=INPROCESS)
    first, second = local.start(), local.start(study="other-study")
    local.end(first)
    local.end(second)
    assert set(local.done().values()) == {1}
    assert len(local.done()) == TRIALS + 2 * SEEDS
    assert "Traceback" not in local.said(first) + local.said(second)
    for study in ("toy-study", "other-study"):
        runs = local.runs(study)
        finished = [run for run in runs if "tuner.digest" in run.data.tags]
        assert len(finished) == TRIALS + 2 * SEEDS
        assert {run.info.status for run in runs} == {"FINISHED"}


def test_two_launchers_enter_what_another_study_has_done_once(local: Launchers) -> None:
    """They find all of it at the same moment, and share each configuration in MLflow."""
    changes: dict[str, Any] = {
        "arms": {"head": {"method": "head"}},
        "confirm": {"seeds": list(range(1, 9))},
        "train": QUICK | {"epochs": 1},
        "save": "none",
        "executor": INPROCESS,
    }
    names = ("first", "second", "third")
    for name in names:
        local.write_study(name=name, **changes)
    local.end(local.start(study="first"))
    for name in names[1:]:
        both = [local.start(study=name), local.start(study=name)]
        for launcher in both:
            local.end(launcher)
        runs = [run for run in local.runs(name) if "tuner.digest" in run.data.tags]
        assert Counter(run.data.tags["tuner.digest"] for run in runs).most_common(1)[0][1] == 1
        assert len(runs) == len(changes["confirm"]["seeds"])
        assert {run.info.status for run in runs} == {"FINISHED"}
    assert set(local.done().values()) == {1}


@pytest.mark.postgres
def test_a_killed_launchers_runs_are_taken_over(shared: Launchers, tmp_path: Path) -> None:
    """Two at once, one of them killed with -9, a third that comes later; nothing is doubled.

    The password stands in no process title and in no file that is left.
    """
    # The server asks for no password and takes any.
    shared.store = shared.store.replace("@", f":{PASSWORD}@")
    first, second = shared.start(), shared.start()
    shared.wait_for_runs(3)
    family = [psutil.Process(second.pid), *psutil.Process(second.pid).children(recursive=True)]
    titles = [" ".join(process.cmdline()) for process in family]
    first.kill()
    third = shared.start()
    shared.end(second)
    shared.end(third)
    assert set(shared.done().values()) == {1}
    shared.check()
    assert len(titles) > 1
    assert not [title for title in titles if PASSWORD in title]
    assert not [path for path in tmp_path.rglob("*") if _says(path, PASSWORD)]


@pytest.mark.postgres
def test_a_launcher_that_falls_silent_is_replaced_and_says_so(shared: Launchers) -> None:
    """Its process lives, as one on another machine might; the heartbeat alone tells."""
    first = shared.start()
    shared.wait_for_runs(2)
    shared.wait_for_writes()  # stopped in the middle of one, it would keep SQLite locked
    first.send_signal(signal.SIGSTOP)
    time.sleep(3 * HEARTBEAT)
    second = shared.start()
    shared.end(second)
    first.send_signal(signal.SIGCONT)
    shared.end(first, code=1)
    assert "another has taken its runs over" in shared.said(first)
    assert set(shared.done().values()) == {1}
    shared.check()


@pytest.mark.postgres
@pytest.mark.parametrize("seconds", [5, pytest.param(60, marks=pytest.mark.slow)])
def test_a_study_waits_for_its_database_and_goes_on(
    shared: Launchers, server: PostgresServer, seconds: float
) -> None:
    """PostgreSQL goes away in the middle: two launchers wait, say so in a line, and finish."""
    shared.write_study(executor=INPROCESS)
    first, second = shared.start(), shared.start()
    shared.wait_for_launchers(2)
    shared.wait_for_runs(2)
    server.stop()
    time.sleep(seconds)
    server.start()
    for launcher in (first, second):
        shared.end(launcher)
        said = [line for line in shared.said(launcher).splitlines() if "toy: " not in line]
        assert len(said) == 2, said  # but for what was read
        assert "does not answer, the study waits: " in said[0]
        assert said[1].endswith("answers again, the study continues")
    assert set(shared.done().values()) == {1}
    shared.check()


@pytest.mark.postgres
def test_a_database_that_goes_away_while_a_study_opens_is_said_in_one_line(
    server: PostgresServer, tmp_path: Path
) -> None:
    """Letting the others in asks nothing of it any more; who has all is not held up."""
    url = server.make_database(f"opening-{time.time_ns()}")

    def refuse() -> None:
        with opening(tmp_path, url):
            server.stop()
            raise ConfigError("one line")

    with pytest.raises(ConfigError, match="one line"):
        refuse()
    server.start()
    with opening(tmp_path, url):
        server.stop()
    server.start()
    with opening(tmp_path, url):
        pass


@pytest.mark.slow
@pytest.mark.ray
@pytest.mark.postgres
def test_two_launchers_share_ray_postgresql_and_an_mlflow_server(
    shared: Launchers, ray_cluster: RayCluster, tmp_path: Path
) -> None:
    """On one cluster, from their first run on; no run is done twice, and both did some."""
    settings = ray_cluster.settings(threads=1, heartbeat_seconds=HEARTBEAT)
    shared.write_study(executor=settings.model_dump())
    (tmp_path / "server").mkdir()
    with serve(tmp_path / "server") as shared.tracking:
        first, second = shared.start(), shared.start()
        shared.end(first)
        shared.end(second)
        shared.check()
    assert set(shared.done().values()) == {1}
    assert len(shared.done()) == TRIALS + 2 * SEEDS
    assert all("finished" in shared.output(launcher) for launcher in (first, second))
    assert not (tmp_path / "mlruns" / "mlflow.db").exists()


@pytest.mark.slow
@pytest.mark.deepspeed
@pytest.mark.timeout(600)
@pytest.mark.skipif(find_spec("deepspeed") is None, reason="needs the extra `deepspeed`")
def test_a_launcher_killed_over_its_ranks_leaves_none_and_goes_on(local: Launchers) -> None:
    """Kill -9 while two ranks train under ZeRO-2: both end by themselves, nothing is doubled."""
    local.write_study(ranks=2, deepspeed="zero2")
    first = local.start()
    local.wait_for_runs(3)
    wait_until(lambda: len(ranks_of(first.pid)) == 2)
    family = psutil.Process(first.pid).children(recursive=True)
    first.kill()
    wait_until(lambda: not any(map(lives, family)), SECONDS_TO_END)
    second = local.start()
    local.end(second)
    local.check()
    assert set(local.done().values()) == {1}


@pytest.mark.slow
@pytest.mark.postgres
@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", range(3))
def test_killed_again_and_again_nothing_is_lost_or_doubled(shared: Launchers, seed: int) -> None:
    """Of two launchers one is killed at a random moment and replaced, five times."""
    draw = random.Random(seed)
    pair = [shared.start(), shared.start()]
    shared.wait_for_runs(1)
    for _ in range(5):
        time.sleep(draw.uniform(0, 8))
        victim = draw.randrange(2)
        pair[victim].kill()
        pair[victim].wait()
        pair[victim] = shared.start()
    for launcher in pair:
        shared.end(launcher)
    shared.check()


def _says(path: Path, word: str) -> bool:
    return path.is_file() and word.encode() in path.read_bytes()
