"""Write what must be read before any number: collapsed runs, missing classes, narrow ranges."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from tuner.report.comparison import Row, say_once
from tuner.report.confusion import Confusion
from tuner.report.measures import best_at_last_epoch, collapsed
from tuner.report.selection import Block
from tuner.report.wording import counted, listed, short_number

if TYPE_CHECKING:
    import pandas

_COLLAPSED = "they learnt no more than to name one class"


def findings(
    blocks: Sequence[Block], confusions: Mapping[str, Confusion], searched: pandas.DataFrame
) -> Iterator[str]:
    """Yield what changes how every number is read.

    Args:
        blocks: What is compared.
        confusions: The predictions of the runs, by run id.
        searched: The frame `searched`: the chosen values in their ranges.
    """
    rows: list[Row] = list(searched.to_dict("records"))
    said = [
        ((block.task, block.model), text)
        for block in blocks
        for text in (
            *_never_predicted(block, confusions),
            *_collapsed(block, confusions),
            *_range_ends(block, rows),
            *_still_improving(block),
        )
    ]
    for where, text, _ in say_once(said, len(blocks)):
        yield f"{where}: {text}" if where else text


def _never_predicted(block: Block, confusions: Mapping[str, Confusion]) -> Iterator[str]:
    never: defaultdict[str, list[str]] = defaultdict(list)
    for cell in block.cells:
        tables = [confusions[run.run_id] for run in cell.finished if run.run_id in confusions]
        for label in sorted({name for table in tables for name in table.never_predicted}):
            without = sum(label in table.never_predicted for table in tables)
            runs = counted(len(cell.finished), "run")
            never[label].append(f"{cell.arm} in {without} of {runs}")
    alike: defaultdict[str, list[str]] = defaultdict(list)
    for label, arms in never.items():
        alike[listed(arms)].append(repr(label))
    for who, labels in alike.items():
        are = "is" if len(labels) == 1 else "are each"
        yield f"{listed(labels)} {are} never predicted by {who}."


def _collapsed(block: Block, confusions: Mapping[str, Confusion]) -> Iterator[str]:
    fallen = []
    for cell in block.cells:
        number = sum(collapsed(run, confusions.get(run.run_id)) for run in cell.finished)
        if number:
            fallen.append(f"{number} of {counted(len(cell.finished), 'run')} of {cell.arm}")
    if fallen:
        yield f"{listed(fallen)} collapsed: {_COLLAPSED}."


def _still_improving(block: Block) -> Iterator[str]:
    """Yield the arms of which half of the runs were best at their last epoch."""
    arms = []
    for cell in block.cells:
        found = [last for run in cell.finished if (last := best_at_last_epoch(run)) is not None]
        if found and 2 * sum(found) >= len(found):
            arms.append(f"{cell.arm} in {sum(found)} of {counted(len(found), 'run')}")
    if arms:
        yield f"The last epoch was the best: {listed(arms)}; more epochs might have helped."


def _range_ends(block: Block, searched: Sequence[Row]) -> Iterator[str]:
    """Yield the chosen values that lie at an end of their range, all in one sentence."""
    here = [
        row
        for row in searched
        if (row["task"], row["model"]) == (block.task, block.model) and row["near"]
    ]
    near = [
        f"{row['field']} of {row['arm']} ({short_number(str(row['chosen']))} in {row['low']:g} to "
        f"{row['high']:g})"
        for row in here
    ]
    if near:
        chosen, it = ("was", "its range") if len(near) == 1 else ("were", "these ranges")
        yield (
            f"{listed(near)} {chosen} chosen near an end of the range, so better values may lie "
            f"beyond it: widen {it}."
        )
