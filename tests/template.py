"""The process that commands are forked from: it has loaded what `python -m tuner` loads.

Run as `python -m tests.template FD`; `tests.starts` is at the other end of that socket. Each start
is a real process, with its own folder, environment, output and end. A second process waits for it
and passes its exit code on.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import runpy
import signal
import socket
import sys
from typing import Any, Never

_LONGEST_REQUEST = 2**20
_LOADED = (
    "tuner.study",
    "tuner.cli.outcome_text",
    "tuner.forecast.memory",
    "tuner.forecast.time",
    "tuner.report.plots",
    "tuner.executors.process.executor",
    "tuner.tracking.kept_report",
    "trainers.train.callback",
    "trainers.train.rank",
    "transformers.models.bert.modeling_bert",
    "mlflow.store.tracking.sqlalchemy_store",
    "peft",
    "pandas",
    "sklearn.metrics",
)


def serve(requests: socket.socket) -> None:
    """Fork a command for every request, until the tests have ended."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody asks how the waiting processes ended
    while True:
        content, descriptors, _, _ = socket.recv_fds(requests, _LONGEST_REQUEST, 3)
        if not content:
            return
        if os.fork() == 0:
            requests.close()
            _watch_over(json.loads(content), *descriptors)
        for descriptor in descriptors:
            os.close(descriptor)


def _watch_over(request: dict[str, Any], out: int, err: int, answers: int) -> Never:
    """Fork the command; send its process id, then its exit code as `waitpid` has it."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    pid = os.fork()
    if pid == 0:
        os.close(answers)
        _become(request, out, err)
    os.close(out)
    os.close(err)
    try:
        os.write(answers, f"{pid}\n".encode())
        _, status = os.waitpid(pid, 0)
        os.write(answers, f"{os.waitstatus_to_exitcode(status)}\n".encode())
    finally:
        os._exit(0)


def _become(request: dict[str, Any], out: int, err: int) -> Never:
    """Run the command in this process, as `python -m tuner` does."""
    os.dup2(out, 1)
    os.dup2(err, 2)
    os.close(out)
    os.close(err)
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    unbuffered = bool(os.environ.get("PYTHONUNBUFFERED"))
    sys.stdout.reconfigure(write_through=unbuffered)  # type: ignore[union-attr]  # a real one
    sys.path[0] = request["folder"]
    sys.argv = ["tuner", *request["words"]]
    sys.orig_argv = [sys.executable, "-m", "tuner", *request["words"]]
    runpy.run_module("tuner", run_name="__main__", alter_sys=True)
    sys.exit(0)


if __name__ == "__main__":
    gc.disable()
    for _name in _LOADED:
        importlib.import_module(_name)
    gc.freeze()
    gc.enable()
    serve(socket.socket(fileno=int(sys.argv[1])))
    os._exit(0)  # Python would visit every object of what it has loaded
