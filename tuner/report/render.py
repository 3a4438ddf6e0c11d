"""Lay a study's tables out for people: rows of text, notes, Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tuner.report.tables import Tables, score_names
from tuner.report.wording import (
    CAPTION,
    bytes_text,
    parameters_text,
    run_notes,
    score_text,
    seconds_text,
    seed_notes,
)

_TITLES = {"macro_f1": "macro-F1", "micro_f1": "micro-F1"}
_NOTHING = "No confirm run has finished or failed yet."


@dataclass(frozen=True)
class _Block:
    """The cells of one task and model, whose arms are compared."""

    task: str
    model: str
    rows: Sequence[Mapping[str, Any]]

    @property
    def title(self) -> str:
        return f"{self.task} · {self.model}"


def render_rows(tables: Tables) -> list[list[str]]:
    """Return the comparison as rows of text, titles first; task and model where they differ."""
    blocks = list(_blocks(tables))
    columns = [name for name in ("task", "model") if len({getattr(b, name) for b in blocks}) > 1]
    rows = [
        [*(str(row[name]) for name in columns), *_texts(row, tables)]
        for block in blocks
        for row in block.rows
    ]
    return [[*columns, *_titles(tables)], *rows]


def render_notes(tables: Tables) -> list[str]:
    """Return what must be known to read the rows, a sentence or two each."""
    blocks = list(_blocks(tables))
    if not blocks:
        return [_NOTHING]
    notes = [
        f"{block.title}: {note}" if len(blocks) > 1 else note
        for block in blocks
        for note in _block_notes(block, tables)
    ]
    return [*notes, CAPTION]


def render_markdown(tables: Tables) -> str:
    """Return a table with notes for each task and model."""
    blocks = list(_blocks(tables))
    if not blocks:
        return f"{_NOTHING}\n"
    lines: list[str] = []
    for block in blocks:
        titles = _titles(tables)
        lines += [f"## {_escape(block.title)}", "", _line(titles)]
        lines.append(_line(["---", *["---:"] * (len(titles) - 1)]))
        lines += [_line(_texts(row, tables)) for row in block.rows]
        lines += ["", *(f"- {_escape(note)}" for note in _block_notes(block, tables)), ""]
    return "\n".join([*lines, CAPTION, ""])


def _blocks(tables: Tables) -> Iterator[_Block]:
    for _, frame in tables.cells.groupby(["task", "model"]):
        rows = [dict(zip(frame.columns, row, strict=True)) for row in frame.to_numpy(object)]
        yield _Block(rows[0]["task"], rows[0]["model"], rows)


def _titles(tables: Tables) -> list[str]:
    scores = [_TITLES.get(score, score) for score in score_names(tables.metric)]
    return ["arm", "n", *scores, "trained parameters", "peak memory", "seconds"]


def _texts(row: Mapping[str, Any], tables: Tables) -> list[str]:
    scores = [score_text(row, score) for score in score_names(tables.metric)]
    parameters = parameters_text(row["trained_parameters"])
    memory, seconds = bytes_text(row["peak_memory_bytes"]), seconds_text(row["seconds"])
    return [str(row["arm"]), str(row["n"]), *scores, parameters, memory, seconds]


def _block_notes(block: _Block, tables: Tables) -> list[str]:
    return [*run_notes(block.rows), *seed_notes(_seeds_by_arm(block, tables))]


def _seeds_by_arm(block: _Block, tables: Tables) -> dict[str, frozenset[Any]]:
    runs = tables.runs
    here = (runs["task"] == block.task) & (runs["model"] == block.model)
    done = runs[here & (runs["state"] == "finished")]
    found: dict[str, set[Any]] = {row["arm"]: set() for row in block.rows}
    columns = ["arm", "init_seed", "order_seed", "data_seed"]
    for arm, *seeds in done[columns].itertuples(index=False, name=None):
        found[arm].add(tuple(seeds))
    return {arm: frozenset(seeds) for arm, seeds in found.items()}


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(map(_escape, cells))} |"


def _escape(text: str) -> str:
    """Keep a name from ending a table's cell or opening an HTML tag."""
    plain = " ".join(text.split())
    for mark, shown in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("|", "\\|")):
        plain = plain.replace(mark, shown)
    return plain
