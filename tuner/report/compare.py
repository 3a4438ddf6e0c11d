"""Compare studies: make frames, flags and notes from the evidence."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from statistics import fmean
from typing import TYPE_CHECKING

from trainers.errors import ConfigError, known, nearest
from tuner.report.best import BestConfiguration
from tuner.report.comparison import Comparison, Note, say_once
from tuner.report.contracts import Basis, Report, all_tables
from tuner.report.evidence import Evidence
from tuner.report.guards import refuse_early_test, unfair
from tuner.report.notes import (
    block_notes,
    data_warnings,
    left_out_note,
    presence_notes,
)
from tuner.report.question import Question
from tuner.report.read_first import findings
from tuner.report.selection import Block, Selection
from tuner.report.tables.arm_ranks import rank_notes
from tuner.report.tables.budget import budget_notes
from tuner.report.wording import as_value, higher_is_better

if TYPE_CHECKING:
    import pandas

_ASKED_AFTERWARDS = (
    "The comparison with {baseline} was asked for after the results were there; the study asks "
    "for {own}."
)
_NO_REFERENCE = "No published number is of these tasks, models, methods and metrics."


def report_on(evidence: Evidence, question: Question | None = None) -> Report:
    """Compare the confirm runs of studies.

    Args:
        evidence: The result of `gather`.
        question: Baseline and published numbers.

    Raises:
        TestReadEarly: The search has read the test split.
        ConfigError: No run has the metric, or no arm is called as the baseline.
    """
    return Report(compare(evidence, question or Question()))


def compare(evidence: Evidence, question: Question) -> Comparison:
    """Compute every table of a report. The order of the records changes nothing.

    Raises:
        TestReadEarly: The search has read the test split.
        ConfigError: No cell has the metric or the baseline.
    """
    refuse_early_test(evidence.records)
    selection = evidence.select()
    blocks = selection.blocks
    asked_baseline, baseline = evidence.baseline, _baseline(blocks, evidence, question)
    _check(blocks, evidence.metric, baseline)
    question = replace(question, baseline=baseline)
    evidence = replace(evidence, baseline=baseline)
    frames: dict[str, pandas.DataFrame] = {}
    for table in all_tables():
        frame = table.frame(Basis(blocks, evidence, question, frames))
        if frame is not None:
            frames[table.name] = frame
    notes = list(_notes(evidence, selection, frames))
    if question.baseline not in (None, asked_baseline):
        own = asked_baseline or "all pairs"
        notes.insert(0, Note(_ASKED_AFTERWARDS.format(baseline=baseline, own=own)))
    if question.published and not len(frames["references"]):
        notes.append(Note(_NO_REFERENCE))
    return Comparison(
        studies=evidence.studies,
        metric=evidence.metric,
        baseline=baseline,
        frames=frames,
        flags=tuple(_flags(blocks)),
        notes=tuple(notes),
        description=evidence.description,
        findings=tuple(findings(blocks, evidence.confusions, frames["searched"])),
        warnings=(*evidence.doubts, *data_warnings(blocks)),
        pages=evidence.run_pages(),
        best={
            (block.task, block.model): best
            for block in blocks
            if (best := _best(block, evidence.metric)) is not None
        },
    )


def _best(block: Block, metric: str) -> BestConfiguration | None:
    """Return the configuration of the arm with the best mean; None where no run has finished."""
    sign = 1 if higher_is_better(metric) else -1
    name = f"test/{metric}"
    scored = [(fmean(sorted(v)), cell) for cell in block.begun if (v := cell.values(name))]
    if not scored:
        return None
    mean, cell = max(scored, key=lambda one: (sign * one[0], one[1].arm))
    params = cell.finished[0].params
    return BestConfiguration(
        study=cell.study,
        task=block.task,
        model=block.model,
        arm=cell.planned.arm,
        mean=mean,
        chosen={n: as_value(params[n]) for n in sorted(cell.searched_fields & params.keys())},
        run_id=cell.parent_id,
        config=cell.planned.config,
    )


def _baseline(blocks: Sequence[Block], evidence: Evidence, question: Question) -> str | None:
    """Return the arm to compare with: the one asked for, or the studies' own if it is there."""
    if question.baseline is not None:
        return question.baseline
    arms = {cell.arm for block in blocks for cell in block.cells}
    return evidence.baseline if evidence.baseline in arms else None


def _notes(
    evidence: Evidence, selection: Selection, frames: Mapping[str, pandas.DataFrame]
) -> Iterator[Note]:
    metric = evidence.metric
    yield from (Note(text) for text in evidence.remarks)
    yield from presence_notes(selection.blocks)
    said = [
        ((block.task, block.model), text)
        for block in selection.blocks
        for text in block_notes(block, frames["cells"], metric=metric)
    ]
    for where, text, place in say_once(said, len(selection.blocks)):
        yield Note(f"{where}: {text}") if place is None else Note(text, *place)
    yield from left_out_note(selection.left_out, evidence.others)
    yield from budget_notes(frames["budget"], metric=metric)
    yield from (Note(text) for text in rank_notes(frames["ranks"], metric=metric))


def _check(blocks: Sequence[Block], metric: str, baseline: str | None) -> None:
    arms = sorted({cell.arm for block in blocks for cell in block.cells})
    if baseline is not None and baseline not in arms:
        near = nearest(baseline, arms)
        raise ConfigError(f"--baseline: no such arm {baseline!r}; known: {known(arms)}{near}")
    runs = [run for block in blocks for cell in block.cells for run in cell.finished]
    names = {n.removeprefix("test/") for run in runs for n in run.metrics if n.startswith("test/")}
    if runs and metric not in names - {"majority_accuracy"}:
        shown = known(sorted(names - {"majority_accuracy"}))
        near = nearest(metric, names)
        raise ConfigError(f"--metric: no run has the test metric {metric!r}; known: {shown}{near}")


def _flags(blocks: Sequence[Block]) -> Iterator[str]:
    said = [((block.task, block.model), text) for block in blocks for text in unfair(block)]
    for where, sentence, _ in say_once(said, len(blocks)):
        yield f"{where}: {sentence}" if where else sentence
