"""Build the report of studies that a store holds, and keep it in MLflow."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from trainers.errors import ConfigError
from tuner.config import Cell, find_reference
from tuner.report.compare import report_on
from tuner.report.contracts import Report
from tuner.report.evidence import Asked, gather
from tuner.report.finding import asked_of, find_study, with_log, with_others
from tuner.report.planned import plan_cell
from tuner.report.question import Question, read_references
from tuner.store import STORE, Reader, Store
from tuner.tracking import keep_report as keep_in_mlflow
from tuner.tracking import open_reader


def build_report(
    study: str | Path | Asked | Sequence[str | Path | Asked],
    *,
    store: str | Path | Store | Reader = STORE,
    metric: str | None = None,
    baseline: str | None = None,
    reference: str | Path | None = None,
) -> Report:
    """Compare the confirm runs of one study, or of several together.

    Args:
        study: The name of a study that the store holds, a YAML file, or a shipped study; or a
            result of `find_study`.
        store: Folder that the studies were run in, the address of an MLflow server, or a reader.
        metric: Test metric to compare by; by default the study's own.
        baseline: Arm to compare every other with; by default the study's own.
        reference: Published numbers: a shipped name or a CSV file.

    Returns:
        A report with the pandas frames `cells`, `pairs`, `runs`, `trials`.

    Raises:
        ConfigError: No such study in the store, no such store, metric, arm or file.
        TestReadEarly: The search has read the test split.
    """
    published = read_references(find_reference(reference)) if reference is not None else ()
    reader = store if isinstance(store, Reader) else open_reader(store)
    shown = STORE if isinstance(store, Reader) else store
    wanted = [study] if isinstance(study, str | Path | Asked) else list(study)
    found = [
        one if isinstance(one, Asked) else find_study(one, reader, store=shown) for one in wanted
    ]
    logged = [with_log(asked, reader) for asked in _each_once(found)]
    evidence = gather(reader, logged, metric=metric)
    return report_on(evidence, Question(baseline=baseline, published=published))


def report_of_run(
    cells: Sequence[Cell],
    faults: Mapping[str, str],
    *,
    store: str | Path | Store,
    tracking: str | None = None,
) -> Report:
    """Return the report of a study as a call of `run_study` had it.

    Args:
        cells: The study's cells.
        faults: Why cells were given up, by label.
        store: Where its journal is.
        tracking: Address of the MLflow server that it was projected to; None: in the store.
    """
    study, reader = cells[0].study, open_reader(store, tracking=tracking)
    planned = tuple(replace(plan_cell(c), fault=faults.get(c.label, "")) for c in cells)
    asked = asked_of(study, planned)
    asked = with_log(with_others(asked, reader), reader)
    return report_on(gather(reader, [asked]))


def _each_once(studies: Sequence[Asked]) -> list[Asked]:
    """Return studies in alphabetical order, each once.

    Raises:
        ConfigError: One is asked for in two definitions.
    """
    found: dict[str, Asked] = {}
    for asked in studies:
        if found.setdefault(asked.study, asked) != asked:
            raise ConfigError(
                f"study {asked.study!r}: asked for in two definitions; a report shows one of them"
            )
    return [found[name] for name in sorted(found)]


def keep_report(report: Report, *, store: Store, tracking: str | None = None) -> None:
    """Keep a report in MLflow, as files of the run `report` of each of its studies.

    Pictures are kept as SVG alone: drawing them again as PNG takes as long as all the rest.
    """
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "report"
        report.write(folder, pictures=("svg",))
        for study in report.comparison.studies:
            keep_in_mlflow(store, tracking, study, folder, note=_note(report))


def _note(report: Report) -> str:
    """Return the question and the answer, as MLflow shows them."""
    said = report.answer
    question = (f"*{said.question}*",) if said.question else ()
    return "\n\n".join((*question, *said.lines(), *report.comparison.findings))
