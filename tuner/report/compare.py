"""Compare: from what was read of the studies to frames, flags and notes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from trainers.errors import ConfigError, known
from tuner.report.comparison import Comparison, Note
from tuner.report.guards import refuse_early_test, unfair
from tuner.report.notes import block_notes, data_warnings, left_out_note, presence_notes
from tuner.report.selection import Block, Evidence
from tuner.report.tables.arm_ranks import rank_notes, ranks_frame
from tuner.report.tables.budget import budget_frame, budget_notes
from tuner.report.tables.cells import cells_frame
from tuner.report.tables.curves import curves_frame
from tuner.report.tables.pairs import LEVEL, pairs_frame
from tuner.report.tables.references import Published, references_frame
from tuner.report.tables.runs import runs_frame, trials_frame
from tuner.report.tables.tradeoff import tradeoff_frame
from tuner.report.tables.variance import variance_frame

_NO_REFERENCE = "No published number is of these tasks, models, methods and metrics."


@dataclass(frozen=True)
class Question:
    """What is asked of the evidence."""

    baseline: str | None = None
    """Pair every arm with this one alone; by default all pairs."""
    published: tuple[Published, ...] = ()
    """Numbers to set beside ours."""


def compare(evidence: Evidence, question: Question) -> Comparison:
    """Compute every table of a report. The order of the records changes nothing.

    Raises:
        TestReadEarly: The search has read the test split.
        ConfigError: No cell has the metric or the baseline.
    """
    refuse_early_test(evidence.records)
    selection, metric, baseline = evidence.select(), evidence.metric, question.baseline
    blocks = selection.blocks
    _check(blocks, metric, baseline)
    cells = cells_frame(blocks, evidence)
    pairs = pairs_frame(blocks, metric=metric, baseline=baseline)
    ranks = ranks_frame(blocks, metric=metric, level=LEVEL)
    budget = budget_frame(blocks, metric=metric)
    notes = [Note(text) for text in evidence.said]
    notes += presence_notes(blocks)
    notes += [
        Note(text, block.task, block.model)
        for block in blocks
        for text in block_notes(block, cells, pairs, metric=metric)
    ]
    notes += left_out_note(selection.left_out, evidence.others)
    notes += budget_notes(budget, metric=metric)
    notes += [Note(text) for text in rank_notes(ranks, metric=metric)]
    references = references_frame(cells, question.published)
    if question.published and not len(references):
        notes.append(Note(_NO_REFERENCE))
    return Comparison(
        studies=evidence.studies,
        metric=metric,
        baseline=baseline,
        cells=cells,
        pairs=pairs,
        runs=runs_frame(blocks),
        trials=trials_frame(blocks, metric=metric),
        ranks=ranks,
        budget=budget,
        tradeoff=tradeoff_frame(blocks, cells, metric=metric, baseline=baseline),
        variance=variance_frame(blocks, metric=metric),
        curves=curves_frame(blocks, evidence.curves),
        references=references,
        flags=tuple(_flags(blocks)),
        notes=tuple(notes),
        warnings=(*evidence.doubts, *data_warnings(blocks)),
    )


def _check(blocks: Sequence[Block], metric: str, baseline: str | None) -> None:
    arms = sorted({cell.arm for block in blocks for cell in block.cells})
    if baseline is not None and baseline not in arms:
        raise ConfigError(f"--baseline: no such arm {baseline!r}; known: {known(arms)}")
    runs = [run for block in blocks for cell in block.cells for run in cell.finished]
    names = {n.removeprefix("test/") for run in runs for n in run.metrics if n.startswith("test/")}
    if runs and metric not in names - {"majority_accuracy"}:
        shown = known(sorted(names - {"majority_accuracy"}))
        raise ConfigError(f"--metric: no run has the test metric {metric!r}; known: {shown}")


def _flags(blocks: Sequence[Block]) -> Iterator[str]:
    for block in blocks:
        for sentence in unfair(block):
            where = f"{block.task} · {block.model}: " if len(blocks) > 1 else ""
            yield f"{where}{sentence}"
