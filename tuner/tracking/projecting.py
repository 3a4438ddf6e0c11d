"""The process that loads MLflow for a sender, and projects the store's journal to it."""

from __future__ import annotations

import contextlib
import gc
import json
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from typing import IO, Any

from sqlalchemy.exc import OperationalError

from trainers.errors import ConfigError, TunerError
from tuner.store import Store, missing_space
from tuner.store.database import Outage, RetryPolicy, name_database, open_engine, own_turn
from tuner.store.journal import Journal
from tuner.store.projected import Projected
from tuner.tracking.messages import ProjectionStatus, ProjectorTask

_TURN = ".projecting"
_SECONDS_BETWEEN_LOOKS = 0.2
_FIRST_WAIT, _LONGEST_WAIT = 0.5, 10.0
_SECONDS_TO_HANG = 10.0
"""A server that does not answer for this long counts as unavailable."""


class _StatusSender:
    """Sends the status to the launcher, from any thread; the launcher may have ended."""

    def __init__(self, out: IO[str]) -> None:
        self._out = out
        self._lock = threading.Lock()
        self._asked: float | None = None
        threading.Thread(target=self._watch, daemon=True).start()

    def send(self, **status: Any) -> None:
        with self._lock, contextlib.suppress(OSError, ValueError):
            self._out.write(ProjectionStatus(**status).model_dump_json() + "\n")
            self._out.flush()

    def note_answer(self) -> None:
        """Note that the server has just answered, or that a first request begins."""
        self._asked = time.monotonic()

    @contextlib.contextmanager
    def watch_requests(self) -> Iterator[None]:
        """Report the server as unavailable if it does not answer for long."""
        self.note_answer()
        try:
            yield
        finally:
            self._asked = None

    def _watch(self) -> None:
        while True:
            time.sleep(1.0)
            asked = self._asked
            if asked is not None and time.monotonic() - asked > _SECONDS_TO_HANG:
                self.send(away="no answer in time")
                self._asked = None


def project(task: ProjectorTask, sender: _StatusSender, stop: threading.Event) -> None:
    """Project line after line until the launcher ends, then the lines that are left."""
    from tuner.tracking.mlflow_store import MlflowStore
    from tuner.tracking.projection import Projection

    store = Store(task.root, task.shared)
    url = store.database_url
    policy = RetryPolicy(name_database(url), pause=_pause_until(stop))
    engine = policy.persist(lambda: open_engine(url))
    journal, projected = Journal(engine, policy), Projected(engine, task.tracker)
    target = MlflowStore(task.target)
    projection = Projection(journal, store, target, projected, on_line=sender.note_answer)

    def turn() -> tuple[int, bool]:
        with _raise_outages(), own_turn(store.root / _TURN, url), sender.watch_requests():
            cursor, more = projection.step()
            if stop.is_set() and not more:
                projection.settle()
        return cursor, more

    delay = _RetryDelay(sender)
    while True:
        last = journal.last_id()  # read first: its line may be of a topic that is not projected
        if not stop.is_set() and not projection.has_news():
            sender.send(at=last)
            stop.wait(_SECONDS_BETWEEN_LOOKS)
            continue
        try:
            cursor, more = policy.persist(turn)
        except Exception as error:
            if stop.wait(delay.after(error)):
                return
            continue
        delay.reset()
        sender.send(at=cursor)
        if stop.is_set() and not more:
            return


class _RetryDelay:
    """The delay before a failed step is retried."""

    def __init__(self, sender: _StatusSender) -> None:
        self._sender = sender
        self.reset()

    def reset(self) -> None:
        """Start again with short delays, after a step that succeeded."""
        self._wait, self._refused = _FIRST_WAIT, ""

    def after(self, error: Exception) -> float:
        """Return the seconds until the step is retried.

        Raises:
            Exception: MLflow refuses the same step a second time.
        """
        reason = _reason(error)
        if _is_away(error):
            self._sender.send(away=reason)
        elif reason == self._refused:
            self._sender.send(refused=reason)
            raise error
        else:  # a conflict with another launcher's write passes
            self._refused = reason
        wait = self._wait
        self._wait = min(2 * wait, _LONGEST_WAIT)
        return wait


def _pause_until(stop: threading.Event) -> Any:
    def pause(seconds: float) -> None:
        if stop.wait(seconds):
            raise SystemExit

    return pause


@contextlib.contextmanager
def _raise_outages() -> Iterator[None]:
    """Turn the ConfigError of an outage back into an Outage, so that it is retried."""
    try:
        yield
    except ConfigError as error:
        if isinstance(error.__cause__, Outage | OperationalError):
            raise Outage(str(error)) from error
        raise


def _is_away(error: Exception) -> bool:
    from tuner.tracking.server import is_away

    return is_away(error)


def _reason(error: Exception) -> str:
    from tuner.tracking.server import is_refusal, reason_of

    if isinstance(error, TunerError):
        return str(error)
    if (space := missing_space(error)) is not None:
        return space
    if is_refusal(error):
        return reason_of(error)
    logging.getLogger(__name__).error("the projection to MLflow failed", exc_info=error)
    return f"{type(error).__name__}: {error}".partition("\n")[0]


def main() -> None:
    """Serve the launcher."""
    # Signals to the launcher's whole process group must not end this process.
    for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(one, signal.SIG_IGN)
    out, sys.stdout = sys.stdout, sys.stderr  # prints of libraries must not reach the launcher
    sender, stop = _StatusSender(out), threading.Event()
    gc.disable()  # loading makes next to no garbage
    with contextlib.suppress(Exception):  # raised again when the store is opened
        # Loaded before the task arrives, while the launcher does other work.
        import tuner.tracking.mlflow_store  # noqa: F401 - for what it loads
    gc.freeze()
    gc.enable()
    logging.getLogger("tuner.store.database").setLevel(logging.ERROR)  # the launcher logs it
    line = sys.stdin.readline()
    if line:
        task = ProjectorTask.model_validate(json.loads(line))
        os.chdir(task.folder)
        os.environ.clear()
        os.environ.update(task.variables)
        threading.Thread(target=_end_with, args=(stop,), daemon=True).start()
        try:
            project(task, sender, stop)
        except Exception as error:
            sender.send(refused=_reason(error))
    os._exit(0)  # Python's own shutdown takes long with so many modules


def _end_with(stop: threading.Event) -> None:
    """Wait until the launcher's end of the pipe is gone."""
    sys.stdin.read()
    stop.set()


if __name__ == "__main__":
    main()
