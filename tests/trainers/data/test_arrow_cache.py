"""Cache entries are whole or not there, whatever other processes do."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pyarrow
import pytest

from trainers.data import arrow_cache
from trainers.errors import DataError

ROOT = Path(__file__).parents[3]
TABLES = {
    "train": pyarrow.table({"input_ids": [[1, 2, 3], [4]], "labels": [0, 1]}),
    "test": pyarrow.table({"input_ids": [[5, 6]], "labels": [1]}),
}
WRITER = """
import sys
import time
from pathlib import Path
import pyarrow
from trainers.data import arrow_cache

root = Path(sys.argv[1])
tables = {"train": pyarrow.table({"input_ids": [[n] * 50 for n in range(5000)]})}
deadline = time.monotonic() + 60
for entry in range(25):
    (root / f"{entry}-ready-{sys.argv[2]}").touch()
    while len(list(root.glob(f"{entry}-ready-*"))) < 2:
        assert time.monotonic() < deadline, "the other process has stopped"
        time.sleep(0.001)
    splits = arrow_cache.load(root / "cache" / str(entry))
    if splits is None:
        splits = arrow_cache.store(root / "cache" / str(entry), tables)
    assert len(splits["train"]) == 5000
    assert splits["train"][4999]["input_ids"] == [4999] * 50
"""


def test_what_is_stored_comes_back(tmp_path: Path) -> None:
    """Rows, columns and their order survive, and nothing else is left in the folder."""
    arrow_cache.store(tmp_path / "entry", TABLES)
    splits = arrow_cache.load(tmp_path / "entry")
    assert splits is not None
    assert list(splits) == ["train", "test"]
    assert [dict(row) for row in splits["train"]] == TABLES["train"].to_pylist()
    assert [path.name for path in tmp_path.iterdir()] == ["entry"]


def test_a_missing_entry_is_none(tmp_path: Path) -> None:
    """Absence is no error."""
    assert arrow_cache.load(tmp_path / "entry") is None


@pytest.mark.parametrize("damage", ["cut", "flip", "delete", "manifest", "empty"])
def test_a_damaged_entry_is_none_and_is_replaced(damage: str, tmp_path: Path) -> None:
    """No damage is read as data: not a short file, not a single wrong bit."""
    entry = tmp_path / "entry"
    arrow_cache.store(entry, TABLES)
    path = entry / "train.arrow"
    content = path.read_bytes()
    if damage == "cut":
        path.write_bytes(content[: len(content) // 2])
    elif damage == "flip":
        path.write_bytes(content[:-100] + bytes([content[-100] ^ 1]) + content[-99:])
    elif damage == "delete":
        path.unlink()
    elif damage == "manifest":
        (entry / "manifest.json").write_text("{")
    else:
        for file in entry.iterdir():
            file.unlink()
    assert arrow_cache.load(entry) is None
    assert len(arrow_cache.store(entry, TABLES)["train"]) == 2
    assert arrow_cache.load(entry) is not None
    assert [path.name for path in tmp_path.iterdir()] == ["entry"]


def test_a_whole_entry_is_not_written_again(tmp_path: Path) -> None:
    """The first of two writers wins, as both would write the same."""
    arrow_cache.store(tmp_path / "entry", TABLES)
    before = (tmp_path / "entry" / "train.arrow").stat().st_mtime_ns
    arrow_cache.store(tmp_path / "entry", TABLES)
    assert (tmp_path / "entry" / "train.arrow").stat().st_mtime_ns == before


def test_a_reader_outlives_the_repair_of_its_entry(tmp_path: Path) -> None:
    """Rows that are mapped into memory stay readable when the entry is replaced."""
    entry = tmp_path / "entry"
    reader = arrow_cache.store(entry, TABLES)
    (entry / "manifest.json").unlink()
    arrow_cache.store(entry, TABLES)
    assert reader["train"][0]["input_ids"] == [1, 2, 3]


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    """The error names the entry."""
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=r"file/entry: cannot write: "):
        arrow_cache.store(tmp_path / "file" / "entry", TABLES)


def test_processes_at_once_see_whole_entries_only(tmp_path: Path) -> None:
    """Two processes that start each entry together write and read it without a fault."""
    processes = [
        subprocess.Popen(
            [sys.executable, "-W", "error::UserWarning", "-c", WRITER, tmp_path, str(n)],
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        for n in range(2)
    ]
    errors = [process.communicate(timeout=120)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], errors
    assert len(list((tmp_path / "cache").iterdir())) == 25
