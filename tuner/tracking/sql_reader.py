"""Read runs from MLflow's database with a few plain queries, without importing MLflow."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Engine,
    Join,
    Select,
    TableClause,
    case,
    null,
    select,
    true,
)

from tuner.tracking.base import Curve, Reader
from tuner.tracking.moved import own_folder
from tuner.tracking.sql_schema import (
    ACTIVE,
    EXPERIMENT_TAGS,
    EXPERIMENTS,
    LATEST_METRICS,
    METRICS,
    PARAMS,
    RUNS,
    TAGS,
    database_file,
    open_engine,
)
from tuner.tracking.stored_reader import STUDY, StoredReader
from tuner.tracking.tags import PHASE, StoredRun

_RUNS_AT_ONCE = 500


def open_sql_reader(uri: str, otherwise: Callable[[], Reader]) -> SqlReader | None:
    """Open a database to read it.

    Args:
        uri: MLflow's tracking URI.
        otherwise: Opens the reader that files are downloaded by, where they are not on this
            machine.

    Returns:
        None where `open_engine` knows no such database.
    """
    engine = open_engine(uri)
    return SqlReader(engine, otherwise, database_file(uri)) if engine else None


class SqlReader(StoredReader):
    """Reads with one query a table. The database is never written to.

    Args:
        engine: Of a database that MLflow 3 made.
        otherwise: See `open_sql_reader`.
        file: Of the database, where it is one: a store that was moved has its files beside it.
    """

    def __init__(
        self, engine: Engine, otherwise: Callable[[], Reader], file: Path | None = None
    ) -> None:
        super().__init__()
        self._file = file
        self._engine = engine
        self._otherwise = otherwise
        self._downloader: Reader | None = None

    def studies(self) -> list[str]:
        """List the experiments that are studies."""
        return sorted(name for name, _ in self._texts_by_name())

    def _texts_by_name(self) -> Iterator[tuple[str, str]]:
        query = _holding_studies().where(EXPERIMENTS.c.lifecycle_stage == ACTIVE)
        return map(tuple, self._rows(query))

    def _is_deleted(self, study: str) -> bool:
        gone = EXPERIMENTS.c.lifecycle_stage != ACTIVE
        return bool(self._rows(_holding_studies().where(EXPERIMENTS.c.name == study, gone)))

    def stored_runs(
        self, study: str, *, phase: str | None = None, with_params: bool = True
    ) -> Iterator[StoredRun]:
        """Read table after table, then put the runs together."""
        runs, wanted = RUNS.c, _of_study(study, phase)
        columns = (runs.run_uuid, runs.status, runs.start_time, runs.end_time, runs.artifact_uri)
        query = select(*columns).select_from(wanted)
        found = self._rows(query.order_by(runs.start_time, runs.run_uuid))
        tags = self._texts(TAGS, wanted)
        params = self._texts(PARAMS, wanted) if with_params else {}
        metrics = self._numbers(wanted)
        for run_id, status, start, end, artifact_uri in found:
            yield StoredRun(
                run_id=run_id,
                status=status,
                start=start,
                end=end,
                artifact_uri=artifact_uri,
                tags=tags.pop(run_id, {}),
                params=params.pop(run_id, {}),
                metrics=metrics.pop(run_id, {}),
            )

    def stored_curves(self, run_ids: Sequence[str], names: Sequence[str]) -> Iterator[Curve]:
        """Read the points of some hundred runs in one query."""
        for start in range(0, len(run_ids), _RUNS_AT_ONCE):
            chunk = run_ids[start : start + _RUNS_AT_ONCE]
            found = {
                (run_id, name): _curve(run_id, name, list(points))
                for (run_id, name), points in groupby(
                    self._rows(_points(chunk, names)), itemgetter(0, 1)
                )
            }
            places = ((run_id, name) for run_id in chunk for name in names)
            yield from (found[place] for place in places if place in found)

    def _texts(self, entries: TableClause, wanted: Join) -> dict[str, dict[str, str]]:
        """Read the tags or the params of runs."""
        found: defaultdict[str, dict[str, str]] = defaultdict(dict)
        # The runs of a study repeat each other: one text for all that are equal.
        same = _Same()
        for run_id, key, value in self._rows(_entries(entries, wanted, entries.c.value)):
            found[run_id][same[key]] = same[value]
        return found

    def _numbers(self, wanted: Join) -> dict[str, dict[str, float]]:
        """Read the last values of the metrics of runs."""
        found: defaultdict[str, dict[str, float]] = defaultdict(dict)
        same = _Same()
        value = case((LATEST_METRICS.c.is_nan == true(), null()), else_=LATEST_METRICS.c.value)
        for run_id, key, number in self._rows(_entries(LATEST_METRICS, wanted, value)):
            found[run_id][same[key]] = math.nan if number is None else number
        return found

    def _folder(self, artifact_uri: str) -> Path | None:
        if self._file is None:
            return super()._folder(artifact_uri)
        return own_folder(artifact_uri, self._file)

    def _study_tags(self, study: str) -> Mapping[str, str]:
        tags = EXPERIMENT_TAGS.c
        query = select(tags.key, tags.value).where(
            tags.experiment_id == EXPERIMENTS.c.experiment_id,
            EXPERIMENTS.c.name == study,
            EXPERIMENTS.c.lifecycle_stage == ACTIVE,
        )
        return dict(map(tuple, self._rows(query)))

    def _find_artifact_uri(self, run_id: str) -> str | None:
        rows = self._rows(select(RUNS.c.artifact_uri).where(RUNS.c.run_uuid == run_id))
        return rows[0][0] if rows else None

    def _download(self, run_id: str, name: str) -> Path | None:
        if self._downloader is None:
            self._downloader = self._otherwise()
        return self._downloader.artifact(run_id, name)

    def _rows(self, query: Select[Any]) -> Sequence[Any]:
        # All at once: a reader that lingers would hold up those who write to a SQLite file.
        with self._engine.connect() as connection:
            return connection.execute(query).all()


class _Same(dict[Any, Any]):
    """Gives for equal texts one and the same."""

    def __missing__(self, text: Any) -> Any:
        self[text] = text
        return text


def _holding_studies() -> Select[Any]:
    """Select the names of the experiments that are studies, deleted or not, and their texts."""
    tagged = EXPERIMENTS.c.experiment_id == EXPERIMENT_TAGS.c.experiment_id
    columns = select(EXPERIMENTS.c.name, EXPERIMENT_TAGS.c.value)
    return columns.where(tagged, EXPERIMENT_TAGS.c.key == STUDY)


def _points(run_ids: Sequence[str], names: Sequence[str]) -> Select[Any]:
    """Select points so that of several at one step the last row is the one of `make_curves`."""
    points = METRICS.c
    value = case((points.is_nan == true(), null()), else_=points.value)
    step_by_step = (points.run_uuid, points.key, points.step)
    return (
        select(*step_by_step, value)
        .where(points.run_uuid.in_(run_ids), points.key.in_(names))
        .order_by(*step_by_step, points.timestamp.desc(), points.is_nan.desc(), points.value)
    )


def _curve(run_id: str, name: str, rows: Sequence[Any]) -> Curve:
    kept = {step: math.nan if value is None else value for _, _, step, value in rows}
    return Curve(run_id, name, tuple(kept), tuple(kept.values()))


def _entries(entries: TableClause, wanted: Join, value: ColumnElement[Any]) -> Select[Any]:
    by_run = wanted.join(entries, entries.c.run_uuid == RUNS.c.run_uuid)
    return select(entries.c.run_uuid, entries.c.key, value).select_from(by_run)


def _of_study(study: str, phase: str | None) -> Join:
    """Return the runs of a study's experiment, with the conditions in the join itself."""
    in_study = (
        (RUNS.c.experiment_id == EXPERIMENTS.c.experiment_id)
        & (RUNS.c.lifecycle_stage == ACTIVE)
        & (EXPERIMENTS.c.name == study)
    )
    runs = RUNS.join(EXPERIMENTS, in_study)
    if phase is None:
        return runs
    tag = TAGS.alias("phase")
    of_phase = (tag.c.run_uuid == RUNS.c.run_uuid) & (tag.c.key == PHASE) & (tag.c.value == phase)
    return runs.join(tag, of_phase)
