"""The outbox keeps the tracker's contract at a real server; its file keeps what waits."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.servers import MlflowServer
from tests.tracker_contract import STUDY, Place, TrackerContract, make_group
from tests.tuner.trackers.places import ServerPlace
from trainers.errors import ConfigError
from tuner.trackers.call_file import CallFile, left_behind
from tuner.trackers.calls import OpenGroup


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
