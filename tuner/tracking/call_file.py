"""Files of calls that wait for a server: they outlive their launcher."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO
from uuid import uuid4

from pydantic import TypeAdapter, ValidationError

from trainers.errors import ConfigError
from tuner.tracking.calls import Call, CloseRun, LogModel, Opening, OpenRun

_CALL: TypeAdapter[Call] = TypeAdapter(Call)


@dataclass(frozen=True)
class Left:
    """The calls that a dead launcher left."""

    path: Path
    calls: tuple[Call, ...]


class CallFile:
    """The calls of one launcher that wait; no file while none do.

    It is locked as long as its launcher lives, and tells how each group and run in it is opened,
    so that whoever reads it needs nothing else.

    Args:
        folder: Where it is made.
        server: Whom the calls are for.
        study: Whose they are.
    """

    def __init__(self, folder: Path, server: str, study: str) -> None:
        self._path = folder / f"{_mark(server, study)}-{uuid4().hex}.jsonl"
        self._file: TextIO | None = None
        self._opened: set[str] = set()

    def add(self, call: Call, openings: Sequence[Opening]) -> None:
        """Write a call, after the calls that open its group and run."""
        if self._file is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            new = self._path.with_suffix(".new")
            self._file = new.open("w", encoding="utf-8")
            fcntl.flock(self._file, fcntl.LOCK_EX)
            new.replace(self._path)  # only now may others see it
        missing = [opening for opening in openings if opening.id not in self._opened]
        self._opened.update(opening.id for opening in missing)
        written = missing if call in openings else [*missing, call]
        self._file.writelines(one.model_dump_json() + "\n" for one in written)
        self._file.flush()

    def leave(self) -> None:
        """Leave the calls to whoever opens the study next."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def remove(self) -> None:
        """Forget all calls."""
        if self._file is not None:
            self._path.unlink(missing_ok=True)
            self._file.close()
            self._file = None
            self._opened.clear()


def is_left(folder: Path, server: str, study: str) -> bool:
    """Say whether a dead launcher of a study has left calls, without waiting for anybody."""
    for path in folder.glob(f"{_mark(server, study)}-*.jsonl"):
        with contextlib.suppress(BlockingIOError, FileNotFoundError), path.open() as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
    return False


def waiting_digests(folder: Path) -> set[str]:
    """Return the digests of the runs that calls in a folder wait for, whoever's they are."""
    found = set()
    for path in folder.glob("*.jsonl"):
        with contextlib.suppress(OSError):
            for line in path.read_text(encoding="utf-8").splitlines():
                with contextlib.suppress(ValidationError):  # cut off, or of another version
                    call = _CALL.validate_json(line)
                    if isinstance(call, OpenRun):
                        found.add(call.spec.digest())
    return found


def left_behind(folder: Path, server: str, study: str) -> Iterator[Left]:
    """Yield what each dead launcher of a study left, then forget it.

    A file stays if whoever makes its calls fails; one whose launcher lives is passed over.

    Raises:
        ConfigError: A file that cannot be read.
    """
    if not folder.is_dir():
        return
    with contextlib.ExitStack() as stack:
        # One at a time: what another is making is in the store once it is our turn.
        turn = stack.enter_context((folder / ".turn").open("w"))
        fcntl.flock(turn, fcntl.LOCK_EX)
        for path in sorted(folder.glob(f"{_mark(server, study)}-*.jsonl")):
            try:
                file = stack.enter_context(path.open(encoding="utf-8"))
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except (BlockingIOError, FileNotFoundError):  # its launcher lives, or has made all
                continue
            # A line without an end was cut off as the launcher died; its run is not done either.
            whole = (line for line in file if line.endswith("\n"))
            yield Left(path, tuple(_at_home(_read(line, path), folder) for line in whole))
            path.unlink(missing_ok=True)


def _read(line: str, path: Path) -> Call:
    try:
        return _CALL.validate_json(line)
    except ValidationError as error:
        raise ConfigError(
            f"{path}: not what was to be sent to a server, got {line[:40].rstrip()!r}; another "
            "version wrote it, or it is damaged; remove the file to go on without it"
        ) from error


def _at_home(call: Call, outbox: Path) -> Call:
    """Return a call with its run's folder in the store of now, which may have been moved."""
    if not isinstance(call, CloseRun | LogModel) or call.folder is None:
        return call
    _, runs, below = call.folder.as_posix().rpartition("/runs/")
    here = outbox.parent / runs.strip("/") / below
    return call.model_copy(update={"folder": here}) if runs and here.is_dir() else call


def _mark(server: str, study: str) -> str:
    return hashlib.sha256(f"{server} {study}".encode()).hexdigest()[:16]
