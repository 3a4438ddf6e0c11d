"""Do each run in a process of its own, forked from a server that has torch loaded."""

from __future__ import annotations

import contextlib
import gc
import multiprocessing
import os
import signal
import sys
import threading
import traceback
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path

from trainers.contract import Emit, RunEvent, RunResult, RunSpec, Workspace
from trainers.errors import OutOfMemory, RunFailed, TunerError
from tuner.executors.base import Executor, RunInterrupted
from tuner.executors.inprocess import failure

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
    "trainers.callback",
    "trainers.train",
]
_STDERR = "stderr.log"
_STDERR_LINES = 20
_SECONDS_TO_END = 10


class ProcessExecutor(Executor):
    """Nothing leaks from run to run, a crash kills one run, peak memory is the run's own.

    The child leads a process group of its own: Ctrl-C at the terminal does not reach it, and
    ending a run ends whatever it has started. It ends itself when the launcher dies.
    """

    def __init__(self) -> None:
        self._context: ForkServerContext = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(_PRELOAD)
        self._live: set[ForkServerProcess] = set()
        self._closed = False
        self._lock = threading.Lock()

    def warm_up(self) -> None:
        """Start the server that loads torch while the launcher does other things."""
        forkserver.ensure_running()

    def run(self, spec: RunSpec, emit: Emit, workspace: Workspace) -> RunResult:
        """Start a process, pass its events on, return its result."""
        if spec.ranks > 1 or spec.deepspeed is not None:
            raise RunFailed("ranks, deepspeed: the executor process cannot do this yet")
        workspace.run_dir.mkdir(parents=True, exist_ok=True)
        receiver, sender = self._context.Pipe(duplex=False)
        watched, lifeline = self._context.Pipe(duplex=False)
        process = self._start(spec, workspace, sender, watched)
        try:
            with receiver, lifeline:
                return self._follow(process, receiver, emit, workspace.run_dir)
        finally:
            _end(process)
            with self._lock:
                self._live.discard(process)

    def close(self) -> None:
        """Kill every run that is going on."""
        with self._lock:
            self._closed = True
            live = list(self._live)
        for process in live:
            _kill(process)

    def _start(
        self, spec: RunSpec, workspace: Workspace, sender: Connection, watched: Connection
    ) -> ForkServerProcess:
        texts = (spec.model_dump_json(), workspace.model_dump_json())
        process = self._context.Process(target=_child, args=(*texts, sender, watched))
        with self._lock, sender, watched:
            if self._closed:
                raise RunInterrupted
            process.start()
            self._live.add(process)
        return process

    def _follow(
        self, process: ForkServerProcess, receiver: Connection, emit: Emit, run_dir: Path
    ) -> RunResult:
        while True:
            try:
                kind, text, detail = receiver.recv()
            except (EOFError, ConnectionResetError):
                break
            if kind == "event":
                emit(RunEvent.model_validate_json(text))
            elif kind == "result":
                return RunResult.model_validate_json(text)
            elif kind == "out of memory":
                raise OutOfMemory(text, detail)
            else:
                raise RunFailed(text, detail)
        process.join(_SECONDS_TO_END)
        if self._closed:
            raise RunInterrupted
        raise RunFailed(_death(process.exitcode), _last_lines(run_dir / _STDERR))


def _child(spec_json: str, workspace_json: str, sender: Connection, watched: Connection) -> None:
    """Train in the child; this function does not return."""
    os.setsid()
    gc.freeze()  # the Trainer collects garbage; what the server loaded need not be looked through
    threading.Thread(target=_end_with_launcher, args=(watched,), daemon=True).start()
    workspace = Workspace.model_validate_json(workspace_json)
    log = os.open(workspace.run_dir / _STDERR, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o644)
    os.dup2(log, sys.stdout.fileno())
    os.dup2(log, sys.stderr.fileno())

    def emit(event: RunEvent) -> None:
        sender.send(("event", event.model_dump_json(), ""))

    code = 1
    try:
        from trainers.train import train

        result = train(RunSpec.model_validate_json(spec_json), emit, workspace)
        sender.send(("result", result.model_dump_json(), ""))
        code = 0
    except OutOfMemory as error:
        sender.send(("out of memory", error.reason, error.during))
    except TunerError as error:
        sender.send(("failed", str(error), ""))
    except BaseException as error:
        sender.send(("failed", failure(error), traceback.format_exc()))
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _end_with_launcher(watched: Connection) -> None:
    """Wait until the launcher's end of the pipe is gone, then go too."""
    with contextlib.suppress(EOFError, OSError):
        watched.recv_bytes()
    os._exit(1)


def _end(process: ForkServerProcess) -> None:
    """Let a process that is done go; kill it, and what it has started, if it stays."""
    process.join(0.2)
    _kill(process)
    process.join(_SECONDS_TO_END)


def _kill(process: ForkServerProcess) -> None:
    """Kill the process's group, or the process alone where it has not made its group yet."""
    pid = process.pid
    if pid is None:
        return
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _death(exitcode: int | None) -> str:
    if exitcode is None:
        return "the run's process closed its pipe and did not end"
    if exitcode < 0:
        name = signal.Signals(-exitcode).name
        hint = ", often the kernel out of memory" if name == "SIGKILL" else ""
        return f"the run's process was ended by {name}{hint}"
    return f"the run's process ended with exit code {exitcode} and no result"


def _last_lines(path: Path) -> str:
    lines = path.read_text(errors="replace").splitlines() if path.exists() else []
    return "\n".join(lines[-_STDERR_LINES:])
