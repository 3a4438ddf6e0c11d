"""The processes of one run: hear all of them, find out why the first one ended, end the rest."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Mapping, Sequence
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path

import psutil

from trainers.contract import Emit, RunEvent, RunResult
from trainers.errors import LostRank, OutOfMemory, RunFailed, run_failure
from trainers.measure import dying_words

_STDERR_LINES = 20
_SECONDS_TO_LEAVE = 0.2
_SECONDS_TO_END = 10.0
_SECONDS_FOR_THE_CAUSE = 2.0
"""How long to wait for the first cause once a rank has said that it lost another."""


def follow(
    processes: Mapping[Connection, BaseProcess], logs: Sequence[Path], emit: Emit
) -> RunResult:
    """Pass on the events of a run's processes and return the result of rank 0.

    Args:
        processes: Each rank's process by its pipe, in the order of ranks.
        logs: Where each rank prints.
        emit: Called with every event, in order.

    Raises:
        RunFailed: A rank ended without a result. The reason is the first real one: that a rank
            missed another is said only where no other reason is found.
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
            try:
                kind, text, detail = pipe.recv()
            except (EOFError, ConnectionResetError):
                rank = ranks.pop(pipe)
                failed = _death(processes[pipe], logs[rank], rank if several else None, phase)
            else:
                if kind == "event":
                    phase = "train"  # or the evaluation after it, which takes less
                    emit(RunEvent.model_validate_json(text))
                    continue
                rank = ranks.pop(pipe)
                if kind == "result":
                    result = RunResult.model_validate_json(text) if rank == 0 else result
                    continue
                failed = _failure(kind, text, detail, rank if several else None)
            if not isinstance(failed, LostRank):
                raise failed
            if lost is None:
                lost, until = failed, time.monotonic() + _SECONDS_FOR_THE_CAUSE
    if result is None:
        raise lost or RunFailed("rank 0 ended without a result")
    return result


def end(processes: Sequence[BaseProcess], *, at_once: bool) -> None:
    """End processes and what they have started; unless at once, those that are done may leave."""
    until = time.monotonic() + (0 if at_once else _SECONDS_TO_LEAVE)
    for process in processes:
        process.join(max(0.0, until - time.monotonic()))
    for process in processes:
        kill(process)
    for process in processes:
        process.join(_SECONDS_TO_END)


def kill(process: BaseProcess) -> None:
    """Kill the process's group, or the process alone where it has not made its group yet."""
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
    """Return what a run's process has started and left: ninja gives each compiler its group."""
    found = set()
    for other in psutil.pids():
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if other != pid and os.getsid(other) == pid:
                found.add(other)
    return found


def _failure(kind: str, text: str, detail: str, rank: int | None) -> RunFailed:
    # Only an exception has details: what is wrong with the run is so on all ranks.
    unexpected = kind == RunFailed.kind and rank is not None and detail
    return run_failure(kind, f"rank {rank}: {text}" if unexpected else text, detail)


def _death(process: BaseProcess, log: Path, rank: int | None, phase: str) -> RunFailed:
    process.join(_SECONDS_TO_END)
    who = "the run's process" if rank is None else f"the process of rank {rank}"
    code, lines = process.exitcode, _last_lines(log)
    if code is None:
        return RunFailed(f"{who} closed its pipe and did not end", lines)
    words = dying_words(lines)
    if words is not None and code not in (0, -signal.SIGKILL):
        return OutOfMemory(f"out of memory ({phase}): {words}", phase)
    if code >= 0:
        return RunFailed(f"{who} ended with exit code {code} and no result", lines)
    name = signal.Signals(-code).name
    if name == "SIGABRT" and rank is not None:
        # NCCL's watchdog aborts a rank that waits in vain for another.
        return LostRank(f"{who} was ended by {name}", lines)
    hint = ", often the kernel out of memory" if name == "SIGKILL" else ""
    return RunFailed(f"{who} was ended by {name}{hint}", lines)


def _last_lines(path: Path) -> str:
    lines = path.read_text(errors="replace").splitlines() if path.exists() else []
    return "\n".join(lines[-_STDERR_LINES:])
