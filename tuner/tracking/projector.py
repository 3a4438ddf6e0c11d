"""Start the process that projects a store's journal to MLflow, and follow its progress.

MLflow takes a fifth of a second for a run, for which a launcher's threads would have to wait; and
loading it takes seconds, in which the launcher can do other work.
"""

from __future__ import annotations

import contextlib
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

from trainers.errors import ConfigError, TunerError
from trainers.proxies import proxy_note
from tuner.store import Store
from tuner.store.projected import LOCAL
from tuner.tracking.address import locate_store
from tuner.tracking.messages import ProjectionStatus, ProjectorTask

_LOG = logging.getLogger(__name__)
_SECONDS_TO_SETTLE = 600.0
_SECONDS_TO_HURRY = 3.0
_SECONDS_TO_END = 3.0


class TrackerAway(TunerError):
    """The server could not be reached: the study is done, but not all of it is in MLflow."""

    exit_code = 1


class TrackerRefused(TunerError):
    """MLflow refuses a request."""

    exit_code = 1


class NoProjector:
    """Projects nothing: the journal alone keeps the runs."""

    def start(self, store: Store) -> None:
        """Do nothing."""

    def settle(self, last: int) -> None:
        """Do nothing."""

    def hurry(self) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


class Projector(NoProjector):
    """The process that makes MLflow agree with the journal. It ends when this one does.

    Args:
        server: Address of an MLflow server; None: MLflow in the store's folder.
        seconds_to_settle: How long `settle` waits for a server.
    """

    def __init__(
        self, server: str | None = None, *, seconds_to_settle: float = _SECONDS_TO_SETTLE
    ) -> None:
        self._server = server
        self._name = tracker_name(server)
        self._seconds_to_settle = seconds_to_settle
        self._changed = threading.Condition()
        self._at = 0
        self._away: str | None = None
        self._failures = 0
        self._since = 0.0
        self._said = False
        self._fault: str | None = None
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "tuner.tracking.projecting"],
                env={**os.environ, "PYTHONPATH": os.pathsep.join(_folders())},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=_stderr(),
                text=True,
                start_new_session=True,  # Ctrl-C is the launcher's
            )
        except OSError as error:
            raise ConfigError(
                f"the process that writes to MLflow cannot be started: {error.strerror}"
            ) from error
        threading.Thread(target=self._listen, daemon=True).start()

    @property
    def pid(self) -> int:
        """Return the process id."""
        return self._process.pid

    def start(self, store: Store) -> None:
        """Start to project a store's journal."""
        root = store.root.resolve()
        variables = {name: os.environ[name] for name in os.environ if name != "PYTHONPATH"}
        task = ProjectorTask(
            root=root,
            shared=store.shared,
            target=self._server or str(root),
            tracker=self._name,
            folder=os.getcwd(),
            variables=variables,
        )
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):  # it has died, which `settle` reports
            self._process.stdin.write(task.model_dump_json() + "\n")
            self._process.stdin.flush()

    def settle(self, last: int) -> None:
        """Wait until all lines up to one are projected.

        Args:
            last: Id of the line.

        Raises:
            TrackerAway: The server did not come back in time.
            TrackerRefused: MLflow refused a request, or the process has died.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._done(last) or self._away is not None)
            if not self._done(last) and self._seconds_to_settle > _SECONDS_TO_HURRY:
                _LOG.warning(
                    "MLflow %s: waiting until it has all of the journal, at most %.0f s",
                    *(self._name, self._seconds_to_settle),
                )
            self._changed.wait_for(lambda: self._done(last), self._seconds_to_settle)
            if self._fault is not None:
                raise TrackerRefused(
                    f"MLflow {self._name}: {self._fault}; the journal keeps the rest, and "
                    "the same command writes it"
                )
            if self._at < last:
                raise TrackerAway(
                    f"MLflow {self._name} is away; the journal keeps the rest, and the same "
                    "command sends it"
                )

    def hurry(self) -> None:
        """Limit the wait for a server that does not answer to some seconds: the study ends."""
        with self._changed:
            self._seconds_to_settle = min(self._seconds_to_settle, _SECONDS_TO_HURRY)
            self._away = self._away or "no answer"
            self._changed.notify_all()

    def close(self) -> None:
        """End the process, after it has projected all lines."""
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        try:
            self._process.wait(_SECONDS_TO_END)
        except subprocess.TimeoutExpired:  # the server hangs; every step may be repeated
            self._process.kill()
            self._process.wait()

    def _done(self, last: int) -> bool:
        return self._at >= last or self._fault is not None

    def _listen(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as said:
            for line in said:
                with self._changed:
                    self._update(ProjectionStatus.model_validate_json(line))
                    self._changed.notify_all()
        code = self._process.wait()
        with self._changed:
            self._fault = self._fault or f"the process that writes to it ended with code {code}"
            self._changed.notify_all()

    def _update(self, status: ProjectionStatus) -> None:
        if status.at is not None:
            self._at = status.at
            if self._said:
                seconds = time.monotonic() - self._since
                _LOG.warning("MLflow %s is back after %.0f s", self._name, seconds)
            self._away, self._failures, self._said = None, 0, False
        elif status.refused is not None:
            self._fault = status.refused
        elif status.away is not None:
            self._since = self._since if self._failures else time.monotonic()
            self._failures += 1
            self._away = status.away
            # A first failure at once may be just a lost connection.
            if not self._said and (self._failures > 1 or status.away == "no answer in time"):
                self._said = True
                _LOG.warning(
                    "MLflow %s is away (%s); the study continues, and its results are kept in the "
                    "journal",
                    *(self._name, f"{status.away}{proxy_note(self._name)}"),
                )


def tracker_name(server: str | None) -> str:
    """Return a tracker's name in the journal's database; a server's address without its login."""
    return LOCAL if server is None else locate_store(server).tracking_uri


def _folders() -> Iterator[str]:
    """Yield the folders of modules; Python ignores entries that are no texts."""
    for folder in sys.path:
        if isinstance(folder, str):
            yield folder or os.getcwd()


def _stderr() -> int | None:
    try:
        return sys.__stderr__.fileno() if sys.__stderr__ else subprocess.DEVNULL
    except (OSError, ValueError):  # closed
        return subprocess.DEVNULL
