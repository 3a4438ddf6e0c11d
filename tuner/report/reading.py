"""Say what the runs read, from their facts: doubts about the data first, the rest as a note."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from trainers.data import READ, WARNING
from tuner.report.compared import Block

_OF_MODEL = ("cut", "unknown")
"""Findings that depend on the model's tokenizer too."""


def data_warnings(blocks: Sequence[Block]) -> tuple[str, ...]:
    """Return what in the tasks' rows makes numbers doubtful; several models say it once."""
    found: dict[str, None] = {}
    for block in blocks:
        for name, text in _said(block, WARNING):
            of_model = name.partition(".")[0] in _OF_MODEL
            where = f"{block.task} · {block.model}: " if of_model else f"{block.task}: "
            found[f"{where}{text}" if len(blocks) > 1 else text] = None
    return tuple(found)


def reading_note(block: Block) -> Iterator[str]:
    """Yield what else was read: rows, classes, lengths."""
    texts = [text for _, text in _said(block, READ)]
    if texts:
        yield f"Read: {'. '.join(texts)}."


def _said(block: Block, rank: str) -> Iterator[tuple[str, str]]:
    """Yield each finding's name and sentence, with the arms it is about where not about all."""
    runs = [(cell.arm, run) for cell in block.cells for run in cell.finished]
    names = {name for _, run in runs for name in run.facts if name.startswith(rank)}
    for name in sorted(names, key=_place):
        arms: dict[str, list[str]] = {}
        for arm, run in runs:
            if name in run.facts:
                arms.setdefault(run.facts[name], []).append(arm)
        by_arms: dict[tuple[str, ...], list[str]] = {}
        for text, of in arms.items():
            by_arms.setdefault(tuple(dict.fromkeys(of)), []).append(text)
        every = tuple(dict.fromkeys(arm for arm, _ in runs))
        for of_arms, texts in by_arms.items():
            more = " (other data seeds draw other rows)" if len(texts) > 1 else ""
            who = "" if of_arms == every else f"{', '.join(of_arms)}: "
            yield name.removeprefix(rank), f"{who}{texts[0]}{more}"


def _place(name: str) -> tuple[bool, str]:
    """Put the numbers of rows first."""
    return not name.endswith(".rows"), name
