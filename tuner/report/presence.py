"""Say what a report lacks and what it leaves out: runs not done, runs of other definitions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from tuner.report.compared import Block, ComparedCell, LeftOut, Why, left_out_counts
from tuner.report.comparison import Note
from tuner.report.evidence import OtherDefinition
from tuner.report.wording import counted

_WHY: dict[Why, str] = {
    "definition": "of another definition (other settings, space or data)",
    "choice": "of a configuration that is not the best of the trials as they are now",
    "open": "of a search that is not finished: it may choose another configuration",
    "seeds": "of seeds that the study does not have",
    "cell": "of tasks, models or arms that the study does not have",
    "trials": "beyond search.trials",
}
_UNKNOWN = "no run of this definition is in the store"
"""All that is known: the study has not come to it, or its runs were deleted."""
_NAMED = 3
"""More definitions are counted."""
_PHASES = {"confirm": "confirm run", "search": "search trial"}


def presence_notes(blocks: Sequence[Block]) -> Iterator[Note]:
    """Yield a note for cells that lack confirm runs or records of trials, one for alike ones."""
    for block in blocks:
        arms: dict[str, list[str]] = {}
        for cell in block.cells:
            for text in _lacks(cell):
                arms.setdefault(text, []).append(cell.arm)
        for text, alike in arms.items():
            yield Note(f"{', '.join(alike)}: {text}", block.task, block.model)


def left_out_note(
    left_out: Sequence[LeftOut], others: Mapping[str, Sequence[OtherDefinition]]
) -> Iterator[Note]:
    """Say in one line which runs of the store no table shows, and how to see them.

    Args:
        left_out: The runs.
        others: Other definitions that the store keeps, by study.
    """
    counts = left_out_counts(left_out)
    parts = []
    for why, words in _WHY.items():
        found = [
            counted(counts[why, phase], noun)
            for phase, noun in _PHASES.items()
            if (why, phase) in counts
        ]
        if found:
            parts.append(f"{' and '.join(found)} {words}{_arms(left_out, why)}")
    if parts:
        listed, ways = "; ".join(parts), _ways(left_out, others)
        yield Note(f"Left out, as the study does not define them now: {listed}. {ways}")


def _ways(left_out: Sequence[LeftOut], others: Mapping[str, Sequence[OtherDefinition]]) -> str:
    """Say how to see runs that are left out."""
    cells = {one.run.group.cell for one in left_out}
    ways = [
        f"tuner report {study} --definition {other.id} (last run {other.when})"
        for study, found in others.items()
        for other in found
        if other.fingerprints & cells
    ]
    if not ways:
        return "MLflow has them: the tag tuner.cell tells definitions apart."
    more = f", and {counted(len(ways) - _NAMED, 'earlier one')}" if len(ways) > _NAMED else ""
    return f"To see them: {', '.join(ways[:_NAMED])}{more}."


def _lacks(cell: ComparedCell) -> Iterator[str]:
    ended, planned = len(cell.runs), len(cell.planned.seeds)
    reason = cell.reason if cell.reason or ended else _UNKNOWN
    why = f": {reason.rstrip('.')}." if reason else "."
    if not ended:
        yield f"not run{why}"
    elif ended < planned:
        yield f"{ended} of {planned} confirm runs have ended so far{why}"
    if cell.search.lost:
        lost = counted(cell.search.lost, "trial")
        yield f"{lost} without runs in the store, which were deleted there, counted all the same."


def _arms(left_out: Sequence[LeftOut], why: Why) -> str:
    """Name the arms that are gone."""
    arms = sorted({one.run.group.arm for one in left_out if one.why == why})
    return f" ({', '.join(arms)})" if why == "cell" else ""
