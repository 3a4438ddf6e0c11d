"""Start commands of the program as processes of their own, without loading torch each time."""

from __future__ import annotations

import atexit
import functools
import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import IO

_ROOT = Path(__file__).parents[1]
_LONGEST_ANSWER = 16  # bytes of a process id or an exit code


class Started:
    """A command that was started, to be used like `subprocess.Popen`.

    Args:
        words: The command's words, without `tuner`.
        cwd: Its working folder.
        environment: Its whole environment; by default that of the tests.
        stdout: File for its output; by default that is kept for `communicate`.
        stderr: File for its errors; likewise.
    """

    def __init__(
        self,
        words: Sequence[str | Path],
        *,
        cwd: Path,
        environment: dict[str, str] | None = None,
        stdout: IO[bytes] | None = None,
        stderr: IO[bytes] | None = None,
    ) -> None:
        self._out = stdout.fileno() if stdout else os.memfd_create("out")
        self._err = stderr.fileno() if stderr else os.memfd_create("err")
        self._answers, theirs = os.pipe()
        request = {
            "words": [*map(str, words)],
            "folder": str(cwd.resolve()),
            "environment": dict(os.environ if environment is None else environment),
        }
        content = json.dumps(request).encode()
        socket.send_fds(_template(), [content], [self._out, self._err, theirs])
        os.close(theirs)
        self.pid = int(os.read(self._answers, _LONGEST_ANSWER))
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """Return the exit code, or None while it runs."""
        return self._await(0.0)

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end; return the exit code, minus the number of a signal that killed it."""
        code = self._await(timeout)
        if code is None:
            raise subprocess.TimeoutExpired("tuner", timeout or 0.0)
        return code

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """Wait for its end; return what it wrote."""
        self.wait(timeout)
        return _read(self._out), _read(self._err)

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """Kill it."""
        self.send_signal(signal.SIGKILL)

    def _await(self, timeout: float | None) -> int | None:
        if self.returncode is None and select.select([self._answers], [], [], timeout)[0]:
            self.returncode = int(os.read(self._answers, _LONGEST_ANSWER))
            os.close(self._answers)
        return self.returncode


def tuner(*words: str | Path, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    variables = os.environ | {"COLUMNS": "200"} | environment
    started = Started(words, cwd=cwd, environment=variables)
    out, err = started.communicate(timeout=240)
    return subprocess.CompletedProcess([*map(str, words)], started.wait(), out, err)


def start_anew(
    *words: str | Path, cwd: Path, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end by a Python that is started for it."""
    return subprocess.run(
        [sys.executable, "-m", "tuner", *map(str, words)],
        cwd=cwd,
        env=os.environ | {"COLUMNS": "200"} | environment,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


@functools.cache
def _template() -> socket.socket:
    """Start the process that commands are forked from; it ends with the tests."""
    ours, theirs = socket.socketpair(type=socket.SOCK_SEQPACKET)
    with theirs:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.template", str(theirs.fileno())],
            cwd=_ROOT,
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
        )
    atexit.register(process.wait)
    atexit.register(ours.close)  # first
    return ours


def _read(descriptor: int) -> str:
    return os.pread(descriptor, os.fstat(descriptor).st_size, 0).decode()
