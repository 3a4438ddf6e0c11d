"""What was deleted in MLflow's UI was done all the same: the report counts it."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from mlflow import MlflowClient

from tests.specs import toy_study
from tuner.report import Report, build_report, find_study
from tuner.study.run import run_study
from tuner.tracking import open_reader

TRIALS = 3
SPACE = {"train.learning_rate": {"float": [1e-4, 1e-2], "log": True}}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run one searched arm, then delete the runs of the trial that was chosen."""
    root = tmp_path_factory.mktemp("log") / "m_s"
    study = toy_study(
        name="s_1",
        arms={"head": {"method": "head", "space": SPACE}},
        search={"trials": TRIALS, "seeds": [7], "pruner": "none"},
        confirm={"seeds": [1]},
    )
    run_study(study, store=root, data_dir=root / "data")
    return root


def delete(store: Path, *trials: int) -> None:
    """Delete the runs and parents of trials, as a user of MLflow's UI may."""
    client = MlflowClient(tracking_uri=f"sqlite:///{store / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("s_1")
    assert experiment is not None
    for run in client.search_runs([experiment.experiment_id], "tags.`tuner.phase` = 'search'"):
        if run.data.tags["tuner.trial"] in map(str, trials):
            client.delete_run(run.info.run_id)


def about(report: Report) -> tuple[int, int, set[str]]:
    """Return trials, confirm runs and their ids."""
    row = report.cells.iloc[0]
    return int(row["trials"]), int(row["n"]), set(report.runs["run_id"])


def test_the_log_is_that_of_the_study_by_cell(store: Path) -> None:
    """Numbers and values of all its trials; another study has none."""
    reader = open_reader(store)
    ((name, trials),) = reader.search_log("s_1").items()
    assert name.startswith("s_1 / toy / tiny-bert / head @ ")
    assert [trial.number for trial in trials] == list(range(TRIALS))
    assert all(trial.ended and len(trial.values) == 1 for trial in trials)
    assert reader.search_log("sx1") == {}


def test_an_arm_of_another_name_has_no_trials_of_its_like(store: Path) -> None:
    """A renamed arm is as new as a second one that is defined as the first."""
    search = {"trials": TRIALS, "seeds": [7], "pruner": "none"}
    head = {"method": "head", "space": SPACE}
    both = toy_study(
        name="s_1", arms={"adapter": head, "head": head}, search=search, confirm={"seeds": [1]}
    )
    path = store.parent / "both.yaml"
    path.write_text(yaml.safe_dump(both.model_dump(mode="json", by_alias=True)))
    asked = find_study(path, open_reader(store), store=store, data_dir=store / "data")
    report = build_report(asked, store=store)
    rows = report.cells.drop_duplicates("arm").set_index("arm")
    assert dict(rows["trials"]) == {"adapter": 0, "head": TRIALS}
    assert not any("deleted" in note for note in report.notes())
    assert asked.cells is not None
    assert open_reader(store).search_log("s_1")[asked.cells[1].search_name]


def test_trials_that_were_deleted_in_mlflow_still_count(store: Path) -> None:
    """The budget, the choice and the confirm runs stay what they were: the journal has them."""
    before = about(build_report("s_1", store=store))
    assert before[:2] == (TRIALS, 1)
    for gone in ([TRIALS - 1], range(TRIALS)):
        delete(store, *gone)
        report = build_report("s_1", store=store)
        assert about(report) == before
        assert not any("deleted" in note for note in report.notes())
