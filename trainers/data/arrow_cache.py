"""Keep Arrow tables in folders that other processes see complete or not at all."""

from __future__ import annotations

import contextlib
import hashlib
import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from trainers.errors import DataError

if TYPE_CHECKING:
    import pyarrow
    from datasets import Dataset

_MANIFEST = "manifest.json"


def load(folder: Path) -> dict[str, Dataset] | None:
    """Map the tables of an entry into memory; None where it is missing or damaged."""
    import pyarrow
    from datasets import Dataset

    # This covers a missing entry, a file cut short and another process's repair.
    with contextlib.suppress(OSError, ValueError, pyarrow.ArrowException):
        checksums = json.loads((folder / _MANIFEST).read_text())
        if checksums == {name: _sha256(folder / name) for name in checksums}:
            return {Path(name).stem: Dataset.from_file(str(folder / name)) for name in checksums}
    return None


def store(folder: Path, tables: Mapping[str, pyarrow.Table]) -> dict[str, Dataset]:
    """Write an entry, unless another process was faster, and return it as `load` does.

    Raises:
        DataError: The entry cannot be written, or cannot be read back.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(
            dir=folder.parent, prefix=".building-", ignore_cleanup_errors=True
        ) as building:
            fresh = Path(building) / "entry"
            fresh.mkdir()
            _write(fresh, tables)
            _install(fresh, folder)
    except OSError as error:
        raise DataError(f"{folder}: cannot write: {error.strerror or error}") from error
    stored = load(folder)
    if stored is None:
        raise DataError(f"{folder}: the written entry cannot be read back; is the disk full?")
    return stored


def _write(folder: Path, tables: Mapping[str, pyarrow.Table]) -> None:
    import pyarrow

    for name, table in tables.items():
        path = str(folder / f"{name}.arrow")
        with pyarrow.OSFile(path, "wb") as file, pyarrow.ipc.new_stream(file, table.schema) as out:
            out.write_table(table)
    checksums = {f"{name}.arrow": _sha256(folder / f"{name}.arrow") for name in tables}
    (folder / _MANIFEST).write_text(json.dumps(checksums))


def _install(fresh: Path, folder: Path) -> None:
    """Rename `fresh` to `folder`; move a damaged entry away first."""
    if folder.exists() and load(folder) is None:
        # Moved, not deleted in place, so that no reader opens half of it. It is missing if
        # another process repairs it too.
        discarded = fresh.with_name("discarded")
        with contextlib.suppress(FileNotFoundError):
            folder.rename(discarded)
    try:
        fresh.rename(folder)
    except OSError:
        # The rename fails where another process was faster; its entry is as good.
        if load(folder) is None:
            raise


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
