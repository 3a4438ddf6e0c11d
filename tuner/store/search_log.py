"""Read Optuna's own record of a search from a store's file, without Optuna."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

_QUERY = """
SELECT studies.study_name, trials.number, trials.state,
  (SELECT COUNT(*) FROM trial_user_attributes AS a
   WHERE a.trial_id = trials.trial_id AND a.key = 'reason'),
  (SELECT GROUP_CONCAT(printf('%!.17g', v.value)) FROM
    (SELECT value FROM trial_values WHERE trial_id = trials.trial_id ORDER BY objective) AS v)
FROM trials JOIN studies ON studies.study_id = trials.study_id
WHERE substr(studies.study_name, 1, length(:study) + 3) = :study || ' / '
ORDER BY studies.study_name, trials.number
"""


@dataclass(frozen=True)
class LoggedTrial:
    """A trial as the search knows it."""

    number: int
    ended: bool
    values: tuple[float, ...] = ()
    """One an objective; none where it did not finish."""


def search_name(study: str, label: str, fingerprint: str) -> str:
    """Name a cell's search; a cell whose name or definition changes gets a new one.

    Args:
        study: Name of the study.
        label: Task, model and arm: arms may be equal in all but their names.
        fingerprint: Of the cell's definition.
    """
    return f"{study} / {label} @ {fingerprint}"


def read_search_log(store: Path, study: str) -> Mapping[str, Sequence[LoggedTrial]]:
    """Return the trials of a study's searches that count, by the search's name.

    Nothing where the store has no such file, as where several machines share a database.
    """
    path = store / "optuna.db"
    if not path.is_file():
        return {}
    try:
        address = path.resolve().as_uri() + "?mode=ro"
        with closing(sqlite3.connect(address, uri=True)) as database:
            rows = database.execute(_QUERY, {"study": study}).fetchall()
    except sqlite3.Error:  # it is busy, or not as it is known: the runs say nearly as much
        return {}
    found: dict[str, list[LoggedTrial]] = {}
    for name, number, state, reasons, values in rows:
        if state == "FAIL" and not reasons:
            continue  # it died with its launcher: see `tuner.study.trials.stand`
        ended = state not in ("RUNNING", "WAITING")
        known = tuple(map(float, values.split(","))) if state == "COMPLETE" and values else ()
        trial = LoggedTrial(number, ended, known)
        found.setdefault(name, []).append(trial)
    return found
