"""Short runs of rows of all lengths: which batch meets the optimizer's state decides the peak."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest

from tests.specs import toy_spec, workspace
from trainers.contract import RunSpec
from trainers.memory.batch_shapes import BatchShape, decisive_shapes
from trainers.memory.expect import compare_with_measured, expect_memory
from trainers.train import train


def _ragged_spec(folder: Path, **changes: Any) -> RunSpec:
    """Return a spec of 50 rows, most of them short."""
    task = {"kind": "text_file", "name": "ragged", "text": "text", "label": "label"}
    for name, rows in {"train": 50, "validation": 4, "test": 4}.items():
        task[name] = str(folder / f"{name}.csv")
        with (folder / f"{name}.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["text", "label"])
            words = [2 + 100 * (row * 7 % rows) ** 4 // rows**4 for row in range(rows)]
            writer.writerows(["good " * count, "ab"[row % 2]] for row, count in enumerate(words))
    settings = {"max_length": 120, "epochs": 1, "attention": "eager", "eval_batch_size": 2}
    return toy_spec(task=task, train=settings | changes.pop("train", {}), **changes)


@pytest.mark.parametrize(
    ("order", "settings"),
    [
        (1, {"batch_size": 20}),
        (2, {"batch_size": 20, "group_by_length": False}),
        (1, {"batch_size": 10, "gradient_accumulation": 2}),
        (2, {"batch_size": 10, "gradient_accumulation": 2, "group_by_length": False}),
        (1, {"batch_size": 8, "gradient_accumulation": 3, "epochs": 2}),
    ],
)
def test_a_short_run_is_predicted_in_the_order_that_it_has(
    tmp_path: Path, order: int, settings: dict[str, Any]
) -> None:
    """The longest batch may come before there are gradients and optimizer's state."""
    spec = _ragged_spec(tmp_path, seeds={"init": 1, "order": order}, train=settings)
    place = workspace(tmp_path, threads=2).model_copy(update={"measure": "allocator"})
    expected = expect_memory(spec, place)
    memory = train(spec, lambda _: None, place).memory
    assert abs(compare_with_measured(expected, memory)["predicted/error"]) < 0.01


def test_batches_that_later_ones_cover_are_not_told() -> None:
    """Two epochs without accumulation are traced alike, whatever the order; one epoch is not."""
    lengths = [9, 3, 4, 5, 6]

    def steps(**changes: Any) -> list[tuple[tuple[BatchShape, ...], ...]]:
        settings = {"batch_size": 2, "group_by_length": False, **changes}
        specs = [toy_spec(seeds={"init": 1, "order": n}, train=settings) for n in range(6)]
        return [decisive_shapes(spec, lengths, eval_length=4).steps for spec in specs]

    full = (BatchShape(rows=2, length=9),)
    assert set(steps(epochs=2)) == {(full, full)}
    assert len(set(steps(epochs=1))) > 1
    assert set(steps(epochs=1, batch_size=8)) == {((BatchShape(rows=5, length=9),),)}


def test_ranks_have_their_parts_of_a_batch() -> None:
    """A filler row makes the last parts full; the longest row of all ranks' parts decides."""
    spec = toy_spec(ranks=2, train={"batch_size": 2, "epochs": 1})
    first, later = decisive_shapes(spec, [9, 3, 4, 5, 6], eval_length=4).steps
    assert first == (BatchShape(rows=2, length=9),)
    assert later[0].rows == 2
