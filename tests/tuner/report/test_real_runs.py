"""A real study, tracked by MLflow: the report against numbers read and computed by other means."""

from __future__ import annotations

import itertools
import json
from collections import defaultdict
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient
from mlflow.entities import Run
from scipy import stats as scipy_stats
from sklearn.metrics import f1_score

from tests.specs import toy_study
from tuner.config import load_study
from tuner.report import Report, build_report, keep_report
from tuner.store import find_store
from tuner.study.run import run_study

ARMS = ("full", "head", "lora")
SEEDS = (1, 2, 3, 4, 5, 6)
SPACE = {"train.learning_rate": {"float": [1e-3, 5e-3], "log": True}}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run a study of three arms: two trials and six confirm seeds each."""
    root = tmp_path_factory.mktemp("real") / "store"
    arms = {arm: {"method": arm, "space": SPACE} for arm in ARMS}
    study = toy_study(name="real", arms=arms, confirm={"seeds": list(SEEDS)})
    run_study(study, store=root, data_dir=root / "data")
    return root


@pytest.fixture(scope="module")
def report(store: Path) -> Report:
    """Return the study's report."""
    return build_report("real", store=store)


@pytest.fixture(scope="module")
def runs(store: Path) -> dict[str, list[Run]]:
    """Return each arm's confirm runs as MLflow's client has them, by seed."""
    client = MlflowClient(tracking_uri=f"sqlite:///{store / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("real")
    assert experiment is not None
    wanted = "tags.`tuner.phase` = 'confirm' and tags.`tuner.seed` != ''"
    found: defaultdict[str, list[Run]] = defaultdict(list)
    for run in client.search_runs([experiment.experiment_id], wanted):
        found[run.data.tags["tuner.arm"]].append(run)
    return {
        arm: sorted(found[arm], key=lambda run: int(run.data.tags["tuner.seed"])) for arm in ARMS
    }


def scores(runs: list[Run], name: str = "test/macro_f1") -> np.ndarray:
    """Return a metric of runs."""
    return np.array([run.data.metrics[name] for run in runs])


def test_cells_are_those_of_the_runs(report: Report, runs: dict[str, list[Run]]) -> None:
    """Mean, deviation, interval; run ids in the order of seeds."""
    cells = report.cells[report.cells["metric"] == "macro_f1"].set_index("arm")
    assert list(cells.index) == list(ARMS)
    for arm in ARMS:
        values, row = scores(runs[arm]), cells.loc[arm]
        assert row["mean"] == pytest.approx(np.mean(values))
        assert row["std"] == pytest.approx(np.std(values, ddof=1))
        interval = scipy_stats.ttest_1samp(values, 0).confidence_interval(0.95)
        assert (row["ci_low"], row["ci_high"]) == pytest.approx(tuple(interval))
        assert row["run_ids"].split() == [run.info.run_id for run in runs[arm]]
        assert row["trials"] == 2


def test_pairs_equal_a_plain_enumeration(report: Report, runs: dict[str, list[Run]]) -> None:
    """All 2^6 sign flips by hand, the interval by Welch and Satterthwaite, rows by resampling."""
    pairs = report.pairs[report.pairs["metric"] == "macro_f1"]
    assert len(pairs) == len(list(itertools.combinations(ARMS, 2)))
    families = {flag: sum(pairs["n"] > 0) for flag in (True, False)}
    families[True] = sum((pairs["n"] > 0) & pairs["asked"])
    for _, row in pairs.iterrows():
        both = zip(runs[row["arm_a"]], runs[row["arm_b"]], strict=True)
        both = list(both)
        found = [(x, y) for x, y in both if trained(x) and trained(y)]
        assert row["all_collapsed"] == (not found)
        found = found or both
        a, b = [x for x, _ in found], [y for _, y in found]
        differences = scores(a) - scores(b)
        assert row["n"] == len(differences)
        assert row["collapsed_b"] == sum(not trained(run) for run in runs[row["arm_b"]])
        if row["n"] >= 6:
            flips = np.array(list(itertools.product((-1, 1), repeat=6)))
            sums = np.abs(flips @ differences)
            p = np.mean(sums >= abs(differences.sum()) * (1 - 1e-9))
            assert row["p"] == pytest.approx(p)
        if row["n"] < 2:
            continue
        assert row["mean_difference"] == pytest.approx(differences.mean())
        seeds, rows = differences.var(ddof=1) / row["n"], row["row_error"] ** 2
        freedom = (row["n"] - 1) * ((seeds + rows) / seeds) ** 2
        level = 0.05 / families[bool(row["asked"])]
        reach = scipy_stats.t.ppf(1 - level / 2, freedom) * np.sqrt(seeds + rows)
        ends = (differences.mean() - reach, differences.mean() + reach)
        assert (row["ci_low"], row["ci_high"]) == pytest.approx(ends)
        assert row["row_error"] == pytest.approx(resampled_error(a, b), rel=0.15)
        wins = np.mean(differences > 0) + np.mean(differences == 0) / 2
        assert row["probability_a_better"] == pytest.approx(wins)
        assert row["cohens_d"] == pytest.approx(differences.mean() / differences.std(ddof=1))
    assert pairs["n"].max() >= 6


def trained(run: Run) -> bool:
    """Return whether a run has learnt more than to name one class, from its predictions."""
    table = predictions_of(run)
    truth = table["label"]
    floor = truth.value_counts(normalize=True).max()
    error = np.sqrt(floor * (1 - floor) / len(truth))
    alone = table["prediction"].value_counts(normalize=True).max() > 0.99
    return not alone and np.mean(truth == table["prediction"]) > floor + 2 * error


def resampled_error(first: list[Run], second: list[Run]) -> float:
    """Resample the test rows, score both arms on the same rows, average over the seeds."""
    draws = np.random.default_rng(0)
    tables = [[coded(predictions_of(run)) for run in arm] for arm in (first, second)]
    size = len(tables[0][0][0])
    means = []
    for _ in range(300):
        chosen = draws.integers(0, size, size)
        found = [np.mean([macro_f1(t[chosen], p[chosen]) for t, p in arm]) for arm in tables]
        means.append(found[0] - found[1])
    return float(np.std(means, ddof=1))


def coded(table: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Return labels and predictions as numbers of classes."""
    labels = sorted({*table["label"], *table["prediction"]})
    return tuple(np.searchsorted(labels, table[name]) for name in ("label", "prediction"))


def macro_f1(truth: np.ndarray, predicted: np.ndarray) -> float:
    """Score as scikit-learn does, which takes milliseconds over it: of the classes that occur."""
    size = 1 + max(truth.max(), predicted.max())
    right = np.bincount(truth[truth == predicted], minlength=size)
    either = np.bincount(truth, minlength=size) + np.bincount(predicted, minlength=size)
    return float(np.mean(2 * right[either > 0] / either[either > 0]))


def test_the_score_of_resampled_rows_is_that_of_scikit_learn(runs: dict[str, list[Run]]) -> None:
    """Or what is compared with it would prove nothing."""
    for run in (runs["full"][0], runs["head"][0]):
        table = predictions_of(run)
        expected = f1_score(table["label"], table["prediction"], average="macro")
        assert macro_f1(*coded(table)) == pytest.approx(expected)


def predictions_of(run: Run) -> pd.DataFrame:
    """Read the predictions that a run has stored."""
    folder = run.info.artifact_uri.removeprefix("file://")
    return pd.read_parquet(f"{folder}/predictions.parquet")


def test_the_noise_of_the_test_rows_is_that_of_resampled_predictions(
    report: Report, store: Path, runs: dict[str, list[Run]]
) -> None:
    """A bootstrap over the stored predictions gives about the same deviation."""
    draws = np.random.default_rng(0)
    deviations = []
    for run in runs["full"]:
        truth, predicted = coded(predictions_of(run))
        values = []
        for _ in range(200):
            chosen = draws.integers(0, len(truth), len(truth))
            values.append(macro_f1(truth[chosen], predicted[chosen]))
        deviations.append(np.std(values, ddof=1))
    cells = report.cells[report.cells["metric"] == "macro_f1"].set_index("arm")
    noise = cells.loc["full", "test_noise_std"]
    assert noise == pytest.approx(np.mean(deviations), rel=0.15, abs=2e-3)


def test_curves_are_means_over_the_seeds(
    report: Report, store: Path, runs: dict[str, list[Run]]
) -> None:
    """Every step of the loss, against the client's history; the last epoch is the last epoch's."""
    client = MlflowClient(tracking_uri=f"sqlite:///{store / 'mlflow.db'}")
    curves = report.comparison.frames["curves"]
    for series in ("train/loss", "validation/macro_f1"):
        found = curves[(curves["arm"] == "full") & (curves["series"] == series)]
        first: defaultdict[int, list[float]] = defaultdict(list)
        for run in runs["full"]:
            history = client.get_metric_history(run.info.run_id, series)
            by_step: dict[int, float] = {}
            for point in sorted(history, key=lambda p: p.timestamp):
                by_step.setdefault(point.step, point.value)
            for step, value in by_step.items():
                first[step].append(value)
        assert list(found["step"]) == sorted(first)
        assert list(found["n"]) == [6] * len(first)
        assert list(found["mean"]) == pytest.approx([np.mean(first[s]) for s in sorted(first)])


def test_the_report_is_kept_in_the_experiment(report: Report, store: Path) -> None:
    """Once, as the artifacts of a run named report; kept again, it is replaced."""
    for _ in range(2):
        keep_report(report, store=find_store(store))
    client = MlflowClient(tracking_uri=f"sqlite:///{store / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("real")
    assert experiment is not None
    (run,) = client.search_runs([experiment.experiment_id], "tags.`tuner.phase` = 'report'")
    assert run.info.run_name == "report"
    note = run.data.tags["mlflow.note.content"]
    assert report.answer.sentences[0] in note
    assert experiment.tags["mlflow.note.content"] == note
    client.set_experiment_tag(experiment.experiment_id, "mlflow.note.content", "the user's own")
    keep_report(report, store=find_store(store))
    described = client.get_experiment_by_name("real")
    assert described is not None
    assert described.tags["mlflow.note.content"] == "the user's own"
    names = {file.path for file in client.list_artifacts(run.info.run_id)}
    assert {"report.md", "report.html", "report.tex", "report.json", "cells.csv"} <= names
    folder = Path(run.info.artifact_uri.removeprefix("file://"))
    assert json.loads((folder / "report.json").read_text()) == json.loads(report.text("json"))


def test_the_best_configuration_is_a_study_of_its_own(
    report: Report, store: Path, runs: dict[str, list[Run]], tmp_path: Path
) -> None:
    """Its YAML runs: one arm with the chosen value fixed, nothing searched, the same scores."""
    best, means = report.best, {arm: scores(found).mean() for arm, found in runs.items()}
    assert best.mean == pytest.approx(max(means.values()))
    assert means[best.arm] == pytest.approx(best.mean)
    rate = float(runs[best.arm][0].data.params["train.learning_rate"])
    assert best.chosen == {"train.learning_rate": rate}
    assert best.run_id == runs[best.arm][0].data.tags["mlflow.parentRunId"]
    file = tmp_path / "best.yaml"
    file.write_text(best.to_yaml())
    study = load_study(file)
    assert (study.name, list(study.arms)) == ("real-best", [best.arm])
    run_study(study, store=tmp_path / "store", tracking="none", data_dir=store / "data")
    again = build_report("real-best", store=tmp_path / "store")
    found = again.runs["test/macro_f1"].tolist()
    assert found == pytest.approx(scores(runs[best.arm]).tolist())
    assert again.best.chosen == {}


def test_every_run_has_its_page_in_mlflow(
    report: Report, store: Path, runs: dict[str, list[Run]]
) -> None:
    """On the page, also its dots, and in Markdown: where `tuner ui` shows it."""
    client = MlflowClient(tracking_uri=f"sqlite:///{store / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("real")
    assert experiment is not None
    base = f"http://127.0.0.1:5000/#/experiments/{experiment.experiment_id}/runs"
    page, markdown = report.text("html"), report.text("md")
    for run in itertools.chain.from_iterable(runs.values()):
        parent = run.data.tags["mlflow.parentRunId"]
        assert f'<a xlink:href="{base}/{run.info.run_id}"' in page
        assert f'href="{base}/{parent}"' in page
        assert f"]({base}/{run.info.run_id})" in markdown
        assert f"[{run.data.tags['tuner.arm']}]({base}/{parent})" in markdown


def test_the_same_store_gives_the_same_bytes(report: Report, store: Path, tmp_path: Path) -> None:
    """Every file, pictures too."""
    paths = report.write(tmp_path / "once")
    again = build_report("real", store=store).write(tmp_path / "again")
    assert [path.name for path in paths] == [path.name for path in again]
    for one, two in zip(paths, again, strict=True):
        assert one.read_bytes() == two.read_bytes(), one.name
    assert any(path.suffix == ".png" for path in paths)
