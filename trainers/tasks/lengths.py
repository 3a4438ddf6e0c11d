"""Measure how long a task's rows are to a tokenizer before they are cut."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from trainers.bases import Example, ModelSource, Task
from trainers.tasks.class_names import is_visible
from trainers.tasks.encode import EncodedTask, count_tokens
from trainers.tasks.findings import row_place
from trainers.tasks.load import TaskData, load_task
from trainers.tasks.survey import Lengths, splits_of


def measure_lengths(
    task: Task, model: ModelSource, data_dir: Path, seed: int
) -> dict[str, Lengths]:
    """Tokenise the rows of each split, and count.

    Raises:
        TunerError: Data or tokenizer that cannot be used.
    """
    tokenizer = model.tokenizer()
    found = {}
    for split, rows in splits_of(load_task(task, data_dir, seed)).items():
        counts = count_tokens(rows, tokenizer)
        found[split] = _lengths(rows, counts["tokens"], counts["known"])
    return found


def encoded_lengths(data: TaskData, encoded: EncodedTask) -> dict[str, Lengths]:
    """Return what was counted when the rows were encoded."""
    return {
        split: _lengths(rows, table["tokens"][:], table["known"][:])
        for split, rows in splits_of(data).items()
        for table in (getattr(encoded, split),)
    }


def _lengths(rows: Sequence[Example], tokens: Sequence[int], known: Sequence[int]) -> Lengths:
    wordless = [
        row.id
        for row, count in zip(rows, known, strict=True)
        if not count and is_visible(row.text + (row.pair or ""))
    ]
    empty = [row.id for row, count in zip(rows, tokens, strict=True) if not count]
    return Lengths(
        rows=dict(sorted(Counter(tokens).items())),
        wordless=len(wordless),
        first_wordless=min(wordless, key=row_place, default=""),
        first_empty=min(empty, key=row_place, default=""),
    )
