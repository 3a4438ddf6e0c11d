"""Write notes: how far the numbers can be trusted, which runs are missing or left out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from trainers.data import READ_PREFIX, WARNING_PREFIX
from tuner.config import Phase
from tuner.report.comparison import Note
from tuner.report.evidence import OtherDefinition
from tuner.report.planned import SeedKey, seed_text, seeds_of
from tuner.report.selection import Block, ComparedCell, LeftOut, Why
from tuner.report.wording import counted, missing, value_text

if TYPE_CHECKING:
    import pandas

Rows = Sequence[Mapping[Any, Any]]
_NAMED = 6
"""Longer lists are counted, not named."""
_WHY: dict[Why, str] = {
    "definition": "of another definition (other settings, space or data)",
    "choice": "of a configuration that is no longer the best",
    "open": "of a search that is not finished and may still choose another configuration",
    "seeds": "of seeds that the study does not have",
    "cell": "of tasks, models or arms that the study does not have",
    "trials": "beyond search.trials",
    "finalists": "of trials that are no finalists any more",
}
_UNKNOWN = "no run of this definition is in the store"
"""The study has not reached the cell yet, or its runs were deleted; nothing more is known."""
_FEW = 3
"""More definitions are counted."""
_PHASES: dict[Phase, str] = {
    "confirm": "confirm run",
    "finalists": "finalist's run",
    "search": "search trial",
}
_OF_MODEL = ("cut", "unknown")
"""Findings that depend on the model's tokenizer too."""


def block_notes(block: Block, cells: pandas.DataFrame, *, metric: str) -> Iterator[str]:
    """Yield the notes on one task and model."""
    own_cells = _rows(cells, block, metric)
    yield from _shared_seeds(block)
    yield from _unpaired(block, metric)
    yield from _failed_trials(block)
    yield from _repeated_points(block)
    yield from _unequal_finalists(block)
    yield from _runs(block)
    yield from _noise(own_cells, metric)
    yield from _seen_rows(block)
    yield from _read_rows(block)


def _rows(frame: pandas.DataFrame, block: Block, metric: str) -> Rows:
    here = (frame["task"] == block.task) & (frame["model"] == block.model)
    found: Rows = frame[here & (frame["metric"] == metric)].to_dict("records")
    return found


def _shared_seeds(block: Block) -> Iterator[str]:
    """Yield a note on arms whose runs share seeds with each other, so are not independent."""
    from tuner.report.stats import independent_groups

    found: defaultdict[tuple[int, int], list[str]] = defaultdict(list)
    for cell in block.cells:
        seeds = [seeds_of(run) for run in cell.finished]
        independent = len(independent_groups(seeds))
        if independent < len(seeds):
            found[len(seeds), independent].append(cell.arm)
    for (runs, independent), arms in sorted(found.items()):
        yield (
            f"{', '.join(arms)}: the {runs} runs share init, order or data seeds with each other, "
            f"so they are not independent. Differences use the mean of runs that share a seed: "
            f"{counted(independent, 'independent run')}. The intervals of means treat all {runs} "
            "as independent and are too narrow."
        )


def _unpaired(block: Block, metric: str) -> Iterator[str]:
    name = f"test/{metric}"
    seeds = {
        cell.arm: {key for key, run in cell.by_seeds().items() if name in run.metrics}
        for cell in block.cells
    }
    every = set().union(*seeds.values())
    lacking: defaultdict[tuple[SeedKey, ...], list[str]] = defaultdict(list)
    for arm, found in seeds.items():
        if found and found != every:
            lacking[tuple(sorted(every - found))].append(arm)
    for missed, arms in sorted(lacking.items()):
        shown = ", ".join(map(seed_text, missed[:_NAMED]))
        more = f" and {len(missed) - _NAMED} more" if len(missed) > _NAMED else ""
        lack = "lacks" if len(arms) == 1 else "lack"
        yield (
            f"{', '.join(arms)} {lack} {counted(len(missed), 'seed')} that other arms have "
            f"({shown}{more}; init/order/data). Differences use the seeds that both arms have."
        )


def _failed_trials(block: Block) -> Iterator[str]:
    """Yield a note on arms whose trials failed, which leaves fewer to choose from."""
    for cell in block.cells:
        trials = counted(cell.search.counted, "search trial")
        states = [trial.state for trial in cell.trials if trial.counts]
        for state in ("failed", "diverged"):
            if number := states.count(state):
                others = cell.search.counted - sum(map(states.count, ("failed", "diverged")))
                choice = (
                    "the best of the others was chosen" if others else "there is none to choose"
                )
                yield f"{cell.arm}: {number} of {trials} {state}; {choice}."


def _unequal_finalists(block: Block) -> Iterator[str]:
    """Yield a note where arms had unequal numbers of finalists."""
    found = [cell for cell in block.begun if cell.planned.finalists]
    runs = {cell.arm: len(cell.search.finalist_runs) for cell in found if cell.search.decided}
    if len(set(runs.values())) > 1:
        shown = ", ".join(f"{arm} {number or 'none'}" for arm, number in runs.items())
        yield (
            f"Runs of finalists: {shown}. Only finished trials can be finalists, and some "
            "searches had fewer."
        )


def _repeated_points(block: Block) -> Iterator[str]:
    """Yield a note on arms whose trials repeated a point, which cost nothing."""
    for cell in block.cells:
        search = cell.search
        if search.points < search.counted:
            trials = counted(search.counted, "search trial")
            yield (
                f"{cell.arm}: {trials} tried {counted(search.points, 'different point')}. A "
                "repeated point is not trained again and counts once as budget."
            )


def _runs(block: Block) -> Iterator[str]:
    for cell in block.cells:
        states = [run.state for run in cell.failed]
        for state in ("failed", "diverged"):
            if number := states.count(state):
                yield f"{cell.arm}: {counted(number, 'run')} {state}."


def _noise(cells: Rows, metric: str) -> Iterator[str]:
    quiet = [
        row["arm"]
        for row in cells
        if not missing(row["std"])
        and not missing(row["test_noise_std"])
        and row["std"] < row["test_noise_std"]
    ]
    if quiet:
        noise = max(row["test_noise_std"] for row in cells if row["arm"] in quiet)
        yield (
            f"{', '.join(quiet)}: the choice of test rows matters more than the seed. Another "
            f"test sample would move a score by about {value_text(noise, metric)} points "
            "(standard error of one run), which is more than the seeds' standard deviation."
        )


def _seen_rows(block: Block) -> Iterator[str]:
    facts = [run.facts for cell in block.cells for run in cell.finished]
    noted = any(
        f"{rank}test_in_train" in f for f in facts for rank in (WARNING_PREFIX, READ_PREFIX)
    )
    counts = {
        (f["rows.test_seen_in_train"], f["rows.test"])
        for f in facts
        if f.get("rows.test_seen_in_train", "0") != "0" and "rows.test" in f
    }
    for seen, total in sorted(counts):
        left = int(total) - int(seen)
        if left:
            yield (
                f"Scores of unseen rows are those of the {left} test rows that are not in train."
                if noted  # the data's own note has the count
                else f"{seen} of {total} test rows are in train too. Scores of unseen rows are "
                f"those of the other {left}."
            )


def presence_notes(blocks: Sequence[Block]) -> Iterator[Note]:
    """Yield a note for cells that lack confirm runs or trials' runs; equal notes are one."""
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
    """Yield one note on the runs that no table shows, and on how to see them.

    Args:
        left_out: The runs.
        others: Other definitions that the store keeps, by study.
    """
    counts = _left_out_counts(left_out)
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
    """Return how to see runs that are left out."""
    cells = {one.run.group.cell for one in left_out}
    ways = [
        f"tuner report {study} --definition {other.id} (last run {other.when})"
        for study, found in others.items()
        for other in found
        if other.fingerprints & cells
    ]
    if not ways:
        return "MLflow has them: the tag tuner.cell tells definitions apart."
    more = f", and {counted(len(ways) - _FEW, 'earlier one')}" if len(ways) > _FEW else ""
    return f"To see them: {', '.join(ways[:_FEW])}{more}."


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
        yield f"the runs of {lost} were deleted from the store; the trials count all the same."


def _arms(left_out: Sequence[LeftOut], why: Why) -> str:
    """Name the arms that are gone."""
    arms = sorted({one.run.group.arm for one in left_out if one.why == why})
    return f" ({', '.join(arms)})" if why == "cell" else ""


def _left_out_counts(left_out: Sequence[LeftOut]) -> Mapping[tuple[Why, str], int]:
    """Count runs left out by reason and phase: confirm runs one by one, trials whole."""
    found: defaultdict[tuple[Why, str], set[object]] = defaultdict(set)
    for one in left_out:
        group = one.run.group
        counted_once = group if group.phase == "search" else one.run.run_id
        found[one.why, group.phase].add(counted_once)
    return {key: len(things) for key, things in found.items()}


def data_warnings(blocks: Sequence[Block]) -> tuple[str, ...]:
    """Return the warnings on the tasks' rows; several models share one."""
    found: dict[str, None] = {}
    for block in blocks:
        for name, text in _findings(block, WARNING_PREFIX):
            of_model = name.partition(".")[0] in _OF_MODEL
            where = f"{block.task} · {block.model}: " if of_model else f"{block.task}: "
            found[f"{where}{text}" if len(blocks) > 1 else text] = None
    return tuple(found)


def _read_rows(block: Block) -> Iterator[str]:
    """Yield the facts of the data: rows, classes, lengths."""
    texts = [text for _, text in _findings(block, READ_PREFIX)]
    if texts:
        yield f"Read: {'. '.join(texts)}."


def _findings(block: Block, rank: str) -> Iterator[tuple[str, str]]:
    """Yield each finding's name and sentence; it names its arms unless it is about all."""
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
