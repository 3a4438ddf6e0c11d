"""Tabulate the pairs of arms of one task and model for a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tuner.report.page.table import (
    Cell,
    Head,
    Row,
    TableRow,
    TableView,
    count,
    difference,
    raw,
    run_ids,
    word,
)
from tuner.report.wording import (
    MANY,
    further_text,
    missing,
    number_text,
    p_text,
    share_text,
    title,
)


def pairs_table(rows: Sequence[Row], metric: str) -> TableView:
    """Tabulate the pairs by one metric, among those of a task and model."""
    rows = [row for row in rows if row["metric"] == metric]
    families = sorted({int(row["family_size"]) for row in rows if not missing(row["family_size"])})
    pairs = " or ".join(f"{size} pair{'s' * (size != 1)}" for size in families)
    heads = (
        Head("pair", "first arm − second arm", numeric=False),  # noqa: RUF001  # a minus sign
        Head("n", "seeds that both arms have finished, independent of each other"),
        Head("difference", "mean of first − second, with its 95% interval"),  # noqa: RUF001
        Head("p", "exact two-sided sign-flip p; below, the least that n seeds can give"),
        Head("p (Holm)", f"corrected for the {pairs or 'pairs'} of the report"),
        Head("P(first better)", "share of seeds, ties half, with its exact 95% interval"),
        Head("d", "mean difference in standard deviations of the differences"),
        Head("further seeds", "to add for 80% power, if the differences go on so"),
        Head("verdict", "at the 5% level, after Holm's correction", numeric=False),
    )
    caption = f"Pairs of arms by {title(metric)}, seed by seed"
    return TableView(caption, heads, tuple(_row(row, metric) for row in rows))


def baseline_rows(rows: Sequence[Row], metric: str, baseline: str | None) -> Mapping[str, Row]:
    """Return each arm's pair with the baseline, of which the baseline is the second."""
    return {
        row["arm_a"]: row for row in rows if (row["arm_b"], row["metric"]) == (baseline, metric)
    }


def _row(row: Row, metric: str) -> TableRow:
    first, second = row["arm_a"], row["arm_b"]
    probability, ends = (
        row["probability_a_better"],
        (row["probability_low"], row["probability_high"]),
    )
    shares = "" if missing(ends[0]) else f"[{', '.join(map(share_text, ends))}]"
    least = "" if missing(row["least_p"]) else f"≥ {p_text(row['least_p'])}"
    cells = (
        word(f"{first} − {second}"),  # noqa: RUF001  # a minus sign
        count(row["n"]),
        difference(row["mean_difference"], metric, (row["ci_low"], row["ci_high"])),
        Cell(p_text(row["p"]), raw(row["p"]), least),
        Cell(p_text(row["p_holm"]), raw(row["p_holm"])),
        Cell(share_text(probability), raw(probability), shares),
        Cell(number_text(row["cohens_d"]), raw(row["cohens_d"])),
        _further(row),
        word(_verdict(row)),
    )
    runs = run_ids(str(first), row["run_ids_a"]) + run_ids(str(second), row["run_ids_b"])
    return TableRow(cells, runs)


def _further(row: Row) -> Cell:
    seeds = row["further_seeds"]
    text = further_text(row)
    return Cell(text, "Infinity" if text == MANY else raw(seeds))


def _verdict(row: Row) -> str:
    """Return the verdict with the arms by their names."""
    winners = {"a better": row["arm_a"], "b better": row["arm_b"]}
    verdict = str(row["verdict"])
    return f"{winners[verdict]} better" if verdict in winners else verdict
