"""Build a study's report from what its tracker has."""

from __future__ import annotations

from pathlib import Path

from trainers.errors import ConfigError, known
from tuner.load import load_study
from tuner.report import Report
from tuner.report import build_report as report_of
from tuner.study import STORE
from tuner.trackers import open_tracker


def build_report(study: str | Path, *, store: str | Path = STORE) -> Report:
    """Compare the confirm runs of a study.

    Args:
        study: A shipped study, a YAML file, or the name of a study that the store holds.
        store: Folder that the study was run in.

    Returns:
        A report whose `cells` and `runs` are pandas frames.

    Raises:
        ConfigError: No such study in the store, or no such store.
    """
    if not (Path(store) / "mlflow.db").is_file():
        raise ConfigError(f"--store {store}: no studies here yet; run one with `tuner run-study`")
    tracker = open_tracker(store)
    held = tracker.studies()
    name = str(study) if str(study) in held else load_study(study).name
    if name not in held:
        raise ConfigError(f"{study}: not run in {store}; studies there: {known(held)}")
    return report_of(tracker.runs(name, phase="confirm"))
