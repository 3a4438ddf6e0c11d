"""The database of a store does not wait for the disk, and loses nothing by it."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

from sqlalchemy import create_engine

from tuner.store.database import engine_options
from tuner.store.location import Store
from tuner.store.sqlite_file import is_own_disk


def test_what_is_written_before_a_kill_is_there(tmp_path: Path) -> None:
    """The log that the dead process left is read by the next one, and by any other reader."""
    path = tmp_path / "tuner.db"
    code = (
        "import os, signal, sqlite3\nfrom tuner.store.sqlite_file import QuickConnection\n"
        f"file = sqlite3.connect({str(path)!r}, factory=QuickConnection)\n"
        "file.execute('create table row (number)')\n"
        "for number in range(100):\n"
        "    with file:\n        file.execute('insert into row values (?)', (number,))\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[3], check=False)
    assert done.returncode == -signal.SIGKILL
    assert path.with_name("tuner.db-wal").stat().st_size > 0
    with closing(sqlite3.connect(path)) as reader:
        assert reader.execute("select count(*) from row").fetchone() == (100,)


def test_a_stores_database_has_a_log_on_a_disk_of_its_own(tmp_path: Path) -> None:
    """And waits for no disk; one made by an earlier version gets it as it is opened."""
    path = tmp_path / "tuner.db"
    with closing(sqlite3.connect(path)) as earlier:
        earlier.execute("create table row (number)")
        assert earlier.execute("PRAGMA journal_mode").fetchone() == ("delete",)
    url = Store(tmp_path).database_url
    engine = create_engine(url, **engine_options(url))
    with engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 1
    engine.dispose()
    assert os.listdir(tmp_path) == ["tuner.db"]  # the log is gone with the last connection


def test_what_may_be_a_network_disk_is_no_own_one(tmp_path: Path) -> None:
    """Only known file systems are; /proc stands for the others."""
    assert is_own_disk(tmp_path)
    assert not is_own_disk(Path("/proc"))
    assert not is_own_disk(Path("/proc/sys/not there"))
