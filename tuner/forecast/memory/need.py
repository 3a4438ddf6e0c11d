"""The memory that one configuration needs, predicted and where it has run measured."""

from __future__ import annotations

from collections.abc import Mapping

from trainers.memory import MemoryPrediction
from trainers.plugins import Frozen


class Need(Frozen):
    """One row of the table. All bytes are of one rank."""

    name: str
    """A cell, or a configuration in a few words."""
    trainable_parameters: int
    """Scalars that receive a gradient."""
    predicted_peak_bytes: int
    """Tensors at the fullest moment of load, training and evaluation."""
    framework_bytes: int
    """What the process or the device holds besides; of a study with runs, what they held."""
    categories: Mapping[str, int]
    """The training's fullest moment by what the bytes are held for."""
    load_peak_bytes: int
    """While the model loads."""
    train_peak_bytes: int
    """While it is trained."""
    eval_peak_bytes: int
    """While it is scored."""
    saved: float | None = None
    """Share of the baseline's predicted peak that is saved; None for the baseline itself."""
    measured_peak_bytes: int | None = None
    """Largest measured peak of load, training and evaluation in the store's runs; None where there
    is none."""
    measured_predicted_bytes: int | None = None
    """What was predicted for the run with that peak, whose point may be a smaller one."""
    runs: int = 0
    """Runs that were measured."""

    @property
    def whole_bytes(self) -> int:
        """Return the peak with the framework's part."""
        return self.predicted_peak_bytes + self.framework_bytes


def need(name: str, prediction: MemoryPrediction) -> Need:
    """Return the row of a prediction."""
    return Need(
        name=name,
        predicted_peak_bytes=prediction.peak_bytes,
        categories=prediction.categories.model_dump(),
        **prediction.model_dump(exclude={"categories"}),
    )
