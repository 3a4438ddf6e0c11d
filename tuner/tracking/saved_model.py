"""Describe a saved model to MLflow, so that `mlflow.pyfunc.load_model` opens it in one line."""

from __future__ import annotations

import platform
from contextlib import suppress
from datetime import UTC, datetime
from importlib import metadata

import yaml

MODEL_NAME = "model"
DATA_FOLDER = "data"
REQUIREMENTS = "requirements.txt"
_PACKAGES = ("mlflow", "torch", "transformers", "peft", "safetensors")


def describe_model(run_id: str, model_id: str, *, loader_module: str) -> str:
    """Return the content of an `MLmodel` file.

    MLflow reads it, imports `loader_module` and calls its `_load_pyfunc` with the path of the
    data folder beside the file. Writing it neither loads nor copies the model. It has no
    signature: MLflow would check each call by it, and refuse a text, a list or a Series, which
    the model accepts.
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


def list_requirements() -> str:
    """Return the content of a model's `requirements.txt`: the installed versions."""
    lines = []
    for name in _PACKAGES:
        with suppress(metadata.PackageNotFoundError):
            version = metadata.version(name).partition("+")[0]  # +cpu names a build of a version
            lines.append(f"{name}=={version}\n")
    return "".join(lines)
