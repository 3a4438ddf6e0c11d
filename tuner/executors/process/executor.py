"""Do each run in processes of its own, one a rank, forked from a server that has torch loaded."""

from __future__ import annotations

import contextlib
import itertools
import multiprocessing
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path
from typing import Any

from trainers.contract import Emit, Rank, RunResult, RunSpec, Workspace
from trainers.errors import RunFailed
from tuner.executors.base import Executor, T
from tuner.executors.process.aside import Aside
from tuner.executors.process.child import Orders, run_child
from tuner.executors.process.processes import end, follow, kill
from tuner.executors.process.server import start_server
from tuner.store.database import RunInterrupted

_PRELOAD = [
    "torch",
    "transformers.models.bert.modeling_bert",
    "transformers.models.llama.modeling_llama",
    "transformers.models.roberta.modeling_roberta",
    "transformers.trainer",
    "peft",
    "pandas",
    "sklearn.metrics",
    "scipy.special",
    "trainers.train.callback",
    "trainers.train.devices",
    "trainers.train.rank",
    "tuner.executors.process.server_end",
]
_LOCALHOST = "127.0.0.1"


class ProcessExecutor(Executor):
    """Nothing leaks from run to run, a crash kills one run, peak memory is the run's own.

    Each child leads a process group of its own: Ctrl-C at the terminal does not reach it, and
    ending a run ends whatever it has started. It ends itself when the launcher dies.
    """

    computes_aside = True

    def __init__(self) -> None:
        self._context: ForkServerContext = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(_PRELOAD)
        self._aside = Aside(self._context)
        self._live: set[ForkServerProcess] = set()
        self._places: set[int] = set()
        self._closed = False
        self._lock = threading.Lock()

    def warm_up(self) -> None:
        """Start the server that loads torch while the launcher does other things."""
        start_server()

    def compute(self, function: Callable[..., T], *args: Any) -> T:
        """Compute in a process of its own too: the launcher has no torch."""
        return self._aside.compute(function, *args)

    def run(self, spec: RunSpec, emit: Emit, workspace: Workspace) -> RunResult:
        """Start the run's processes, pass their events on, return the result."""
        workspace.run_dir.mkdir(parents=True, exist_ok=True)
        processes: dict[Connection, ForkServerProcess] = {}
        done = False
        with self._own_places(spec.ranks) as places, ExitStack() as stack:
            watched, _lifeline = map(stack.enter_context, self._context.Pipe(duplex=False))
            listener = stack.enter_context(_listen()) if _meets(spec) else None
            orders = _orders(spec, workspace, listener, places=places)
            try:
                for order in orders:
                    receiver, sender = self._context.Pipe(duplex=False)
                    stack.enter_context(receiver)
                    arguments = (order, sender, watched, None if processes else listener)
                    processes[receiver] = self._start(sender, arguments)
                if listener is not None:
                    listener.close()  # rank 0 has it now
                result = follow(processes, [Path(order.log) for order in orders], emit)
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
        """Kill every run that is going on."""
        self._aside.close()
        with self._lock:
            self._closed = True
            live = list(self._live)
        for process in live:
            kill(process)

    def _start(self, sender: Connection, arguments: tuple[object, ...]) -> ForkServerProcess:
        process = self._context.Process(target=run_child, args=arguments)
        start_server()
        with self._lock, sender:
            if self._closed:
                raise RunInterrupted
            process.start()
            self._live.add(process)
        return process

    @contextlib.contextmanager
    def _own_places(self, ranks: int) -> Iterator[list[int]]:
        """Number a run's ranks with the lowest numbers that no other run has."""
        with self._lock:
            free = (place for place in itertools.count() if place not in self._places)
            own = list(itertools.islice(free, ranks))
            self._places.update(own)
        try:
            yield own
        finally:
            with self._lock:
                self._places.difference_update(own)


def _orders(
    spec: RunSpec, workspace: Workspace, listener: socket.socket | None, *, places: list[int]
) -> list[Orders]:
    port = 0 if listener is None else listener.getsockname()[1]
    return [
        Orders(
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
            places=places,
        )
        for rank in range(spec.ranks)
    ]


def _meets(spec: RunSpec) -> bool:
    """Say whether the run needs a port for its ranks to meet on."""
    return spec.ranks > 1 or spec.deepspeed is not None


def _listen() -> socket.socket:
    """Open a port that the system chooses: no other study can have it, now or later."""
    listener = socket.socket()
    listener.bind((_LOCALHOST, 0))
    listener.listen()
    return listener
