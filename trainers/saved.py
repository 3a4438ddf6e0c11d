"""Open a kept model: kept models hold the name of this module, so it must not move.

`mlflow.pyfunc.load_model` imports it and calls `_load_pyfunc`. Without MLflow, `load_trained`
opens the folder of the model.
"""

from __future__ import annotations

from trainers.train import TextClassifier, load_trained

__all__ = ["TextClassifier", "load_trained"]


def _load_pyfunc(path: str) -> TextClassifier:
    """Open the data folder of a kept model."""
    return load_trained(path)
