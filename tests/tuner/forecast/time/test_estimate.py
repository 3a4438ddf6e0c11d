"""The estimate of real studies in real stores: what is done, what is left, what it will cost."""

from __future__ import annotations

import hashlib
import re
import shutil
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.specs import QUICK, toy_study
from tests.tuner.forecast.time.past import cell_of, past_run
from trainers.errors import ConfigError, DataError, RunFailed
from tuner.cli.plan import estimate_lines
from tuner.config import StudyConfig
from tuner.forecast.time import Estimate, EstimateOptions, estimate_study
from tuner.forecast.time.forecasts import Count
from tuner.forecast.time.history import History, progress
from tuner.store.location import Store
from tuner.study.progress import RunNotice
from tuner.study.run import run_study

SEARCH = {"seeds": [7], "pruner": "none"}


def estimate(config: StudyConfig, store: Path, **options: Any) -> Estimate:
    """Estimate without a probe, unless it is wished for."""
    wished = EstimateOptions(**({"probe": False} | options))
    return estimate_study(config, store=store, data_dir=store.parent / "data", options=wished)


def counts(planned: int, done: int) -> Count:
    """Return a count."""
    return Count(planned=planned, done=done, left=planned - done)


def content(folder: Path) -> dict[str, str]:
    """Return a checksum and the moment of writing of every file."""
    return {
        str(path): f"{hashlib.sha256(path.read_bytes()).hexdigest()} {path.stat().st_mtime_ns}"
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_a_finished_study_has_nothing_left(finished_store: Path) -> None:
    """Every run is told to be done; no seconds, no bytes."""
    found = estimate(toy_study(), finished_store)
    assert found.runs.search == counts(2, 2)
    assert found.runs.confirm == counts(4, 4)
    assert found.runs.total == counts(6, 6)
    assert found.time.seconds is not None
    assert found.time.seconds.likely == found.time.seconds.high == 0
    assert found.disk.total_bytes == 0


def test_a_point_that_comes_again_is_no_run(tmp_path: Path) -> None:
    """Of 8 trials over 2 points 2 are run; while some are left, what has been tried is not."""
    space = {"train.learning_rate": {"choice": [1e-3, 1e-2]}}
    arms = {"two": {"method": "full", "space": space}}
    config = toy_study(arms=arms, search={"trials": 8, "seeds": [7], "pruner": "none"})
    found = estimate(config, tmp_path / "store")
    assert found.runs.search == counts(2, 0)
    assert found.layout.points == {"two": 2}
    lines = list(estimate_lines(found))
    assert any("two: 8 trials planned, 2 different points" in line for line in lines)
    assert not any("an equal budget" in line for line in lines)
    cell = cell_of(config, "two")
    same: dict[str, Any] = {"digest": "same", "metrics": {"validation/macro_f1": 0.5}}
    runs = [past_run(cell, 7, trial=n, **same) for n in range(8)]
    history = History(Store(tmp_path), tuple(runs[:3]))
    assert progress(cell, history).search == counts(2, 1)
    history = History(Store(tmp_path), tuple(runs))
    assert progress(cell, history).search == counts(2, 2)  # the search has ended


def test_cells_that_cannot_run_are_told_and_left_out(tmp_path: Path) -> None:
    """A line each, as `validate` has it; they are not measured, and the others are."""
    targets = {"kind": "lora", "targets": ["nowhere"]}
    arms = {"lora": {"method": targets}, "head": {"method": "head"}}
    found = estimate(toy_study(arms=arms), tmp_path / "store", probe=True, probe_seconds=0.1)
    lines = list(estimate_lines(found))
    assert lines[0].endswith("= 2 cells, 1 of them left out: they cannot run")
    (note,) = [line for line in lines if "nowhere" in line]
    assert "arms.lora.method.targets: nowhere fits no module of tiny-bert; it has query" in note
    assert [cell.arm for cell in found.cells] == ["head"]
    assert found.time.seconds is not None
    with pytest.raises(ConfigError, match="nowhere"):
        estimate(toy_study(arms={"lora": arms["lora"]}), tmp_path / "store")


def test_nothing_is_written_to_the_store(finished_store: Path) -> None:
    """Not a byte and no time of a file, with a probe or without; no new file."""
    before = content(finished_store)
    assert len(before) > 15
    estimate(toy_study(confirm={"seeds": [1, 2, 3]}), finished_store)
    arms = {"bitfit": {"method": "bitfit"}}
    estimate(toy_study(arms=arms), finished_store, probe=True, probe_seconds=0.1)
    assert content(finished_store) == before


@pytest.mark.parametrize("probe", [True, False])
def test_a_store_that_does_not_exist_is_not_made(tmp_path: Path, probe: bool) -> None:
    """Nor anything else."""
    arms = {"head": {"method": "head"}}
    estimate(toy_study(arms=arms), tmp_path / "store", probe=probe, probe_seconds=0.1)
    assert list(tmp_path.iterdir()) == []


def test_new_seeds_are_left_and_cost_what_earlier_runs_did(finished_store: Path) -> None:
    """One confirm run a cell; the search is over and stays so."""
    found = estimate(toy_study(confirm={"seeds": [1, 2, 3]}), finished_store)
    assert found.runs.search == counts(2, 2)
    assert [cell.confirm for cell in found.cells] == [counts(3, 2), counts(3, 2)]
    assert found.time.sources == ("earlier runs",)
    assert found.time.based_on == 4 + 2
    assert found.time.seconds is not None
    assert 0 < found.time.seconds.low < found.time.seconds.likely < found.time.seconds.high
    assert not found.time.upper


def test_more_trials_may_find_another_best_so_that_its_confirm_runs_are_left(
    finished_store: Path,
) -> None:
    """The arm without a space keeps what it has."""
    found = estimate(toy_study(search=SEARCH | {"trials": 5}), finished_store)
    full, head = found.cells
    assert (full.search, full.confirm) == (counts(5, 2), counts(2, 0))
    assert (head.search, head.confirm) == (counts(0, 0), counts(2, 2))


def test_another_definition_of_a_cell_is_estimated_roughly(finished_store: Path) -> None:
    """Twice the epochs: nothing is done yet, and the training is scaled."""
    longer = toy_study(train=QUICK | {"epochs": 40})
    found, before = (
        estimate(config, finished_store)
        for config in (longer, toy_study(confirm={"seeds": [1, 2, 3]}))
    )
    assert found.runs.total == counts(6, 0)
    assert found.time.sources == ("similar runs",)
    assert found.time.seconds is not None
    seconds = [found.cells[1].confirm_run_seconds, before.cells[1].confirm_run_seconds]
    assert seconds[0] is not None
    assert seconds[1] is not None
    assert seconds[0] > 2 * seconds[1]


def test_runs_of_another_study_of_the_store_count_where_they_are_found_again(
    finished_store: Path,
) -> None:
    """An arm without a space under another study's name: its runs are reused, not done again."""
    other = toy_study(name="other", arms={"head": {"method": "head"}})
    assert estimate(other, finished_store).runs.confirm == counts(2, 2)


@pytest.mark.parametrize(
    ("phase", "seeds", "seed", "left"),
    [("search", [7], 7, 2 + 4), ("search", [7, 8], 8, 3 + 4), ("confirm", [7], 2, 3)],
)
def test_what_is_left_of_an_interrupted_study_is_what_it_then_does(
    tmp_path: Path, phase: str, seeds: list[int], seed: int, left: int
) -> None:
    """Ctrl-C in a run; the estimate; then the same command does exactly so many runs."""
    store = tmp_path / "store"
    config = toy_study(search={"trials": 3, "seeds": seeds, "pruner": "none"})

    def interrupt(notice: RunNotice) -> None:
        here = (notice.phase, notice.seed) == (phase, seed) and notice.event is not None
        if here and (notice.trial == 1 or phase == "confirm"):
            raise KeyboardInterrupt

    places: dict[str, Any] = {"store": store, "data_dir": tmp_path / "data", "tracking": "none"}
    with pytest.raises(KeyboardInterrupt):
        run_study(config, **places, watch=interrupt)
    found = estimate(config, store)
    done: list[RunNotice] = []
    run_study(config, **places, watch=done.append)
    fresh = Counter(n.phase for n in done if n.state == "finished" and not n.reused)
    assert {"search": found.runs.search.left, "confirm": found.runs.confirm.left} == {
        "search": fresh["search"],
        "confirm": fresh["confirm"],
    }
    assert found.runs.total.left == left


def test_a_confirm_run_on_other_data_is_left(finished_store: Path, tmp_path: Path) -> None:
    """The outcome of one run names other test rows than the task has now."""
    store = tmp_path / "store"
    shutil.copytree(finished_store, store)
    with closing(sqlite3.connect(store / "tuner.db")) as database, database:
        lines = database.execute("SELECT id, line FROM journal WHERE topic = 'runs'").fetchall()
        number, line = next((n, text) for n, text in lines if r"\"test\":{" in text)
        changed = re.sub(r'(data\.test\\":\\")\w+', r"\g<1>0", line)
        database.execute("UPDATE journal SET line = ? WHERE id = ?", (changed, number))
    assert estimate(toy_study(), store).runs.confirm == counts(4, 3)


def test_without_runs_and_without_a_probe_the_seconds_are_unknown(tmp_path: Path) -> None:
    """All else is told."""
    found = estimate(toy_study(), tmp_path / "store")
    assert found.time.seconds is None
    assert found.runs.total == counts(6, 0)
    assert found.disk.total_bytes > 0


def test_a_probe_estimates_the_seconds_of_a_run(tmp_path: Path, finished_store: Path) -> None:
    """Within a factor of three of what such runs took; the machine may be busy with others."""
    found = estimate(toy_study(), tmp_path / "store", probe=None, probe_seconds=1.0)
    assert found.time.sources == ("probe",)
    assert found.time.based_on == 2
    known = estimate(toy_study(confirm={"seeds": [1, 2, 3]}), finished_store)
    for probed, measured in zip(found.cells, known.cells, strict=True):
        assert probed.confirm_run_seconds is not None
        assert measured.confirm_run_seconds is not None
        assert 1 / 3 < probed.confirm_run_seconds / measured.confirm_run_seconds < 3


def test_a_probe_is_wished_for_where_only_similar_runs_are_there(finished_store: Path) -> None:
    """By default those do; `--probe` measures."""
    config = toy_study(arms={"bitfit": {"method": "bitfit"}})
    by_default = estimate(config, finished_store, probe=None)
    measured = estimate(config, finished_store, probe=True, probe_seconds=0.1)
    assert by_default.time.sources == ("similar runs",)
    assert measured.time.sources == ("probe",)


def test_a_probe_that_fails_names_its_cell(tmp_path: Path) -> None:
    """The reason is that of the run."""
    wild = {"method": "full", "train": {"learning_rate": 1e30, "max_grad_norm": 0.0}}
    with pytest.raises(RunFailed, match="probe of toy / tiny-bert / wild: train/loss is"):
        estimate(toy_study(arms={"wild": wild}), tmp_path / "store", probe=True)


def test_a_pruner_makes_it_an_upper_estimate(tmp_path: Path) -> None:
    """Trials may end early, and nothing tells how many do."""
    config = toy_study(search={"trials": 2, "seeds": [7], "pruner": "median"})
    arguments = {"probe": True, "probe_seconds": 0.1}
    assert estimate(config, tmp_path / "store", **arguments).time.upper
    assert not estimate(toy_study(), tmp_path / "store", **arguments).time.upper


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"detect": 0.0}, "--detect: got 0.0; allowed: a number above 0"),
        ({"detect": -0.01}, "--detect: got -0.01; allowed: a number above 0"),
        ({"detect": float("nan")}, "--detect: got nan; allowed: a number above 0"),
        ({"detect": 2.0}, "macro_f1 lies between 0 and 1, so one point is 0.01; got 2"),
        ({"spread": 0.0}, "--spread: got 0.0; allowed: a number above 0"),
        ({"probe_seconds": -1.0}, "--probe-seconds: got -1.0; allowed: a number above 0"),
        ({"probe_seconds": float("inf")}, "--probe-seconds: got inf; allowed: a number above 0"),
    ],
)
def test_an_invalid_option_is_refused(
    tmp_path: Path, options: dict[str, float], says: str
) -> None:
    """Before anything is read."""
    with pytest.raises(ConfigError, match=says):
        estimate(toy_study(), tmp_path / "store", **options)


def test_a_loss_may_differ_by_more_than_one(tmp_path: Path) -> None:
    """It has no upper end."""
    assert estimate(toy_study(metric="loss"), tmp_path / "store", detect=2.0).seeds.difference == 2


def test_a_store_that_cannot_be_read_is_refused_and_left_alone(tmp_path: Path) -> None:
    """A file, a database without a journal, and a text that is none."""
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(ConfigError, match="not a folder"):
        estimate(toy_study(), file)
    faults = {"empty": "no studies here yet", "text": "not readable: file is not a database"}
    for name, text in (("empty", ""), ("text", "no database at all" * 100)):
        store = tmp_path / name
        store.mkdir()
        (store / "tuner.db").write_text(text)
        with pytest.raises(ConfigError, match=faults[name]):
            estimate(toy_study(), store)
        assert (store / "tuner.db").read_text() == text
    with pytest.raises(ConfigError, match="a study is kept in a folder or in PostgreSQL"):
        estimate(toy_study(), Path("http://127.0.0.1:5000"))


def test_missing_data_are_named(tmp_path: Path) -> None:
    """As `run-study` does."""
    with pytest.raises(DataError, match="fetch-data"):
        estimate(toy_study(tasks=["acl_sup"]), tmp_path / "store")
