"""Warn, before a study begins, of earlier work that its changed definition leaves behind."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from tuner.config import Cell, cell_label, read_definition
from tuner.store import KeptDefinition, Reader, RunRecord

# A child of the logger of the data: the command prints both.
_logger = logging.getLogger("tuner.study.reading.left_behind")
_ENDED = ("finished", "pruned", "diverged", "failed")
_NAMED = 6


def log_left_behind(cells: Sequence[Cell], reader: Reader) -> None:
    """Log how many trials and runs the study leaves behind, unless it continues earlier work.

    Args:
        cells: The study's cells as they are now.
        reader: The store's; the study is not opened yet.
    """
    study = cells[0].study.name
    kept = reader.definitions(study)
    known = {name for one in kept for name in _fingerprints(one)}
    new = [cell for cell in cells if (cell.label, cell.fingerprint()) not in known]
    records = reader.runs(study) if new else ()
    line = " ".join(filter(None, (left_behind(new, records), gone(cells, new, records))))
    if line:
        see = f" To see them: tuner report {study} --definition {kept[-1].id}." if kept else ""
        _logger.info("%s%s", line, see)


def left_behind(cells: Sequence[Cell], records: Sequence[RunRecord]) -> str:
    """Return a sentence about the work of cells under earlier definitions.

    Args:
        cells: The cells; those with runs under their present definition are skipped.
        records: All runs of the study.
    """
    trials, runs, shown = 0, 0, []
    for cell in cells:
        name = (cell.task, cell.model, cell.arm)
        own = [r for r in records if (r.group.task, r.group.model, r.group.arm) == name]
        others = [r for r in own if r.group.cell != cell.fingerprint() and r.state in _ENDED]
        if any(r.group.cell == cell.fingerprint() for r in own):
            continue
        tried = len({r.group for r in others if r.group.phase == "search"})
        confirmed = sum(r.group.phase == "confirm" for r in others)
        if tried or confirmed:
            trials, runs = trials + tried, runs + confirmed
            shown.append(f"{cell.label}: {tried} and {confirmed}")
    if not shown:
        return ""
    more = f"; {len(shown) - _NAMED} more" if len(shown) > _NAMED else ""
    return (
        f"Settings, space or data have changed. Left behind: {_count(trials, 'search trial')} and "
        f"{_count(runs, 'confirm run')} ({'; '.join(shown[:_NAMED])}{more}). These cells begin "
        "anew."
    )


def gone(cells: Sequence[Cell], new: Sequence[Cell], records: Sequence[RunRecord]) -> str:
    """Return a sentence on the cells with runs that the study does not have now.

    Args:
        cells: The study's cells.
        new: Those of them that begin anew: without any, nothing is renamed.
        records: All runs of the study.
    """
    present = {cell.label for cell in cells}
    found: dict[str, list[RunRecord]] = {}
    for record in records if new else ():
        label = cell_label(record.group.task, record.group.model, record.group.arm)
        if label not in present and record.state in _ENDED:
            found.setdefault(label, []).append(record)
    shown = [f"{label} ({_done(own, new)})" for label, own in found.items()]
    if not shown:
        return ""
    more = f"; {len(shown) - _NAMED} more" if len(shown) > _NAMED else ""
    return (
        f"No more in the study: {'; '.join(shown[:_NAMED])}{more}. Runs go by the names of task, "
        "model and arm: to continue with them, keep the names."
    )


def _done(records: Sequence[RunRecord], new: Sequence[Cell]) -> str:
    """Return the counts of a cell's work, and the new cell with its definition."""
    tried = len({record.group for record in records if record.group.phase == "search"})
    confirmed = sum(record.group.phase == "confirm" for record in records)
    defined = {record.group.cell for record in records}
    like = next((cell.label for cell in new if cell.fingerprint() in defined), "")
    now = f", defined as {like} is now" if like else ""
    return f"{_count(tried, 'search trial')} and {_count(confirmed, 'confirm run')}{now}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _fingerprints(kept: KeptDefinition) -> set[tuple[str, str]]:
    definition = read_definition(kept.text)
    if definition is None:
        return set()
    return {(cell.label, definition.fingerprint(cell)) for cell in definition.cells()}
