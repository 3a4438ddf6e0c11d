"""A report is of the study that is asked for: its file as it is now, or its last run."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from mlflow import MlflowClient

from tests.servers import serve
from tests.specs import toy_tree
from tests.tuner.report.records import arm_rows
from trainers.errors import ConfigError
from tuner.config import load_study
from tuner.report import Report, build_report, find_study, report_of_run
from tuner.study.run import StudyOutcome, run_study
from tuner.tracking import open_reader

SPACE = {"train.learning_rate": {"float": [1e-4, 1e-2], "log": True}}
WORDS = {"good": "fine great happy", "bad": "awful poor sad", "so": "plain usual grey"}


class Desk:
    """A folder with a store, data and study files, and what a user does with them."""

    def __init__(self, root: Path) -> None:
        self.root, self.store, self.data = root, root / "m", root / "data"
        self.data.mkdir(parents=True)
        self.write_rows()

    def write_rows(self, extra: int = 0) -> None:
        """Write train and test; `extra` rows make other data of them."""
        rows = [
            f"{word} number {n},{label}"
            for n in range(4)
            for label in WORDS
            for word in WORDS[label].split()
        ]
        rows += [f"another text {n},good" for n in range(extra)]
        (self.data / "train.csv").write_text("\n".join(["text,label", *rows]))
        (self.data / "test.csv").write_text("\n".join(["text,label", *rows[:9]]))

    def file(self, name: str, *, epochs: int = 1, **changes: Any) -> str:
        """Write a study and return its file's path."""
        task = {"kind": "text_file", "name": "t", "train": "train.csv", "test": "test.csv"}
        train = {"epochs": epochs, "batch_size": 16, "max_length": 16, "precision": "fp32"}
        arms = {"full": {"method": "full"}, "head": {"method": "head"}}
        tree = {"tasks": [task], "train": train, "arms": arms, "name": "back"} | changes
        path = self.root / f"{name}.yaml"
        path.write_text(yaml.safe_dump(toy_tree(**tree)))
        return str(path)

    def run(self, file: str, tracking: str | None = "none") -> StudyOutcome:
        """Run a study; for a server to be asked, with MLflow."""
        config = load_study(file)
        return run_study(config, store=self.store, tracking=tracking, data_dir=self.data)

    def report(self, study: str, data_dir: Path | None = None, **options: Any) -> Report:
        """Report on a file or a name."""
        reader, data_dir = open_reader(self.store), data_dir or self.data
        found = find_study(study, reader, store=self.store, data_dir=data_dir, **options)
        return build_report(found, store=self.store)


def shown(report: Report) -> set[str]:
    """Return the runs that a report shows."""
    return set(report.runs["run_id"])


def texts(report: Report) -> dict[str, list[str]]:
    """Return n and score of every arm, as the table shows them."""
    return {row[1]: row[2:4] for row in arm_rows(report)}


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    """Run one definition, then another under the same name, then the first again."""
    made = Desk(tmp_path_factory.mktemp("compare"))
    made.file("a"), made.file("b", epochs=2)
    for name in ("a", "b", "a"):
        made.run(str(made.root / f"{name}.yaml"))
    return made


@pytest.fixture
def files(desk: Desk) -> tuple[str, str]:
    """Return the two files."""
    return str(desk.root / "a.yaml"), str(desk.root / "b.yaml")


def test_each_file_shows_its_own_runs_whichever_ran_last(
    desk: Desk, files: tuple[str, str]
) -> None:
    """The runs of one epoch for the one, of two epochs for the other; the rest is one line."""
    for file, epochs in zip(files, ("1", "2"), strict=True):
        report = desk.report(file)
        kept = {run.run_id: run for run in open_reader(desk.store).runs("back")}
        runs = [kept[run_id] for run_id in shown(report)]
        assert len(runs) == 4
        assert {run.params["train.epochs"] for run in runs} == {epochs}
        (line,) = (note for note in report.notes() if note.startswith("Left out"))
        assert "4 confirm runs of another definition" in line


def test_the_table_at_the_end_of_a_run_is_that_of_its_file(
    desk: Desk, files: tuple[str, str]
) -> None:
    """Also where everything was found."""
    for file in files:
        outcome = desk.run(file)
        made = report_of_run(outcome.cells, outcome.faults, store=desk.store)
        assert shown(made) == shown(desk.report(file))
    desk.run(files[0])


def test_a_name_shows_the_definition_that_was_run_last_and_says_when(
    desk: Desk, files: tuple[str, str]
) -> None:
    """Going back to an earlier file makes that one the last again."""
    for file in (files[1], files[0]):
        desk.run(file)
        report = desk.report("back")
        assert shown(report) == shown(desk.report(file))
        assert any(note.startswith("study back: as it was last run 20") for note in report.notes())


def test_an_earlier_definition_is_shown_by_the_id_that_the_report_names(
    desk: Desk, files: tuple[str, str]
) -> None:
    """The line on what is left out says how to see it; an unknown id lists the known ones."""
    (line,) = (note for note in desk.report(files[0]).notes() if note.startswith("Left out"))
    named = line.partition("--definition ")[2].split()[0]
    earlier = desk.report("back", definition=named)
    assert shown(earlier) == shown(desk.report(files[1]))
    with pytest.raises(ConfigError, match=rf"--definition: .* got 'nope'; known: .*{named}"):
        desk.report("back", definition="nope")


def test_runs_of_the_data_seeds_that_stay_are_shown_before_the_study_is_started_again(
    tmp_path: Path,
) -> None:
    """A data seed dropped or added, with a search and without; after a start it is the same."""
    desk = Desk(tmp_path)
    seeds = [{"init": n, "order": n, "data": n} for n in (1, 2, 3)]
    arms = {"full": {"method": "full", "space": SPACE}, "head": {"method": "head"}}

    def file(*wanted: int, **changes: Any) -> str:
        chosen = [seeds[n - 1] for n in wanted]
        return desk.file("seeds", confirm={"seeds": chosen}, arms=arms, **changes)

    desk.run(file(1, 2))
    fewer = desk.report(file(1))
    assert {texts(fewer)[arm][0] for arm in arms} == {"1"}
    assert set(fewer.cells["trials"]) == {0, 2}
    (line,) = (note for note in fewer.notes() if note.startswith("Left out"))
    assert "2 confirm runs of seeds that the study does not have. To see them: tuner rep" in line
    more = desk.report(file(1, 2, 3))
    assert {texts(more)[arm][0] for arm in arms} == {"2 of 3"}
    assert {texts(desk.report(file(1, epochs=2)))[arm][0] for arm in arms} == {"0 of 1"}
    assert {texts(desk.report(file(3)))[arm][0] for arm in arms} == {"0 of 1"}
    desk.run(file(1))
    again = desk.report(file(1))
    assert texts(again) == texts(fewer)
    assert {run.params["seeds.data"] for run in open_reader(desk.store).runs("back")} == {
        *("1", "2", "2022"),
    }
    desk.write_rows(extra=3)
    assert {texts(desk.report(file(1, 2)))[arm][0] for arm in arms} == {"0 of 2"}


def test_a_study_whose_time_was_up_says_so_in_every_later_report(tmp_path: Path) -> None:
    """By its name and by its file; not any more of another definition, or once it goes on."""
    desk = Desk(tmp_path)
    file = desk.file("a", timeout_seconds=0)
    outcome = desk.run(file)
    made = report_of_run(outcome.cells, outcome.faults, store=desk.store)
    line = "full, head: not run: the time was up."
    searched = "full: not run: 0 of 2 trials searched; the time was up."
    assert outcome.exit_code == 3
    for report in (made, desk.report(file), desk.report("back")):
        assert line in report.notes()
    changed = desk.file("b", epochs=2)
    assert (
        "full, head: not run: no run of this definition is in the store."
        in desk.report(changed).notes()
    )
    tried = desk.file("c", arms={"full": {"method": "full", "space": SPACE}}, timeout_seconds=0)
    desk.run(tried)
    assert searched in desk.report(tried).notes()
    desk.run(desk.file("a"))
    assert not any("time was up" in note for note in desk.report(file).notes())


def test_two_definitions_of_one_study_are_not_one_report(
    desk: Desk, files: tuple[str, str]
) -> None:
    """Their arms would have the same names."""
    reader = open_reader(desk.store)
    both = [find_study(f, reader, store=desk.store, data_dir=desk.data) for f in files]
    with pytest.raises(ConfigError, match="study 'back': asked for in two definitions"):
        build_report(both, store=desk.store)


def test_fewer_seeds_an_arm_less_and_an_arm_more_are_the_files(desk: Desk) -> None:
    """Seeds and arms that the file has no more are left out; a new arm is not run."""
    fewer = desk.report(desk.file("fewer", confirm={"seeds": [2]}))
    assert set(fewer.runs["init_seed"]) == {2}
    assert any("2 confirm runs of seeds" in note for note in fewer.notes())
    arms = {"full": {"method": "full"}, "bitfit": {"method": "bitfit"}}
    other = desk.report(desk.file("arms", arms=arms))
    assert texts(other)["bitfit"] == ["0 of 2", "not run"]
    assert "head" not in texts(other)
    assert any("arms that the study does not have (head)" in note for note in other.notes())


def test_data_that_change_and_are_put_right_change_the_report(
    desk: Desk, files: tuple[str, str]
) -> None:
    """Rows of now are what counts; where they cannot be read, those of the last run, said."""
    before = shown(desk.report(files[0]))
    desk.write_rows(extra=1)
    assert {texts(desk.report(files[0]))[arm][1] for arm in ("full", "head")} == {"not run"}
    desk.write_rows()
    assert shown(desk.report(files[0])) == before
    away = desk.report(files[0], data_dir=desk.root / "nowhere")
    assert shown(away) == before
    (desk.data / "train.csv").write_text("")
    for report in (away, desk.report(files[0])):
        first = "Doubtful data: t: its data cannot be read here ("
        assert report.doubts()[0].startswith(first)
        assert report.text("md").startswith("> **Doubtful data:** t: its data cannot be read here")
        assert first in report.text("tex")
        page = report.text("html")
        assert page.index("its data cannot be read here") < page.index("<table")
        assert not any("cannot be read here" in note for note in report.notes())
    desk.write_rows()


def refused(study: str, store: str | Path) -> str:
    """Return why a report is refused."""
    with pytest.raises(ConfigError) as caught:
        find_study(study, open_reader(store), store=store)
    return str(caught.value)


def test_a_study_that_was_deleted_or_renamed_in_mlflow_is_said_to_be(tmp_path: Path) -> None:
    """By its file and by its name, at a server; its folder's journal has it all the same."""
    desk = Desk(tmp_path)
    file = desk.file("back", arms={"head": {"method": "head"}}, confirm={"seeds": [1]})
    desk.run(file, tracking=None)
    expected = shown(desk.report(file))
    client = MlflowClient(f"sqlite:///{desk.store}/mlflow.db")
    experiment = client.get_experiment_by_name("back")
    assert experiment is not None
    other = str(tmp_path / "other.yaml")
    Path(other).write_text(Path(file).read_text().replace("back", "other"))
    deleted = "its experiment was deleted in MLflow; the same run-study command restores it"
    renamed = "its experiment was renamed to 'mine' in MLflow; name it 'back' again there, or "
    with serve(desk.store) as store:
        client.delete_experiment(experiment.experiment_id)
        for study in (file, "back"):
            assert refused(study, store).endswith(f"in {store}; {deleted}")
            assert shown(desk.report(study)) == expected
        assert refused(other, store).endswith(f"not run in {store}; studies there: none")
        client.restore_experiment(experiment.experiment_id)
        client.rename_experiment(experiment.experiment_id, "mine")
        for study in (file, "back"):
            assert f"in {store}; {renamed}" in refused(study, store)
            assert shown(desk.report(study)) == expected
        assert refused(other, store).endswith(f"not run in {store}; studies there: mine")


def test_looks_at_a_growing_study_are_counted(tmp_path: Path) -> None:
    """Each set of confirm seeds is one; another definition of the study is none."""
    made = Desk(tmp_path)
    small: dict[str, Any] = {"arms": {"head": {"method": "head"}}}
    for name, epochs, seeds in (("a", 1, [1]), ("b", 2, [1]), ("a", 1, [1, 2])):
        file = made.file(name, epochs=epochs, confirm={"seeds": seeds}, **small)
        made.run(file)
        said = [note for note in made.report(file).notes() if "sets of confirm seeds" in note]
        if len(seeds) == 1:
            assert not said
    (note,) = said
    assert note.startswith("study back: it has had 2 sets of confirm seeds, of 1 and 2 seeds. ")


@pytest.fixture(scope="module")
def tracked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Desk, str]]:
    """Run two definitions with MLflow, and serve it."""
    made = Desk(tmp_path_factory.mktemp("tracked"))
    small: dict[str, Any] = {"arms": {"head": {"method": "head"}}, "confirm": {"seeds": [1]}}
    for name, epochs in (("b", 2), ("a", 1)):
        made.run(made.file(name, epochs=epochs, **small), tracking=None)
    with serve(made.store) as address:
        yield made, address


def test_the_report_of_a_file_is_the_same_at_a_server(tracked: tuple[Desk, str]) -> None:
    """What the store keeps of definitions is read through MLflow's client too."""
    desk, address = tracked
    reader = open_reader(address)
    for study in (str(desk.root / "a.yaml"), str(desk.root / "b.yaml"), "back"):
        found = find_study(study, reader, store=address, data_dir=desk.data)
        assert shown(build_report(found, store=address)) == shown(desk.report(study))


def test_a_server_of_an_earlier_version_shows_what_was_run_last(
    tracked: tuple[Desk, str],
) -> None:
    """Without kept definitions, the resolved YAML and the runs' own data are what there is."""
    desk, address = tracked
    file = str(desk.root / "a.yaml")
    client = MlflowClient(tracking_uri=address)
    experiment = client.get_experiment_by_name("back")
    assert experiment is not None
    for key in experiment.tags:
        if key.startswith("tuner.definition."):
            client.delete_experiment_tag(experiment.experiment_id, key)

    def asked(study: str, data_dir: Path = desk.data) -> Report:
        reader = open_reader(address)
        found = find_study(study, reader, store=address, data_dir=data_dir)
        return build_report(found, store=reader)

    expected = shown(asked(file))
    assert expected == shown(desk.report(file))
    assert len(expected) == 1
    assert shown(asked("back")) == expected
    assert shown(asked(file, data_dir=desk.root / "nowhere")) == expected
    client.set_experiment_tag(experiment.experiment_id, "tuner.study", "name: back\nodd: 1\n")
    report = asked("back")
    assert len(shown(report)) == 1
    assert any("an earlier version of tuner ran it" in note for note in report.notes())


def test_reading_the_data_for_a_report_loads_no_torch(desk: Desk, files: tuple[str, str]) -> None:
    """A report is quick, and needs none of what trains."""
    code = (
        "import sys; from pathlib import Path; from tuner.report import *\n"
        "from tuner.tracking import open_reader\n"
        f"reader, data = open_reader({str(desk.store)!r}), Path({str(desk.data)!r})\n"
        f"find_study({files[0]!r}, reader, store='', data_dir=data)\n"
        "print('torch' in sys.modules)"
    )
    command = [sys.executable, "-c", code]
    root = Path(__file__).parents[3]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
