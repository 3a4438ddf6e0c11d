"""Cells and seeds that are still to come are named, not left out in silence."""

from __future__ import annotations

from tests.specs import toy_study
from tests.tuner.report.records import make_runs, make_trial
from tuner.load import dump_study
from tuner.report import Evidence, build_report
from tuner.report.planned import Planned, planned_of


def test_what_a_study_plans_is_read_from_its_own_yaml() -> None:
    """As the tracker keeps it."""
    study = toy_study(tasks=["toy", {"kind": "toy", "name": "other"}])
    expected = Planned(("toy", "other"), ("tiny-bert",), ("full", "head"), seeds=2)
    assert planned_of(dump_study(study)) == expected


def test_unconfirmed_arms_and_missing_runs_are_said() -> None:
    """One arm searched, one not begun, one with two of five seeds, one complete."""
    records = [
        *make_runs({"full": [0.8] * 5, "lora": [0.7] * 2}),
        *(make_trial("head", number, 0.5) for number in range(3)),
    ]
    arms = ("full", "lora", "head", "ia3")
    planned = {"s": Planned(("toy", "far"), ("tiny",), arms, seeds=5)}
    evidence = Evidence(("s",), tuple(records), "macro_f1", planned=planned)
    notes = build_report(evidence).notes()
    assert "lora: 2 of 5 confirm runs have ended so far." in notes
    assert "head: 3 trials searched, not confirmed yet: not in the table." in notes
    assert "ia3: 0 trials searched, not confirmed yet: not in the table." in notes
    assert "far · tiny: full: 0 trials searched, not confirmed yet: not in the table." in notes
    assert not any(note.startswith("full: ") for note in notes)
