"""The server from which the processes of runs are forked: its modules, its start and its end."""

from __future__ import annotations

import atexit
import gc
import multiprocessing
import os
import signal
import sys
from multiprocessing import forkserver, resource_tracker
from multiprocessing.context import ForkServerContext

_PRELOAD = [
    __name__,
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
    "tuner.executors.process.child",
]


def server_context() -> ForkServerContext:
    """Return the context whose processes are forked from the server, once it has loaded torch."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_PRELOAD)
    return context


def start_server() -> None:
    """Start the fork server, unless it runs; Ctrl-C at the terminal does not reach it.

    Loading torch takes seconds, in which Python would handle the signal itself and print a
    traceback.
    """
    resource_tracker.ensure_running()  # which unblocks the signal when it starts
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


if any("multiprocessing.forkserver" in word for word in sys.orig_argv):
    # This is the server, which loads this file first. Loading makes next to no garbage, and
    # looking for it takes a fifth of the time; the processes of runs collect again.
    gc.disable()
    # Once its launcher is gone it ends at once: Python's own shutdown visits all objects of torch
    # and transformers, for seconds under load. The processes that it forks never come here:
    # multiprocessing ends them itself.
    atexit.register(os._exit, 0)
