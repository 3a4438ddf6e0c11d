"""What a run's process does: train one rank, send up what happens, end."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection

from trainers.contract import Rank, RunEvent, RunSpec, Workspace
from trainers.errors import LostRank, OutOfMemory, RunFailed, TunerError, failure


@dataclass(frozen=True)
class Orders:
    """What one process is to do. Crosses to it by pickle, models as JSON."""

    spec: str
    workspace: str
    rank: str
    log: str
    """File of what it prints."""
    places: Sequence[int]
    """Numbers of the run's ranks among all that the launcher has going on."""


def run_child(
    orders: Orders, sender: Connection, watched: Connection, listener: socket.socket | None
) -> None:
    """Train; this function does not return.

    Sends tuples of a kind and two texts: event, result, or the kind of a RunFailed.

    Args:
        orders: The run, and which rank of it.
        sender: Where events and the end go.
        watched: Closes when the launcher dies or gives the run up; the process ends then.
        listener: Rank 0's: the socket on which the ranks meet.
    """
    os.setsid()
    _take_interrupts()
    gc.freeze()  # the Trainer collects garbage; what the server loaded need not be looked through
    threading.Thread(target=_end_with_launcher, args=(watched,), daemon=True).start()

    def emit(event: RunEvent) -> None:
        sender.send(("event", event.model_dump_json(), ""))

    code = 1
    try:
        _print_to(orders.log)
        from trainers.train import take_devices, train_rank

        take_devices(orders.places)
        result = train_rank(
            RunSpec.model_validate_json(orders.spec),
            emit,
            Workspace.model_validate_json(orders.workspace),
            rank=Rank.model_validate_json(orders.rank),
            listener=listener,
        )
        sender.send(("result", result.model_dump_json(), ""))
        code = 0
    except OutOfMemory as error:
        sender.send((error.kind, error.reason, error.during))
    except LostRank as error:
        sender.send((error.kind, error.reason, traceback.format_exc()))
    except RunFailed as error:
        sender.send((error.kind, error.reason, error.detail))
    except TunerError as error:
        sender.send(("failed", str(error), ""))
    except BaseException as error:
        sender.send(("failed", failure(error), traceback.format_exc()))
    finally:
        with contextlib.suppress(OSError):  # the disk of the log may be full
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _print_to(path: str) -> None:
    log = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o644)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(log, stream.fileno())


def _take_interrupts() -> None:
    """Take SIGINT, which the server has blocked, but not one that came before `setsid`."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # which forgets it
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
    signal.signal(signal.SIGINT, before)


def _end_with_launcher(watched: Connection) -> None:
    """Wait until the launcher's end of the pipe is gone, then go too."""
    with contextlib.suppress(EOFError, OSError):
        watched.recv_bytes()
    os._exit(1)
