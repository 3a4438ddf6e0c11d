"""Pack a run's rows and tokens for a machine without the task's files and without its cache."""

from __future__ import annotations

import dataclasses
import io
import json
import os
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

from trainers.contract import RunSpec, Workspace
from trainers.data.encode import encode_task, encoded_folder
from trainers.data.load import TaskData, load_task
from trainers.interfaces import Example

ROWS_FILE = "rows.json"
"""File of an unpacked parcel: see `read_rows`. The folder itself is a cache folder."""


@dataclass(frozen=True)
class Parcel:
    """Rows and tokens in one archive."""

    name: str
    """Identity of the content: equal for the same rows, tokenizer and length."""
    content: bytes
    """A tar archive."""


def pack_rows(spec: RunSpec, workspace: Workspace) -> Parcel:
    """Read a run's rows and tokenise them, unless they are in the cache.

    Raises:
        TunerError: Data or tokenizer is invalid.
    """
    data = load_task(spec.task, workspace.data_dir, spec.seeds.data)
    tokenizer = spec.model.tokenizer()
    length, cache_dir = spec.train.max_length, workspace.cache_dir
    encode_task(data, tokenizer, max_length=length, cache_dir=cache_dir)
    folder = encoded_folder(data, tokenizer, max_length=length, cache_dir=cache_dir)
    rows = json.dumps(dataclasses.asdict(data), ensure_ascii=False).encode()
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        entry = tarfile.TarInfo(ROWS_FILE)
        entry.size = len(rows)
        archive.addfile(entry, io.BytesIO(rows))
        archive.add(folder, arcname=str(folder.relative_to(cache_dir)))
    return Parcel(folder.name, buffer.getvalue())


def unpack_rows(content: bytes, folder: Path) -> None:
    """Write a parcel's files, unless another process was faster; readers see all or none."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".unpacking-") as scratch:
        fresh = Path(scratch) / "parcel"
        with tarfile.open(fileobj=io.BytesIO(content)) as archive:
            archive.extractall(fresh, filter="data")
        try:
            os.rename(fresh, folder)
        except OSError:
            # The rename fails where another process was faster; its files are the same.
            if not folder.is_dir():
                raise


def read_rows(path: Path) -> TaskData:
    """Read the rows of an unpacked parcel; they were checked where they were packed."""
    tree = json.loads(path.read_text(encoding="utf-8"))
    splits = {
        name: tuple(Example(**row) for row in tree[name])
        for name in ("train", "validation", "test")
    }
    return TaskData(labels=tuple(tree["labels"]), digests=tree["digests"], **splits)
