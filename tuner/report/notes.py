"""Say in sentences what the numbers of a comparison can and cannot tell."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tuner.report.compared import Block
from tuner.report.scores import title
from tuner.report.tables.pairs import LEVEL
from tuner.report.wording import counted, missing, p_text, value_text

if TYPE_CHECKING:
    import pandas

Rows = Sequence[Mapping[Any, Any]]


def block_notes(
    block: Block, cells: pandas.DataFrame, pairs: pandas.DataFrame, *, metric: str
) -> Iterator[str]:
    """Yield what must be known to read the tables of one task and model."""
    own_cells, own_pairs = _rows(cells, block, metric), _rows(pairs, block, metric)
    yield from _verdicts(own_pairs, metric)
    yield from _least_p(own_pairs)
    yield from _unpaired(own_pairs)
    yield from _runs(own_cells)
    yield from _noise(own_cells, metric)
    yield from _seen_rows(block)


def _rows(frame: pandas.DataFrame, block: Block, metric: str) -> Rows:
    here = (frame["task"] == block.task) & (frame["model"] == block.model)
    found: Rows = frame[here & (frame["metric"] == metric)].to_dict("records")
    return found


def _verdicts(pairs: Rows, metric: str) -> Iterator[str]:
    for row in pairs:
        if row["verdict"] not in ("a better", "b better"):
            continue
        better, worse = row["arm_a"], row["arm_b"]
        if row["verdict"] == "b better":
            better, worse = worse, better
        size = value_text(abs(row["mean_difference"]), metric)
        unit = "nats" if metric.endswith("loss") else "points"
        yield (
            f"{better} is better than {worse} by {size} {unit} of {title(metric)} "
            f"(p = {p_text(row['p_holm'])} after Holm's correction over "
            f"{counted(row['family_size'], 'pair')})."
        )


def _least_p(pairs: Rows) -> Iterator[str]:
    """Say where so few pairs of seeds cannot reach the level, whatever they show."""
    by_count: defaultdict[int, list[Mapping[Any, Any]]] = defaultdict(list)
    for row in pairs:
        by_count[row["n"]].append(row)
    for shared, rows in sorted(by_count.items()):
        which = ""
        if len(by_count) > 1:
            names = (f"{row['arm_a']} and {row['arm_b']}" for row in rows)
            which = f" ({'; '.join(names)})"
        if shared == 0:
            yield f"No seed is shared{which}, so there is nothing to pair."
            continue
        yield from _floor(rows[0], which)


def _floor(row: Mapping[Any, Any], which: str) -> Iterator[str]:
    shared, least, family = row["n"], row["least_p"], row["family_size"]
    floor = (
        f"With {counted(shared, 'shared seed')} the exact two-sided paired sign-flip test "
        f"cannot go below p = 2/2^{shared} = {least:.4g}"
    )
    if least > LEVEL:
        yield (
            f"{floor}: at the {LEVEL:.0%} level the differences{which} are not separable with "
            f"{counted(shared, 'seed')}."
        )
    elif least * family > LEVEL:
        yield (
            f"{floor}, {min(1, least * family):.4g} after Holm's correction over {family} pairs: "
            f"at the {LEVEL:.0%} level the differences{which} are not separable with "
            f"{counted(shared, 'seed')}; `--baseline ARM` asks fewer questions."
        )


def _unpaired(pairs: Rows) -> Iterator[str]:
    lacking: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for row in pairs:
        for side, other in (("a", "b"), ("b", "a")):
            if row[f"unpaired_{side}"]:
                lacking[row[f"arm_{other}"], row[f"unpaired_{side}"]].append(row[f"arm_{side}"])
    for (arm, seeds), others in sorted(lacking.items()):
        yield (
            f"{arm} lacks the seeds {', '.join(seeds.split())} (init/order/data) of "
            f"{', '.join(sorted(others))}: left out of these pairs."
        )


def _runs(cells: Rows) -> Iterator[str]:
    for row in cells:
        if row["failed_runs"]:
            yield f"{row['arm']}: {counted(row['failed_runs'], 'run')} failed."
        if row["collapsed_runs"]:
            yield (
                f"{row['arm']}: {row['collapsed_runs']} of {counted(row['n'], 'run')} collapsed: "
                "no more accurate than always naming the most frequent class."
            )
        if row["left_out_runs"]:
            older = counted(row["left_out_runs"], "older run")
            yield f"{row['arm']}: {older} of another definition of the arm left out."


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
            f"{', '.join(quiet)}: the spread over seeds is smaller than the noise of the test "
            f"rows themselves (standard error up to {value_text(noise, metric)} points for one "
            "run): another test sample could move these means more than more seeds would."
        )


def _seen_rows(block: Block) -> Iterator[str]:
    facts = [run.facts for cell in block.cells for run in cell.finished]
    counts = {
        (f["rows.test_seen_in_train"], f["rows.test"])
        for f in facts
        if f.get("rows.test_seen_in_train", "0") != "0" and "rows.test" in f
    }
    for seen, total in sorted(counts):
        left = int(total) - int(seen)
        yield (
            f"{seen} of {total} test rows stand in train too; the metrics `unseen/...` are of "
            f"the other {left}."
        )
