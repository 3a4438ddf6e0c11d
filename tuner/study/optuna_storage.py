"""Optuna's storage of a study: what this launcher knows of its trials is not read again."""

from __future__ import annotations

import contextlib
import json
import threading
import warnings
from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.exceptions import StorageInternalError
from optuna.storages._rdb.storage import _create_scoped_session
from optuna.trial import FrozenTrial, TrialState

from tuner.store.database import Outage, Patience, explained
from tuner.study.own_trials import OwnTrials
from tuner.study.patient_storage import PatientStorage

_Given = tuple[int, str, float, BaseDistribution, BaseDistribution | None]
"""A trial, one of its parameters, its value, and how that is and was distributed."""


class StudyStorage(PatientStorage):
    """Optuna's storage of the launchers of a study.

    Optuna reads a trial five times from its making to its end. The trials that this launcher
    made are its own as long as it holds their claims, so what it wrote is what would be read.
    """

    def __init__(self, url: str, patience: Patience) -> None:
        super().__init__(url, patience)
        self._own = OwnTrials()
        self._doubtful: set[int] = set()
        self._here = threading.local()

    @contextlib.contextmanager
    def as_read(self) -> Iterator[None]:
        """Take the trials in this thread for what they were when they were read last."""
        self._here.as_read = True
        try:
            yield
        finally:
            self._here.as_read = False

    @contextlib.contextmanager
    def alone(self, sure: bool) -> Iterator[None]:
        """Where sure, read no trials in this thread, unless others have some that go on.

        Args:
            sure: Nobody else has asked for a trial since they were read last.
        """
        self._here.alone = sure
        try:
            yield
        finally:
            self._here.alone = False

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """Write the parameters that this thread's trial is given meanwhile in one transaction."""
        given: list[_Given] = []
        self._here.given = given
        try:
            yield
        finally:
            self._here.given = None
        if given:
            self._patience.persist(lambda: self._write(given))

    def _write(self, given: Sequence[_Given]) -> None:
        with _create_scoped_session(self.scoped_session, ignore_integrity_error=True) as session:
            for one in given:  # a second time they are there already, all of them
                self._set_trial_param_without_commit(session, *one)

    def disown(self, trial_id: int) -> None:
        """Leave a trial that this launcher made to whoever takes it up."""
        self._own.forget([trial_id])

    def get_trial(self, trial_id: int) -> FrozenTrial:
        """Return a trial."""
        return self._own.get(trial_id) or super().get_trial(trial_id)

    def set_trial_user_attr(self, trial_id: int, key: str, value: Any) -> None:
        """Write an attribute."""
        super().set_trial_user_attr(trial_id, key, value)
        self._own.change(trial_id, lambda trial: trial.user_attrs.update({key: _as_stored(value)}))

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        """Write a sampler's attribute."""
        super().set_trial_system_attr(trial_id, key, value)
        self._own.change(
            trial_id, lambda trial: trial.system_attrs.update({key: _as_stored(value)})
        )

    def set_trial_intermediate_value(
        self, trial_id: int, step: int, intermediate_value: float
    ) -> None:
        """Write what a trial reports."""
        super().set_trial_intermediate_value(trial_id, step, intermediate_value)
        value = float(intermediate_value)
        self._own.change(trial_id, lambda trial: trial.intermediate_values.update({step: value}))

    def set_trial_state_values(
        self, trial_id: int, state: TrialState, values: Sequence[float] | None = None
    ) -> bool:
        """End or begin a trial."""
        done = super().set_trial_state_values(trial_id, state, values)

        def end(trial: FrozenTrial) -> None:
            trial.state = state
            if values is not None:
                trial.values = list(values)
            if state.is_finished():
                trial.datetime_complete = datetime.now()  # noqa: DTZ005 - as Optuna does

        if done:
            self._own.change(trial_id, end)
        return done

    def _create_new_trial(
        self, study_id: int, template_trial: FrozenTrial | None = None
    ) -> FrozenTrial:
        try:
            made = super()._create_new_trial(study_id, template_trial)
        except Outage:
            self._doubtful.add(study_id)  # it may be there
            raise
        self._own.add(study_id, made)
        return made

    def _set_trial_param(
        self,
        trial_id: int,
        param_name: str,
        param_value_internal: float,
        distribution: BaseDistribution,
        previous_distribution: BaseDistribution | None,
    ) -> None:
        one = (trial_id, param_name, param_value_internal, distribution, previous_distribution)
        given: list[_Given] | None = getattr(self._here, "given", None)
        if given is None:
            super()._set_trial_param(*one)
        else:
            given.append(one)

        def note(trial: FrozenTrial) -> None:
            trial.params[param_name] = distribution.to_external_repr(param_value_internal)
            trial.distributions[param_name] = distribution

        self._own.change(trial_id, note)

    def _get_trials(
        self,
        study_id: int,
        states: Any,
        included_trial_ids: Collection[int],
        trial_id_greater_than: int,
    ) -> list[FrozenTrial]:
        if getattr(self._here, "as_read", False):
            return []
        alone = getattr(self._here, "alone", False) and study_id not in self._doubtful
        if alone and self._own.hold(included_trial_ids):
            return self._own.news(study_id, included_trial_ids, trial_id_greater_than)
        read = super()._get_trials(study_id, states, included_trial_ids, trial_id_greater_than)
        self._doubtful.discard(study_id)
        self._own.forget(trial._trial_id for trial in read if trial.state.is_finished())
        return read


def _as_stored(value: Any) -> Any:
    return json.loads(json.dumps(value))


def open_storage(url: str, patience: Patience) -> StudyStorage:
    """Open Optuna's storage, made on first use.

    Optuna's warnings of what it may change one day are turned off: a user of a study can do
    nothing about them.

    Raises:
        ConfigError: The database cannot be opened.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
    warnings.filterwarnings("ignore", category=FutureWarning, module=r"(optuna|tuner)\.")
    with explained(url):
        try:
            return StudyStorage(url, patience)
        except StorageInternalError as error:
            raise error.__cause__ or error from error
        except ImportError as error:
            raise error.__cause__ or error from error
