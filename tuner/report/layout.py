"""Lay a comparison out as rows of text: what the terminal, Markdown and LaTeX show alike."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tuner.report.comparison import Comparison
from tuner.report.wording import (
    NONE,
    UNSEEN,
    bytes_text,
    count_text,
    further_text,
    interval_text,
    main_scores,
    missing,
    number_text,
    p_text,
    parameters_text,
    score_text,
    seconds_text,
    share_text,
    title,
    value_text,
)

if TYPE_CHECKING:
    import pandas

Row = Mapping[Any, Any]
NOT_RUN = "not run"


@dataclass(frozen=True)
class ArmRow:
    """The row of an arm: its text, and where its score stands among the block's."""

    arm: str
    texts: tuple[str, ...]
    best: bool
    near_best: bool
    """Not shown to differ from the best."""


@dataclass(frozen=True)
class BlockView:
    """What is shown of one task and model."""

    task: str
    model: str
    titles: tuple[str, ...]
    rows: tuple[ArmRow, ...]
    pair_titles: tuple[str, ...]
    pair_rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...]
    runs: Mapping[str, str]
    """The MLflow run of each arm's configuration."""

    @property
    def title(self) -> str:
        """Task and model."""
        return f"{self.task} · {self.model}"


def block_views(comparison: Comparison) -> Iterator[BlockView]:
    """Yield what is to be shown of each task and model."""
    for (task, model), cells in comparison.cells.groupby(["task", "model"]):
        scores = shown_scores(comparison)
        pairs = _of(comparison.pairs, task, model, comparison.metric)
        notes = [
            note.text for note in comparison.notes if (note.task, note.model) == (task, model)
        ]
        arms = _by_arm(cells, scores)
        best = _best(pairs, {arm: rows[comparison.metric] for arm, rows in arms.items()})
        yield BlockView(
            task=str(task),
            model=str(model),
            titles=arm_titles(comparison),
            rows=tuple(
                ArmRow(arm, _arm_texts(rows, scores), arm in best.first, arm in best.near)
                for arm, rows in arms.items()
            ),
            pair_titles=_pair_titles(comparison.metric),
            pair_rows=tuple(_pair_texts(row) for row in pairs),
            notes=tuple(notes),
            runs={
                arm: run_id
                for arm, rows in arms.items()
                if (run_id := rows[comparison.metric]["parent_run_id"])
            },
        )


def untraded(comparison: Comparison, task: str, model: str) -> str:
    """Say which arms of a task and model are in no table of score, memory and time, and why."""
    cells = _of(comparison.cells, task, model, comparison.metric)
    frame = comparison.tradeoff
    traded = set(frame[(frame["task"] == task) & (frame["model"] == model)]["arm"])
    arms: dict[str, list[str]] = {}
    for row in cells if traded else ():
        if row["arm"] not in traded:
            why = "without a score or a peak of memory" if row["n"] else "without a finished run"
            arms.setdefault(why if has_run(row) else NOT_RUN, []).append(row["arm"])
    listed = "; ".join(f"{', '.join(names)} ({why})" for why, names in arms.items())
    return f"Not in this table: {listed}." if listed else ""


def shown_scores(comparison: Comparison) -> tuple[str, ...]:
    """Return the scores of the table of arms; the one compared by also of unseen rows."""
    unseen = UNSEEN + comparison.metric
    more = (unseen,) if (comparison.cells["metric"] == unseen).any() else ()
    return (*main_scores(comparison.metric), *more)


def arm_titles(comparison: Comparison) -> tuple[str, ...]:
    """Return the titles of the table of arms."""
    first, *others = (title(score) for score in shown_scores(comparison))
    scores = ("arm", "n", first, "95% interval", *others)
    return (*scores, "trials", "trained parameters", "of these head", "peak memory", "seconds")


def _pair_titles(metric: str) -> tuple[str, ...]:
    difference = (f"difference in {title(metric)}", "95% interval", "p", "p (Holm)")
    effect = ("P(first better)", "95% interval", "d", "further seeds")
    return ("pair", "n", *difference, *effect, "verdict")


@dataclass(frozen=True)
class _Best:
    first: frozenset[str]
    near: frozenset[str]


def _best(pairs: list[Row], arms: Mapping[str, Row]) -> _Best:
    """Find the arm with the best mean, and those compared with it and not shown to differ."""
    from tuner.report.wording import higher_is_better

    known = {arm: row["mean"] for arm, row in arms.items() if not missing(row["mean"])}
    if len(known) < 2:
        return _Best(frozenset(), frozenset())
    metric = next(iter(arms.values()))["metric"]
    top = (max if higher_is_better(metric) else min)(known.values())
    first = frozenset(arm for arm, mean in known.items() if mean == top)
    near = {
        other
        for row in pairs
        for arm, other in ((row["arm_a"], row["arm_b"]), (row["arm_b"], row["arm_a"]))
        if arm in first and row["verdict"] not in ("a better", "b better")
    }
    return _Best(first, frozenset(near) - first)


def _of(frame: pandas.DataFrame, task: object, model: object, metric: str) -> list[Row]:
    here = (frame["task"] == task) & (frame["model"] == model) & (frame["metric"] == metric)
    found: list[Row] = frame[here].to_dict("records")  # type: ignore[assignment]  # str columns
    return found


def _by_arm(cells: pandas.DataFrame, scores: tuple[str, ...]) -> dict[str, dict[str, Row]]:
    arms: dict[str, dict[str, Row]] = {}
    for row in cells[cells["metric"].isin(scores)].to_dict("records"):
        arms.setdefault(row["arm"], {})[row["metric"]] = row
    return arms


def _arm_texts(rows: Mapping[str, Row], scores: tuple[str, ...]) -> tuple[str, ...]:
    first = rows[scores[0]]
    return (
        str(first["arm"]),
        runs_text(first),
        score_text(first) if has_run(first) else NOT_RUN,
        interval_text(first["ci_low"], first["ci_high"], scores[0]),
        *(score_text(rows[score]) if score in rows else NONE for score in scores[1:]),
        count_text(first["trials"]),
        parameters_text(first["trained_parameters"]),
        parameters_text(first["head_parameters"]),
        bytes_text(first["peak_memory_bytes"]),
        seconds_text(first["seconds"]),
    )


def _pair_texts(row: Row) -> tuple[str, ...]:
    metric = row["metric"]
    verdict = row["verdict"]
    for side in "ab":
        verdict = verdict.replace(f"{side} better", f"{row[f'arm_{side}']} better")
    return (
        f"{row['arm_a']} − {row['arm_b']}",  # noqa: RUF001  # a minus sign
        str(row["n"]),
        value_text(row["mean_difference"], metric, signed=True),
        interval_text(row["ci_low"], row["ci_high"], metric, signed=True),
        p_text(row["p"]),
        p_text(row["p_holm"]),
        share_text(row["probability_a_better"]),
        _shares(row["probability_low"], row["probability_high"]),
        number_text(row["cohens_d"]),
        further_text(row),
        verdict,
    )


def has_run(row: Row) -> bool:
    """Say of a row of `cells` whether some confirm run of the cell has ended."""
    return bool(row["n"] or row["failed_runs"])


def runs_text(row: Row) -> str:
    """Return how many confirm runs a row of `cells` is over, of how many if some lack."""
    done, planned = int(row["n"]), int(row["planned_runs"])
    return str(done) if done + int(row["failed_runs"]) >= planned else f"{done} of {planned}"


def _shares(low: Any, high: Any) -> str:
    return "-" if missing(low) else f"[{share_text(low)}, {share_text(high)}]"
