"""Load a task for one run: read, draw, carve, check, and digest every split."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from trainers.data.class_names import is_visible, same_but_written
from trainers.errors import DataError, known
from trainers.interfaces import Corpus, Example, Task

_NAMED = 8
"""Longer lists of classes are cut."""


@dataclass(frozen=True)
class TaskData:
    """The rows of one run, checked."""

    labels: tuple[str, ...]
    """Class names; a class's number is its index here."""
    train: tuple[Example, ...]
    validation: tuple[Example, ...]
    test: tuple[Example, ...]
    digests: Mapping[str, str]
    """SHA-256 of each split's rows in their order, in hex."""


def load_task(task: Task, data_dir: Path, seed: int) -> TaskData:
    """Load a task's splits as a run uses them.

    Args:
        task: The task.
        data_dir: Folder of the task's files.
        seed: Decides the few-shot draw and the carved validation, and nothing else.

    Raises:
        DataError: The data is missing, damaged, or unfit for a comparison.
    """
    corpus = task.splits(data_dir, seed)
    splits = {
        "train": corpus.train,
        "validation": corpus.validation or (),
        "test": corpus.test,
    }
    try:
        _check_rows(splits)
        _check_labels(corpus, splits)
        digests = {name: _digest(rows) for name, rows in splits.items()}
    except DataError as error:
        raise DataError(f"{task.name}: {error}") from None
    return TaskData(labels=corpus.labels, digests=digests, **splits)


def leaked_test_rows(data: TaskData) -> tuple[str, ...]:
    """Return the ids of the test rows whose text, or pair of texts, is in train too."""
    seen = {(row.text, row.pair) for row in data.train}
    return tuple(row.id for row in data.test if (row.text, row.pair) in seen)


def _check_rows(splits: Mapping[str, tuple[Example, ...]]) -> None:
    for name, rows in splits.items():
        if not rows:
            raise DataError(f"{name}: no rows; a task needs some in each split")
        if len(rows) > 1 and not any(is_visible(row.text + (row.pair or "")) for row in rows):
            raise DataError(
                f"{name}: none of the {len(rows)} rows has a text; name the column of the texts "
                "with `text`"
            )
    split_of: dict[str, str] = {}
    for name, rows in splits.items():
        for row in rows:
            if row.id in split_of:
                raise DataError(f"{name}: the id {row.id!r} is already in {split_of[row.id]}")
            split_of[row.id] = name


def _check_labels(corpus: Corpus, splits: Mapping[str, tuple[Example, ...]]) -> None:
    if len(corpus.labels) < 2:
        raise DataError(f"got {len(corpus.labels)} class; a task needs two or more")
    trained = {row.label for row in splits["train"]}
    for name, rows in splits.items():
        for row in rows:
            if row.label not in corpus.labels:
                raise DataError(
                    f"{name}: row {row.id!r}: got class {row.label!r}; "
                    f"known: {known(corpus.labels, _NAMED)}"
                )
            if row.label not in trained:
                others = len({row.label for row in rows} - trained) - 1
                more = f", and {others} more of {name} are not" if others else ""
                near = same_but_written(row.label, sorted(trained))
                raise DataError(
                    f"{name}: row {row.id!r}: class {row.label!r} is not in train{more}; "
                    f"train has: {known(trained, _NAMED)}{near and f'; {near}'}"
                )
    missing = [label for label in corpus.labels if label not in trained]
    if missing:
        raise DataError(f"train: no rows of class {missing[0]!r}")


def _digest(rows: Iterable[Example]) -> str:
    digest = hashlib.sha256()
    for row in rows:
        line = json.dumps([row.id, row.text, row.pair, row.label], ensure_ascii=False)
        try:
            digest.update(line.encode() + b"\n")
        except UnicodeEncodeError:
            # JSON can escape half of a surrogate pair, which is no character.
            raise DataError(f"row {row.id!r}: the text is not valid Unicode") from None
    return digest.hexdigest()
