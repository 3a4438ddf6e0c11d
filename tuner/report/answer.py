"""Put a comparison into words: the answer, how sure it is, and how to settle the rest.

Every form of the report, the terminal and MLflow's note take their sentences from here.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tuner.report.comparison import LEVEL, Comparison, Row
from tuner.report.settling import LEAST_SEEDS, more_seeds, settle
from tuner.report.wording import (
    counted,
    higher_is_better,
    interval_text,
    is_loss,
    listed,
    missing,
    title,
    unit_of,
    value_text,
    verdict_text,
)

_ALIKE = ("equivalent", "not worse", "not better")
_OF_SEVERAL = (
    " Verdicts over tasks share such a level among themselves, and those on single tasks among "
    "themselves."
)
_SCOPE = (
    "of these configurations, on this test split and this draw of rows; each arm was searched "
    "once, so nothing is said of the methods as such"
)


@dataclass(frozen=True)
class Answer:
    """The first sentences of a report."""

    question: str
    """What the study asks, as its description has it; empty where it has none."""
    sentences: tuple[str, ...]
    """The answer: a sentence for each task and model, or those over all tasks."""
    certainty: str
    """How sure it is, and of what it speaks; empty where nothing is compared."""
    settle: str = ""
    """What would settle comparisons that are open; empty where there is none."""
    seeds: int = 0
    """Further seeds that it asks for at least; 0: none."""
    of_tasks: tuple[tuple[str, str, str], ...] = ()
    """Task, model and the sentence on them, where the answer is over all tasks."""

    def of(self, task: str, model: str) -> str:
        """Return the sentence on a task and model; "" where it is among the answer's own."""
        return next((text for *place, text in self.of_tasks if place == [task, model]), "")

    def lines(self) -> tuple[str, ...]:
        """Return all of it, a sentence a line, without the question."""
        return tuple(filter(None, (*self.sentences, self.certainty, self.settle)))


def answer(comparison: Comparison) -> Answer:
    """Return the answer that the verdicts of a comparison add up to."""
    places = comparison.places()
    asked = {place: asked_pairs(comparison, *place) for place in places}
    said = {
        place: ("; ".join(_said(rows, comparison)) if rows else _alone(comparison, *place)) + "."
        for place, rows in asked.items()
    }
    whole = tuple(_over_tasks(comparison))
    several = len(places) > 1
    each = [f"{' · '.join(place)}: {text}" if several else text for place, text in said.items()]
    every = [row for rows in asked.values() for row in rows]
    judged = [row for row in every if not missing(row["ci_low"])]
    return Answer(
        question=comparison.description,
        sentences=whole or tuple(each),
        certainty=_certainty(judged) + (_OF_SEVERAL if whole else ""),
        settle=settle(every, comparison.studies),
        seeds=more_seeds(every),
        of_tasks=tuple((*place, text) for place, text in said.items()) if whole else (),
    )


def _over_tasks(comparison: Comparison) -> Iterator[str]:
    """Yield what may be said over several tasks of every arm against the baseline.

    Of these tasks, and of tasks like them, which are two questions.
    """
    found = comparison.rows("over_tasks") if comparison.baseline is not None else []
    groups: defaultdict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in found:
        groups[row["model"], row["scope"]].append(row)
    models = {row["model"] for row in found}
    for (model, scope), rows in groups.items():
        where = f"on {scope}".replace("these", f"these {rows[0]['tasks']}")
        where = f"with {model} {where}" if len(models) > 1 else where
        alike: defaultdict[str, list[Row]] = defaultdict(list)
        for row in sorted(rows, key=lambda row: _gap(row, 1), reverse=True):
            alike[row["verdict"]].append(row)
        parts = [
            f"between {listed([row['arm_a'] for row in some])} and {some[0]['arm_b']} it is open "
            f"({_differences(some)})"
            if verdict == "open"
            else _decided(some, some[0]["arm_b"])
            for verdict, some in alike.items()
        ]
        yield f"{where[0].upper()}{where[1:]} {'; '.join(parts)}."


def asked_pairs(comparison: Comparison, task: str, model: str) -> list[Row]:
    """Return the pairs that the answer is made of: with the baseline, or with the best arm.

    The other arm is the first of each pair, and the baseline or the best arm the second.
    """
    rows = [
        row
        for row in comparison.rows("pairs", task, model)
        if row["metric"] == comparison.metric and row["asked"]
    ]
    if comparison.baseline is not None or not rows:
        return rows
    best = _best(comparison, task, model)
    return [_turned(row) if row["arm_a"] == best else row for row in rows if best in _arms(row)]


def _arms(row: Row) -> tuple[str, str]:
    return row["arm_a"], row["arm_b"]


def _best(comparison: Comparison, task: str, model: str) -> str:
    cells = [
        row
        for row in comparison.rows("cells", task, model)
        if row["metric"] == comparison.metric and not missing(row["mean"])
    ]
    choose = max if higher_is_better(comparison.metric) else min
    return str(choose(cells, key=lambda row: row["mean"])["arm"]) if cells else ""


def _turned(row: Row) -> Row:
    """Return a pair with its arms in the other order."""
    words = {"better": "worse", "worse": "better", "not better": "not worse"}
    words["not worse"] = "not better"
    verdict = str(row["verdict"])
    first = next((word for word in ("not better", "not worse") if verdict.startswith(word)), "")
    first = first or verdict.partition(" ")[0]
    if first in words:
        verdict = f"{words[first]}{verdict.removeprefix(first)}"
    turned = {
        "arm_a": row["arm_b"],
        "arm_b": row["arm_a"],
        "verdict": verdict,
        "ahead": row["behind"],
        "behind": row["ahead"],
        "mean_difference": -row["mean_difference"],
        "ci_low": -row["ci_high"],
        "ci_high": -row["ci_low"],
        "collapsed_a": row["collapsed_b"],
        "collapsed_b": row["collapsed_a"],
    }
    return {**row, **turned}


def _said(rows: Sequence[Row], comparison: Comparison) -> Iterator[str]:
    """Yield the verdicts on the arms against another, those with one verdict together."""
    alike: defaultdict[tuple[str, str], list[Row]] = defaultdict(list)
    sign = 1 if higher_is_better(comparison.metric) else -1
    for row in sorted(rows, key=lambda row: (bool(row["n"]), _gap(row, sign)), reverse=True):
        alike[row["verdict"], row["arm_b"]].append(row)
    for (verdict, other), found in alike.items():
        if verdict == "open":
            yield from _open(found, other)
        else:
            yield _decided(found, other)
    whole = [row["arm_a"] for row in rows if row["all_collapsed"]]
    if whole:
        yield (
            f"with {listed(whole)}, {rows[0]['arm_b']} shares no seed on which both learnt more "
            "than to name one class, so collapsed runs are compared"
        )
    fallen = {row["arm_a"]: row["collapsed_a"] for row in rows if not row["all_collapsed"]}
    fallen |= {row["arm_b"]: row["collapsed_b"] for row in rows if not row["all_collapsed"]}
    left = [f"{number} of {arm}" for arm, number in fallen.items() if number]
    if left:
        yield f"collapsed runs are left out of these differences: {listed(left)}"


def _gap(row: Row, sign: int) -> float:
    """Return how far the first arm is ahead, to put the best first."""
    return 0.0 if missing(row["mean_difference"]) else sign * row["mean_difference"]


def _decided(rows: Sequence[Row], other: str) -> str:
    """Return a verdict that is not open, with the differences."""
    names, verdict = listed([row["arm_a"] for row in rows]), verdict_text(rows[0])
    are = "is" if len(rows) == 1 else "are"
    shown = _differences(rows)
    if verdict.startswith("equivalent"):
        within = verdict.removeprefix("equivalent ")
        return f"{names} {are} equivalent to {other} {within} ({shown})"
    word, _, more = verdict.partition(" by ")
    than = f"{word} than {other}" + (f" by {more}" if more else "")
    return f"{names} {are} {than} ({shown})"


def _open(rows: Sequence[Row], other: str) -> Iterator[str]:
    """Yield a part of a sentence for what is not decided, with its direction."""
    judged = [row for row in rows if not missing(row["ci_low"])]
    for row in rows:
        if row["n"] == 0:
            yield f"{row['arm_a']} and {other} share no seed"
        elif missing(row["ci_low"]):
            yield f"{row['arm_a']} and {other} share one seed, which shows no spread to judge by"
    one_sided = [row for row in judged if row["n"] in (row["ahead"], row["behind"])]
    for leads in ("ahead", "behind"):
        found = [row for row in one_sided if row[leads] == row["n"]]
        if found:
            names, seeds = listed([row["arm_a"] for row in found]), found[0]["n"]
            who = f"{names} {'is' if len(found) == 1 else 'are'} ahead of {other}"
            who = who if leads == "ahead" else f"{other} is ahead of {names}"
            yield f"{who} on all {seeds} seeds, but {_how_open(found, seeds)}"
    for row in judged:
        if row not in one_sided:
            side = "behind" if row["behind"] >= row["ahead"] else "ahead of"
            times = row["behind"] if side == "behind" else row["ahead"]
            yield (
                f"{row['arm_a']} is {side} {other} on {times} of {row['n']} seeds, and "
                f"{_how_open([row], row['n'])}"
            )


def _how_open(rows: Sequence[Row], seeds: int) -> str:
    few = f"{seeds} seeds leave" if seeds < LEAST_SEEDS else "this leaves"
    return f"{few} it open ({_differences(rows)})"


def _differences(rows: Sequence[Row]) -> str:
    """Return differences with their intervals, such as `lora -6.60 points [-21.50, +8.40]`."""
    names = [f"{row['arm_a']} " if len(rows) > 1 else "" for row in rows]
    return ", ".join(f"{name}{_difference(row)}" for name, row in zip(names, rows, strict=True))


def _difference(row: Row) -> str:
    metric = row["metric"]
    mean = value_text(row["mean_difference"], metric, signed=True)
    ends = interval_text(row["ci_low"], row["ci_high"], metric, signed=True)
    return f"{mean} {unit_of(metric)} {ends}"


def _alone(comparison: Comparison, task: str, model: str) -> str:
    """Return the sentence of a task and model without a pair."""
    rows = [
        row
        for row in comparison.rows("cells", task, model)
        if row["metric"] == comparison.metric and not missing(row["mean"])
    ]
    if not rows:
        return "no confirm run has finished, so nothing can be compared"
    mean = value_text(rows[0]["mean"], comparison.metric)
    metric = title(comparison.metric)
    return f"{rows[0]['arm']} alone has finished runs ({mean} {metric}); nothing is compared"


def _certainty(rows: Sequence[Row]) -> str:
    """Return the sentence on the level and the scope of the verdicts."""
    if not rows:
        return ""
    number = len({(row["task"], row["model"], *sorted(_arms(row))) for row in rows})
    family = max(int(row["family_size"]) for row in rows)
    all_of = f"all {family} comparisons together" if family > 1 else "the one comparison"
    lacking = sum(bool(missing(row["row_error"])) for row in rows)
    rows_too = "over seeds and test rows"
    if lacking:
        rows_too = "over seeds alone, since predictions of test rows are missing"
        rows_too += "" if lacking == len(rows) else f" in {lacking} of {number}"
    verb = "hold" if len(rows) > 1 else "holds"
    what = "These verdicts" if len(rows) > 1 else "This verdict"
    loss = " (a margin is for scores, not for a loss)" if is_loss(rows[0]["metric"]) else ""
    sure = f"{what} {verb} at the {1 - LEVEL:.0%} level for {all_of}, {rows_too}, {_SCOPE}{loss}."
    return f"{sure}{_unseen_collapses(rows)}"


def _unseen_collapses(rows: Sequence[Row]) -> str:
    """Return how often runs may collapse though none did, where arms are said to be alike."""
    from tuner.report.stats import collapse_limit

    alike = [int(row["n"]) for row in rows if str(row["verdict"]).startswith(_ALIKE)]
    if not alike:
        return ""
    seeds = min(alike)
    return (
        f" No run of the arms that are called alike collapsed, but with {counted(seeds, 'seed')} "
        f"collapses in up to {collapse_limit(0, seeds):.0%} of runs could go unseen."
    )
