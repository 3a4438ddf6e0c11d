"""Whatever is edited, run and stopped in whatever order, a report shows the file's own runs."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.specs import toy_study
from trainers.contract import Seeds
from tuner.config import Cell, Definition, Phase, dump_definition, read_definition
from tuner.report import planned_cells
from tuner.report.selection import Selection, select
from tuner.store import RunRecord
from tuner.study.session import Configuration

SPACE = {"train.learning_rate": {"float": [1e-4, 1e-2], "log": True}}
ARMS: Mapping[str, Any] = {
    "full": {"method": "full", "space": SPACE},
    "head": {"method": "head"},
    "lora": {"method": "lora", "space": SPACE},
}


@dataclass(frozen=True)
class File:
    """What a study's file says, and the data it names."""

    epochs: int = 1
    arms: tuple[str, ...] = ("full", "head")
    seeds: tuple[int, ...] = (1, 2)
    trials: int = 2
    metric: str = "macro_f1"
    save: str = "none"
    rows: int = 0
    """Which state of the data it is."""

    def definition(self) -> Definition:
        """Return it with its data."""
        return _definition(self)

    def about(self, arm: str) -> tuple[object, ...]:
        """Return all that makes another training of an arm, but seeds and what is kept."""
        return (arm, self.epochs, self.metric, self.rows)


@cache
def _definition(file: File) -> Definition:
    study = toy_study(
        name="two-files",
        arms={arm: ARMS[arm] for arm in file.arms},
        train={"epochs": file.epochs},
        confirm={"seeds": list(file.seeds)},
        search={"trials": file.trials, "seeds": [7], "pruner": "none"},
        metric=file.metric,
        save=file.save,
    )
    return Definition(study, {"toy": {2022: {"train": f"{file.rows}"}}})


@cache
def _cells(file: File) -> tuple[Cell, ...]:
    return file.definition().cells()


def score(about: object, number: int) -> float:
    """Return a trial's score, made up."""
    return int(hashlib.sha256(f"{about} {number}".encode()).hexdigest()[:6], 16) / 16**6


@dataclass
class World:
    """A store, as far as its records go, and a plain list of what was done for what."""

    records: list[RunRecord] = field(default_factory=list)
    done: dict[tuple[object, ...], str] = field(default_factory=dict)
    """Run by what it is of: ("trial", about, number), ("confirm", about, point, seed, save)."""
    last: str = ""
    """Text of the definition that was run last."""
    last_file: File | None = None

    def run(self, file: File, *, at_most: int = 1000) -> None:
        """Do what a study lacks, one training after the other, at most so many."""
        self.last, self.last_file = dump_definition(_cells(file)), file
        for cell in _cells(file):
            about, point = file.about(cell.arm), None
            if cell.searched:
                for number in range(file.trials):
                    key = ("trial", about, number)
                    at_most -= key not in self.done
                    if at_most < 0:
                        return
                    metrics = {f"validation/{file.metric}": score(about, number)}
                    self._do(key, cell, "search", number, metrics=metrics)
                point = best(file, cell.arm)
            for seed in file.seeds:
                key = ("confirm", about, point, seed, file.save)
                at_most -= key not in self.done
                if at_most < 0:
                    return
                self._do(key, cell, "confirm", point, seed=seed)

    def _do(
        self, key: tuple[object, ...], cell: Cell, phase: Phase, trial: int | None, **more: Any
    ) -> None:
        if key in self.done:
            return
        run_id = f"run-{len(self.records)}"
        seed = more.pop("seed", 7)
        record = RunRecord(
            run_id=run_id,
            parent_id="p",
            group=Configuration(cell, phase, trial).group,
            digest=run_id,
            seeds=Seeds(init=seed, order=seed),
            state="finished",
            params={"save": str(cell.keeper), "method.kind": cell.arm},
            start=float(len(self.records)),
            **more,
        )
        self.records.append(record)
        self.done[key] = run_id

    def expected(self, file: File) -> dict[str, set[str]]:
        """Return the confirm runs of each arm, by looking up what the file wants."""
        found: dict[str, set[str]] = {}
        for arm in file.arms:
            about, point = file.about(arm), None
            spent = True
            if "space" in ARMS[arm]:
                keys = [("trial", about, number) for number in range(file.trials)]
                spent, point = all(key in self.done for key in keys), best(file, arm)
            wanted = [("confirm", about, point, seed, file.save) for seed in file.seeds]
            found[arm] = {self.done[k] for k in wanted if spent and k in self.done}
        return found


def best(file: File, arm: str) -> int:
    """Return the trial with the best score among those of the budget."""
    way = -1 if file.metric == "loss" else 1
    about = file.about(arm)
    return max(range(file.trials), key=lambda number: way * score(about, number))


def by_arm(selection: Selection) -> dict[str, set[str]]:
    """Return the confirm runs that a report shows of each arm."""
    (block,) = selection.blocks
    return {cell.arm: {run.run_id for run in cell.runs} for cell in block.cells}


CHANGES = st.one_of(
    st.fixed_dictionaries({"epochs": st.integers(1, 2)}),
    st.fixed_dictionaries({"rows": st.integers(0, 1)}),
    st.fixed_dictionaries({"trials": st.integers(1, 4)}),
    st.fixed_dictionaries({"metric": st.sampled_from(["macro_f1", "loss"])}),
    st.fixed_dictionaries({"save": st.sampled_from(["none", "best"])}),
    st.fixed_dictionaries({"seeds": st.sampled_from([(1, 2), (2,), (1, 2, 3), (3, 1)])}),
    st.fixed_dictionaries({"arms": st.sampled_from([("full", "head"), ("head",), tuple(ARMS)])}),
)
STEPS = st.one_of(
    st.tuples(st.just("edit"), st.integers(0, 1), CHANGES),
    st.tuples(st.just("run"), st.integers(0, 1), st.sampled_from([1, 3, 5, 1000])),
)


ALL = ("run", 0, 1000)


@settings(max_examples=100, deadline=None)
@given(st.lists(STEPS, max_size=10))
@example([ALL, ("run", 1, 1000), ALL]).via("back to an earlier definition")
@example([ALL, ("edit", 0, {"rows": 1}), ALL, ("edit", 0, {"rows": 0})]).via("data put right")
@example([ALL, ("edit", 0, {"seeds": (2,)}), ALL]).via("fewer seeds")
@example([ALL, ("edit", 0, {"arms": ("head",)}), ALL]).via("an arm less")
@example([ALL, ("edit", 0, {"epochs": 2}), ("run", 0, 3)]).via("stopped half-way")
@example([ALL, ("edit", 0, {"trials": 4}), ("run", 0, 1), ALL]).via("a larger budget")
@example([ALL, ("edit", 0, {"trials": 1}), ALL]).via("a smaller budget")
@example([ALL, ("edit", 0, {"save": "best"}), ALL]).via("models kept")
def test_a_report_shows_what_its_file_defines_and_nothing_else(
    steps: list[tuple[str, int, Any]],
) -> None:
    """Two files of one name are edited and run, whole or in part; each shows its own runs.

    What is expected is looked up by the settings themselves, without fingerprints.
    """
    world, files = World(), [File(), File(epochs=2)]
    for what, which, value in steps:
        if what == "edit":
            files[which] = replace(files[which], **value)
        else:
            world.run(files[which], at_most=value)
        for file in files:
            selection = select(world.records, planned_cells(file.definition()))
            assert by_arm(selection) == world.expected(file)
            shown = set().union(*by_arm(selection).values())
            trials = {
                run.run_id
                for cell in selection.blocks[0].cells
                for trial in cell.trials
                for run in trial.runs
            }
            left_out = {one.run.run_id for one in selection.left_out}
            # Every run of the store is accounted for, once.
            assert shown | trials | left_out == {run.run_id for run in world.records}
            assert not (shown | trials) & left_out
    if world.last_file is not None:
        kept = read_definition(world.last)
        assert kept is not None
        assert by_arm(select(world.records, planned_cells(kept))) == world.expected(
            world.last_file
        )
