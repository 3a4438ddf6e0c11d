"""Ctrl-C ends a command, also where Python or a library loses the exception."""

import subprocess
import sys

import pytest

SAID = "tuner: interrupted; the same command continues where it stopped\n"
LOST = {
    "in the callback of a weak reference": """
        class Thing: pass
        thing = Thing()
        kept = weakref.ref(thing, lambda _: press())
        del thing
        time.sleep(60)
    """,
    "in silence, in a module that is loaded": """
        def lose():
            try:
                press()
            except BaseException:
                pass
            time.sleep(60)
        finder = types.SimpleNamespace(create_module=lambda spec: None)
        finder.exec_module = lambda module: lose()
        sys.meta_path.insert(0, finder)
        finder.find_spec = lambda name, *_: machinery.ModuleSpec(name, finder)
        import slow_to_load
    """,
    "in another exception": """
        try:
            press()
        except BaseException as error:
            raise ImportError("cannot load") from error
    """,
    "nowhere": "press()",
}


@pytest.mark.parametrize("way", LOST)
def test_an_interrupt_that_is_lost_ends_the_command_all_the_same(way: str) -> None:
    """Exit code 130 and one line, within seconds."""
    done = _command(LOST[way])
    assert (done.returncode, done.stderr) == (130, SAID)


def test_who_closes_runs_is_interrupted_once() -> None:
    """What a command does after Ctrl-C takes its time."""
    done = _command(
        """
        try:
            press()
        finally:
            time.sleep(1.5)
            print("closed")
        """
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "closed\n", SAID)


def test_the_polite_signal_is_taken_alike() -> None:
    """As a cluster sends it."""
    done = _command("interrupts.listen_to_termination(); press(signal.SIGTERM)")
    assert (done.returncode, done.stderr) == (130, SAID)


def test_a_signal_that_is_kept_from_a_command_stays_away() -> None:
    """As for one that a shell has put in the background."""
    done = _command("press(); print('went on'); return 0", before="signal.SIG_IGN")
    assert (done.returncode, done.stdout) == (0, "went on\n")


def test_pressing_again_at_the_end_ends_at_once() -> None:
    """Not even functions that are registered for the exit are called."""
    done = _command(
        """
        atexit.register(print, "tidied up")
        atexit.register(time.sleep, 60)
        threading.Timer(1, press).start()
        press()
        """
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", SAID)


def test_nobody_has_to_listen_to_the_last_line() -> None:
    """What read it may have been interrupted as well, such as `tee`."""
    done = _command("os.close(2); os.close(1); threading.Timer(60, print).start(); press()")
    assert (done.returncode, done.stderr) == (130, "")


def test_a_command_that_ends_well_all_the_same_has_ended_well() -> None:
    """The signal came too late."""
    done = _command("""
        try:
            press()
        except KeyboardInterrupt:
            return 0
        """)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_thread_inside_a_library_does_not_hold_the_end_up() -> None:
    """Python itself would wait for it."""
    done = _command("threading.Thread(target=time.sleep, args=(60,)).start(); press()")
    assert (done.returncode, done.stderr) == (130, SAID)


def test_other_exceptions_are_shown() -> None:
    """A fault of ours keeps its traceback."""
    done = _command("raise ValueError('ours')")
    assert done.returncode == 1
    assert done.stderr.endswith("ValueError: ours\n")


def _command(
    body: str, before: str = "signal.default_int_handler"
) -> subprocess.CompletedProcess[str]:
    """Run a command whose work is `body`, in which `press` presses Ctrl-C.

    Whatever runs the tests may ignore it, so how it is taken before the command is said.
    """
    lines = body.strip("\n").splitlines()
    margin = len(lines[0]) - len(lines[0].lstrip())
    work = "\n".join("    " + line[margin:] for line in lines)
    script = f"""
import atexit, os, signal, sys, threading, time, types, weakref
from importlib import machinery
from tuner import cli
from tuner.cli import interrupts

signal.signal(signal.SIGINT, {before})

def press(number=signal.SIGINT):
    os.kill(os.getpid(), number)
    time.sleep(0.01)

def work():
{work}

cli.run_command = work
cli.main()
"""
    return subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=30, check=False
    )
