"""A study at an MLflow server: through its outages, and without showing the password."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
import sqlalchemy
import yaml
from sqlalchemy.exc import OperationalError

from tests.journals import done, opened
from tests.postgres import postgres
from tests.servers import MlflowServer, running
from tests.specs import toy_study, toy_tree
from tests.wire import Wire
from tuner.store.projected import Projected
from tuner.store.runs import Runs, event_topic, read_events
from tuner.study.progress import RunNotice
from tuner.study.run import run_study

_SECRET = "S3cr3t/pässwort"
_QUOTED = "S3cr3t%2Fp%C3%A4sswort"
_ROOT = Path(__file__).parents[3]


def ask(database: str, study: str, query: str) -> list[tuple[object, ...]]:
    """Ask MLflow's database about a study's runs that are not deleted."""
    engine = sqlalchemy.create_engine(database)
    where = """
        JOIN experiments ON experiments.experiment_id = runs.experiment_id
        WHERE runs.lifecycle_stage = 'active' AND experiments.name = :study
    """
    with engine.connect() as connection:
        rows = connection.execute(sqlalchemy.text(query + where), {"study": study}).all()
    engine.dispose()
    return [tuple(row) for row in rows]


_POINTS = """
    SELECT tags.value, metrics.key, metrics.step, metrics.timestamp, metrics.value
    FROM runs JOIN tags ON tags.run_uuid = runs.run_uuid AND tags.key = 'tuner.digest'
    JOIN metrics ON metrics.run_uuid = runs.run_uuid AND runs.status = 'FINISHED'
"""


def journalled_points(store: Path) -> Counter[tuple[object, ...]]:
    """Count the points of the finished runs in the journal, the same way."""
    points: Counter[tuple[object, ...]] = Counter()
    with opened(store) as journal:
        runs = Runs(journal)
        for digest, attempts in runs.all().items():
            finished = [one for one in attempts if '"state":"finished"' in (one.ended or "")]
            for attempt in finished:
                for event in read_events(journal, event_topic(digest, attempt.number)):
                    for name, value in event.metrics.items():
                        milliseconds = int(event.time * 1000)
                        points[digest, name, event.step, milliseconds, value] += 1
    return points


def untold(store: Path, server: str) -> bool:
    """Return whether the journal holds lines that the server has not been told of."""
    with opened(store) as journal:
        told = Projected(journal.engine, server).cursor()
        return bool(journal.read_mixed(("studies", "runs"), "events ", told, 1))


def check_tracked(server: MlflowServer, store: Path, study: str, *, runs: int) -> Counter[object]:
    """See that every journalled point is tracked once; return the states of the other runs."""
    tracked = Counter(ask(server.database, study, _POINTS))
    journalled = journalled_points(store)
    assert len(journalled) > 100
    assert {point: tracked[point] for point in journalled} == dict.fromkeys(journalled, 1)
    # Beside them are the numbers of results, each once; what was logged again would show.
    results = Counter(point[:2] for point in (tracked - journalled).elements())
    assert set(results.values()) == {1}
    states = Counter(row[0] for row in ask(server.database, study, "SELECT status FROM runs"))
    assert states.pop("FINISHED") == runs
    return Counter(states)


@pytest.mark.postgres
@pytest.mark.parametrize("seconds", [1, pytest.param(60, marks=pytest.mark.slow)])
def test_a_study_outlives_a_server_on_postgresql(tmp_path: Path, seconds: int) -> None:
    """The server is killed in the middle and comes back later: every point is there once."""
    with postgres() as database:
        place = database.make_database("mlflow").replace("postgresql:", "postgresql+psycopg:")
        with running(MlflowServer(tmp_path, place)) as server:
            _outlive(server, tmp_path, seconds)


def _outlive(server: MlflowServer, tmp_path: Path, seconds: int) -> None:
    begun = threading.Event()

    def watch(notice: RunNotice) -> None:
        if notice.trial == 1 and notice.event is not None:
            begun.set()

    def outage() -> None:
        begun.wait()
        server.signal(signal.SIGKILL)
        time.sleep(seconds)
        server.start()

    thread = threading.Thread(target=outage)
    thread.start()
    study = toy_study(search={"trials": 4, "seeds": [7], "pruner": "none"}, save="best")
    outcome = run_study(
        study,
        store=tmp_path / "store",
        tracking=server.address,
        data_dir=tmp_path / "data",
        watch=watch,
    )
    thread.join()
    assert (outcome.failures, outcome.unfinished) == ((), ())
    assert not check_tracked(server, tmp_path / "store", study.name, runs=14)


@dataclass(frozen=True)
class _Command:
    """A study that the command line ran, killed in an outage and started again."""

    folder: Path
    server: MlflowServer
    output: str
    processes: str
    logins: set[str]


@pytest.fixture(scope="module")
def command(
    running_server: MlflowServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[_Command]:
    """Run a study with a password in its address; kill it while the server is away; go on."""
    folder = tmp_path_factory.mktemp("command")
    tree = toy_tree(name="secret-study", executor={"kind": "process", "threads": 1})
    (folder / "study.yaml").write_text(yaml.safe_dump(tree))
    (folder / "data").mkdir()
    with Wire(running_server.address) as wire, (folder / "output").open("w") as output:
        address = wire.address.replace("://", f"://ada:{_QUOTED}@")

        def start() -> subprocess.Popen[bytes]:
            words = ["run-study", "study.yaml", "--tracking", address, "--data-dir", "data"]
            return subprocess.Popen(
                [sys.executable, "-m", "tuner", *words],
                cwd=folder,
                stdout=output,
                stderr=output,
                env=os.environ | {"PYTHONPATH": str(_ROOT)},
                start_new_session=True,
            )

        first = start()
        _wait_for_outcomes(folder, 1)
        processes = _command_lines(first.pid)
        wire.cut = True
        _wait_for_outcomes(folder, 3)
        os.killpg(first.pid, signal.SIGKILL)
        first.wait()
        assert untold(folder / "mlruns", wire.address)
        wire.cut = False
        again = start()
        assert again.wait(240) == 0, (folder / "output").read_text()
        assert not untold(folder / "mlruns", wire.address)
        yield _Command(
            folder, running_server, (folder / "output").read_text(), processes, wire.logins
        )


def test_a_study_killed_in_an_outage_is_whole_after_the_next_start(command: _Command) -> None:
    """What the killed launcher had not sent is at the server, once; the table is printed."""
    others = check_tracked(command.server, command.folder / "mlruns", "secret-study", runs=11)
    assert others.total() <= 1  # what was going on when the launcher was killed
    assert "full" in command.output
    assert "with the login in MLFLOW_TRACKING_USERNAME and" in command.output
    assert not (command.folder / "mlruns" / "mlflow.db").exists()


def test_the_password_is_used_and_nowhere_to_be_found(command: _Command) -> None:
    """Not in what was printed or kept, not at the server, not in the list of processes."""
    (login,) = command.logins
    assert login.startswith("Basic ")
    kept = [p for p in command.folder.rglob("*") if p.is_file()]
    served = [p for p in command.server.folder.rglob("*") if p.is_file()]
    assert len(kept) > 20
    assert any(path.name == "mlflow.db" for path in served)
    assert any(path.name == "study.yaml" for path in served)
    secrets = [text.encode() for text in (_SECRET, _QUOTED, login.removeprefix("Basic "))]
    found = [p for p in (*kept, *served) if any(word in p.read_bytes() for word in secrets)]
    assert found == []
    assert "run-study" in command.processes
    assert "forkserver" in command.processes
    assert not any(word in command.processes.encode() for word in secrets)


def _wait_for_outcomes(folder: Path, count: int) -> None:
    for _ in range(2_000):
        with suppress(OperationalError):  # its tables are being made
            if (folder / "mlruns" / "tuner.db").exists() and len(done(folder / "mlruns")) >= count:
                return
        time.sleep(0.1)
    raise AssertionError((folder / "output").read_text())


def _command_lines(pid: int) -> str:
    """Return the command lines of a process and of all below it."""
    lines = [Path(f"/proc/{pid}/cmdline").read_text()]
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        lines.append(_command_lines(int(child)))
    return "\n".join(lines)
