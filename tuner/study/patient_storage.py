"""Keep Optuna's trials in a database that may be away for a while: each step waits."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, TrialState

from tuner.store.database import Outage, Patience, engine_options, tell_outages

_REPEATABLE = (
    "create_new_study",  # a second time it is there already
    "set_study_user_attr",
    "set_study_system_attr",
    "get_study_id_from_name",
    "get_study_name_from_id",
    "get_study_directions",
    "get_study_user_attrs",
    "get_study_system_attrs",
    "get_all_studies",
    "_set_trial_param",  # a second time it is passed over
    "get_trial_id_from_study_id_trial_number",
    "_get_best_trial_id",
    "set_trial_intermediate_value",
    "set_trial_user_attr",
    "set_trial_system_attr",
    "get_trial",
)


class PatientStorage(RDBStorage):
    """Optuna's storage; each of its steps waits while the database is away.

    Only a new trial is not asked for twice, since the first may have been made before the
    connection was lost: that Outage is the caller's to deal with.
    """

    def __init__(self, url: str, patience: Patience) -> None:
        super().__init__(url, engine_kwargs=engine_options(url))
        self._patience = patience
        tell_outages(self.engine)

    def _get_trials(self, *args: Any, **options: Any) -> list[FrozenTrial]:
        """Return what may have changed since the last call; Optuna's cache knows the others."""
        read = super()._get_trials
        return self._patience.persist(lambda: read(*args, **options))

    def set_trial_state_values(
        self, trial_id: int, state: TrialState, values: Sequence[float] | None = None
    ) -> bool:
        """End or begin a trial; an end that was written before the connection was lost is good."""
        in_doubt = False

        def put() -> bool:
            nonlocal in_doubt
            try:
                return super(PatientStorage, self).set_trial_state_values(trial_id, state, values)
            except UpdateFinishedTrialError:
                # Whatever a subclass believes, the database knows.
                if in_doubt and PatientStorage.get_trial(self, trial_id).state is state:
                    return True
                raise
            except Outage:
                in_doubt = True
                raise

        return self._patience.persist(put)


def _patient(name: str) -> Callable[..., Any]:
    step = getattr(RDBStorage, name)

    @functools.wraps(step)
    def persist(self: PatientStorage, *args: Any, **options: Any) -> Any:
        return self._patience.persist(lambda: step(self, *args, **options))

    return persist


for _name in _REPEATABLE:
    setattr(PatientStorage, _name, _patient(_name))
