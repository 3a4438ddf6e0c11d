"""A loader module as MLflow wants it, without a model."""

from __future__ import annotations

from pathlib import Path


class _Echo:
    def __init__(self, word: str) -> None:
        self._word = word

    def predict(self, model_input: list[str], params: object = None) -> list[str]:
        return [f"{self._word} {text}" for text in model_input]


def _load_pyfunc(path: str) -> _Echo:
    return _Echo((Path(path) / "word.txt").read_text())
