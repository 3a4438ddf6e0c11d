"""The outbox keeps the tracker's contract at a real server; its file keeps what waits."""

from __future__ import annotations

from pathlib import Path

import pytest
from mlflow import MlflowClient

from tests.servers import MlflowServer
from tests.tracker_contract import STUDY, YAML, Place, TrackerContract, make_group
from tests.tuner.tracking.places import ServerPlace
from trainers.errors import ConfigError
from tuner.tracking import locate_store, open_folder
from tuner.tracking.call_file import CallFile, left_behind
from tuner.tracking.calls import OpenGroup


class TestOutbox(TrackerContract):
    """The contract, at a server."""

    @pytest.fixture
    def place(self, server: MlflowServer, tmp_path: Path) -> Place:
        """Return an empty server."""
        return ServerPlace(server.address, tmp_path / "outbox", told=True)


def test_a_living_launchers_calls_are_left_to_it(tmp_path: Path) -> None:
    """Its file is locked; once it is gone the calls are there for the next, once."""
    call = OpenGroup(id="a", group=make_group(), params={})
    file = CallFile(tmp_path, "http://host", STUDY)
    file.add(call, [call])
    assert list(left_behind(tmp_path, "http://host", STUDY)) == []
    assert file._file is not None
    file._file.close()
    assert list(left_behind(tmp_path, "http://another", STUDY)) == []
    (left,) = left_behind(tmp_path, "http://host", STUDY)
    assert left.calls == (call,)
    assert list(left_behind(tmp_path, "http://host", STUDY)) == []


def test_what_may_not_be_written_any_more_is_left_to_the_next(store: Path) -> None:
    """A launcher that others took for dead makes no more calls; they are made once, by another."""

    class Replaced(Exception):
        """Of the guard."""

    def forbid() -> None:
        raise Replaced

    folder = store / "outbox"
    silent = open_folder(store, outbox=folder)
    silent.open_study(STUDY, YAML)
    silent.guard(forbid)
    for arm in ("full", "lora"):
        group = silent.open_group(make_group(arm), {})
        silent.close_group(group, state="finished", metrics={"validation/loss_mean": 0.5})
    with pytest.raises(Replaced):
        silent.catch_up()
    other = open_folder(store, outbox=store / "another")
    other.open_study(STUDY, YAML)
    parent = other.open_group(make_group("lora"), {})
    other.close_group(parent, state="finished", metrics={"validation/loss_mean": 0.25})
    other.settle()
    open_folder(store, outbox=folder).open_study(STUDY, YAML)
    assert not list(folder.glob("*.jsonl"))
    client = MlflowClient(locate_store(store).tracking_uri)
    experiment = client.get_experiment_by_name(STUDY)
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    found = {run.data.tags["tuner.arm"]: run.data.metrics["validation/loss_mean"] for run in runs}
    assert len(runs) == 2
    assert found == {"full": 0.5, "lora": 0.25}


def test_a_file_of_calls_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """One line says which file, and what can be done."""
    call = OpenGroup(id="a", group=make_group(), params={})
    file = CallFile(tmp_path, "http://host", STUDY)
    file.add(call, [call])
    assert file._file is not None
    file._file.write('{"call": "sing"}\n')
    file._file.close()
    with pytest.raises(ConfigError, match=r"\.jsonl: not what was to be sent .* remove the file"):
        list(left_behind(tmp_path, "http://host", STUDY))
