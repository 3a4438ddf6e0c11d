"""End a command on Ctrl-C wherever it is, also where Python would lose the signal."""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import sys
import threading
from types import FrameType
from typing import Never

INTERRUPTED = 130
"""Exit code of a command that was ended by Ctrl-C."""

_SECONDS_TO_TRY_AGAIN = 0.1
_came, _insisting, _ending = threading.Event(), threading.Event(), threading.Event()


def listen() -> None:
    """Handle Ctrl-C from now on, unless the parent process has it ignored.

    A signal can arrive where its exception is lost: in the callback of a weak reference, which
    Python only reports, or in the set-up of a compiled module, which reports nothing. Loading
    modules is full of such places. So the signal is sent again.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _interrupt)
    sys.unraisablehook = _unraisable


def listen_to_termination() -> None:
    """Handle SIGTERM, a cluster's request to end, like Ctrl-C: end the runs, then exit."""
    signal.signal(signal.SIGTERM, _interrupt)


def came() -> bool:
    """Return whether Ctrl-C or SIGTERM came, even if its exception was lost on the way."""
    return _came.is_set()


def expect_end() -> None:
    """Note that the command is done: from now on Ctrl-C ends the process at once."""
    _ending.set()
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) is _interrupt:
            signal.signal(number, _leave)


def end(code: int) -> Never:
    """End the process without waiting for its threads.

    A thread inside a library, such as Ray's while it waits for a cluster, would crash if the
    interpreter shut down around it.
    """
    try:
        atexit._run_exitfuncs()
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):  # nobody reads it any more
                stream.flush()
    finally:
        os._exit(code)


def _interrupt(number: int, frame: FrameType | None) -> Never:
    _came.set()
    if _is_loading(frame) and not _insisting.is_set():
        _insisting.set()
        threading.Thread(target=_insist, args=(number,), daemon=True).start()
    raise KeyboardInterrupt(number)


def _leave(number: int, frame: FrameType | None) -> Never:
    os._exit(INTERRUPTED)


def _insist(number: int) -> None:
    """Send the signal again while modules are still being loaded."""
    main = threading.main_thread().ident or 0
    while not _ending.wait(_SECONDS_TO_TRY_AGAIN):
        if not _is_loading(sys._current_frames().get(main)):
            break
        os.kill(os.getpid(), number)
    _insisting.clear()


def _is_loading(frame: FrameType | None) -> bool:
    """Return whether a frame is below the import of a module."""
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


def _unraisable(lost: sys.UnraisableHookArgs) -> None:
    if not isinstance(lost.exc_value, KeyboardInterrupt):
        sys.__unraisablehook__(lost)
    elif not _ending.is_set():
        number = next(iter(lost.exc_value.args), signal.SIGINT)
        again = threading.Timer(_SECONDS_TO_TRY_AGAIN, os.kill, (os.getpid(), number))
        again.daemon = True
        again.start()
