"""Why a run's process ended, where it could not say so itself."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import resource
import subprocess
from multiprocessing.connection import Connection
from pathlib import Path

import psutil
import pytest

from tests.launchers import lives, wait_until
from trainers.errors import OutOfMemory, RunFailed
from tuner.executors.process.child import end, follow


def ask_for_too_much(log: str, sender: Connection) -> None:
    """Have C++ throw `bad_alloc` where nobody catches it."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.dup2(os.open(log, os.O_CREAT | os.O_WRONLY), 2)
    ctypes.CDLL("libstdc++.so.6")._Znwm(ctypes.c_size_t(2**60))


def abort(log: str, sender: Connection) -> None:
    """Abort for another reason."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.dup2(os.open(log, os.O_CREAT | os.O_WRONLY), 2)
    os.abort()


@pytest.mark.parametrize(("target", "memory"), [(ask_for_too_much, True), (abort, False)])
def test_a_process_that_aborts_for_memory_is_told_from_one_that_aborts(
    tmp_path: Path, target: object, memory: bool
) -> None:
    """By its last words; before its first event there is no batch that could be smaller."""
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    log = tmp_path / "stderr.log"
    process = context.Process(target=target, args=(str(log), sender))  # type: ignore[arg-type]
    with sender:
        process.start()
    try:
        with pytest.raises(RunFailed) as caught:
            follow({receiver: process}, [log], lambda event: None)
    finally:
        end([process], at_once=True)
    assert isinstance(caught.value, OutOfMemory) is memory
    assert ("bad_alloc" in caught.value.reason) is memory
    if isinstance(caught.value, OutOfMemory):
        assert caught.value.during == "load"
    else:
        assert "SIGABRT" in caught.value.reason


def compile_something(log: str, sender: Connection) -> None:
    """Start what starts a group of its own, as ninja does for each compiler."""
    os.setsid()
    shell = subprocess.Popen(["sh", "-c", "sleep 600 & wait"], process_group=0)
    sender.send(shell.pid)
    if not log:
        shell.wait()


@pytest.mark.parametrize("log", ["", "ends before what it has started"])
def test_what_a_rank_has_started_ends_with_it(log: str) -> None:
    """Also in groups of their own."""
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=compile_something, args=(log, sender))
    process.start()
    shell = psutil.Process(receiver.recv())
    try:
        wait_until(shell.children)
        started = [shell, *shell.children()]
    finally:
        end([process], at_once=True)
    wait_until(lambda: not any(map(lives, started)))
