"""Serve MLflow's own UI on a store."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from trainers.errors import ConfigError
from tuner.tracking.address import locate_store
from tuner.tracking.moved import settle_or_warn

_HOST = "127.0.0.1"
PORT = 5000
"""Of the UI, where no other is named."""
PAGES = f"http://{_HOST}:{PORT}"
"""Address of its pages on that port."""
_SECONDS_TO_END = 3


def serve_ui(store: str | Path, port: int, tell: Callable[[str], object]) -> None:
    """Serve the UI at 127.0.0.1 until it is interrupted.

    Args:
        store: The store of the studies.
        port: Port on 127.0.0.1.
        tell: Called with the page's address, after all checks.

    Raises:
        ConfigError: There are no studies in the store, or the port is in use.
    """
    address = locate_store(store)
    if address.artifact_uri is not None and not (Path(store) / "mlflow.db").is_file():
        raise ConfigError(
            f"--store {address.shown}: no studies here yet; run one with `tuner run-study`"
        )
    if address.artifact_uri is not None:
        settle_or_warn(Path(store))
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_HOST, port))
        except OSError as error:
            raise ConfigError(f"--port {port}: {error.strerror}; name another one") from error
    place = ["--backend-store-uri", address.tracking_uri, "--host", _HOST, "--port", str(port)]
    if address.artifact_uri is not None:
        place += ["--artifacts-destination", address.artifact_uri]
    tell(f"http://{_HOST}:{port}")
    # One worker: the UI of a local store has one user, and each worker takes 300 MB.
    command = [sys.executable, "-m", "mlflow", "server", *place, "--workers", "1"]
    # Consumers of MLflow's jobs take most of the time to start, and no study has any.
    environment = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"} | os.environ
    # A session of its own: the server starts more processes, and all end with this call.
    server = subprocess.Popen(command, env=environment, start_new_session=True)
    try:
        server.wait()
    finally:
        _end(server)
    if server.returncode:
        raise ConfigError(f"the MLflow server ended with exit code {server.returncode}")


def _end(server: subprocess.Popen[bytes]) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(server.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(_SECONDS_TO_END)
