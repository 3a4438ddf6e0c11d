"""Connect to a Ray cluster; make the actors that do runs there, lend them and end them."""

from __future__ import annotations

import logging
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, wait
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import ray
from ray.exceptions import ActorUnavailableError, RayActorError, RayError, RayTaskError
from ray.util.placement_group import PlacementGroup, placement_group, remove_placement_group
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

import trainers
import tuner
from trainers.errors import ConfigError, RunFailed, one_line
from tuner.executors import RunLost
from tuner.executors.ray import RaySettings
from tuner.executors.ray.actor import RunActor
from tuner.store import RunInterrupted

_log = logging.getLogger(__name__)
_SECONDS_TO_ASK_AGAIN = 1.0
_AUTHENTICATION = ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")
_TOKENS = "a cluster with tokens needs RAY_AUTH_MODE=token here too, and its token"
_CALLS_AT_ONCE = 4
_SECONDS_TO_KNOCK = 10.0


@dataclass(frozen=True)
class PooledActor:
    """An actor on some node."""

    handle: Any
    """Ray's handle of a `RunActor`."""
    ranks: int
    group: PlacementGroup | None
    """Reserves the resources of several ranks on one node."""


class ActorPool:
    """The actors of one executor. Safe to call from several threads."""

    def __init__(self, settings: RaySettings, *, ranks: int = 1) -> None:
        self._settings = settings
        self._most_ranks = ranks
        self._gpus = settings.gpus_per_run or 0.0
        self._idle: list[PooledActor] = []
        self._live: set[PooledActor] = set()
        self._closed = False
        self._connected = False
        self._lock = threading.RLock()
        self._connecting = threading.Lock()  # its own lock: `close` does not wait for Ray

    def connect(self) -> None:
        """Connect this process, once: Ray allows one connection, and it stays.

        Raises:
            ConfigError: No cluster answers at the address, or it refuses the connection.
            RunInterrupted: `close` was called.
        """
        with self._connecting:
            if self._connected:
                return
            if not ray.is_initialized():
                connected: Future[None] = Future()
                arguments = (self._settings, self._most_ranks, connected)
                threading.Thread(target=_hold_connection, args=arguments, daemon=True).start()
                while not wait([connected], timeout=_SECONDS_TO_ASK_AGAIN).done:
                    if self._closed:
                        raise RunInterrupted
                connected.result()
            if self._settings.gpus_per_run is None:
                self._gpus = min(1.0, max(node.get("GPU", 0.0) for node in _nodes()))
            self._connected = True

    def take(self, ranks: int) -> PooledActor:
        """Take an idle actor, or make one. It may not be ready yet: see `wait`.

        Raises:
            RunInterrupted: `close` was called.
            ConfigError: This machine alone could never do the run.
        """
        self.connect()
        with self._lock:
            if self._closed:
                raise RunInterrupted
            for actor in self._idle:
                if actor.ranks == ranks:
                    self._idle.remove(actor)
                    return actor
            actor = self._make(ranks)
            self._live.add(actor)
            return actor

    def wait(self, actor: PooledActor) -> None:
        """Wait until an actor is ready; end idle ones to free their resources."""
        ready = actor.handle.ready.remote()
        while not ray.wait([ready], timeout=_SECONDS_TO_ASK_AGAIN)[0]:
            with self._lock:
                while self._idle:
                    self.discard(self._idle.pop())
        self.ask(actor.handle.ready.remote)

    def ask(self, method: Callable[..., Any], *arguments: object) -> Any:
        """Call an actor's method, which may be called again, and return its answer.

        Raises:
            RunInterrupted: `close` was called.
            RunLost: The actor is gone with its node.
            RunFailed: The actor cannot be made, or the method failed.
        """
        while True:
            try:
                return ray.get(method(*arguments))
            except ActorUnavailableError:
                time.sleep(_SECONDS_TO_ASK_AGAIN)  # the node comes back or is declared dead
            except RayTaskError as error:
                raise RunFailed(one_line(error.cause), str(error)) from error
            except RayError as error:
                if self._closed:
                    raise RunInterrupted from error
                lost = isinstance(error, RayActorError) and not error.actor_init_failed
                reason = str(error).strip().splitlines()[-1].strip()
                raise (RunLost(reason) if lost else RunFailed(reason, str(error))) from error

    def give_back(self, actor: PooledActor) -> None:
        """Keep an actor for the next run."""
        with self._lock:
            if actor in self._live:
                self._idle.append(actor)

    def discard(self, actor: PooledActor) -> None:
        """End an actor and its run."""
        with self._lock:
            self._live.discard(actor)
        ray.kill(actor.handle)
        if actor.group is not None:
            remove_placement_group(actor.group)

    def close(self) -> None:
        """End all actors. The connection stays until the process ends."""
        with self._lock:
            self._closed = True
            self._idle.clear()
            for actor in list(self._live):
                self.discard(actor)

    def _make(self, ranks: int) -> PooledActor:
        cpus = self._settings.cpus(os.cpu_count() or 1) * ranks
        needs = {"CPU": float(cpus)}
        if self._gpus:
            needs["GPU"] = self._gpus * ranks
        self._check(needs)
        group = None
        strategy: str | PlacementGroupSchedulingStrategy = "SPREAD"
        if ranks > 1:
            # One bundle is never split over nodes.
            group = placement_group([needs], strategy="STRICT_PACK")
            strategy = PlacementGroupSchedulingStrategy(group, 0)
        remote = ray.remote(RunActor).options(
            num_cpus=needs["CPU"],
            num_gpus=needs.get("GPU", 0.0),
            max_concurrency=_CALLS_AT_ONCE,
            scheduling_strategy=strategy,
        )
        handle = remote.remote(os.getcwd(), devices="GPU" in needs)
        return PooledActor(handle, ranks, group)

    def _check(self, needs: Mapping[str, float]) -> None:
        """Refuse a run too large for every node; only warn where the cluster may grow."""
        nodes = _nodes()
        if any(all(node.get(k, 0.0) >= v for k, v in needs.items()) for node in nodes):
            return
        most = {name: max((n.get(name, 0.0) for n in nodes), default=0.0) for name in needs}
        text = (
            f"executor: a run needs {_text(needs)}; no node of the Ray cluster has that; "
            f"largest: {_text(most)}"
        )
        if self._settings.address is None:
            raise ConfigError(text)
        _log.warning("%s; waiting for one, or set executor.cpus_per_run, gpus_per_run", text)


def _hold_connection(settings: RaySettings, ranks: int, connected: Future[None]) -> None:
    """Connect in a thread that stays: a Ray of its own ends with the thread that started it.

    Outside the main thread, Ray also leaves the launcher's signal handlers alone.
    """
    try:
        _connect(settings, ranks)
    except BaseException as error:
        connected.set_exception(error)
        return
    connected.set_result(None)
    threading.Event().wait()


def _connect(settings: RaySettings, ranks: int) -> None:
    logging.getLogger("ray").setLevel(logging.ERROR)  # tips and greetings
    options: dict[str, Any] = {"address": settings.address or "local"}
    if settings.address is None:
        machine = os.cpu_count() or 1
        # Allow the study's number of runs and ranks at once, even on a machine with fewer CPUs.
        cpus = max(machine, settings.workers * ranks * settings.cpus(machine))
        options |= {"num_cpus": cpus, "include_dashboard": False}
        if not any(name in os.environ for name in _AUTHENTICATION):
            # Else Ray writes a token into the user's home, which later clusters would require.
            os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)
    try:
        _knock(options["address"])
        ray.init(
            **options,
            # The nodes run this code, not an installed version.
            runtime_env={"py_modules": [*tuner.__path__, *trainers.__path__]},
            log_to_driver=False,
            configure_logging=False,
        )
        # Ray prints at length when a node dies; our line about the lost run is enough.
        ray._private.worker._worker_logs_enabled = False
    except (OSError, RuntimeError, ValueError, RayError) as error:
        where = settings.address or "a Ray of its own"
        answered = settings.address and getattr(error, "errno", None) is None
        token = f"; {_TOKENS}" if answered else ""
        raise ConfigError(f"executor.address: {where}: {one_line(error)}{token}") from error


def _knock(address: str) -> None:
    """Raise OSError if nothing answers at HOST:PORT; Ray would retry for minutes."""
    url = urlsplit(address if "://" in address else f"//{address}")
    if url.hostname and url.port:
        socket.create_connection((url.hostname, url.port), timeout=_SECONDS_TO_KNOCK).close()


def _nodes() -> list[dict[str, float]]:
    """Return the resources of each node."""
    nodes = ray.nodes()  # type: ignore[no-untyped-call]  # ray's
    return [node["Resources"] for node in nodes if node["Alive"]]


def _text(resources: Mapping[str, float]) -> str:
    return ", ".join(f"{amount:g} {name}" for name, amount in resources.items())
