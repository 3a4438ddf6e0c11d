"""Start the server that runs are forked from."""

from __future__ import annotations

import signal
from multiprocessing import forkserver, resource_tracker


def start_server() -> None:
    """Start the fork server, unless it runs; Ctrl-C at the terminal does not reach it.

    It loads torch for seconds, in which Python would take the signal to be its own and print a
    traceback.
    """
    resource_tracker.ensure_running()  # which unblocks the signal when it starts
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
