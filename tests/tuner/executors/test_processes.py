"""Why a run's process ended, where it could not say so itself."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import resource
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from trainers.errors import OutOfMemory, RunFailed
from tuner.executors.processes import end, follow


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
