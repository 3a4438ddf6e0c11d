"""A run's processes, at both ends of their pipes: the work of each, and the launcher's part.

A process sends `Message`s: rank 0 sends events, each rank ends with its result or its failure.
"""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import psutil

from trainers.contract import Emit, Rank, RunEvent, RunResult, RunSpec, Workspace
from trainers.errors import (
    LostRank,
    OutOfMemory,
    RunFailed,
    RunKilled,
    TunerError,
    one_line,
)
from trainers.measure import out_of_memory_line
from tuner.executors._messages import (
    Message,
    event_message,
    failure_message,
    result_message,
)

_STDERR_LINES = 20
_SECONDS_TO_LEAVE = 0.2
_SECONDS_TO_END = 10.0
_SECONDS_FOR_THE_CAUSE = 2.0
"""Seconds to wait for the first cause after a rank has reported that it lost another."""


@dataclass(frozen=True)
class ChildTask:
    """The task of one rank's process, sent by pickle, with models as JSON."""

    spec: str
    workspace: str
    rank: str
    log: str
    """File of its output."""
    slots: Sequence[int]
    """Numbers of the run's ranks among all running ones of the launcher: they choose devices."""


def run_child(
    task: ChildTask, sender: Connection, lifeline: Connection, listener: socket.socket | None
) -> None:
    """Train one rank in this process, send its messages, end the process.

    Args:
        task: The run, and which rank of it.
        sender: Pipe for events and the end.
        lifeline: Closes when the launcher dies or gives up the run; then the process ends.
        listener: On rank 0, the socket on which the ranks meet.
    """
    os.setsid()
    _take_interrupts()
    gc.freeze()  # the Trainer collects garbage; objects that the server loaded are skipped
    gc.enable()  # which the server does without
    threading.Thread(target=_end_with_launcher, args=(lifeline,), daemon=True).start()

    def emit(event: RunEvent) -> None:
        sender.send(event_message(event))

    code = 1
    try:
        _redirect_output(task.log)
        from trainers.train import take_devices, train_rank

        take_devices(task.slots)
        result = train_rank(
            RunSpec.model_validate_json(task.spec),
            emit,
            Workspace.model_validate_json(task.workspace),
            rank=Rank.model_validate_json(task.rank),
            listener=listener,
        )
        sender.send(result_message(result))
        code = 0
    except BaseException as error:
        sender.send(failure_message(error))
    finally:
        with contextlib.suppress(OSError):  # the disk of the log may be full
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def compute_in_child(
    function: Callable[..., Any], args: tuple[Any, ...], sender: Connection
) -> None:
    """Call a function in this process, send an error or else its result, end the process.

    Its output is lost, the terminal's Ctrl-C does not reach it, and it collects no garbage.
    """
    os.setsid()
    _redirect_output(os.devnull)
    try:
        sender.send(("", function(*args)))
    except TunerError as error:
        sender.send((str(error), None))
    except BaseException as error:
        sender.send((one_line(error), None))
    os._exit(0)


def _redirect_output(path: str) -> None:
    log = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o644)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(log, stream.fileno())


def _take_interrupts() -> None:
    """Unblock SIGINT, which the server blocks; forget one that came before `setsid`."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # which forgets it
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
    signal.signal(signal.SIGINT, before)


def _end_with_launcher(lifeline: Connection) -> None:
    """Wait until the launcher's end of the pipe is closed, then end this process."""
    with contextlib.suppress(EOFError, OSError):
        lifeline.recv_bytes()
    os._exit(1)


def follow(
    processes: Mapping[Connection, BaseProcess], logs: Sequence[Path], emit: Emit
) -> RunResult:
    """Pass on the events of a run's processes and return the result of rank 0.

    Args:
        processes: Each rank's process by its pipe, in the order of ranks.
        logs: File of each rank's output.
        emit: Called with every event, in order.

    Raises:
        RunFailed: A rank ended without a result. The reason is the first real one: a rank that
            lost another is the reason only where no other one is found.
    """
    ranks = {pipe: rank for rank, pipe in enumerate(processes)}
    several = len(ranks) > 1
    lost: RunFailed | None = None
    result: RunResult | None = None
    until = 0.0
    phase = "load"
    while ranks:
        ready = wait(list(ranks), max(0.0, until - time.monotonic()) if lost else None)
        if lost and not ready:
            raise lost
        for pipe in ready:
            assert isinstance(pipe, Connection)
            message = _receive(pipe)
            if message and message.kind == "event":
                phase = "train"  # or the evaluation after it, which takes less
                emit(RunEvent.model_validate_json(message.text))
                continue
            rank = ranks.pop(pipe)
            if message and message.kind == "result":
                result = RunResult.model_validate_json(message.text) if rank == 0 else result
                continue
            named = rank if several else None
            if message:
                failed = _failure(message, named)
            else:
                failed = _death(processes[pipe], logs[rank], named, phase)
            if not isinstance(failed, LostRank):
                raise failed
            if lost is None:
                lost, until = failed, time.monotonic() + _SECONDS_FOR_THE_CAUSE
    if result is None:
        raise lost or RunFailed("rank 0 ended without a result")
    return result


def _receive(pipe: Connection) -> Message | None:
    """Return the next message of a process, or None where it has closed its pipe."""
    try:
        message: Message = pipe.recv()
    except (EOFError, ConnectionResetError):
        return None
    return message


def end(processes: Sequence[BaseProcess], *, at_once: bool) -> None:
    """End processes and their children; unless `at_once`, let those that are done exit first."""
    until = time.monotonic() + (0 if at_once else _SECONDS_TO_LEAVE)
    for process in processes:
        process.join(max(0.0, until - time.monotonic()))
    for process in processes:
        kill(process)
    for process in processes:
        process.join(_SECONDS_TO_END)


def kill(process: BaseProcess) -> None:
    """Kill the process's group, or the process alone if it has no group of its own yet."""
    pid = process.pid
    if pid is None:
        return
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    seen: set[int] = set()
    while new := _session_of(pid) - seen:  # one may start another before it is killed
        for child in new:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(child, signal.SIGKILL)
        seen |= new


def _session_of(pid: int) -> set[int]:
    """Return the processes that a run's process has started, also those in groups of their own.

    ninja, for one, gives each compiler a group.
    """
    found = set()
    for other in psutil.pids():
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if other != pid and os.getsid(other) == pid:
                found.add(other)
    return found


def _failure(message: Message, rank: int | None) -> RunFailed:
    # Only an unexpected exception has details; a fault of the run is the same on all ranks.
    unexpected = message.kind == RunFailed.kind and rank is not None and message.detail
    if unexpected:
        message = replace(message, text=f"rank {rank}: {message.text}")
    return message.failure()


def _death(process: BaseProcess, log: Path, rank: int | None, phase: str) -> RunFailed:
    process.join(_SECONDS_TO_END)
    who = "the run's process" if rank is None else f"the process of rank {rank}"
    code, lines = process.exitcode, _last_lines(log)
    if code is None:
        return RunFailed(f"{who} closed its pipe and did not end", lines)
    words = out_of_memory_line(lines)
    if words is not None and code not in (0, -signal.SIGKILL):
        return OutOfMemory(f"out of memory ({phase}): {words}", phase)
    if code >= 0:
        return RunFailed(f"{who} ended with exit code {code} and no result", lines)
    name = signal.Signals(-code).name
    if name == "SIGABRT" and rank is not None:
        # NCCL's watchdog aborts a rank that waits too long for another.
        return LostRank(f"{who} was ended by {name}", lines)
    if name == "SIGKILL":
        return RunKilled(f"{who} was ended by {name}, often the kernel out of memory", lines)
    return RunFailed(f"{who} was ended by {name}", lines)


def _last_lines(path: Path) -> str:
    lines = path.read_text(errors="replace").splitlines() if path.exists() else []
    return "\n".join(lines[-_STDERR_LINES:])
