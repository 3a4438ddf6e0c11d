"""Score predicted classes: accuracy and F1, by scikit-learn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy
    import numpy.typing

    Classes = Sequence[int] | numpy.typing.NDArray[numpy.integer]


def metric_names(labels: Sequence[str]) -> tuple[str, ...]:
    """List the metrics that `score` gives, in its order."""
    return ("accuracy", "macro_f1", "micro_f1", *(f"f1/{label}" for label in labels))


def score(labels: Sequence[str], truth: Classes, predictions: Classes) -> dict[str, float]:
    """Compare predictions with the truth, as scikit-learn does.

    The macro mean is `f1_score(truth, predictions, average="macro")`: over the classes that some
    row has or is taken for. A class that is neither is left out of the mean; one that no row has
    and some row is taken for counts as 0 in it. This holds for every split and every epoch.
    `f1/<class>` is 0 where no row has the class, whether or not some row is taken for it.

    Args:
        labels: Class names; a class's number is its place here.
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
