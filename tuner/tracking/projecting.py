"""The process that loads MLflow for a launcher, and projects the store's journal to it."""

from __future__ import annotations

import contextlib
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
from tuner.tracking.messages import News, ProjectorTask

_TURN = ".projecting"
_SECONDS_BETWEEN_LOOKS = 0.2
_FIRST_WAIT, _LONGEST_WAIT = 0.5, 10.0
_SECONDS_TO_HANG = 10.0
"""A server that does not answer for so long is away, too."""


class _Voice:
    """Tells the launcher, from any thread; nobody may be listening any more."""

    def __init__(self, out: IO[str]) -> None:
        self._out = out
        self._lock = threading.Lock()
        self._asked: float | None = None
        threading.Thread(target=self._watch, daemon=True).start()

    def say(self, **news: Any) -> None:
        with self._lock, contextlib.suppress(OSError, ValueError):
            self._out.write(News(**news).model_dump_json() + "\n")
            self._out.flush()

    def heard(self) -> None:
        """Note that the server has just answered, or is asked first."""
        self._asked = time.monotonic()

    @contextlib.contextmanager
    def asking(self) -> Iterator[None]:
        """Say that the server is away if it does not answer for long."""
        self.heard()
        try:
            yield
        finally:
            self._asked = None

    def _watch(self) -> None:
        while True:
            time.sleep(1.0)
            asked = self._asked
            if asked is not None and time.monotonic() - asked > _SECONDS_TO_HANG:
                self.say(away="no answer in time")
                self._asked = None


def project(task: ProjectorTask, voice: _Voice, closing: threading.Event) -> None:
    """Project line after line until the launcher ends, and then what is there by then."""
    from tuner.tracking.mlflow_store import MlflowStore
    from tuner.tracking.projection import Projection

    store = Store(task.root, task.shared)
    url = store.database_url
    policy = RetryPolicy(name_database(url), pause=_pausing(closing))
    engine = policy.persist(lambda: open_engine(url))
    journal, projected = Journal(engine, policy), Projected(engine, task.tracker)
    target = MlflowStore(task.target)
    projection = Projection(journal, store, target, projected, told=voice.heard)

    def turn() -> tuple[int, bool]:
        with _outages_told(), own_turn(store.root / _TURN, url), voice.asking():
            cursor, more = projection.step()
            if closing.is_set() and not more:
                projection.settle()
        return cursor, more

    patience = _Patience(voice)
    while True:
        last = journal.last_id()  # before it is looked for news: some topics are not MLflow's
        if not closing.is_set() and not projection.has_news():
            voice.say(at=last)
            closing.wait(_SECONDS_BETWEEN_LOOKS)
            continue
        try:
            cursor, more = policy.persist(turn)
        except Exception as error:
            if closing.wait(patience.after(error)):
                return
            continue
        patience.reset()
        voice.say(at=cursor)
        if closing.is_set() and not more:
            return


class _Patience:
    """Decides what follows a step that failed."""

    def __init__(self, voice: _Voice) -> None:
        self._voice = voice
        self.reset()

    def reset(self) -> None:
        """Begin anew: a step went well."""
        self._wait, self._refused = _FIRST_WAIT, ""

    def after(self, error: Exception) -> float:
        """Return the seconds until the step is tried again.

        Raises:
            Exception: MLflow refuses the same a second time.
        """
        reason = _reason(error)
        if _is_away(error):
            self._voice.say(away=reason)
        elif reason == self._refused:
            self._voice.say(refused=reason)
            raise error
        else:  # two launchers that write at once can be in each other's way
            self._refused = reason
        wait = self._wait
        self._wait = min(2 * wait, _LONGEST_WAIT)
        return wait


def _pausing(closing: threading.Event) -> Any:
    def pause(seconds: float) -> None:
        if closing.wait(seconds):
            raise SystemExit

    return pause


@contextlib.contextmanager
def _outages_told() -> Iterator[None]:
    """Let an outage of the journal's database be waited for, though a turn explains it."""
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
    # What ends the launcher's whole group must not end what is still to be written.
    for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(one, signal.SIG_IGN)
    out, sys.stdout = sys.stdout, sys.stderr  # a library that prints must not speak to it
    voice, closing = _Voice(out), threading.Event()
    with contextlib.suppress(Exception):  # said when the store is opened
        # Before it is asked for; the launcher has other things to do meanwhile.
        import tuner.tracking.mlflow_store  # noqa: F401 - for what it loads
    logging.getLogger("tuner.store.database").setLevel(logging.ERROR)  # the launcher says it
    line = sys.stdin.readline()
    if line:
        task = ProjectorTask.model_validate(json.loads(line))
        os.chdir(task.folder)
        os.environ.clear()
        os.environ.update(task.variables)
        threading.Thread(target=_end_with, args=(closing,), daemon=True).start()
        try:
            project(task, voice, closing)
        except Exception as error:
            voice.say(refused=_reason(error))
    os._exit(0)  # Python's own ending takes a while with so much loaded


def _end_with(closing: threading.Event) -> None:
    """Wait until the launcher's end of the pipe is gone."""
    sys.stdin.read()
    closing.set()


if __name__ == "__main__":
    main()
