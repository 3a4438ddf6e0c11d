"""What every tracker promises; each tracker's tests inherit it."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path

import pytest

from trainers.contract import ParameterCounts, RunEvent, RunResult, RunSpec, Seeds
from trainers.errors import ConfigError
from tuner.tracking import Curve, Group, Tracker, aggregate

STUDY = "toy study"
YAML = "name: toy study\ntasks: [toy]\nmodels: [tiny-bert]\n"


@dataclass(frozen=True)
class LoggedValue:
    """One stored value of a metric."""

    step: int
    seconds: float
    value: float


class Place(ABC):
    """Where a tracker keeps its runs; survives the tracker."""

    @abstractmethod
    def open(self) -> Tracker:
        """Return a new tracker on this place, as a new launcher would."""

    @abstractmethod
    def history(self, run_id: str, name: str) -> list[LoggedValue]:
        """Return all values of a metric, in any order."""


def make_spec(seed: int = 7, **train: object) -> RunSpec:
    """Return a small run."""
    return RunSpec.model_validate(
        {
            "task": "toy",
            "model": "tiny-bert",
            "method": "full",
            "train": train,
            "seeds": Seeds(init=seed, order=seed),
        }
    )


def make_group(arm: str = "full", *, trial: int | None = 0, cell: str = "c0ffee") -> Group:
    """Return a configuration of the test's study."""
    phase = "confirm" if trial is None else "search"
    return Group(
        study=STUDY, task="toy", model="tiny-bert", arm=arm, phase=phase, trial=trial, cell=cell
    )


def make_events(steps: int = 3) -> list[RunEvent]:
    """Return a short run's events: a start, steps, an epoch."""
    start = RunEvent(kind="start", time=1_000.0, facts={"torch": "2", "data.train": "ab" * 32})
    curve = [
        RunEvent(kind="step", time=1_000.5 + step, step=step, metrics={"train/loss": 1 / step})
        for step in range(1, steps + 1)
    ]
    scores = {"validation/macro_f1": 0.5, "validation/f1/A & B": 0.25}
    return [start, *curve, RunEvent(kind="epoch", time=2_000.0, step=steps, metrics=scores)]


def make_result(macro_f1: float = 0.5) -> RunResult:
    """Return a finished run's result."""
    return RunResult(
        validation={"macro_f1": macro_f1},
        test={"macro_f1": 0.4, "accuracy": 0.6},
        epoch=1.0,
        parameters=ParameterCounts(total=100, trained=30, head=10),
        memory={"train/peak_bytes": 2**20},
        seconds={"load": 1.0, "train": 2.0},
        facts={"torch": "2", "git_commit": "f00d", "data.test": "cd" * 32, "rows.test": "9"},
    )


class TrackerContract:
    """Run on every tracker."""

    @pytest.fixture
    def place(self) -> Place:
        """Override: an empty place."""
        raise NotImplementedError

    @pytest.fixture
    def tracker(self, place: Place) -> Tracker:
        """Return a tracker with an open study."""
        return self.relaunch(place)

    def relaunch(self, place: Place) -> Tracker:
        """Open the place with a second tracker, as after the first launcher's death."""
        tracker = place.open()
        tracker.open_study(STUDY, YAML)
        return tracker

    def test_a_finished_run_is_read_back_whole(self, tracker: Tracker) -> None:
        """Group, seeds, params, last values, facts and state come back as they went in."""
        spec, group = make_spec(), make_group("löra <script>alert(1)</script> | 🦙", trial=3)
        parent_id = tracker.open_group(group, {"train.epochs": "3"})
        run_id = tracker.open_run(parent_id, spec, adopt=False)
        tracker.log(run_id, make_events())
        tracker.close_run(run_id, state="finished", result=make_result())
        (record,) = tracker.runs(STUDY)
        assert (record.run_id, record.parent_id, record.group) == (run_id, parent_id, group)
        assert (record.digest, record.seeds) == (spec.digest(), spec.seeds)
        assert (record.state, record.reason) == ("finished", "")
        assert record.params == spec.flat()
        assert record.facts == {
            "torch": "2",
            "git_commit": "f00d",
            "data.train": "ab" * 32,
            "data.test": "cd" * 32,
            "rows.test": "9",
        }
        assert record.metrics == make_result().metrics() | {
            "train/loss": 1 / 3,
            "validation/f1/A & B": 0.25,
            "epoch": 1.0,
        }
        assert record.end is not None
        assert record.end >= record.start

    def test_a_running_run_has_no_end(self, tracker: Tracker) -> None:
        """A record of an open run says running, and gives what was logged so far."""
        parent_id = tracker.open_group(make_group(), {})
        run_id = tracker.open_run(parent_id, make_spec(), adopt=False)
        tracker.log(run_id, make_events())
        (record,) = tracker.runs(STUDY)
        assert (record.state, record.end) == ("running", None)
        assert record.metrics["train/loss"] == 1 / 3

    @pytest.mark.parametrize("state", ["pruned", "diverged", "failed", "killed"])
    def test_state_and_reason_of_an_unfinished_run_are_kept(
        self, tracker: Tracker, state: str
    ) -> None:
        """Pruned, diverged, failed and killed are told apart."""
        parent_id = tracker.open_group(make_group(), {})
        run_id = tracker.open_run(parent_id, make_spec(), adopt=False)
        tracker.close_run(run_id, state=state, reason="because")  # type: ignore[arg-type]
        (record,) = tracker.runs(STUDY)
        assert (record.state, record.reason) == (state, "because")
        assert record.end is not None

    @pytest.mark.parametrize("state", ["finished", "pruned", "diverged"])
    def test_a_run_knows_how_its_configuration_ended(self, tracker: Tracker, state: str) -> None:
        """A trial that is pruned between its seeds has runs that have finished, each of them."""
        parent_id = tracker.open_group(make_group(), {})
        run_id = tracker.open_run(parent_id, make_spec(), adopt=False)
        tracker.close_run(run_id, state="finished", result=make_result())
        assert [record.group_state for record in tracker.runs(STUDY)] == ["running"]
        tracker.close_group(parent_id, state=state, reason="because", metrics={})  # type: ignore[arg-type]
        assert [record.group_state for record in tracker.runs(STUDY)] == [state]

    def test_the_kept_epochs_score_is_the_last_value(self, tracker: Tracker, place: Place) -> None:
        """The result's validation score outlives that of a later, worse epoch."""
        run_id = tracker.open_run(tracker.open_group(make_group(), {}), make_spec(), adopt=False)
        tracker.log(run_id, make_events())
        tracker.close_run(run_id, state="finished", result=make_result(macro_f1=0.75))
        (record,) = tracker.runs(STUDY)
        assert record.metrics["validation/macro_f1"] == 0.75
        assert len(place.history(run_id, "validation/macro_f1")) == 2

    def test_points_keep_their_step_and_time(self, tracker: Tracker, place: Place) -> None:
        """A curve is stored by the optimizer's steps and the events' own times."""
        run_id = tracker.open_run(tracker.open_group(make_group(), {}), make_spec(), adopt=False)
        tracker.log(run_id, make_events())
        found = sorted(place.history(run_id, "train/loss"), key=lambda logged: logged.step)
        assert found == [
            LoggedValue(1, 1_001.5, 1.0),
            LoggedValue(2, 1_002.5, 0.5),
            LoggedValue(3, 1_003.5, 1 / 3),
        ]

    def test_a_killed_launchers_run_is_continued_without_doubling(
        self, tracker: Tracker, place: Place
    ) -> None:
        """A second tracker adopts group and run; replayed events are kept once."""
        group, spec = make_group(), make_spec()
        parent_id = tracker.open_group(group, {"a": "b"})
        run_id = tracker.open_run(parent_id, spec, adopt=False)
        tracker.log(run_id, make_events(steps=2)[:3])
        second = self.relaunch(place)
        assert second.open_group(group, {"a": "b"}) == parent_id
        assert second.open_run(parent_id, spec, adopt=True) == run_id
        second.log(run_id, make_events(steps=2))
        second.close_run(run_id, state="finished", result=make_result())
        (record,) = second.runs(STUDY)
        assert (record.state, record.reason) == ("finished", "")
        assert len(place.history(run_id, "train/loss")) == 2
        assert len(place.history(run_id, "validation/macro_f1")) == 1

    def test_a_replay_of_a_closed_run_changes_nothing(
        self, tracker: Tracker, place: Place
    ) -> None:
        """A pruned run whose launcher died before telling anyone is adopted, not doubled."""
        group, spec = make_group(), make_spec()
        run_id = tracker.open_run(tracker.open_group(group, {}), spec, adopt=False)
        tracker.log(run_id, make_events())
        tracker.close_run(run_id, state="pruned", reason="worse")
        before = tracker.runs(STUDY)
        second = self.relaunch(place)
        parent_id = second.open_group(group, {})
        assert second.open_run(parent_id, spec, adopt=True) == run_id
        second.log(run_id, make_events())
        second.close_run(run_id, state="pruned", reason="worse")
        without_end = [r.model_copy(update={"end": None}) for r in second.runs(STUDY)]
        assert without_end == [r.model_copy(update={"end": None}) for r in before]
        assert len(place.history(run_id, "train/loss")) == 3

    def test_a_stale_run_is_closed_as_killed(self, tracker: Tracker, place: Place) -> None:
        """Without adoption the dead launcher's run is killed and a new one made."""
        group, spec = make_group(), make_spec()
        stale = tracker.open_run(tracker.open_group(group, {}), spec, adopt=False)
        second = self.relaunch(place)
        run_id = second.open_run(second.open_group(group, {}), spec, adopt=False)
        states = {record.run_id: (record.state, record.reason) for record in second.runs(STUDY)}
        assert states == {stale: ("killed", "launcher died"), run_id: ("running", "")}

    def test_opening_a_group_again_leaves_its_live_runs_alone(self, tracker: Tracker) -> None:
        """Two workers may open one confirm group; neither kills the other's run."""
        group = make_group(trial=None)
        first = tracker.open_run(tracker.open_group(group, {}), make_spec(1), adopt=False)
        second = tracker.open_run(tracker.open_group(group, {}), make_spec(2), adopt=False)
        assert {record.run_id: record.state for record in tracker.runs(STUDY)} == {
            first: "running",
            second: "running",
        }

    def test_a_finished_run_is_returned_and_stays_closed(
        self, tracker: Tracker, place: Place
    ) -> None:
        """Asking for it again makes no run, and later calls on it do nothing."""
        group, spec = make_group(), make_spec()
        run_id = tracker.open_run(tracker.open_group(group, {}), spec, adopt=False)
        tracker.close_run(run_id, state="finished", result=make_result())
        before = tracker.runs(STUDY)
        second = self.relaunch(place)
        for adopt in (False, True):
            assert second.open_run(second.open_group(group, {}), spec, adopt=adopt) == run_id
            second.log(run_id, make_events())
            second.close_run(run_id, state="failed", reason="late")
        assert second.runs(STUDY) == before

    def test_late_events_of_a_closed_run_are_dropped(self, tracker: Tracker, place: Place) -> None:
        """A killed training's last words cannot touch its closed run."""
        run_id = tracker.open_run(tracker.open_group(make_group(), {}), make_spec(), adopt=False)
        tracker.close_run(run_id, state="pruned", reason="worse")
        tracker.log(run_id, make_events())
        tracker.close_run(run_id, state="failed", reason="exit code 1")
        (record,) = tracker.runs(STUDY)
        assert (record.state, record.reason, record.metrics) == ("pruned", "worse", {})

    def test_a_reopened_group_takes_its_metrics_once(self, tracker: Tracker, place: Place) -> None:
        """Closing a group again with the same summary adds no point; a new value does."""
        group, summary = make_group(), aggregate([{"loss": 1.0}, {"loss": 2.0}])
        parent_id = tracker.open_group(group, {})
        tracker.close_group(parent_id, state="finished", metrics=summary)
        second = self.relaunch(place)
        second.open_group(group, {})
        second.close_group(parent_id, state="finished", metrics=summary | {"loss_mean": 9.0})
        assert len(place.history(parent_id, "loss_std")) == 1
        assert {logged.value for logged in place.history(parent_id, "loss_mean")} == {1.5, 9.0}

    def test_groups_that_differ_in_a_field_are_apart(self, tracker: Tracker) -> None:
        """Another trial, phase, arm or cell definition is another parent."""
        groups = [
            make_group(),
            make_group(trial=1),
            make_group(trial=None),
            make_group("lora"),
            make_group(cell="beef"),
        ]
        assert len({tracker.open_group(group, {}) for group in groups}) == len(groups)

    def test_a_call_takes_many_values(self, tracker: Tracker, place: Place) -> None:
        """2,500 values in one call, over every limit of one request, are all stored."""
        run_id = tracker.open_run(tracker.open_group(make_group(), {}), make_spec(), adopt=False)
        tracker.log(run_id, make_events(steps=2_500))
        history = place.history(run_id, "train/loss")
        assert sum(logged.step for logged in history) == 2_500 * 2_501 // 2

    def test_threads_may_log_at_once(self, tracker: Tracker, place: Place) -> None:
        """Four workers open, log and close their runs, and nothing is lost or mixed up."""
        parent_id = tracker.open_group(make_group(), {})
        found: dict[int, str] = {}

        def work(seed: int) -> None:
            run_id = tracker.open_run(parent_id, make_spec(seed), adopt=False)
            for step in range(5):
                metrics = {"train/loss": float(seed)}
                event = RunEvent(kind="step", time=float(step), step=step, metrics=metrics)
                tracker.log(run_id, [event])
            tracker.close_run(run_id, state="finished", result=make_result())
            found[seed] = run_id

        threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(found) == [0, 1, 2, 3]
        for seed, run_id in found.items():
            values = [logged.value for logged in place.history(run_id, "train/loss")]
            assert values == [float(seed)] * 5
        assert {record.state for record in tracker.runs(STUDY)} == {"finished"}

    def test_runs_come_in_the_order_they_were_started(
        self, tracker: Tracker, place: Place
    ) -> None:
        """The order is the same on every reading and by every tracker; phases can be chosen."""
        search, confirm = make_group(), make_group(trial=None)
        started = [
            tracker.open_run(tracker.open_group(group, {}), make_spec(seed), adopt=False)
            for seed in (5, 3, 4)
            for group in (confirm, search)
        ]
        read = [record.run_id for record in tracker.runs(STUDY)]
        assert sorted(read) == sorted(started)
        assert [record.start for record in tracker.runs(STUDY)] == sorted(
            record.start for record in tracker.runs(STUDY)
        )
        assert [record.run_id for record in place.open().runs(STUDY)] == read
        chosen = {record.run_id for record in tracker.runs(STUDY, phase="confirm")}
        assert chosen == set(started[::2])

    def test_studies_are_listed_and_kept_apart(self, tracker: Tracker) -> None:
        """A run belongs to its study alone; an unknown study has no runs."""
        tracker.open_study("another", YAML)
        tracker.open_run(tracker.open_group(make_group(), {}), make_spec(), adopt=False)
        assert tracker.studies() == ["another", STUDY]
        assert len(tracker.runs(STUDY)) == 1
        assert tracker.runs("another") == []
        assert tracker.runs("unknown") == []

    def test_a_model_may_be_kept_after_the_run_is_closed(
        self, tracker: Tracker, tmp_path: Path
    ) -> None:
        """Keeping a model, twice even, leaves the run's record as it was."""
        run_id = tracker.open_run(tracker.open_group(make_group(), {}), make_spec(), adopt=False)
        tracker.close_run(run_id, state="finished", result=make_result())
        before = tracker.runs(STUDY)
        folder = tmp_path / "model"
        folder.mkdir()
        (folder / "weights").write_text("w")
        tracker.log_model(run_id, folder)
        tracker.log_model(run_id, folder)
        assert tracker.runs(STUDY) == before

    def test_curves_are_read_in_the_order_that_was_asked_for(self, tracker: Tracker) -> None:
        """By run, then by name; steps sorted; a metric that a run lacks is left out."""
        parent_id = tracker.open_group(make_group(), {})
        long, short, bare = (
            tracker.open_run(parent_id, make_spec(seed), adopt=False) for seed in range(3)
        )
        tracker.log(long, reversed(make_events(steps=4)))  # type: ignore[arg-type]
        tracker.log(short, make_events(steps=1)[:2])
        wanted = ["validation/f1/A & B", "train/loss"]
        assert list(tracker.curves([short, bare, long], wanted)) == [
            Curve(short, "train/loss", (1,), (1.0,)),
            Curve(long, "validation/f1/A & B", (4,), (0.25,)),
            Curve(long, "train/loss", (1, 2, 3, 4), (1.0, 1 / 2, 1 / 3, 1 / 4)),
        ]
        assert list(tracker.curves([], wanted)) == []
        assert list(tracker.curves([long], [])) == []

    def test_a_curve_has_one_value_a_step_the_first_in_time(self, tracker: Tracker) -> None:
        """The kept epoch's scores, logged at the end, do not take the last epoch's place."""
        run_id = tracker.open_run(tracker.open_group(make_group(), {}), make_spec(), adopt=False)
        for time, step, value in ((9.0, 2, 0.9), (5.0, 2, 0.5), (1.0, 1, 0.1), (7.0, 1, 0.7)):
            metrics = {"validation/loss": value}
            event = RunEvent(kind="epoch", time=time, step=step, metrics=metrics)
            tracker.log(run_id, [event])
        (curve,) = tracker.curves([run_id], ["validation/loss"])
        assert (curve.steps, curve.values) == ((1, 2), (0.1, 0.5))

    def test_a_long_curve_is_read_whole(self, tracker: Tracker) -> None:
        """Nothing is thinned out, whatever a store does for its own pictures."""
        run_id = tracker.open_run(tracker.open_group(make_group(), {}), make_spec(), adopt=False)
        tracker.log(run_id, make_events(steps=2_600))
        (curve,) = tracker.curves([run_id], ["train/loss"])
        assert curve.steps == tuple(range(1, 2_601))
        assert curve.values == tuple(1 / step for step in range(1, 2_601))

    def test_the_files_of_a_run_are_read_back(self, tracker: Tracker, tmp_path: Path) -> None:
        """A path with the same bytes; None where the run left no such file."""
        content = bytes(range(256))
        for name in ("predictions.parquet", "best.pt"):
            (tmp_path / name).write_bytes(content)
        parent_id = tracker.open_group(make_group(), {})
        with_files, without = (
            tracker.open_run(parent_id, make_spec(seed), adopt=False) for seed in range(2)
        )
        tracker.close_run(with_files, state="finished", result=make_result(), folder=tmp_path)
        tracker.close_run(without, state="finished", result=make_result())
        for _ in range(2):
            path = tracker.artifact(with_files, "predictions.parquet")
            assert path is not None
            assert path.read_bytes() == content
        assert tracker.artifact(with_files, "best.pt") is None
        assert tracker.artifact(with_files, "no/such.parquet") is None
        assert tracker.artifact(without, "predictions.parquet") is None

    def test_a_report_is_kept_in_one_run_and_replaced(
        self, tracker: Tracker, place: Place, tmp_path: Path
    ) -> None:
        """The second report takes the first one's place, also by another tracker."""
        first, second = tmp_path / "first", tmp_path / "second"
        for folder in (first, second):
            (folder / "pictures").mkdir(parents=True)
            (folder / "report.md").write_text(folder.name)
        (first / "pictures" / "old.svg").write_text("old")
        (second / "pictures" / "new.svg").write_text("new")
        run_id = tracker.log_report(STUDY, first)
        path = tracker.artifact(run_id, "pictures/old.svg")
        assert path is not None
        assert path.read_text() == "old"
        again = place.open()
        assert again.log_report(STUDY, second) == run_id
        texts = {}
        for name in ("report.md", "pictures/old.svg", "pictures/new.svg"):
            path = again.artifact(run_id, name)
            texts[name] = path.read_text() if path else None
        expected = {"report.md": "second", "pictures/old.svg": None, "pictures/new.svg": "new"}
        assert texts == expected

    def test_a_report_is_no_run_of_the_study(
        self, tracker: Tracker, place: Place, tmp_path: Path
    ) -> None:
        """Runs and their continuation are as if it were not there."""
        group, spec = make_group(trial=None), make_spec()
        parent_id = tracker.open_group(group, {})
        run_id = tracker.open_run(parent_id, spec, adopt=False)
        folder = tmp_path / "report"
        folder.mkdir()
        (folder / "report.md").write_text("text")
        tracker.log_report(STUDY, folder)
        second = self.relaunch(place)
        assert [record.run_id for record in second.runs(STUDY)] == [run_id]
        assert [record.run_id for record in second.runs(STUDY, phase="confirm")] == [run_id]
        assert second.open_group(group, {}) == parent_id
        assert second.open_run(parent_id, spec, adopt=True) == run_id
        assert second.studies() == [STUDY]

    def test_a_report_of_an_unknown_study_is_refused(
        self, tracker: Tracker, tmp_path: Path
    ) -> None:
        """One line that names the studies there are."""
        with pytest.raises(ConfigError, match=r"^study 'other': .* studies there: toy study$"):
            tracker.log_report("other", tmp_path)

    def test_every_text_that_a_study_was_opened_with_is_kept(self, tracker: Tracker) -> None:
        """Each once, the one opened last at the end, also after going back to an earlier one."""
        long = YAML + "# a comment\n" * 3_000
        tracker.open_study(STUDY, long)
        assert [kept.text for kept in tracker.definitions(STUDY)] == [YAML, long]
        assert tracker.study_yaml(STUDY) == long
        tracker.open_study(STUDY, YAML)
        first, last = tracker.definitions(STUDY)
        assert (first.text, last.text) == (long, YAML)
        assert first.id != last.id
        assert first.time <= last.time
        assert tracker.study_yaml(STUDY) == YAML
        assert tracker.definitions("other") == []

    def test_the_resolved_yaml_is_read_back(self, tracker: Tracker) -> None:
        """What the study was last opened with, however long it is; an unknown one is refused."""
        assert tracker.study_yaml(STUDY) == YAML
        long = YAML + "# a comment\n" * 3_000
        tracker.open_study(STUDY, long)
        tracker.open_group(make_group(), {})
        assert tracker.study_yaml(STUDY) == long
        with pytest.raises(ConfigError, match=r"^study 'other': .* studies there: toy study$"):
            tracker.study_yaml("other")
