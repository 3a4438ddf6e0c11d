"""Start real servers for tests."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path

from tuner.tracking import locate_store

_SECONDS_TO_START = 90


class MlflowServer:
    """An `mlflow server` on a free port of its own, which proxies artifacts.

    Args:
        folder: Where it keeps artifacts and its log.
        database: URI of its database, by default SQLite in the folder.
    """

    def __init__(self, folder: Path, database: str | None = None) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = probe.getsockname()[1]
        self.address = f"http://127.0.0.1:{self._port}"
        self.folder = folder
        self.database = database or locate_store(folder).tracking_uri
        self.options: tuple[str, ...] = ()
        self.environment: Mapping[str, str] = {}
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it answers."""
        command = [sys.executable, "-m", "mlflow", "server", "--workers", "1", "--serve-artifacts"]
        command += ["--host", "127.0.0.1", "--port", str(self._port), *self.options]
        command += ["--artifacts-destination", (self.folder / "served").resolve().as_uri()]
        # The database by environment: its password is not to stand in the list of processes. And
        # no consumers of jobs, which take most of the time to start and have nothing to do.
        environment = {
            **os.environ,
            "MLFLOW_BACKEND_STORE_URI": self.database,
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
            **self.environment,
        }
        log = self.folder / "server.log"
        with log.open("ab") as output:
            # A session of its own, so that the server's helpers end with it.
            self._process = subprocess.Popen(
                command, stdout=output, stderr=output, start_new_session=True, env=environment
            )
        self._wait(log)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to it and to its helpers: SIGKILL, SIGSTOP, SIGCONT."""
        assert self._process is not None
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)
        if number == signal.SIGKILL:
            self._process.wait()

    def _wait(self, log: Path) -> None:
        assert self._process is not None
        for _ in range(10 * _SECONDS_TO_START):
            assert self._process.poll() is None, log.read_text()
            with (
                contextlib.suppress(OSError),
                urllib.request.urlopen(f"{self.address}/health", timeout=5) as answer,
            ):
                if answer.status == 200:
                    return
            time.sleep(0.1)
        raise AssertionError(log.read_text())


@contextlib.contextmanager
def serve(store: Path, database: str | None = None) -> Iterator[str]:
    """Serve a store by `mlflow server`; give its address."""
    with running(MlflowServer(store, database)) as server:
        yield server.address


@contextlib.contextmanager
def running(server: MlflowServer) -> Iterator[MlflowServer]:
    """Start a server, and kill it in the end."""
    server.start()
    try:
        yield server
    finally:
        server.signal(signal.SIGKILL)
