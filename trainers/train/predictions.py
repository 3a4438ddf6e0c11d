"""Score predicted classes with scikit-learn, and keep every test prediction beside its row."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainers.data import TaskData, leaked_test_rows
from trainers.interfaces import Example

if TYPE_CHECKING:
    import numpy
    import numpy.typing
    import pandas

    Classes = Sequence[int] | numpy.typing.NDArray[numpy.integer]

PREDICTIONS = "predictions.parquet"
"""File of a run's folder: a row for each test row, in the task's order, with the columns id,
label, prediction, seen_in_train (its text is in train too) and `probability/<label>`."""
_OF_UNSEEN = ("accuracy", "macro_f1")


def metric_names(labels: Sequence[str]) -> tuple[str, ...]:
    """Return the metrics that `score` gives, in its order."""
    return ("accuracy", "macro_f1", "micro_f1", *(f"f1/{label}" for label in labels))


def score(labels: Sequence[str], truth: Classes, predictions: Classes) -> dict[str, float]:
    """Score predictions, as scikit-learn does.

    The macro mean is `f1_score(truth, predictions, average="macro")`: over the classes that occur
    in the truth or in the predictions. A class in neither is left out; one that only predictions
    have counts as 0. This holds for every split and every epoch. `f1/<class>` is 0 where no row
    has the class, whether or not it is predicted.

    Args:
        labels: Class names; a class's number is its index here.
        truth: Number of each row's class.
        predictions: Number of each row's predicted class.
    """
    import numpy
    from sklearn.metrics import accuracy_score, f1_score

    numbers = list(range(len(labels)))
    by_class = f1_score(truth, predictions, labels=numbers, average=None, zero_division=0)
    micro = f1_score(truth, predictions, labels=numbers, average="micro", zero_division=0)
    macro = by_class[numpy.union1d(truth, predictions)].mean()
    values = [accuracy_score(truth, predictions), macro, micro, *by_class]
    return {name: float(value) for name, value in zip(metric_names(labels), values, strict=True)}


def keep_predictions(data: TaskData, logits: Any, run_dir: Path) -> dict[str, float]:
    """Write the predictions of the test split, and score them.

    Args:
        data: The task's rows.
        logits: Array of shape (test rows, labels), in the order of the rows.
        run_dir: Folder of the file.

    Returns:
        The task's metrics; `majority_accuracy`, of always predicting the most frequent class of
        the test split; and where some test rows, but not all, are in train too,
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
