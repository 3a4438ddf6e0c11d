"""Tell whose trial is whose: heartbeats, and trials whose launcher is gone."""

from __future__ import annotations

import os
import platform
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import optuna
import psutil
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, TrialState

HEARTBEAT_SECONDS = 60
LAUNCHER = "launcher"
"""User attribute of a trial: the process that works on it."""


def adopt(study: optuna.Study, trials: Iterable[FrozenTrial]) -> optuna.Trial | None:
    """Take up a trial whose launcher on this machine is gone, with the point it has chosen."""
    for trial in trials:
        if trial.state is not TrialState.RUNNING:
            continue
        host, _, process = trial.user_attrs.get(LAUNCHER, "").partition(":")
        if not host or (host == platform.node() and not _alive(process)):
            return optuna.Trial(study, trial._trial_id)
    return None


def fail_stale(study: optuna.Study) -> None:
    """Let Optuna fail the trials whose heartbeat has stopped, and queue them again."""
    optuna.storages.fail_stale_trials(study)


def launcher() -> str:
    """Name this process: host, process id and start time, since ids are used again."""
    return f"{platform.node()}:{os.getpid()},{psutil.Process().create_time()}"


def _alive(process: str) -> bool:
    pid, _, created = process.partition(",")
    try:
        return str(psutil.Process(int(pid)).create_time()) == created
    except (psutil.NoSuchProcess, ValueError):
        return False


@contextmanager
def heartbeat(storage: RDBStorage, trial: optuna.Trial) -> Iterator[None]:
    """Tell the storage once a minute that the trial is alive."""
    done = threading.Event()
    storage.record_heartbeat(trial._trial_id)

    def beat() -> None:
        while not done.wait(HEARTBEAT_SECONDS):
            storage.record_heartbeat(trial._trial_id)

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
