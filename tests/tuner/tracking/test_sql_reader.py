"""Reading the database itself gives what MLflow's client gives, and never writes."""

from __future__ import annotations

import hashlib
import math
import shutil
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

import pytest
from mlflow import MlflowClient

from tests.disks import small_disk
from tests.tracker_contract import (
    STUDY,
    YAML,
    make_events,
    make_group,
    make_result,
    make_spec,
)
from trainers.contract import RunEvent
from trainers.errors import ConfigError
from tuner.tracking import Curve, RunRecord, locate_store, log_report, open_reader
from tuner.tracking.client_reader import ClientReader
from tuner.tracking.mlflow import MlflowTracker
from tuner.tracking.sql_reader import SqlReader, open_sql_reader

ODD = "löra <script>alert(1)</script> | 🦙 'a' %"


@dataclass(frozen=True)
class Filled:
    """A store with runs."""

    folder: Path
    run_ids: list[str]
    """Of the runs that were not deleted, as they were started."""


@pytest.fixture(scope="module")
def filled(migrated_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Filled:
    """Make runs of every state, with odd names and values, once for all tests of this file."""
    folder = tmp_path_factory.mktemp("filled")
    shutil.copy(migrated_store / "mlflow.db", folder / "mlflow.db")
    left = folder / "left"
    left.mkdir()
    (left / "predictions.parquet").write_bytes(b"rows")
    tracker, client = MlflowTracker(folder), _client(folder)
    tracker.open_study("another", YAML)
    tracker.open_study(STUDY, YAML)
    states = ("finished", "pruned", "failed", "killed", "running", "finished")
    run_ids = []
    for seed, state in enumerate(states):
        group = make_group(ODD if seed % 2 else "full", trial=None if seed > 2 else seed)
        parent_id = tracker.open_group(group, {"train.epochs": "3"})
        run_ids.append(tracker.open_run(parent_id, make_spec(seed), adopt=False))
        tracker.log(run_ids[-1], make_events(steps=seed + 1))
        if state != "running":
            result = make_result() if state == "finished" else None
            tracker.close_run(
                run_ids[-1],
                state=state,  # type: ignore[arg-type]
                reason=f"reason of {state}: {ODD}",
                result=result,
                folder=left,
            )
    for step, value in enumerate((1.0, math.nan, math.inf, -math.inf, math.nan)):
        client.log_metric(run_ids[0], "train/loss", value, step=step, timestamp=step)
        client.log_metric(run_ids[0], "validation/loss", value, step=1, timestamp=7)
    experiment = client.get_experiment_by_name(STUDY)
    assert experiment is not None
    client.create_run(experiment.experiment_id, tags={"mine": "1"})
    client.delete_run(run_ids.pop())
    return Filled(folder, run_ids)


@pytest.fixture
def run_ids(filled: Filled, store: Path) -> list[str]:
    """Put the runs into the test's own store."""
    shutil.copy(filled.folder / "mlflow.db", store / "mlflow.db")
    return filled.run_ids


@pytest.fixture
def client(store: Path) -> MlflowClient:
    """Return the stock client."""
    return _client(store)


@pytest.mark.parametrize("phase", [None, "search", "confirm"])
def test_records_are_those_of_the_client(
    store: Path, run_ids: list[str], client: MlflowClient, phase: Any
) -> None:
    """Every field of every run: states, odd names, NaN and infinity; deleted runs left out."""
    read = _sql(store).runs(STUDY, phase=phase)
    expected = ClientReader(client).runs(STUDY, phase=phase)
    assert list(map(_comparable, read)) == list(map(_comparable, expected))
    assert {record.run_id for record in read} <= set(run_ids)
    if phase is None:
        assert [record.run_id for record in read] == run_ids
        states = ["finished", "pruned", "failed", "killed", "running"]
        assert [record.state for record in read] == states
        assert "nan" in map(str, read[0].metrics.values())
    assert read


def test_curves_are_those_of_the_client(
    store: Path, run_ids: list[str], client: MlflowClient
) -> None:
    """The same points, the same choice among several at one moment."""
    names = ["train/loss", "validation/loss", "none", "validation/f1/A & B"]
    backwards = run_ids[::-1]
    read = [_text(curve) for curve in _sql(store).curves(backwards, names)]
    assert read == [_text(curve) for curve in ClientReader(client).curves(backwards, names)]
    assert any("nan" in text for text in read)
    assert len(read) == 2 * len(run_ids) + 1


def test_studies_files_and_the_study_are_those_of_the_client(
    store: Path, run_ids: list[str], client: MlflowClient
) -> None:
    """A deleted study is gone for both."""
    other = client.get_experiment_by_name("another")
    assert other is not None
    client.delete_experiment(other.experiment_id)
    sql, through_client = _sql(store), ClientReader(client)
    for reader in (sql, through_client):
        assert reader.studies() == [STUDY]
        assert reader.study_yaml(STUDY) == YAML
        assert reader.runs("another") == []
        with pytest.raises(ConfigError, match=r"^study 'another': not in the store"):
            reader.study_yaml("another")
        assert reader.artifact("no-such-run", "predictions.parquet") is None
    for run_id in run_ids:
        path = sql.artifact(run_id, "predictions.parquet")
        assert path == through_client.artifact(run_id, "predictions.parquet")
    found = sql.artifact(run_ids[0], "predictions.parquet")
    assert found is not None
    assert found.read_bytes() == b"rows"


def test_reading_leaves_the_database_as_it_is(store: Path, run_ids: list[str]) -> None:
    """Not a byte is changed, and nothing can be written."""
    path = store / "mlflow.db"
    before = hashlib.sha256(path.read_bytes()).hexdigest()
    reader = _sql(store)
    reader.runs(STUDY)
    list(reader.curves(run_ids, ["train/loss"]))
    assert hashlib.sha256(path.read_bytes()).hexdigest() == before
    assert [file.name for file in store.glob("mlflow.db*")] == ["mlflow.db"]


def test_more_runs_than_a_query_takes_have_their_curves(
    store: Path, run_ids: list[str], client: MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both ways of reading go on with the next runs."""
    expected = [_text(curve) for curve in _sql(store).curves(run_ids, ["train/loss"])]
    monkeypatch.setattr("tuner.tracking.sql_reader._RUNS_AT_ONCE", 2)
    monkeypatch.setattr("tuner.tracking.client_reader._RUNS_AT_ONCE", 2)
    for reader in (_sql(store), ClientReader(client)):
        assert [_text(curve) for curve in reader.curves(run_ids, ["train/loss"])] == expected
    assert len(expected) == len(run_ids)


@pytest.mark.parametrize(
    "change",
    [
        "alter table latest_metrics rename column is_nan to is_not_a_number",
        "drop table metrics",
        "insert into experiments (name, workspace) values ('x', 'another team')",
    ],
)
def test_an_unknown_layout_is_left_to_the_client(store: Path, change: str) -> None:
    """Columns and tables are looked for before they are read."""
    uri = locate_store(store).tracking_uri
    assert open_sql_reader(uri, _no_reader) is not None
    with closing(sqlite3.connect(store / "mlflow.db")) as database:
        database.execute(change)
        database.commit()
    assert open_sql_reader(uri, _no_reader) is None


@pytest.mark.parametrize(
    "uri",
    [
        "http://localhost:5000",
        "databricks",
        "sqlite://",
        "sqlite:///:memory:",
        "sqlite:////no/such/folder/mlflow.db",
        "nosuchdialect://host/name",
    ],
)
def test_what_is_no_database_is_left_to_the_client(uri: str) -> None:
    """Nothing is made, and nothing raised."""
    assert open_sql_reader(uri, _no_reader) is None


def test_a_missing_store_is_refused_and_not_made(tmp_path: Path) -> None:
    """Reading makes no folder."""
    with pytest.raises(ConfigError, match=r"no studies here yet; run one with `tuner run-study`$"):
        open_reader(tmp_path / "none")
    assert list(tmp_path.iterdir()) == []


def test_nobody_is_told_to_run_a_study_on_a_full_disk(tmp_path: Path) -> None:
    """Room comes first."""
    with (
        small_disk(tmp_path / "disk", "64k") as disk,
        pytest.raises(ConfigError, match=r"no studies here yet; its disk is full: make room"),
    ):
        open_reader(disk / "m")


def test_a_store_is_read_without_importing_mlflow(store: Path, run_ids: list[str]) -> None:
    """Runs, curves and files, in a fresh interpreter."""
    code = (
        "import sys\n"
        "from tuner.tracking import open_reader\n"
        f"reader = open_reader({str(store)!r})\n"
        f"runs = reader.runs({STUDY!r})\n"
        "ids = [run.run_id for run in runs]\n"
        "curves = list(reader.curves(ids, ['train/loss']))\n"
        "paths = [reader.artifact(run_id, 'predictions.parquet') for run_id in ids]\n"
        "print(len(ids), len(curves), sum(path is not None for path in paths))\n"
        "print([name for name in ('mlflow', 'torch', 'pandas') if name in sys.modules])\n"
    )
    command = [sys.executable, "-c", code]
    root = Path(__file__).parents[3]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["5 5 4", "[]"]


def test_a_report_is_replaced_without_importing_mlflow(
    store: Path, run_ids: list[str], client: MlflowClient, tmp_path: Path
) -> None:
    """Once its run is there. The first time MLflow makes it."""
    folder = tmp_path / "report"
    (folder / "pictures").mkdir(parents=True)
    (folder / "pictures" / "old.svg").write_text("old")
    run_id = log_report(store, STUDY, folder)
    info = client.get_run(run_id).info
    assert (info.status, info.run_name) == ("FINISHED", "report")
    shutil.rmtree(folder / "pictures")
    (folder / "report.md").write_text("new")
    code = (
        "import sys\nfrom pathlib import Path\nfrom tuner.tracking import log_report\n"
        f"print(log_report({str(store)!r}, {STUDY!r}, Path({str(folder)!r})))\n"
        "print('mlflow' in sys.modules)\n"
    )
    command = [sys.executable, "-c", code]
    root = Path(__file__).parents[3]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [run_id, "False"]
    assert [file.path for file in client.list_artifacts(run_id)] == ["report.md"]
    assert [record.run_id for record in _sql(store).runs(STUDY)] == run_ids


def test_launchers_that_end_at_once_make_one_report(
    store: Path, run_ids: list[str], client: MlflowClient, tmp_path: Path
) -> None:
    """Each writes its own, again and again, from before the run is there; one stays, whole."""
    code = (
        "import sys\nfrom pathlib import Path\nfrom tuner.tracking import log_report\n"
        "for turn in range(20):\n"
        "    for name in map(str, range(30)):\n"
        "        (Path(sys.argv[1]) / name).write_text(f'{sys.argv[1]} {turn}')\n"
        f"    log_report({str(store)!r}, {STUDY!r}, Path(sys.argv[1]))\n"
    )
    folders = [tmp_path / name for name in ("first", "second", "third")]
    launchers = []
    for folder in folders:
        folder.mkdir()
        (folder / f"only of the {folder.name}").write_text("")
        command = [sys.executable, "-c", code, str(folder)]
        launchers.append(subprocess.Popen(command, cwd=Path(__file__).parents[3]))
    assert [launcher.wait() for launcher in launchers] == [0, 0, 0]
    reports = client.search_runs(
        [client.get_run(run_ids[0]).info.experiment_id], "tags.`tuner.phase` = 'report'"
    )
    assert len(reports) == 1
    kept = Path(url2pathname(urlsplit(reports[0].info.artifact_uri).path))
    assert sum(path.name.startswith("only of") for path in kept.iterdir()) == 1
    assert len({(kept / str(name)).read_text() for name in range(30)}) == 1


def test_finding_a_file_costs_next_to_nothing(store: Path, run_ids: list[str]) -> None:
    """A thousand look-ups take well under a second."""
    reader = _sql(store)
    reader.runs(STUDY)
    started = time.perf_counter()
    for _ in range(200):
        for run_id in run_ids:
            reader.artifact(run_id, "predictions.parquet")
    milliseconds = (time.perf_counter() - started) * 1000 / (200 * len(run_ids))
    print(f"a look-up: {milliseconds:.3f} ms")
    assert milliseconds < 1


def test_a_reader_sees_what_is_written_after_it_was_opened(
    store: Path, run_ids: list[str]
) -> None:
    """Nothing is held back from an earlier reading."""
    reader = _sql(store)
    assert len(reader.runs(STUDY)) == len(run_ids)
    tracker = MlflowTracker(store)
    tracker.open_study(STUDY, YAML)
    run_id = tracker.open_run(tracker.open_group(make_group(), {}), make_spec(99), adopt=False)
    event = RunEvent(kind="step", time=1.0, step=1, metrics={"train/loss": 0.5})
    tracker.log(run_id, [event])
    assert reader.runs(STUDY)[-1].metrics == {"train/loss": 0.5}
    assert list(reader.curves([run_id], ["train/loss"])) == [
        Curve(run_id, "train/loss", (1,), (0.5,))
    ]


def _sql(store: Path) -> SqlReader:
    reader = open_sql_reader(locate_store(store).tracking_uri, _no_reader)
    assert reader is not None
    return reader


def _client(store: Path) -> MlflowClient:
    return MlflowClient(tracking_uri=locate_store(store).tracking_uri)


def _no_reader() -> Any:
    raise AssertionError("the database is enough")


def _comparable(record: RunRecord) -> dict[str, Any]:
    """Return all fields, NaN as text: it is unequal to itself."""
    fields = dict(record)
    return fields | {"metrics": {k: repr(v) for k, v in record.metrics.items()}}


def _text(curve: Curve) -> str:
    return repr(curve)
