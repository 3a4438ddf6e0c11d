"""Do runs on a node of a Ray cluster: this is what lives there, one actor for each run at once."""

from __future__ import annotations

import contextlib
import getpass
import os
import shutil
import sys
import tempfile
import threading
import time
import traceback
from pathlib import Path

from trainers.contract import RunSpec, Workspace
from trainers.data import ROWS, unpack
from trainers.errors import OutOfMemory, RunFailed, failure
from tuner.executors.process.executor import ProcessExecutor
from tuner.executors.ray.outbox import Message, Outbox
from tuner.store.database import RunInterrupted

_CHUNK_BYTES = 8 * 1024**2
_SECONDS_TO_END = 20
_DAYS_TO_KEEP = 30
_LOGS = "stderr*.log"


class Place:
    """Does one run after another, each as `process` does it, in a process of its own.

    Every method may be called again where its answer was lost. The data of runs are kept in the
    node's temporary folder, so that they are sent to a node once.

    Args:
        folder: The launcher's working folder; relative paths mean the same where it exists.
        devices: Whether runs may use the node's devices; Ray has chosen which.
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
        self._outbox = Outbox()
        self._executor = ProcessExecutor()
        self._thread = threading.Thread()
        self._executor.warm_up()
        _forget_old(self._root)

    def ready(self) -> None:
        """Answer when the place stands."""

    def has(self, parcel: str) -> bool:
        """Say whether a parcel has been unpacked on this node."""
        folder = self._parcel(parcel)
        if not folder.is_dir():
            return False
        os.utime(folder)
        return True

    def unpack(self, parcel: str, content: bytes) -> None:
        """Unpack a parcel on this node."""
        if not self._parcel(parcel).is_dir():
            unpack(content, self._parcel(parcel))

    def begin(self, run: str, spec: str, workspace: str, parcel: str) -> None:
        """Begin a run.

        Args:
            run: A name of its own.
            spec: JSON of the RunSpec.
            workspace: JSON of the Workspace; its folders are the launcher's.
            parcel: Name of the unpacked data.
        """
        if self._run == run:
            return
        self._run, self._outbox, self._executor = run, Outbox(), ProcessExecutor()
        data = self._parcel(parcel)
        (self._root / "runs").mkdir(parents=True, exist_ok=True)
        run_dir = Path(tempfile.mkdtemp(dir=self._root / "runs"))
        here = Workspace.model_validate_json(workspace).model_copy(
            update={"data_dir": data, "cache_dir": data, "run_dir": run_dir, "rows": data / ROWS}
        )
        self._thread = threading.Thread(
            target=self._work, args=(RunSpec.model_validate_json(spec), here), daemon=True
        )
        self._thread.start()

    def receive(self, seen: int) -> list[Message]:
        """Return what the run has said after its first `seen` messages, waiting some seconds."""
        return self._outbox.after(seen)

    def stop(self) -> bool:
        """End the run and its processes; say whether it has ended, so that another may begin."""
        self._executor.close()
        self._outbox.close()
        self._thread.join(_SECONDS_TO_END)
        return not self._thread.is_alive()

    def _parcel(self, name: str) -> Path:
        return self._root / "data" / name

    def _work(self, spec: RunSpec, workspace: Workspace) -> None:
        outbox, run_dir = self._outbox, workspace.run_dir
        files = run_dir.glob(_LOGS)
        try:
            result = self._executor.run(
                spec,
                lambda event: outbox.put(Message("event", event.model_dump_json())),
                workspace,
            )
            end = Message("result", result.model_dump_json())
            files = run_dir.rglob("*")
        except OutOfMemory as failed:
            end = Message(failed.kind, failed.reason, failed.during)
        except RunFailed as failed:
            end = Message(failed.kind, failed.reason, failed.detail)
        except RunInterrupted:
            end = Message("failed", "the run was stopped")
        except BaseException as error:
            end = Message("failed", failure(error), traceback.format_exc())
        try:
            for path in sorted(path for path in files if path.is_file()):
                _send(path, str(path.relative_to(run_dir)), outbox)
        except OSError as error:
            end = Message("failed", failure(error), traceback.format_exc())
        shutil.rmtree(run_dir, ignore_errors=True)
        outbox.put(end)


def _send(path: Path, name: str, outbox: Outbox) -> None:
    with path.open("rb") as file:
        while True:
            content = file.read(_CHUNK_BYTES)
            outbox.put(Message("file", name, content=content))
            if len(content) < _CHUNK_BYTES:
                return


def _forget_old(root: Path) -> None:
    """Remove what no run has used for long, such as the folder of a run that was killed."""
    for folder in (*root.glob("data/*"), *root.glob("runs/*")):
        with contextlib.suppress(FileNotFoundError):  # another place may do the same
            if time.time() - folder.stat().st_mtime > _DAYS_TO_KEEP * 24 * 3600:
                shutil.rmtree(folder, ignore_errors=True)
