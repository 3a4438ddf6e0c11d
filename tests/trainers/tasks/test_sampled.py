"""Few-shot and validation settings do to a task's rows what they say."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from trainers.data import FewShot, load_task
from trainers.errors import DataError
from trainers.tasks.toy import Toy


def test_a_tasks_own_validation_stays_unless_a_size_is_set(tmp_path: Path) -> None:
    """The files' validation split is the default."""
    toy = Toy(rows=90)
    assert load_task(toy, tmp_path, 1).validation == toy.read(tmp_path).validation
    carved = load_task(Toy(rows=90, validation_size=9), tmp_path, 1)
    assert {row.id for row in carved.validation} <= {row.id for row in toy.read(tmp_path).train}
    assert (len(carved.train), len(carved.validation)) == (81, 9)


@pytest.mark.parametrize(("size", "rows"), [(0.2, 18), (0.001, 1), (30, 30)])
def test_a_size_is_a_share_below_one_and_rows_above(
    size: float, rows: int, tmp_path: Path
) -> None:
    """Half a row is rounded up to one."""
    data = load_task(Toy(rows=90, validation_size=size), tmp_path, 1)
    assert len(data.validation) == rows


@pytest.mark.parametrize("size", [0, -1, 2.5])
def test_a_size_that_is_no_size_is_refused(size: float) -> None:
    """Neither nothing nor a part of a row can be validated on."""
    with pytest.raises(ValidationError, match="validation_size"):
        Toy(validation_size=size)


@pytest.mark.parametrize("rule", ["first", "per_class", "balanced"])
@pytest.mark.parametrize(("size", "rows"), [(None, 24), (10, 10), (0.5, 33)])
def test_few_shot_validation_has_the_size_of_the_draw_by_default(
    rule: str, size: float | None, rows: int, tmp_path: Path
) -> None:
    """As many rows as were drawn, or as many as asked, of the 66 that are left."""
    count = 8 if rule == "per_class" else 24
    few_shot = FewShot.model_validate({"rule": rule, "count": count})
    task = Toy(rows=90, few_shot=few_shot, validation_size=size)
    data = load_task(task, tmp_path, 1)
    assert (len(data.train), len(data.validation)) == (24, rows)


@pytest.mark.parametrize("rule", ["first", "balanced"])
def test_a_draw_that_leaves_too_little_for_validation_is_refused(
    rule: str, tmp_path: Path
) -> None:
    """The error names the task and both numbers."""
    task = Toy(rows=90, few_shot=FewShot.model_validate({"rule": rule, "count": 60}))
    with pytest.raises(DataError, match=r"^toy: validation_size: got 60 rows; .* leaves 30$"):
        load_task(task, tmp_path, 1)


def test_validation_size_does_not_move_the_draw(tmp_path: Path) -> None:
    """The same few rows are trained on, however many are validated on."""
    few_shot = FewShot(rule="balanced", count=24)
    small = load_task(Toy(rows=90, few_shot=few_shot, validation_size=10), tmp_path, 1)
    large = load_task(Toy(rows=90, few_shot=few_shot, validation_size=50), tmp_path, 1)
    assert small.train == large.train
    assert small.digests["train"] == large.digests["train"]
    assert small.digests["validation"] != large.digests["validation"]
