"""A full disk is one line with its folder; nothing is lost, and a report is still printed."""

from __future__ import annotations

import errno
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pytest
import yaml

from tests.disks import make_read_only, small_disk
from tests.specs import toy_tree
from tests.starts import tuner
from trainers.errors import ConfigError, RunFailed
from tuner.store.full_disk import DiskFull, full_disk_named, missing_space


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        OSError(errno.EDQUOT, "Disk quota exceeded"),
        OSError(errno.EFBIG, "File too large"),
        sqlite3.OperationalError("database or disk is full"),
        RunFailed("SafetensorError: I/O error: No space left on device (os error 28)"),
        RuntimeError("MLflow mlflow.db: no space left; the journal keeps the rest"),
    ],
)
def test_a_full_disk_is_known_however_it_is_said(error: Exception, tmp_path: Path) -> None:
    """By number or by words, itself or as the cause of another; it is one line with the folder."""
    wrapped = ValueError("something that could not be done")
    wrapped.__cause__ = error
    for raised in (error, wrapped):
        with pytest.raises(DiskFull) as caught, full_disk_named(tmp_path):
            raise raised
        said = str(caught.value)
        assert said.startswith("no space left")
        assert said.endswith(f"in {tmp_path}; make room and start it again")
        assert caught.value.exit_code == 1


def test_other_faults_stay_what_they_are(tmp_path: Path) -> None:
    """Also a folder that is refused as read-only by whoever looked at it before."""
    refused = ConfigError("m: cannot be written to: Read-only file system")
    for error in (ValueError("a bug"), refused):
        with pytest.raises(type(error), match=str(error)), full_disk_named(tmp_path):
            raise error
    assert missing_space(PermissionError(errno.EACCES, "Permission denied")) is None


def test_the_folder_is_the_one_whose_disk_is_full(tmp_path: Path) -> None:
    """Of those that a command writes to, by the file that is named or by what is free."""
    other = tmp_path / "other"
    other.mkdir()
    named = OSError(errno.ENOSPC, "No space left on device", str(other / "file"))
    with pytest.raises(DiskFull, match=f"in {other};"), full_disk_named(tmp_path / "a", other):
        raise named
    disk = tmp_path / "disk"
    with small_disk(disk, "64k"):
        with pytest.raises(DiskFull, match=f"in {disk / 'm'};"), full_disk_named(disk / "m"):
            (disk / "file").write_bytes(bytes(1 << 20))
        (disk / "file").unlink()
        with pytest.raises(DiskFull, match=f"in {disk};"), full_disk_named(other, disk):
            _fill_database(disk / "a.db")


def _fill_database(path: Path) -> None:
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE a (b)")
        database.execute("INSERT INTO a VALUES (zeroblob(1000000))")
        database.commit()


def _said(done: subprocess.CompletedProcess[str]) -> str:
    """Return what went wrong; what was read is said on stderr too, task by task."""
    lines = done.stderr.splitlines(keepends=True)
    return "".join(line for line in lines if not line.startswith("toy: "))


def test_a_study_goes_on_when_there_is_room_and_its_report_is_printed_meanwhile(
    migrated_store: Path, tmp_path: Path
) -> None:
    """One line on stderr each time; in the end every run is there, and none was done in vain."""
    tree = toy_tree(name="small", executor={"kind": "process", "threads": 1}, save="best")
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(tree))
    (tmp_path / "data").mkdir()
    run = ("run-study", "study.yaml", "--data-dir", "data", "--store", "small/m")
    line = "tuner: no space left in small/m; make room and start it again\n"
    with small_disk(tmp_path / "small", "1550k") as disk:
        (disk / "m").mkdir()
        (disk / "m" / "mlflow.db").write_bytes((migrated_store / "mlflow.db").read_bytes())
        full = tuner(*run, cwd=tmp_path)
        assert (full.returncode, _said(full)) == (1, line)
        report = tuner("report", "small", "--store", "small/m", cwd=tmp_path)
        assert (report.returncode, _said(report)) == (0, "")
        assert report.stdout
        subprocess.run(["mount", "-o", "remount,size=60m", str(disk)], check=True)
        done = tuner(*run, cwd=tmp_path)
        assert (done.returncode, _said(done)) == (0, "")
        with closing(sqlite3.connect(disk / "m" / "mlflow.db")) as database:
            query = "SELECT count(*) FROM runs WHERE status = 'FINISHED'"
            (finished,) = database.execute(query).fetchone()
        assert finished >= 11
        make_read_only(disk)
        report = tuner(
            "report", "small", "--store", "small/m", "--metric", "accuracy", cwd=tmp_path
        )
        assert (report.returncode, _said(report)) == (0, "")
        assert "full" in report.stdout
