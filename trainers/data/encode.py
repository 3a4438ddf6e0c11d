"""Tokenise a task's splits once, and share the result between runs and processes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainers.data import arrow_cache
from trainers.data.load import TaskData
from trainers.interfaces import Example

if TYPE_CHECKING:
    import pyarrow
    from datasets import Dataset
    from transformers import PreTrainedTokenizerBase

_MODEL_INPUTS = ("input_ids", "attention_mask", "token_type_ids")
_COUNTS = ("tokens", "known")
# Counts up whenever the stored columns or their meaning change.
_FORMAT = 2
_ROWS_AT_ONCE = 256  # the tokenizer's record of a row takes a hundred times its ids


@dataclass(frozen=True)
class EncodedTask:
    """A task's splits as token ids, not padded.

    Columns: input_ids, attention_mask and, where the tokenizer makes them, token_type_ids; labels
    (indices in `TaskData.labels`); length in tokens; and of the row before it is cut, tokens
    and known (those that are neither special nor unknown to the tokenizer).
    """

    train: Dataset
    validation: Dataset
    test: Dataset


def encode_task(
    data: TaskData, tokenizer: PreTrainedTokenizerBase, *, max_length: int, cache_dir: Path
) -> EncodedTask:
    """Tokenise the splits, or map them into memory where an earlier run has done so.

    Args:
        data: The rows.
        tokenizer: Called without padding; cuts the longer text of a pair first.
        max_length: Most tokens of a row, special ones included.
        cache_dir: Has one folder for each data, tokenizer and length.
    """
    folder = encoded_folder(data, tokenizer, max_length=max_length, cache_dir=cache_dir)
    splits = arrow_cache.load(folder)
    if splits is None:
        rows = {"train": data.train, "validation": data.validation, "test": data.test}
        tables = {
            split: _table(examples, data.labels, tokenizer, max_length)
            for split, examples in rows.items()
        }
        splits = arrow_cache.store(folder, tables)
    return EncodedTask(**splits)


def highest_token(encoded: EncodedTask) -> int:
    """Return the highest token id of any row."""
    from pyarrow import compute

    columns = [
        split.data.column("input_ids")
        for split in (encoded.train, encoded.validation, encoded.test)
    ]
    return max(int(compute.max(compute.list_flatten(column)).as_py()) for column in columns)


def encoded_folder(
    data: TaskData, tokenizer: PreTrainedTokenizerBase, *, max_length: int, cache_dir: Path
) -> Path:
    """Return the folder of `encode_task`'s result, whether or not it exists yet."""
    return cache_dir / "encoded" / _key(data, tokenizer, max_length)


def tokenizer_fingerprint(tokenizer: PreTrainedTokenizerBase) -> str:
    """Return a digest of everything that decides the tokenizer's output, earlier calls aside."""
    state: dict[str, Any] = {
        "class": type(tokenizer).__name__,
        "settings": {
            name: getattr(tokenizer, name)
            for name in ("truncation_side", "padding_side", "model_input_names")
        },
        "special": {name: str(token) for name, token in tokenizer.special_tokens_map.items()},
    }
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is not None:
        # The backend keeps truncation and padding of earlier calls.
        serialised = json.loads(backend.to_str())
        state["backend"] = serialised | {"truncation": None, "padding": None}
    else:
        state["vocabulary"] = tokenizer.get_vocab()
        state["arguments"] = {k: str(v) for k, v in tokenizer.init_kwargs.items()}
    return hashlib.sha256(json.dumps(state, sort_keys=True).encode()).hexdigest()


def _key(data: TaskData, tokenizer: PreTrainedTokenizerBase, max_length: int) -> str:
    import tokenizers
    import transformers

    parts = {
        "format": _FORMAT,
        "labels": data.labels,
        "digests": dict(data.digests),
        "tokenizer": tokenizer_fingerprint(tokenizer),
        "versions": [tokenizers.__version__, transformers.__version__],
        "max_length": max_length,
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]


def count_tokens(
    rows: Sequence[Example], tokenizer: PreTrainedTokenizerBase
) -> dict[str, list[int]]:
    """Return the columns `tokens` and `known` that `encode_task` gives to rows."""

    def count(part: Sequence[Example]) -> dict[str, list[int]]:
        return _counts(_call(part, tokenizer, None)["input_ids"], tokenizer)

    return _by_parts(rows, count)


def _table(
    rows: Sequence[Example],
    labels: Sequence[str],
    tokenizer: PreTrainedTokenizerBase,
    max_length: int,
) -> pyarrow.Table:
    import pyarrow

    encoded = _by_parts(rows, lambda part: _encode_part(part, tokenizer, max_length))
    numbers = {label: number for number, label in enumerate(labels)}
    token, count = pyarrow.list_(pyarrow.int32()), pyarrow.int32()
    columns = {
        name: pyarrow.array(encoded[name], token) for name in _MODEL_INPUTS if name in encoded
    }
    columns["labels"] = pyarrow.array([numbers[row.label] for row in rows], pyarrow.int64())
    lengths = [len(ids) for ids in encoded["input_ids"]]
    columns["length"] = pyarrow.array(lengths, count)
    columns |= {name: pyarrow.array(encoded[name], count) for name in _COUNTS}
    return pyarrow.table(columns)


def _encode_part(
    rows: Sequence[Example], tokenizer: PreTrainedTokenizerBase, max_length: int
) -> dict[str, list[Any]]:
    """Encode whole rows, count their tokens, and encode those again that must be cut."""
    columns = _call(rows, tokenizer, None)
    counts = _counts(columns["input_ids"], tokenizer)
    long = [place for place, tokens in enumerate(counts["tokens"]) if tokens > max_length]
    if long:
        for name, values in _call([rows[p] for p in long], tokenizer, max_length).items():
            for place, value in zip(long, values, strict=True):
                columns[name][place] = value
    return columns | counts


def _call(
    rows: Sequence[Example], tokenizer: PreTrainedTokenizerBase, max_length: int | None
) -> dict[str, list[Any]]:
    """Call the tokenizer on rows that are all single texts, or all pairs."""
    paired = rows[0].pair is not None
    encoded = tokenizer(
        [row.text for row in rows],
        [row.pair or "" for row in rows] if paired else None,
        truncation=False if max_length is None else "longest_first",
        max_length=max_length,
        verbose=False,  # else it warns of rows that are longer than the model takes
    )
    return {name: list(encoded[name]) for name in _MODEL_INPUTS if name in encoded}


def _counts(
    rows: Sequence[Sequence[int]], tokenizer: PreTrainedTokenizerBase
) -> dict[str, list[int]]:
    # Not every tokenizer declares the tokens that it adds to a text as special.
    unknown = {*tokenizer.all_special_ids, *tokenizer("")["input_ids"]}
    return {
        "tokens": [len(ids) for ids in rows],
        "known": [sum(number not in unknown for number in ids) for ids in rows],
    }


def _by_parts(
    rows: Sequence[Example], encode_part: Callable[[Sequence[Example]], dict[str, list[Any]]]
) -> dict[str, list[Any]]:
    """Encode single texts and pairs separately, as a call takes either; keep the rows' order."""
    columns: dict[str, list[Any]] = {}
    singles = [number for number, row in enumerate(rows) if row.pair is None]
    pairs = [number for number, row in enumerate(rows) if row.pair is not None]
    for numbers in (*_parts(singles), *_parts(pairs)):
        for name, values in encode_part([rows[number] for number in numbers]).items():
            column = columns.setdefault(name, [None] * len(rows))
            for number, value in zip(numbers, values, strict=True):
                column[number] = value
    return columns


def _parts(numbers: Sequence[int]) -> list[Sequence[int]]:
    starts = range(0, len(numbers), _ROWS_AT_ONCE)
    return [numbers[start : start + _ROWS_AT_ONCE] for start in starts]
