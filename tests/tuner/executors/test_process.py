"""The executor that gives each run a process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from subprocess import PIPE

import psutil
import pytest

from tests.launchers import lives, ranks_of, wait_until
from tests.specs import toy_spec, workspace
from trainers.contract import RunEvent
from trainers.errors import OutOfMemory, RunFailed
from tuner.config import read_executor
from tuner.executors import Executor
from tuner.store.database import RunInterrupted

LONG = {"epochs": 2000}


class TestProcess:
    """A run's death is not the launcher's."""

    @pytest.fixture
    def executor(self) -> Iterator[Executor]:
        """Make one, and leave no process behind."""
        executor = read_executor("process").open()
        yield executor
        executor.close()

    @pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
    def test_a_killed_run_is_a_failed_run_that_names_the_signal(
        self, executor: Executor, tmp_path: Path, number: signal.Signals
    ) -> None:
        """A segfault or kill -9 of the run's process ends that run alone."""

        def kill(event: RunEvent) -> None:
            if event.kind == "step":
                os.kill(run_process(), number)

        with pytest.raises(RunFailed, match=number.name):
            executor.run(toy_spec(train=LONG), kill, workspace(tmp_path / "killed"))
        assert executor.run(toy_spec(), lambda event: None, workspace(tmp_path / "next"))

    def test_running_out_of_memory_is_a_failed_run(
        self, executor: Executor, tmp_path: Path
    ) -> None:
        """An allocation that cannot be had names itself in the reason."""
        spec = toy_spec(method={"kind": "lora", "rank": 2**40})
        with pytest.raises(RunFailed, match=r"memory|alloc|overflow|Invalid"):
            executor.run(spec, lambda event: None, workspace(tmp_path))

    def test_memory_that_runs_out_says_so_and_in_which_phase(
        self, executor: Executor, tmp_path: Path
    ) -> None:
        """A real limit on the run's address space, set once its model is there."""

        def limit(event: RunEvent) -> None:
            if event.kind == "start":
                process = psutil.Process(run_process())
                most = process.memory_info().vms + 2**24
                process.rlimit(psutil.RLIMIT_AS, (most, most))

        task = {"kind": "toy", "rows": 4096}
        spec = toy_spec(task=task, train={"batch_size": 4096, "attention": "eager"})
        with pytest.raises(OutOfMemory, match="out of memory") as caught:
            executor.run(spec, limit, workspace(tmp_path))
        assert caught.value.during == "train"
        small = toy_spec(task=task, train={"batch_size": 8, "eval_batch_size": 8, "epochs": 1})
        assert executor.run(small, lambda event: None, workspace(tmp_path))

    def test_a_run_that_gets_nothing_more_is_out_of_memory_whatever_fails_first(
        self, executor: Executor, tmp_path: Path
    ) -> None:
        """Under a real limit below what it holds: torch and Python raise, Rust and C++ abort."""

        def limit(event: RunEvent) -> None:
            if event.kind == "start":
                process = psutil.Process(run_process())
                for kind in (psutil.RLIMIT_AS, psutil.RLIMIT_DATA):
                    process.rlimit(kind, (2**20, 2**20))

        spec = toy_spec(train={"batch_size": 64, "epochs": 50})
        with pytest.raises(OutOfMemory, match="out of memory") as caught:
            executor.run(spec, limit, workspace(tmp_path))
        assert caught.value.during == "train"

    def test_closing_ends_the_runs_that_are_going_on(
        self, executor: Executor, tmp_path: Path
    ) -> None:
        """Within seconds, with no process left."""
        begun = threading.Event()
        raised: list[BaseException] = []
        found: list[int] = []

        def note(event: RunEvent) -> None:
            if event.kind == "step" and not begun.is_set():
                found.append(run_process())
                begun.set()

        def work() -> None:
            try:
                executor.run(toy_spec(train=LONG), note, workspace(tmp_path))
            except BaseException as error:
                raised.append(error)

        thread = threading.Thread(target=work)
        thread.start()
        assert begun.wait(60)
        executor.close()
        thread.join(10)
        assert not thread.is_alive()
        assert isinstance(raised[0], RunInterrupted)
        assert not psutil.pid_exists(found[0])

    def test_peak_memory_is_the_runs_own(self, executor: Executor, tmp_path: Path) -> None:
        """A launcher that holds much memory does not show in a run's peak."""
        hoard = bytearray(2 * 1024**3)
        result = executor.run(toy_spec(), lambda event: None, workspace(tmp_path))
        assert len(hoard) > result.memory["train/peak_bytes"] > 50 * 1024**2

    def test_what_a_run_prints_goes_to_its_own_log(
        self, executor: Executor, tmp_path: Path, capfd: pytest.CaptureFixture[str]
    ) -> None:
        """The launcher's terminal stays clean."""
        executor.run(toy_spec(), lambda event: None, workspace(tmp_path))
        captured = capfd.readouterr()
        assert captured.out == captured.err == ""
        assert (tmp_path / "run" / "stderr.log").exists()


_LAUNCHER = """
import sys
from pathlib import Path
from tuner.config import read_executor

read_executor("process").open().compute(Path.exists, Path("."))
print("open", flush=True)
sys.stdin.read()
"""


def test_the_fork_server_goes_at_once_with_its_launcher() -> None:
    """Python would look through all that torch made first, which takes seconds under load."""
    words = [sys.executable, "-c", _LAUNCHER]
    with subprocess.Popen(words, stdin=PIPE, stdout=PIPE, text=True) as launcher:
        assert launcher.stdout is not None
        assert launcher.stdout.readline() == "open\n"
        children = psutil.Process(launcher.pid).children()
        (server,) = [child for child in children if "forkserver" in " ".join(child.cmdline())]
        launcher.kill()
        wait_until(lambda: not lives(server), seconds=2)  # it took 3 to 4


def run_process() -> int:
    """Find the process of this test that trains: the last that was made."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        found = ranks_of()
        if found:
            return max(found, key=lambda process: process.create_time()).pid
        time.sleep(0.05)
    raise AssertionError("no run's process found")


_SERVER = """
import multiprocessing, time
from tuner.executors.process.fork_server import start_server
multiprocessing.get_context("forkserver").set_forkserver_preload(["loads_long"])
start_server()
time.sleep(60)
"""


def test_ctrl_c_while_the_server_loads_is_the_launchers_alone(tmp_path: Path) -> None:
    """The terminal sends it to the whole group; the server goes on, ends later, and is silent."""
    place = tmp_path / "loads_long.py"
    place.write_text(
        "import pathlib, time; here = pathlib.Path(__file__)\n"
        "here.with_name('begun').touch(); time.sleep(1); here.with_name('whole').touch()"
    )
    folders = os.pathsep.join([str(tmp_path), str(Path(__file__).parents[3])])
    launcher = subprocess.Popen(
        [sys.executable, "-c", _SERVER],
        env=os.environ | {"PYTHONPATH": folders},
        stderr=PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    _wait_for(place.with_name("begun"))
    os.killpg(launcher.pid, signal.SIGINT)
    _wait_for(place.with_name("whole"))
    _, said = launcher.communicate(timeout=20)
    assert said.count("Traceback") == 1
    assert "time.sleep(60)" not in said
    assert "loads_long" not in said
    assert said.rstrip().endswith("KeyboardInterrupt")


def _wait_for(path: Path) -> None:
    until = time.monotonic() + 20
    while not path.exists():
        assert time.monotonic() < until
        time.sleep(0.01)
