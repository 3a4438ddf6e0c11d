"""Run a study: check it, search every cell, confirm the best, record every run. The room's door.

Each file is loaded when one of its names is first used: to check a study takes neither Optuna nor
a database.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tuner import load_on_use

if TYPE_CHECKING:
    from tuner.study.checks import Findings as Findings
    from tuner.study.checks import device_faults as device_faults
    from tuner.study.checks import find_faults as find_faults
    from tuner.study.checks import inspect_cells as inspect_cells
    from tuner.study.inputs import Inputs as Inputs
    from tuner.study.inputs import read_inputs as read_inputs
    from tuner.study.memory_cap import check_weights as check_weights
    from tuner.study.progress import RunNotice as RunNotice
    from tuner.study.reading import read_lengths as read_lengths
    from tuner.study.recalled import recall_seeds as recall_seeds
    from tuner.study.recalled import recall_study as recall_study
    from tuner.study.run import NO_TRACKING as NO_TRACKING
    from tuner.study.run import StudyOutcome as StudyOutcome
    from tuner.study.run import check_inputs as check_inputs
    from tuner.study.run import run_study as run_study
    from tuner.study.threads import map_threads as map_threads

_NAMES = {
    "checks": ["Findings", "device_faults", "find_faults", "inspect_cells"],
    "inputs": ["Inputs", "read_inputs"],
    "memory_cap": ["check_weights"],
    "progress": ["RunNotice"],
    "reading": ["read_lengths"],
    "recalled": ["recall_seeds", "recall_study"],
    "run": ["NO_TRACKING", "StudyOutcome", "check_inputs", "run_study"],
    "threads": ["map_threads"],
}
__all__ = sorted(name for names in _NAMES.values() for name in names)
__getattr__ = load_on_use(__name__, _NAMES)
