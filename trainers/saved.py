"""Keep a trained model in a folder, and load it again to classify texts."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainers.contract import RunSpec

if TYPE_CHECKING:
    import pandas
    from torch import nn
    from transformers import PreTrainedTokenizerBase

_BATCH = 64


@dataclass(frozen=True)
class TextClassifier:
    """A trained model with its tokenizer and label names."""

    spec: RunSpec
    labels: tuple[str, ...]
    model: nn.Module
    tokenizer: PreTrainedTokenizerBase

    def predict(
        self, model_input: Iterable[Any] | pandas.DataFrame, params: dict[str, Any] | None = None
    ) -> pandas.DataFrame:
        """Classify texts.

        Args:
            model_input: Texts; or pairs of texts; or a frame whose first column is the text and
                whose second, if any, is its pair.
            params: Not used; part of MLflow's calling convention.

        Returns:
            A row a text: `label`, and `probability/<label>` for every class.
        """
        import pandas
        import torch

        texts, pairs = _columns(model_input)
        rows: list[list[float]] = []
        self.model.eval()
        for start in range(0, len(texts), _BATCH):
            stop = start + _BATCH
            batch = self.tokenizer(
                texts[start:stop],
                pairs[start:stop] if pairs else None,
                truncation=True,
                max_length=self.spec.train.max_length,
                padding=True,
                return_tensors="pt",
            )
            with torch.no_grad():
                rows += self.model(**batch).logits.double().softmax(-1).tolist()
        names = [f"probability/{label}" for label in self.labels]
        frame = pandas.DataFrame(rows, columns=names)
        best = [self.labels[row.index(max(row))] for row in rows]
        frame.insert(0, "label", pandas.Series(best, dtype=object))
        return frame


def save_trained(spec: RunSpec, model: nn.Module, folder: Path, *, labels: Sequence[str]) -> None:
    """Write what was trained, its spec and its labels; frozen base weights are not copied."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "spec.json").write_text(spec.model_dump_json(indent=2))
    (folder / "labels.json").write_text(json.dumps(list(labels)))
    weights = folder / "weights"
    weights.mkdir(exist_ok=True)
    spec.method.save(model, weights)


def load_trained(folder: str | Path) -> TextClassifier:
    """Load what `save_trained` wrote. The base model comes from where the spec's source says."""
    from transformers import set_seed

    folder = Path(folder)
    spec = RunSpec.model_validate_json((folder / "spec.json").read_text())
    labels = tuple(json.loads((folder / "labels.json").read_text()))
    set_seed(spec.seeds.init)
    model = spec.method.apply(spec.model.model(labels, spec.train.attention))
    spec.method.load(model, folder / "weights")
    return TextClassifier(spec, labels, model.eval(), spec.model.tokenizer())


def _load_pyfunc(path: str) -> TextClassifier:
    """Answer `mlflow.pyfunc.load_model`, which calls a loader module by this name."""
    return load_trained(path)


def _columns(model_input: Any) -> tuple[list[str], list[str] | None]:
    if hasattr(model_input, "iloc"):
        rows = list(model_input.astype(str).itertuples(index=False, name=None))
    else:
        rows = [(item,) if isinstance(item, str) else tuple(item) for item in model_input]
    pairs = [row[1] for row in rows] if rows and len(rows[0]) > 1 else None
    return [row[0] for row in rows], pairs
