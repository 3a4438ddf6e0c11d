"""The actor that does runs on a node of a Ray cluster, one run at a time."""

from __future__ import annotations

import contextlib
import getpass
import os
import shutil
import sys
import tempfile
import threading
import time
from collections import deque
from pathlib import Path

from trainers.contract import RunSpec, Workspace
from trainers.data import ROWS_FILE, unpack_rows
from trainers.errors import RunFailed
from tuner.config import read_executor
from tuner.executors._messages import (
    Message,
    event_message,
    failure_message,
    result_message,
)
from tuner.store import RunInterrupted

_CHUNK_BYTES = 8 * 1024**2
_MOST_CHUNKS = 8
_SECONDS_TO_WAIT = 10.0
_SECONDS_TO_END = 20
_DAYS_TO_KEEP = 30
_LOGS = "stderr*.log"


class RunActor:
    """Does one run after another, each as `process` does it, in a process of its own.

    Every method may be called again if its answer was lost. The data of runs are kept in the
    node's temporary folder, so that they are sent to a node once.

    Args:
        folder: The launcher's working folder, used if it exists, for relative paths.
        devices: Whether runs may use the node's devices, which Ray chooses.
    """

    def __init__(self, folder: str, *, devices: bool) -> None:
        if not devices:
            os.environ["CUDA_VISIBLE_DEVICES"] = ""
        if os.path.isdir(folder):
            os.chdir(folder)
        # multiprocessing would load the main script, Ray's, into every run.
        vars(sys.modules["__main__"]).pop("__file__", None)
        self._root = Path(tempfile.gettempdir()) / f"tuner-{getpass.getuser()}"
        self._run = ""
        self._buffer = MessageBuffer()
        self._executor = read_executor("process").open()
        self._thread = threading.Thread()
        self._executor.warm_up()
        _remove_old(self._root)

    def ready(self) -> None:
        """Return when the actor is ready."""

    def has(self, parcel: str) -> bool:
        """Return whether a parcel has been unpacked on this node."""
        folder = self._parcel(parcel)
        if not folder.is_dir():
            return False
        os.utime(folder)
        return True

    def unpack(self, parcel: str, content: bytes) -> None:
        """Unpack a parcel on this node."""
        if not self._parcel(parcel).is_dir():
            unpack_rows(content, self._parcel(parcel))

    def begin(self, run: str, spec: str, workspace: str, parcel: str) -> None:
        """Begin a run.

        Args:
            run: A unique name.
            spec: JSON of the RunSpec.
            workspace: JSON of the Workspace; its folders are the launcher's.
            parcel: Name of the unpacked data.
        """
        if self._run == run:
            return
        self._run, self._buffer = run, MessageBuffer()
        self._executor = read_executor("process").open()
        data = self._parcel(parcel)
        (self._root / "runs").mkdir(parents=True, exist_ok=True)
        run_dir = Path(tempfile.mkdtemp(dir=self._root / "runs"))
        here = Workspace.model_validate_json(workspace).model_copy(
            update={
                "data_dir": data,
                "cache_dir": data,
                "run_dir": run_dir,
                "rows": data / ROWS_FILE,
            }
        )
        self._thread = threading.Thread(
            target=self._work, args=(RunSpec.model_validate_json(spec), here), daemon=True
        )
        self._thread.start()

    def receive(self, seen: int) -> list[Message]:
        """Return the run's messages after the first `seen`, waiting some seconds for one."""
        return self._buffer.after(seen)

    def stop(self) -> bool:
        """End the run and its processes; return whether it has ended, so another may begin."""
        self._executor.close()
        self._buffer.close()
        self._thread.join(_SECONDS_TO_END)
        return not self._thread.is_alive()

    def _parcel(self, name: str) -> Path:
        return self._root / "data" / name

    def _work(self, spec: RunSpec, workspace: Workspace) -> None:
        buffer, run_dir = self._buffer, workspace.run_dir
        files = run_dir.glob(_LOGS)
        try:
            result = self._executor.run(
                spec, lambda event: buffer.put(event_message(event)), workspace
            )
            end = result_message(result)
            files = run_dir.rglob("*")
        except RunInterrupted:
            end = Message(RunFailed.kind, "the run was stopped")
        except BaseException as error:
            end = failure_message(error)
        try:
            for path in sorted(path for path in files if path.is_file()):
                _send(path, str(path.relative_to(run_dir)), buffer)
        except OSError as error:
            end = failure_message(error)
        shutil.rmtree(run_dir, ignore_errors=True)
        buffer.put(end)


class MessageBuffer:
    """Keeps messages in order, each until the launcher confirms it.

    So no message is lost with an answer, and none is read twice.
    """

    def __init__(self) -> None:
        self._waiting: deque[Message] = deque()
        self._seen = 0
        self._closed = False
        self._changed = threading.Condition()

    def put(self, message: Message) -> None:
        """Add a message; a file's bytes wait until there is space for them."""
        with self._changed:
            if message.kind == "file":
                self._changed.wait_for(lambda: self._closed or len(self._waiting) < _MOST_CHUNKS)
            self._waiting.append(message)
            self._changed.notify_all()

    def after(self, seen: int) -> list[Message]:
        """Return the messages after the first `seen`, or none if none comes within seconds."""
        with self._changed:
            while self._seen < seen:
                self._waiting.popleft()
                self._seen += 1
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._waiting, _SECONDS_TO_WAIT)
            return list(self._waiting)

    def close(self) -> None:
        """End all waits: the messages are not needed."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()


def _send(path: Path, name: str, buffer: MessageBuffer) -> None:
    with path.open("rb") as file:
        while True:
            content = file.read(_CHUNK_BYTES)
            buffer.put(Message("file", name, content=content))
            if len(content) < _CHUNK_BYTES:
                return


def _remove_old(root: Path) -> None:
    """Remove folders that no run has used for long, such as those of killed runs."""
    for folder in (*root.glob("data/*"), *root.glob("runs/*")):
        with contextlib.suppress(FileNotFoundError):  # another actor may do the same
            if time.time() - folder.stat().st_mtime > _DAYS_TO_KEEP * 24 * 3600:
                shutil.rmtree(folder, ignore_errors=True)
