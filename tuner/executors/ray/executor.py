"""Do each run on a node of a Ray cluster, in a process of its own there."""

from __future__ import annotations

import contextlib
import threading
import uuid
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import ray

from trainers.contract import Emit, RunEvent, RunResult, RunSpec, StopRun, Workspace
from trainers.data import pack_rows
from trainers.errors import ConfigError, RunFailed, TunerError
from trainers.measure import revision
from tuner.config import read_executor
from tuner.executors import Executor, RunLost
from tuner.executors._messages import Message, failure_message
from tuner.executors.ray import RaySettings
from tuner.executors.ray.pool import ActorPool, PooledActor
from tuner.store import RunInterrupted

T = TypeVar("T")
_MOST_LOSSES = 3


class RayExecutor(Executor):
    """Distributes runs over a cluster; each is done there as by the executor `process`.

    An actor with a run's CPUs and devices does one run after another, so that only its first
    waits until torch is loaded. Rows and tokens are packed here and sent to each node once; the
    files in a run's folder are sent back. Ray ends the actors when the launcher is gone.
    """

    computes_aside = True

    def __init__(self, settings: RaySettings, *, ranks: int = 1) -> None:
        self._settings = settings
        self._pool = ActorPool(settings, ranks=ranks)
        self._here = read_executor("process").open()
        self._parcels: dict[str, _Sent] = {}
        self._packing = threading.Lock()
        self._lost: Counter[str] = Counter()
        self._revision = revision()

    def warm_up(self) -> None:
        """Connect to the cluster while the launcher does other work."""

        def connect() -> None:
            # The first run will raise the error again.
            with contextlib.suppress(ConfigError, RunInterrupted):
                self._pool.connect()

        threading.Thread(target=connect, daemon=True).start()

    def run(self, spec: RunSpec, emit: Emit, workspace: Workspace) -> RunResult:
        """Do one run on some node."""
        actor = self._pool.take(spec.ranks)
        try:
            end = self._do(actor, spec, emit, workspace)
        except StopRun:
            self._stop(actor)
            raise
        except RunLost as lost:
            self._pool.discard(actor)
            self._count(spec.digest(), lost)
            raise
        except BaseException:
            self._pool.discard(actor)
            raise
        self._pool.give_back(actor)
        if end.kind != "result":
            raise end.failure()
        result = RunResult.model_validate_json(end.text)
        return result.model_copy(update={"facts": self._revision | result.facts})

    def compute(self, function: Callable[..., T], *args: Any) -> T:
        """Compute on this machine: the result is the same on every node."""
        return self._here.compute(function, *args)

    def close(self) -> None:
        """End every running run."""
        self._here.close()
        self._pool.close()

    def _do(self, actor: PooledActor, spec: RunSpec, emit: Emit, workspace: Workspace) -> Message:
        """Send the run and its data to an actor, pass on its events, return its end."""
        ask, remote = self._pool.ask, actor.handle
        try:
            parcel = self._parcel(spec, workspace)
        except TunerError as error:
            return failure_message(error)
        self._pool.wait(actor)
        if not ask(remote.has.remote, parcel.name):
            ask(remote.unpack.remote, parcel.name, parcel.content)
        if not self._settings.threads:
            # So far they are those of one rank, as the CPUs are.
            threads = workspace.threads * spec.ranks
            workspace = workspace.model_copy(update={"threads": threads})
        texts = (spec.model_dump_json(), workspace.model_dump_json())
        ask(remote.begin.remote, uuid.uuid4().hex, *texts, parcel.name)
        workspace.run_dir.mkdir(parents=True, exist_ok=True)
        seen = 0
        while True:
            messages: list[Message] = ask(remote.receive.remote, seen)
            seen += len(messages)
            for message in messages:
                if message.kind == "event":
                    emit(self._event(message.text))
                elif message.kind == "file":
                    _append(workspace.run_dir / message.text, message.content)
                else:
                    return message

    def _stop(self, actor: PooledActor) -> None:
        """End the run of an actor, and keep the actor if that works."""
        try:
            ended = self._pool.ask(actor.handle.stop.remote)
        except (RunLost, RunFailed):
            ended = False
        if ended:
            self._pool.give_back(actor)
        else:
            self._pool.discard(actor)

    def _count(self, digest: str, lost: RunLost) -> None:
        """Give up a run that is lost repeatedly: it may crash the nodes itself."""
        self._lost[digest] += 1
        if self._lost[digest] == _MOST_LOSSES:
            raise RunFailed(f"lost with its node {_MOST_LOSSES} times: {lost}") from lost

    def _parcel(self, spec: RunSpec, workspace: Workspace) -> _Sent:
        """Pack a run's data and pass them to Ray, once for all runs with the same data."""
        parts = (spec.task, spec.model)
        key = " ".join(part.model_dump_json() for part in parts)
        key += f" {spec.seeds.data} {spec.train.max_length}"
        with self._packing:
            if key not in self._parcels:
                parcel = pack_rows(spec, workspace)
                self._parcels[key] = _Sent(parcel.name, ray.put(parcel.content))
            return self._parcels[key]

    def _event(self, text: str) -> RunEvent:
        event = RunEvent.model_validate_json(text)
        if event.kind != "start":
            return event
        # The code came from here; the node's copy of it has no Git history.
        return event.model_copy(update={"facts": self._revision | dict(event.facts)})


@dataclass(frozen=True)
class _Sent:
    """A parcel in Ray's object store."""

    name: str
    content: Any
    """Ray's reference to its bytes."""


def _append(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        file.write(content)
