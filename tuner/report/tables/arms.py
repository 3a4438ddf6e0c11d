"""Show the arms of a task and model: test scores over the confirm seeds, and what they cost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar, Literal

from tuner.report.comparison import NOT_RUN, Comparison, Row, has_run
from tuner.report.contracts import ReportTable
from tuner.report.view import (
    CONFIGURATION,
    EVERYWHERE,
    PAGE,
    TERMINAL,
    TEXT,
    WIDE,
    Field,
    Heading,
    Mark,
    RunIds,
    TableCell,
    TableView,
    count,
    difference,
    headings_of,
    mean_cell,
    memory,
    number,
    rows_of,
    run_ids,
    score,
    seconds,
    word,
)
from tuner.report.wording import (
    LEAST_FOR_INTERVAL,
    NONE,
    UNSEEN,
    as_number,
    higher_is_better,
    main_scores,
    missing,
    parameters_text,
    short_number,
    title,
)

NEAR_END = "^"
"""Marks a chosen value in the outer tenth of its range, in a terminal."""
_SHORT = {"learning_rate": "lr"}
"""Names of fields in a terminal that are shorter than their own."""


@dataclass(frozen=True)
class _Arm:
    """The rows of frames that the row of an arm is made from."""

    first: Row
    """The arm's row of the frame `cells` with the metric that arms are compared by."""
    scores: Mapping[str, Row]
    """Its rows of that frame, by metric."""
    mark: Mark
    to_baseline: Row | None
    """Its row of the frame `pairs` with the baseline."""
    is_baseline: bool
    searched: Mapping[str, Row]
    """Its rows of the frame `searched`, by field."""


class ArmsTable(ReportTable):
    """A row for each arm, made from the frames `cells` and `pairs`: the main table."""

    ORDER: ClassVar = 5

    kind: Literal["arms"] = "arms"
    """File name of the table."""

    def views(self, comparison: Comparison) -> Iterator[TableView]:
        """Show the arms of each task and model."""
        for task, model in comparison.places():
            arms = _arms(comparison, task, model)
            fields = _fields(comparison, arms)
            yield TableView(
                "Arms: test scores over the confirm seeds, and what they cost",
                headings_of(fields),
                rows_of(fields, arms, _runs_of),
                section="arms",
                task=task,
                model=model,
            )


def _arms(comparison: Comparison, task: str, model: str) -> list[_Arm]:
    metric, baseline = comparison.metric, comparison.baseline
    scores: dict[str, dict[str, Row]] = {}
    for row in comparison.rows("cells", task, model):
        scores.setdefault(row["arm"], {})[row["metric"]] = row
    pairs = [row for row in comparison.rows("pairs", task, model) if row["metric"] == metric]
    to_baseline = {row["arm_a"]: row for row in pairs if row["arm_b"] == baseline}
    firsts = {arm: rows.get(metric) or next(iter(rows.values())) for arm, rows in scores.items()}
    searched: dict[str, dict[str, Row]] = {}
    for row in comparison.rows("searched", task, model):
        searched.setdefault(row["arm"], {})[row["field"]] = row
    marks = _marks(firsts, pairs, metric)
    arms = [
        _Arm(
            firsts[arm],
            rows,
            marks.get(arm, ""),
            to_baseline.get(arm),
            arm == baseline,
            searched.get(arm, {}),
        )
        for arm, rows in scores.items()
    ]
    sign = -1 if higher_is_better(metric) else 1
    return sorted(arms, key=lambda arm: _place(arm.first["mean"], sign))


def _place(mean: Any, sign: int) -> tuple[bool, float]:
    """Put the best mean first, and what has none last."""
    return missing(mean), 0.0 if missing(mean) else sign * mean


def _marks(firsts: Mapping[str, Row], pairs: Sequence[Row], metric: str) -> dict[str, Mark]:
    """Mark the arms with the best mean, and those that are equivalent to it."""
    known = {arm: row["mean"] for arm, row in firsts.items() if not missing(row["mean"])}
    if len(known) < 2:
        return {}
    top = (max if higher_is_better(metric) else min)(known.values())
    best = {arm for arm, mean in known.items() if mean == top}
    near = {
        other
        for row in pairs
        for arm, other in ((row["arm_a"], row["arm_b"]), (row["arm_b"], row["arm_a"]))
        if arm in best and str(row["verdict"]).startswith("equivalent")
    }
    return {**dict.fromkeys(near, "near"), **dict.fromkeys(best, "best")}


def _fields(comparison: Comparison, arms: Sequence[_Arm]) -> list[Field]:
    fields: list[Field] = [
        (Heading("arm", "the way of training", numeric=False), lambda arm: word(arm.first["arm"])),
        (Heading("n", "finished confirm runs, one a seed"), _runs),
        *_scores(comparison, arms),
    ]
    if any(not missing(arm.first["test_noise_std"]) for arm in arms):
        about = "standard error of one run, its test rows a sample"
        fields.append(
            (Heading("test noise", about, shown_in=PAGE), partial(_noise, comparison.metric))
        )
    if comparison.baseline is not None:
        metric, other = comparison.metric, comparison.baseline
        about = f"mean difference to {other} in {title(metric)}, with the interval of the verdict"
        fields += [
            (Heading(f"against {other}", about, in_line=True), partial(_to_baseline, metric)),
            (Heading("behind", f"seeds on which {other} is better"), _behind),
        ]
    if any(arm.first["chosen"] for arm in arms):
        about = "the values that the search chose"
        heading = Heading("chosen", about, numeric=False, shown_in=WIDE)
        fields.append((heading, lambda arm: word(arm.first["chosen"])))
        fields += _chosen(arms)
    return [*fields, *_COSTS, *_trouble(arms)]


def _chosen(arms: Sequence[_Arm]) -> Iterator[Field]:
    """Yield a column for each searched field, for a terminal."""
    names = sorted({name for arm in arms for name in arm.searched})
    for name in names:
        last = name.rpartition(".")[2]
        heading = Heading(
            name,
            short=_SHORT.get(last, last),
            numeric=True,
            dispensable=2,
            shown_in=TERMINAL,
        )
        yield heading, partial(_chosen_cell, name)


def _chosen_cell(name: str, arm: _Arm) -> TableCell:
    row = arm.searched.get(name)
    if row is None:
        return TableCell(NONE)
    near = "" if missing(row["near"]) or not row["near"] else NEAR_END
    return number(f"{short_number(str(row['chosen']))}{near}", as_number(row["chosen"]))


def _scores(comparison: Comparison, arms: Sequence[_Arm]) -> Iterator[Field]:
    """Yield the main scores, and the one compared by of unseen rows where some task has it."""
    metric, unseen = comparison.metric, UNSEEN + comparison.metric
    about = (
        "mean ± standard deviation over the seeds; below, the 95% interval of the mean, or below "
        "four seeds the scores"
    )
    has_unseen = (comparison.frames["cells"]["metric"] == unseen).any()
    for name in (*main_scores(metric), *([unseen] if has_unseen else [])):
        here = any(name in arm.scores for arm in arms)
        heading = Heading(
            title(name),
            about,
            short="unseen rows" if name == unseen else "",
            dispensable=2 if name == "accuracy" != metric else 0,
            shown_in=EVERYWHERE if here else EVERYWHERE - PAGE,
        )
        yield heading, partial(_score, name, marked=name == metric)
        if name == metric:
            few = all(arm.first["n"] < LEAST_FOR_INTERVAL for arm in arms)
            heading = Heading("scores" if few else "95% interval", shown_in=TEXT)
            yield heading, partial(_interval, metric)


def _score(metric: str, arm: _Arm, *, marked: bool = False) -> TableCell:
    row = arm.scores.get(metric)
    if not has_run(arm.first):
        return TableCell(NOT_RUN if marked else NONE)
    if row is None:
        return TableCell(NONE)
    cell = mean_cell(row, spread=True)
    return replace(cell, mark=arm.mark) if marked else cell


def _interval(metric: str, arm: _Arm) -> TableCell:
    return word(_score(metric, arm).detail)


def _noise(metric: str, arm: _Arm) -> TableCell:
    return score(arm.first["test_noise_std"], metric)


def _to_baseline(metric: str, arm: _Arm) -> TableCell:
    row = arm.to_baseline
    if row is None:
        return TableCell("baseline" if arm.is_baseline else NONE)
    return difference(row["mean_difference"], metric, (row["ci_low"], row["ci_high"]))


def _behind(arm: _Arm) -> TableCell:
    row = arm.to_baseline
    if row is None or missing(row["behind"]):
        return TableCell(NONE)
    return number(f"{row['behind']}/{row['n']}", row["behind"])


def _runs(arm: _Arm) -> TableCell:
    """Return how many confirm runs a row is over, and of how many if some are missing."""
    done, planned = int(arm.first["n"]), int(arm.first["planned_runs"])
    complete = done + int(arm.first["failed_runs"]) >= planned
    return number(str(done) if complete else f"{done} of {planned}", done)


def _trained(arm: _Arm) -> TableCell:
    trained = arm.first["trained_parameters"]
    adapter, head = (
        parameters_text(arm.first[f"{part}_parameters"]) for part in ("adapter", "head")
    )
    parts = "" if NONE in (adapter, head) else f"{adapter} + {head}"
    return number(parameters_text(trained), trained, parts)


def _head(arm: _Arm) -> TableCell:
    return number(parameters_text(arm.first["head_parameters"]), arm.first["head_parameters"])


_COSTS: tuple[Field, ...] = (
    (
        Heading("trials", "configurations that the search tried; 0: not searched", shown_in=WIDE),
        lambda arm: count(arm.first["trials"]),
    ),
    (
        Heading(
            "trained parameters",
            "below, those outside the head + those of the head",
            short="trained",
            dispensable=1,
        ),
        _trained,
    ),
    (Heading("of these head", shown_in=TEXT), _head),
    (
        Heading(
            "peak memory",
            "of the training phase, largest over the runs",
            short="memory",
            dispensable=4,
        ),
        lambda arm: memory(arm.first["peak_memory_bytes"]),
    ),
    (
        Heading("seconds", "wall time of a run, all phases, mean", short="s/run", dispensable=3),
        lambda arm: seconds(arm.first["seconds"]),
    ),
)


def _trouble(arms: Sequence[_Arm]) -> Iterator[Field]:
    """Yield the columns of failures, where there were any: the table must fit a page."""
    for name, about in (
        ("failed", "confirm runs that failed or diverged and never finished"),
        ("collapsed", "finished runs that learnt no more than to name one class"),
    ):
        if any(arm.first[f"{name}_runs"] for arm in arms):
            yield Heading(name, about, shown_in=PAGE), partial(_trouble_count, name)


def _trouble_count(name: str, arm: _Arm) -> TableCell:
    return count(arm.first[f"{name}_runs"])


def _runs_of(arm: _Arm) -> tuple[RunIds, ...]:
    first = arm.first
    return run_ids(CONFIGURATION, first["parent_run_id"]) + run_ids("seeds", first["run_ids"])
