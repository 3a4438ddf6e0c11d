"""Measure the lengths of a task's rows in tokens before they are cut."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from trainers.data.class_names import is_visible
from trainers.data.encode import EncodedTask, count_tokens
from trainers.data.findings import row_place
from trainers.data.load import TaskData, load_task
from trainers.data.survey import SplitLengths, splits_of
from trainers.errors import MissingModel, TunerError, one_line
from trainers.interfaces import Example, ModelSource, Task


@dataclass(frozen=True)
class TaskLengths:
    """Lengths of a task's rows in a model's tokens."""

    splits: dict[str, SplitLengths] = field(default_factory=dict)
    """Lengths by split."""
    fault: str = ""
    """Why the model's tokenizer, and so the model, cannot be used."""

    @property
    def longest(self) -> int:
        """Return the tokens of the longest row of any split."""
        return max(max(lengths.rows) for lengths in self.splits.values())


def measure_lengths(task: Task, model: ModelSource, data_dir: Path, seed: int) -> TaskLengths:
    """Tokenise the rows of each split, and count.

    Raises:
        TunerError: The data is invalid, or the tokenizer cannot be looked up now.
    """
    try:
        tokenizer = model.tokenizer()
    except (MissingModel, MemoryError):
        raise
    except TunerError as error:
        return TaskLengths(fault=str(error))
    except Exception as error:  # the tokenizers library raises plain exceptions
        reason = f"{model.name}: its tokenizer cannot be loaded: {one_line(error)}"
        return TaskLengths(fault=reason)
    found = {}
    for split, rows in splits_of(load_task(task, data_dir, seed)).items():
        counts = count_tokens(rows, tokenizer)
        found[split] = _lengths(rows, counts["tokens"], counts["known"])
    return TaskLengths(found)


def encoded_lengths(data: TaskData, encoded: EncodedTask) -> dict[str, SplitLengths]:
    """Return the lengths that were counted when the rows were encoded."""
    return {
        split: _lengths(rows, table["tokens"][:], table["known"][:])
        for split, rows in splits_of(data).items()
        for table in (getattr(encoded, split),)
    }


def _lengths(rows: Sequence[Example], tokens: Sequence[int], known: Sequence[int]) -> SplitLengths:
    wordless = [
        row.id
        for row, count in zip(rows, known, strict=True)
        if not count and is_visible(row.text + (row.pair or ""))
    ]
    empty = [row.id for row, count in zip(rows, tokens, strict=True) if not count]
    return SplitLengths(
        rows=dict(sorted(Counter(tokens).items())),
        wordless=len(wordless),
        first_wordless=min(wordless, key=row_place, default=""),
        first_empty=min(empty, key=row_place, default=""),
    )
