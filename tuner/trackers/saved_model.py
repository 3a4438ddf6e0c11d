"""Describe a saved model to MLflow, so that `mlflow.pyfunc.load_model` opens it in one line."""

from __future__ import annotations

import platform
from datetime import UTC, datetime

import yaml

MODEL_NAME = "model"
DATA_FOLDER = "data"


def describe_model(run_id: str, model_id: str, *, loader_module: str) -> str:
    """Return the content of an `MLmodel` file.

    MLflow reads it, imports `loader_module` and calls its `_load_pyfunc` with the path of the
    data folder beside the file. Nothing of the model is loaded or copied to write it.
    """
    flavor = {
        "loader_module": loader_module,
        "data": DATA_FOLDER,
        "python_version": platform.python_version(),
    }
    description = {
        "artifact_path": MODEL_NAME,
        "flavors": {"python_function": flavor},
        "model_id": model_id,
        "model_uuid": model_id,
        "run_id": run_id,
        "utc_time_created": datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S.%f"),
    }
    return yaml.safe_dump(description)
