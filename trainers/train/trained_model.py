"""Keep a trained model in a folder, and load it again to classify texts."""

from __future__ import annotations

import contextlib
import copy
import inspect
import json
import logging
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainers.contract import RunSpec
from trainers.data import Texts, read_texts
from trainers.errors import InputError
from trainers.interfaces import ModelSource
from trainers.plugins import resolve

if TYPE_CHECKING:
    import pandas
    from torch import nn
    from transformers import PreTrainedTokenizerBase

_LOG = logging.getLogger(__name__)
_FOLDERS = "folders.json"
_BATCH = 64
_ROWS_AT_ONCE = 256  # the tokenizer's own record of a row is a hundred times its ids


@dataclass(frozen=True)
class TextClassifier:
    """A trained model with its tokenizer and label names."""

    spec: RunSpec
    labels: tuple[str, ...]
    model: nn.Module
    tokenizer: PreTrainedTokenizerBase

    def predict(self, model_input: Any, params: dict[str, Any] | None = None) -> pandas.DataFrame:
        """Classify texts.

        Args:
            model_input: One text; a list, Series or array of texts, or of pairs of texts; a
                frame, a dict of lists or a list of dicts, whose columns are taken by the names
                that the study gives them, or by `text` and `text_pair`. Other columns are not
                read.
            params: Not used; part of MLflow's calling convention.

        Returns:
            A row a text: `label`, and `probability/<label>` for every class. The index is that
            of the frame or Series.

        Raises:
            InputError: The input is none of these, a column is missing, or a row has no text.
        """
        import pandas

        texts = read_texts(model_input, self.spec.task.text_columns())
        rows: list[list[float]] = [[]] * len(texts.first)
        lengths = self._lengths(texts)
        self.model.eval()
        for batch in _batches(texts, lengths):
            for place, row in zip(batch, self._probabilities(texts, batch), strict=True):
                rows[place] = row
        names = [f"probability/{label}" for label in self.labels]
        frame = pandas.DataFrame(rows, columns=names, index=texts.index, dtype="float64")
        best = [self.labels[row.index(max(row))] for row in rows]
        frame.insert(0, "label", pandas.Series(best, dtype=object, index=texts.index))
        return frame

    def _lengths(self, texts: Texts) -> list[int]:
        """Count the tokens of each row before it is cut; warn of rows that will be cut."""
        lengths = [0] * len(texts.first)
        for places in _parts(texts, range(len(lengths)), _ROWS_AT_ONCE):
            encoded = self.tokenizer(*_columns(texts, places), verbose=False)
            for place, ids in zip(places, encoded["input_ids"], strict=True):
                lengths[place] = len(ids)
        if 0 in lengths:
            row = lengths.index(0)
            raise InputError(
                f"texts to classify: row {row + 1}: {texts.first[row]!r} has no tokens; "
                "allowed: a text with tokens; leave such rows out or fill them in"
            )
        most = self.spec.train.max_length
        if cut := sum(length > most for length in lengths):
            rows = "1 row" if len(lengths) == 1 else f"{len(lengths)} rows"
            _LOG.warning(
                "max_length: %d cuts %d of %s to classify; the longest has %d tokens",
                *(most, cut, rows, max(lengths)),
            )
        return lengths

    def _probabilities(self, texts: Texts, places: Sequence[int]) -> list[list[float]]:
        import torch

        parameter = next(self.model.parameters())
        encoded = self.tokenizer(
            *_columns(texts, places),
            truncation=True,
            max_length=self.spec.train.max_length,
            padding=True,
            return_tensors="pt",
        ).to(parameter.device)
        taken = inspect.signature(_classifier(self.model).forward).parameters
        inputs = {name: encoded[name] for name in encoded if name in taken}
        with torch.inference_mode():
            probabilities: list[list[float]] = (
                self.model(**inputs).logits.double().softmax(-1).tolist()
            )
        return probabilities


def save_trained(
    spec: RunSpec,
    model: nn.Module,
    folder: Path,
    *,
    labels: Sequence[str],
    tokenizer: PreTrainedTokenizerBase,
) -> None:
    """Write the trained weights, tokenizer, spec and labels; no frozen base weights.

    Where every weight was trained, the folder `weights` is a checkpoint in transformers' format.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "spec.json").write_text(spec.model_dump_json(indent=2))
    (folder / "labels.json").write_text(json.dumps(list(labels)))
    places = [str(path.absolute()) for path in spec.model.folders()]
    (folder / _FOLDERS).write_text(json.dumps(places))
    weights = folder / "weights"
    weights.mkdir(exist_ok=True)
    spec.method.save(model, weights)
    _clean(tokenizer, spec.train.max_length).save_pretrained(weights)


def load_trained(folder: str | Path) -> TextClassifier:
    """Load a model that `save_trained` wrote, onto a CUDA device where there is one.

    Frozen base weights come from the spec's source.
    """
    import torch

    folder = Path(folder)
    spec = _read_spec(folder)
    labels = tuple(json.loads((folder / "labels.json").read_text()))
    weights = folder / "weights"
    source = _source(spec.model, weights, "config.json")
    with _seeded(spec.seeds.init):
        model = spec.method.apply(source.model(labels, spec.train.attention))
    spec.method.load(model, weights)
    if torch.cuda.is_available():
        model = model.to("cuda")
    # Folders of version 0.1 hold no tokenizer.
    tokenizer = _source(spec.model, weights, "tokenizer_config.json").tokenizer()
    return TextClassifier(spec, labels, model.eval(), tokenizer)


@contextlib.contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Draw weights that were not kept as the run did; restore the caller's generators."""
    import numpy
    import torch
    from transformers import set_seed

    states = random.getstate(), numpy.random.get_state()  # the global one
    with torch.random.fork_rng(range(torch.cuda.device_count())):
        set_seed(seed)
        yield
    random.setstate(states[0])
    numpy.random.set_state(states[1])


def _read_spec(folder: Path) -> RunSpec:
    """Read the run; its base model is looked for in the run's folders, then in this one."""
    spec = RunSpec.model_validate_json((folder / "spec.json").read_text())
    path = folder / _FOLDERS
    places = json.loads(path.read_text()) if path.is_file() else []
    return spec.placed([*map(Path, places), Path.cwd()])


def _source(source: ModelSource, weights: Path, file: str) -> ModelSource:
    """Return the source of a model or tokenizer: the kept folder, if it has the file."""
    if not (weights / file).is_file():
        return source
    trusted = getattr(source, "trust_remote_code", False)
    settings = {"kind": "hub", "id": str(weights.resolve()), "trust_remote_code": trusted}
    return resolve(ModelSource, "trainers.models", settings)  # type: ignore[type-abstract]  # a base


def _clean(tokenizer: PreTrainedTokenizerBase, max_length: int) -> PreTrainedTokenizerBase:
    """Return a copy that cuts where the run did, without the settings of earlier calls."""
    cleaned: Any = copy.deepcopy(tokenizer)
    cleaned.model_max_length = max_length
    if getattr(cleaned, "backend_tokenizer", None) is not None:
        cleaned.backend_tokenizer.no_truncation()
        cleaned.backend_tokenizer.no_padding()
    result: PreTrainedTokenizerBase = cleaned
    return result


def _batches(texts: Texts, lengths: Sequence[int]) -> Iterator[Sequence[int]]:
    """Yield the places of rows of like length, longest first."""
    order = sorted(range(len(lengths)), key=lambda place: -lengths[place])
    return _parts(texts, order, _BATCH)


def _parts(texts: Texts, places: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    """Split places into parts of single texts and parts of pairs: the tokenizer takes either."""
    for paired in (False, True):
        chosen = [place for place in places if (texts.second[place] is not None) == paired]
        yield from (chosen[start : start + size] for start in range(0, len(chosen), size))


def _columns(texts: Texts, places: Sequence[int]) -> tuple[list[str], list[str] | None]:
    second = [text for place in places if (text := texts.second[place]) is not None]
    return [texts.first[place] for place in places], second or None


def _classifier(model: nn.Module) -> nn.Module:
    """Return the classifier itself, whose `forward` has the names of its inputs."""
    inner: nn.Module = model.get_base_model() if hasattr(model, "get_base_model") else model  # type: ignore[operator]
    return inner
