"""Remember the trials that this process made, as it has written them since."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Collection, Iterable

from optuna.trial import FrozenTrial


class OwnTrials:
    """Trials that nobody else writes to. Thread-safe; what is handed out is a copy."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._trials: dict[int, FrozenTrial] = {}
        self._studies: dict[int, int] = {}

    def add(self, study_id: int, trial: FrozenTrial) -> None:
        """Enter a new trial of a study."""
        with self._lock:
            self._trials[trial._trial_id] = copy.deepcopy(trial)
            self._studies[trial._trial_id] = study_id

    def get(self, trial_id: int) -> FrozenTrial | None:
        """Return a trial; None if it is not known here."""
        with self._lock:
            return copy.deepcopy(self._trials.get(trial_id))

    def change(self, trial_id: int, change: Callable[[FrozenTrial], None]) -> None:
        """Note what has been written to a trial, if it is known here."""
        with self._lock:
            if trial_id in self._trials:
                change(self._trials[trial_id])

    def hold(self, trial_ids: Iterable[int]) -> bool:
        """Say whether all of these are known here."""
        with self._lock:
            return self._trials.keys() >= set(trial_ids)

    def news(self, study_id: int, trial_ids: Collection[int], after: int) -> list[FrozenTrial]:
        """Return a study's trials that are among these or newer than one; forget the finished."""
        with self._lock:
            found = [
                copy.deepcopy(trial)
                for key, trial in self._trials.items()
                if self._studies[key] == study_id and (key in trial_ids or key > after)
            ]
        self.forget(trial._trial_id for trial in found if trial.state.is_finished())
        return found

    def forget(self, trial_ids: Iterable[int]) -> None:
        """Forget trials: Optuna's own cache keeps those that are finished."""
        with self._lock:
            for trial_id in trial_ids:
                self._trials.pop(trial_id, None)
                self._studies.pop(trial_id, None)
