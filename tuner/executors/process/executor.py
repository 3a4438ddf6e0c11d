"""Do each run in processes of its own, one a rank, forked from a server that has torch loaded."""

from __future__ import annotations

import contextlib
import itertools
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any, TypeVar

from trainers.contract import Emit, Rank, RunResult, RunSpec, Workspace
from trainers.errors import RunFailed, RunKilled
from tuner.executors import MOST_KILLS, Executor
from tuner.executors.process.child import (
    ChildTask,
    compute_in_child,
    end,
    follow,
    kill,
    run_child,
)
from tuner.executors.process.fork_server import server_context, start_server
from tuner.store import RunInterrupted

T = TypeVar("T")
_LOCALHOST = "127.0.0.1"


class ProcessExecutor(Executor):
    """Runs do not affect each other: a crash ends one run, and peak memory is the run's own.

    Each child leads a process group of its own: Ctrl-C at the terminal does not reach it, and
    ending a run ends all its children. A run ends itself when the launcher dies.
    """

    computes_aside = True

    def __init__(self) -> None:
        self._context = server_context()
        self._live: set[ForkServerProcess] = set()
        self._slots: set[int] = set()
        self._closed = False
        self._lock = threading.Lock()

    def warm_up(self) -> None:
        """Start the server, which loads torch while the launcher does other work."""
        start_server()

    def compute(self, function: Callable[..., T], *args: Any) -> T:
        """Compute in a process that ends with the call: the launcher has no torch."""
        for _ in range(MOST_KILLS - 1):
            with suppress(RunKilled):
                return self._compute(function, *args)
        return self._compute(function, *args)

    def _compute(self, function: Callable[..., T], *args: Any) -> T:
        receiver, sender = self._context.Pipe(duplex=False)
        process = self._start(sender, compute_in_child, (function, args, sender))
        try:
            with receiver:
                error, result = receiver.recv()
        except EOFError:
            if self._closed:
                raise RunInterrupted from None
            process.join()
            code = process.exitcode
            failure = RunKilled if code == -signal.SIGKILL else RunFailed
            raise failure(f"its process ended with exit code {code}") from None
        finally:
            with self._lock:
                self._live.discard(process)
        process.join()
        if error:
            raise RunFailed(error)
        answer: T = result
        return answer

    def run(self, spec: RunSpec, emit: Emit, workspace: Workspace) -> RunResult:
        """Start the run's processes, pass on their events, return the result."""
        workspace.run_dir.mkdir(parents=True, exist_ok=True)
        processes: dict[Connection, ForkServerProcess] = {}
        done = False
        with self._own_slots(spec.ranks) as slots, ExitStack() as stack:
            lifeline, _held = map(stack.enter_context, self._context.Pipe(duplex=False))
            listener = stack.enter_context(_listen()) if _meets(spec) else None
            tasks = _tasks(spec, workspace, listener, slots=slots)
            try:
                for task in tasks:
                    receiver, sender = self._context.Pipe(duplex=False)
                    stack.enter_context(receiver)
                    arguments = (task, sender, lifeline, None if processes else listener)
                    processes[receiver] = self._start(sender, run_child, arguments)
                if listener is not None:
                    listener.close()  # rank 0 has it now
                result = follow(processes, [Path(task.log) for task in tasks], emit)
                done = True
                return result
            except RunFailed:
                if self._closed:
                    raise RunInterrupted from None
                raise
            finally:
                end(list(processes.values()), at_once=not done)
                with self._lock:
                    self._live.difference_update(processes.values())

    def close(self) -> None:
        """Kill every run, and every process that computes."""
        with self._lock:
            self._closed = True
            live = list(self._live)
        for process in live:
            kill(process)

    def _start(
        self, sender: Connection, target: Callable[..., None], arguments: tuple[object, ...]
    ) -> ForkServerProcess:
        process = self._context.Process(target=target, args=arguments)
        start_server()
        with self._lock, sender:
            if self._closed:
                raise RunInterrupted
            process.start()
            self._live.add(process)
        return process

    @contextlib.contextmanager
    def _own_slots(self, ranks: int) -> Iterator[list[int]]:
        """Give a run's ranks the lowest numbers that no other run uses."""
        with self._lock:
            free = (slot for slot in itertools.count() if slot not in self._slots)
            own = list(itertools.islice(free, ranks))
            self._slots.update(own)
        try:
            yield own
        finally:
            with self._lock:
                self._slots.difference_update(own)


def _tasks(
    spec: RunSpec, workspace: Workspace, listener: socket.socket | None, *, slots: list[int]
) -> list[ChildTask]:
    port = 0 if listener is None else listener.getsockname()[1]
    return [
        ChildTask(
            spec=spec.model_dump_json(),
            workspace=workspace.model_dump_json(),
            rank=Rank(
                rank=rank,
                local_rank=rank,
                world_size=spec.ranks,
                master_address=_LOCALHOST,
                master_port=port,
            ).model_dump_json(),
            log=str(workspace.run_dir / ("stderr.log" if rank == 0 else f"stderr.{rank}.log")),
            slots=slots,
        )
        for rank in range(spec.ranks)
    ]


def _meets(spec: RunSpec) -> bool:
    """Return whether the run needs a port for its ranks to meet on."""
    return spec.ranks > 1 or spec.deepspeed is not None


def _listen() -> socket.socket:
    """Open a port that the system chooses, so that no other study can get it."""
    listener = socket.socket()
    listener.bind((_LOCALHOST, 0))
    listener.listen()
    return listener
