"""Optuna's own tests of a storage, on its `JournalStorage` over the store's journal."""

from __future__ import annotations

import contextlib
import pickle
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.storages import BaseStorage
from optuna.testing.pytest_storages import StorageTestCase
from optuna.trial import TrialState, create_trial

from tests.journals import opened
from tests.postgres import PostgresServer, postgres
from tuner.study.optuna_log import TICKET, TicketMade, open_storage

_GRID = {"rate": [0.1, 0.2, 0.3], "rank": [1, 2, 3]}


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """Run PostgreSQL."""
    with postgres() as running:
        yield running


class _Cases(StorageTestCase):
    """Optuna's cases, but for the one that copies a storage to another process."""

    def test_pickle_storage(self, storage: BaseStorage) -> None:
        """A lease is one launcher's: another process opens the journal itself."""
        with pytest.raises(
            (TypeError, AttributeError), match=r"(?i)can.t pickle|cannot pickle|pickle"
        ):
            pickle.dumps(storage)


class TestOnSqlite(_Cases):
    """Every promise of Optuna's storages, in a store's file."""

    @pytest.fixture
    def storage(self, tmp_path: Path) -> Iterator[BaseStorage]:
        """Open one in a folder."""
        with opened(tmp_path) as journal:
            yield open_storage(journal, "search")


@pytest.mark.postgres
class TestOnPostgres(_Cases):
    """Every promise of Optuna's storages, in PostgreSQL."""

    @pytest.fixture
    def storage(self, server: PostgresServer) -> Iterator[BaseStorage]:
        """Open one in a database of its own."""
        with opened(server.make_database(f"log-{time.time_ns()}")) as journal:
            yield open_storage(journal, "search")


def _sampler(kind: str, number: int) -> optuna.samplers.BaseSampler:
    """A sampler as a study makes it: a new one for each trial."""
    made: dict[str, Any] = {
        "tpe": lambda: optuna.samplers.TPESampler(
            seed=number, n_startup_trials=3, multivariate=True, constant_liar=True
        ),
        "cmaes": lambda: optuna.samplers.CmaEsSampler(seed=1, n_startup_trials=2),
        "grid": lambda: optuna.samplers.GridSampler(_GRID, seed=1),
        "qmc": lambda: optuna.samplers.QMCSampler(seed=1),
        "random": lambda: optuna.samplers.RandomSampler(seed=number),
    }
    sampler: optuna.samplers.BaseSampler = made[kind]()
    return sampler


def _points(storage: BaseStorage, kind: str, *, tickets: int) -> list[dict[str, Any]]:
    """Ask for eight trials, two at a time, and tell how good they are."""
    study = optuna.create_study(storage=storage, study_name=kind)
    for number in range(tickets):
        study.add_trial(create_trial(state=TrialState.WAITING, user_attrs={TICKET: number}))
    for number in range(0, 8, 2):
        asked = []
        for beside in range(2):
            study.sampler = _sampler(kind, number + beside)
            trial = study.ask()
            value = trial.suggest_float("rate", 0, 1) + trial.suggest_int("rank", 1, 3)
            asked.append((trial, value))
        study.sampler = optuna.samplers.RandomSampler()  # at its end a grid stops the study
        for trial, value in asked:
            study.tell(trial, value)
    return [trial.params for trial in study.trials]


@pytest.mark.parametrize("kind", ["tpe", "cmaes", "grid", "qmc", "random"])
def test_tickets_give_the_points_of_trials_that_are_asked_for(tmp_path: Path, kind: str) -> None:
    """A trial that waits in the queue draws as one does that is made when it is asked for."""
    with opened(tmp_path) as journal:
        asked = _points(open_storage(journal, "asked"), kind, tickets=0)
        assert _points(open_storage(journal, "tickets"), kind, tickets=8) == asked
    assert len({tuple(point.values()) for point in asked}) > len(asked) // 2


def test_tickets_are_made_once(tmp_path: Path) -> None:
    """Two launchers that begin at the same moment see the same budget."""
    with opened(tmp_path) as journal:
        storages = [open_storage(journal, "search") for _ in range(2)]
        studies = [
            optuna.create_study(storage=storage, study_name="cell", load_if_exists=True)
            for storage in storages
        ]
        for number in range(3):
            for study in studies:
                ticket = create_trial(state=TrialState.WAITING, user_attrs={TICKET: number})
                with contextlib.suppress(TicketMade):
                    study.add_trial(ticket)
        assert [len(study.trials) for study in studies] == [3, 3]
