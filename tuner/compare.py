"""Build the report of studies that a store holds."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from trainers.errors import ConfigError, known
from tuner.load import load_study
from tuner.passwords import hide_password
from tuner.report import Question, Report, gather, read_references
from tuner.report import build_report as report_of
from tuner.shipped import find_reference
from tuner.store import STORE
from tuner.trackers import Reader, entity_name, log_report, open_reader, report_folder


def build_report(
    study: str | Path | Sequence[str | Path],
    *,
    store: str | Path = STORE,
    metric: str | None = None,
    baseline: str | None = None,
    reference: str | Path | None = None,
) -> Report:
    """Compare the confirm runs of one study, or of several together.

    Args:
        study: A shipped study, a YAML file, or the name of a study that the store holds.
        store: Folder that the studies were run in, or the address of an MLflow server.
        metric: Test metric to compare by; by default the study's own.
        baseline: Arm to pair every other with; by default all pairs are compared.
        reference: Published numbers: a shipped name or a CSV file.

    Returns:
        A report with the pandas frames `cells`, `pairs`, `runs`, `trials`.

    Raises:
        ConfigError: No such study in the store, no such store, metric, arm or file.
        TestReadEarly: The search has read the test split.
    """
    published = read_references(find_reference(reference)) if reference is not None else ()
    reader = open_reader(store)
    wanted = [study] if isinstance(study, str | Path) else list(study)
    names = held_names(reader, wanted, store)
    evidence = gather(reader, names, metric=metric and entity_name(metric))
    return report_of(evidence, Question(baseline=baseline, published=published))


def held_names(
    reader: Reader, studies: Sequence[str | Path], store: str | Path
) -> tuple[str, ...]:
    """Return the names of studies that the store holds, each once, in alphabetical order.

    Raises:
        ConfigError: It does not hold one of them.
    """
    held = reader.studies()
    names = []
    for study in studies:
        name = str(study) if str(study) in held else load_study(study).name
        if name not in held:
            raise ConfigError(
                f"{study}: not run in {hide_password(str(store))}; studies there: {known(held)}"
            )
        names.append(name)
    return tuple(sorted(set(names)))


def keep_report(report: Report, *, store: str | Path = STORE) -> None:
    """Keep a report as artifacts of the run `report` of each of its studies.

    Where the same report is kept already, nothing is drawn or written. Pictures are kept as SVG
    alone: drawing them again as PNG takes as long as all the rest.
    """
    raw = report.json()
    studies = [name for name in report.comparison.studies if not _is_kept(raw, store, name)]
    if not studies:
        return
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "report"
        report.write(folder, pictures=("svg",))
        for study in studies:
            log_report(store, study, folder)


def _is_kept(raw: str, store: str | Path, study: str) -> bool:
    folder = report_folder(store, study)
    path = folder / "report.json" if folder else None
    return path is not None and path.is_file() and path.read_text(encoding="utf-8") == raw
