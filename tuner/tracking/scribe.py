"""The process that loads MLflow for a launcher, and makes the launcher's calls of it."""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import sys
import threading
import traceback
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from trainers.errors import ConfigError, TunerError
from tuner.tracking.base import Curve, Phase, RunRecord
from tuner.tracking.calls import Call, make
from tuner.tracking.definitions import KeptDefinition
from tuner.tracking.faults import ServerAway, StoreRefused
from tuner.tracking.tracking_process import Surroundings


class Scribe:
    """Writes to a store and reads it; its methods are those of `RemoteScribe`."""

    def __init__(self, store: str | Path) -> None:
        from tuner.tracking.mlflow import MlflowTracker

        self._tracker = MlflowTracker(store)

    def open_study(self, name: str, resolved_yaml: str) -> None:
        """Make or open a study."""
        self._tracker.open_study(name, resolved_yaml)

    def make(self, call: Call, ids: dict[str, str]) -> str:
        """Make a call; return the store's id of its group or run."""
        with _classified():
            return make(call, self._tracker, ids)

    def make_left(self, name: str, folder: Path, study: str) -> None:
        """Make what dead launchers of a study have left."""
        from tuner.tracking.left import make_left

        make_left(self._tracker, name, folder, study)

    def settle(self) -> None:
        """Bring back what was deleted or renamed meanwhile, if the server answers."""
        with contextlib.suppress(ConfigError):
            self._tracker.settle()

    def log_report(self, study: str, folder: Path) -> str:
        """Keep a report."""
        return self._tracker.log_report(study, folder)

    def runs(self, study: str, phase: Phase | None) -> list[RunRecord]:
        """Read a study's runs."""
        return self._tracker.runs(study, phase=phase)

    def curves(self, run_ids: Sequence[str], names: Sequence[str]) -> list[Curve]:
        """Read the curves of runs."""
        return list(self._tracker.curves(run_ids, names))

    def artifact(self, run_id: str, name: str) -> Path | None:
        """Return a local path of a file that a run left."""
        return self._tracker.artifact(run_id, name)

    def study_yaml(self, study: str) -> str:
        """Return the resolved YAML of a study."""
        return self._tracker.study_yaml(study)

    def definitions(self, study: str) -> list[KeptDefinition]:
        """Return the texts that the study was opened with."""
        return self._tracker.definitions(study)

    def studies(self) -> list[str]:
        """List the studies in the store."""
        return self._tracker.studies()


@contextlib.contextmanager
def _classified() -> Iterator[None]:
    """Say of MLflow's errors what a launcher, which does not load MLflow, has to know."""
    from tuner.tracking.server import is_away, is_refusal, reason_of

    try:
        yield
    except Exception as error:
        if is_away(error):
            raise ServerAway(reason_of(error)) from error
        if is_refusal(error):
            raise StoreRefused(reason_of(error)) from error
        raise


def serve(launcher: Connection) -> None:
    """Do what the launcher asks for, one thing after another, until it ends.

    A request is a tuple: the scribes that are wanted no more, the number of the scribe that is
    asked, the method's name, its arguments. Method `open` makes the scribe, with the launcher's
    `Surroundings`. The answer is what the method returned and what it raised.
    """
    with contextlib.suppress(Exception):  # said when a store is opened
        # Before it is asked for; the launcher has other things to do meanwhile.
        import tuner.tracking.mlflow  # noqa: F401 - for what it loads

    desk = _Desk()
    while True:
        answer, error = None, None
        try:
            answer = desk.do(*launcher.recv())
        except (EOFError, ConnectionResetError):
            return
        except Exception as raised:
            error = _portable(raised)
        try:
            launcher.send((answer, error))
        except OSError:
            return
        except Exception as raised:
            launcher.send((None, _portable(raised)))


class _Desk:
    """The scribes of a launcher, each with what was around the launcher when it was made.

    MLflow takes logins and limits from the environment alone.
    """

    def __init__(self) -> None:
        self._scribes: dict[int, Scribe] = {}
        self._around: dict[int, Surroundings] = {}
        self._last: int | None = None

    def do(self, closed: Sequence[int], number: int, method: str, arguments: Any) -> Any:
        """Do what one request asks for."""
        for old in closed:
            self._scribes.pop(old, None)
            self._around.pop(old, None)
        if method == "open":
            store, self._around[number] = arguments
        if number != self._last:
            self._last = None
            _take_over(self._around[number])
            self._last = number
        if method != "open":
            return getattr(self._scribes[number], method)(*arguments)
        try:
            self._scribes[number] = Scribe(store)
        except ImportError as error:
            raise ConfigError(f"MLflow cannot be loaded: {error}") from error
        # With what making it has set, such as a login.
        self._around[number] = Surroundings(os.getcwd(), dict(os.environ))
        return None


def _take_over(around: Surroundings) -> None:
    os.chdir(around.folder)
    os.environ.clear()
    os.environ.update(around.variables)


def _portable(error: Exception) -> Exception:
    """Return the error, or one that says the same, such that the launcher can raise it."""
    if not isinstance(error, TunerError | ServerAway | StoreRefused):
        error.add_note("".join(traceback.format_exception(error)))
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        kind: Any = ConfigError if isinstance(error, ConfigError) else RuntimeError
        said = str(error) if kind is ConfigError else f"{type(error).__name__}: {error}"
        portable: Exception = kind(said)
        portable.__notes__ = getattr(error, "__notes__", [])
        return portable
    return error


def _end_with(lifeline: int) -> None:
    """End at once when the launcher's end of the pipe is gone."""
    os.read(lifeline, 1)
    os._exit(1)


def main() -> None:
    """Serve the launcher; two numbers are given, of a socket to it and of a pipe from it."""
    # What ends the launcher's whole group must not end what it still has to write.
    for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(one, signal.SIG_IGN)
    connection, lifeline = map(int, sys.argv[1:])
    threading.Thread(target=_end_with, args=(lifeline,), daemon=True).start()
    serve(Connection(connection))
    os._exit(0)  # Python's own ending takes a while with so much loaded


if __name__ == "__main__":
    main()
