"""Score the test split once, and keep every prediction beside its row."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainers.data import TaskData, leaked_test_rows
from trainers.interfaces import Example
from trainers.train.metrics import score

if TYPE_CHECKING:
    import pandas

PREDICTIONS = "predictions.parquet"
"""File of a run's folder: a row for each test row, in the task's order, with the columns id,
label, prediction, seen_in_train (its text stands in train too) and `probability/<label>`."""
_OF_UNSEEN = ("accuracy", "macro_f1")


def keep_predictions(data: TaskData, logits: Any, run_dir: Path) -> dict[str, float]:
    """Write the predictions of the test split, and score them.

    Args:
        data: The task's rows.
        logits: Array of shape (test rows, labels), in the order of the rows.
        run_dir: Folder that the file is left in.

    Returns:
        The task's metrics; `majority_accuracy`, that of always naming the most frequent class of
        the test split; and where some test rows, but not all, stand in train too,
        `unseen/<metric>` over the others.
    """
    frame = _frame(data, logits)
    frame.to_parquet(run_dir / PREDICTIONS, index=False)
    scores = _scores(data.labels, frame)
    scores["majority_accuracy"] = float(frame["label"].value_counts(normalize=True).iloc[0])
    unseen = frame[~frame["seen_in_train"]]
    if 0 < len(unseen) < len(frame):
        of_unseen = _scores(data.labels, unseen)
        scores |= {f"unseen/{name}": of_unseen[name] for name in _OF_UNSEEN}
    return scores


def longest_first(lengths: Sequence[int]) -> list[int]:
    """Order rows by length, so that a batch needs little padding and the largest comes first."""
    return sorted(range(len(lengths)), key=lambda row: -lengths[row])


def _frame(data: TaskData, logits: Any) -> pandas.DataFrame:
    import numpy
    import pandas
    from scipy.special import softmax

    probabilities = softmax(numpy.asarray(logits, dtype="float64"), axis=-1)
    test: tuple[Example, ...] = data.test
    seen = set(leaked_test_rows(data))
    columns: dict[str, Any] = {
        "id": [row.id for row in test],
        "label": [row.label for row in test],
        "prediction": [data.labels[index] for index in probabilities.argmax(axis=-1)],
        "seen_in_train": [row.id in seen for row in test],
    }
    for index, label in enumerate(data.labels):
        columns[f"probability/{label}"] = probabilities[:, index]
    return pandas.DataFrame(columns)


def _scores(labels: tuple[str, ...], frame: pandas.DataFrame) -> dict[str, float]:
    number = {label: index for index, label in enumerate(labels)}
    truth = [number[label] for label in frame["label"]]
    return score(labels, truth, [number[label] for label in frame["prediction"]])
