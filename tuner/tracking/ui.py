"""Serve MLflow's own UI on a store."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlencode

from trainers.errors import ConfigError
from tuner.tracking.address import locate_store
from tuner.tracking.moved import settle_or_warn
from tuner.tracking.views import arms_page, curves_page

_HOST = "127.0.0.1"
PORT = 5000
"""Of the UI, where no other is named."""
PAGES = f"http://{_HOST}:{PORT}"
"""Address of its pages on that port."""
_SECONDS_TO_END = 3
_SECONDS_BETWEEN_LOOKS = 0.2


def serve_ui(
    store: str | Path, port: int, tell: Callable[[str], object], *, study: str = ""
) -> None:
    """Serve the UI at 127.0.0.1 until it is interrupted.

    Args:
        store: The store of the studies.
        port: Port on 127.0.0.1.
        tell: Called with the addresses, a line each, once they answer.
        study: A study whose pages are named too.

    Raises:
        ConfigError: There are no studies in the store, the study is not in MLflow, the port is in
            use, or the server has ended.
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
    # One worker: the UI of a local store has one user, and each worker takes 300 MB.
    place += ["--workers", "1", "--uvicorn-opts", "--log-level=warning"]
    command = [sys.executable, "-m", "mlflow", "server", *place]
    # Consumers of MLflow's jobs take most of the time to start, and no study has any.
    environment = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"} | os.environ
    # A session of its own: the server starts more processes, and all end with this call.
    server = subprocess.Popen(command, env=environment, start_new_session=True)
    try:
        page = f"http://{_HOST}:{port}"
        if _answers(server, page):
            tell("\n".join([*_lines(page, study), "Ctrl-C ends it."]))
        server.wait()
    finally:
        _end(server)
    if server.returncode:
        raise ConfigError(f"the MLflow server ended with exit code {server.returncode}")


def _answers(server: subprocess.Popen[bytes], page: str) -> bool:
    """Wait until the server answers; return whether it does, or has ended."""
    while server.poll() is None:
        with contextlib.suppress(OSError), urllib.request.urlopen(f"{page}/health", timeout=5):
            return True
        time.sleep(_SECONDS_BETWEEN_LOOKS)
    return False


def _lines(page: str, study: str) -> Iterator[str]:
    """Yield the addresses of the UI, and of the pages of a study."""
    if not study:
        yield f"MLflow: {page}"
        return
    query = urlencode({"experiment_name": study})
    try:
        with urllib.request.urlopen(
            f"{page}/api/2.0/mlflow/experiments/get-by-name?{query}", timeout=30
        ) as answer:
            found = json.load(answer)["experiment"]
    except urllib.error.HTTPError as error:
        raise ConfigError(
            f"study {study!r}: not in the store's MLflow; it was run with --tracking, or deleted "
            "there"
        ) from error
    yield f"arms:   {arms_page(page, found['experiment_id'])}"
    yield f"losses: {curves_page(page, found['experiment_id'])}"


def _end(server: subprocess.Popen[bytes]) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(server.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(_SECONDS_TO_END)
