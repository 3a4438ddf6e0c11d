"""Ctrl-C ends a command wherever it strikes, also where Python would lose it."""

from __future__ import annotations

import atexit
import os
import signal
import sys
import threading
from types import FrameType
from typing import Never

_SECONDS_TO_BE_HEARD = 1.0
_SECONDS_TO_TRY_AGAIN = 0.1
_came, _heard, _at_work = threading.Event(), threading.Event(), threading.Event()


def listen() -> None:
    """Take Ctrl-C from now on, unless whoever started this process keeps it from us.

    A signal can strike where an exception is lost: in the callback of a weak reference, which
    Python then reports, or while a compiled module is set up, where nobody says anything. Loading
    modules, as each command does first, is full of such places. So the signal is sent again.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _interrupt)
    sys.unraisablehook = _unraisable


def listen_to_termination() -> None:
    """Take a cluster's polite signal as Ctrl-C: runs are closed, then we go."""
    signal.signal(signal.SIGTERM, _interrupt)


def be_patient() -> None:
    """From now on, a command that was interrupted closes what it does, and takes its time."""
    _at_work.set()


def came() -> bool:
    """Say whether Ctrl-C or the polite signal came, whatever an exception became on its way."""
    return _came.is_set()


def hear() -> None:
    """Send the signal no more: the command is about to end."""
    _heard.set()


def end(code: int) -> Never:
    """End the process at once.

    Unlike `sys.exit`, this waits for no thread, and takes nothing away from one that is still
    inside a library, such as Ray's while it waits for a cluster: that one would crash.
    """
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _interrupt(number: int, frame: FrameType | None) -> Never:
    if not (_came.is_set() or _at_work.is_set()):
        threading.Thread(target=_insist, args=(number,), daemon=True).start()
    _came.set()
    raise KeyboardInterrupt(number)


def _insist(number: int) -> None:
    while not _heard.wait(_SECONDS_TO_BE_HEARD):
        last = _at_work.is_set()
        os.kill(os.getpid(), number)
        if last:
            return


def _unraisable(lost: sys.UnraisableHookArgs) -> None:
    if not isinstance(lost.exc_value, KeyboardInterrupt):
        sys.__unraisablehook__(lost)
        return
    number = next(iter(lost.exc_value.args), signal.SIGINT)
    again = threading.Timer(_SECONDS_TO_TRY_AGAIN, os.kill, (os.getpid(), number))
    again.daemon = True
    again.start()
