"""What was read is said once, before anything is run, and a later start measures nothing anew."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.specs import toy_study
from trainers.data import SplitLengths, Survey, TaskLengths
from trainers.data.survey import Finding
from trainers.errors import DataError, RunFailed
from trainers.models.tiny import Tiny
from tuner.config import Cell, plan
from tuner.study.inputs import read_inputs
from tuner.study.reading import log_rows, read_lengths


class Computer:
    """Calls functions as an executor does, and counts the calls."""

    def __init__(self, fault: str = "") -> None:
        self.calls = 0
        self.fault = fault

    def __call__(self, function: Callable[..., Any], *args: Any) -> Any:
        """Call a function."""
        self.calls += 1
        if self.fault:
            raise RunFailed(self.fault)
        return function(*args)


def planned(tmp_path: Path, **changes: Any) -> tuple[Cell, ...]:
    """Plan the toy study with its data read."""
    config = toy_study(**changes)
    return plan(config, read_inputs(config, tmp_path).digests)


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return what was logged of lengths, with its level."""
    found = [(record.levelname, record.getMessage()) for record in caplog.records]
    return [f"{level} {text}" for level, text in found if "max_length" in text or "token" in text]


def test_rows_are_said_once_where_several_data_seeds_draw_them() -> None:
    """What is found under a later seed alone is reported with it."""
    records: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: records.append(record.getMessage())  # type: ignore[method-assign]
    logger = logging.getLogger("tuner.study.reading")
    logger.addHandler(handler)
    one, two = Finding("a", "one", warns=True), Finding("b", "two", warns=True)
    try:
        log_rows("t", {1: Survey((one,), {}), 2: Survey((one, two), {})})
    finally:
        logger.removeHandler(handler)
    assert records == ["t: one", "t, data seed 2: two"]


def test_lengths_are_measured_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A study that continues says the same without a tokenizer; a damaged file is made again."""
    caplog.set_level(logging.INFO)
    cells, computer = planned(tmp_path), Computer()
    measured = read_lengths(cells, computer, tmp_path, tmp_path / "cache")
    assert not (tmp_path / "cache").exists()
    measured.keep()
    measured.log()
    first = lines(caplog)
    assert len(first) == 1
    assert first[0].startswith("INFO toy: max_length: 128 cuts no row; the longest has ")
    again = read_lengths(cells, computer, tmp_path, tmp_path / "cache")
    again.log()
    assert again.fresh == {}
    assert lines(caplog) == first * 2
    assert computer.calls == 1
    (file,) = (tmp_path / "cache").rglob("*.json")
    file.write_text("{")
    assert set(read_lengths(cells, computer, tmp_path, tmp_path / "cache").fresh) == {file}


def test_lengths_are_measured_anew_where_a_folders_tokenizer_changed(tmp_path: Path) -> None:
    """A model's folder is known by its files, not by its path alone."""
    Tiny().tokenizer().save_pretrained(tmp_path / "mine")
    (tmp_path / "mine" / "config.json").write_text("{}")
    cells = planned(tmp_path, models=[str(tmp_path / "mine")])
    computer = Computer()
    for count in (1, 1, 2):
        if count == 2:
            tokenizer = Tiny().tokenizer()
            tokenizer.add_tokens(["red"])
            tokenizer.save_pretrained(tmp_path / "mine")
        read_lengths(cells, computer, tmp_path, tmp_path / "cache").keep()
        assert computer.calls == count


def test_every_max_length_that_the_arms_fix_or_search_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Of a range both ends; what an arm does not use is not said."""
    caplog.set_level(logging.INFO)
    arms = {
        "short": {"method": "head", "train": {"max_length": 4}},
        "long": {"method": "head", "space": {"train.max_length": {"int": [5, 64]}}},
    }
    read_lengths(planned(tmp_path, arms=arms), Computer(), tmp_path).log()
    assert [line.partition(" cuts")[0] for line in lines(caplog)] == [
        "WARNING toy: max_length: 4",
        "WARNING toy: max_length: 5",
        "INFO toy: max_length: 64",
    ]


def test_a_tokenizer_that_cannot_be_loaded_is_no_end(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Other cells may run; the line says why nothing is known."""
    computer = Computer(fault="model.id: gone")
    read_lengths(planned(tmp_path), computer, tmp_path).log()
    assert lines(caplog) == ["WARNING toy: lengths in tokens not known: model.id: gone"]


def test_a_text_without_tokens_is_refused_with_task_and_model(tmp_path: Path) -> None:
    """Before anything is written."""

    def compute(*_: object) -> TaskLengths:
        return TaskLengths({"train": SplitLengths(rows={0: 1}, first_empty="train-1")})

    with pytest.raises(DataError, match=r"^toy, tiny-bert: train: row 1: the text has no tokens"):
        read_lengths(planned(tmp_path), compute, tmp_path)
