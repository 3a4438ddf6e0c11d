"""Find a study in a store: as it is defined now, or as it was when it was last run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from trainers.data import load_task
from trainers.errors import ConfigError, TunerError, known, nearest
from tuner.config import (
    DATA_DIR,
    Definition,
    Digests,
    StudyConfig,
    hide_password,
    is_study_file,
    load_study,
    read_definition,
    study_names,
    with_added_seeds,
)
from tuner.report.evidence import Asked, OtherDefinition
from tuner.report.planned import PlannedCell, SeedKey, planned_cells
from tuner.report.wording import listed
from tuner.store import KeptDefinition, Reader, RunRecord, Store

_UNKNOWN = (
    "an earlier version of tuner ran it, and how it was defined is not known: of every arm the "
    "latest confirm runs are shown."
)


def find_study(
    study: str | Path,
    reader: Reader,
    *,
    store: str | Path | Store,
    data_dir: Path = DATA_DIR,
    definition: str | None = None,
) -> Asked:
    """Find a study in a store, as it is defined now, or as it was when it was last run.

    A file is read as it is now, and its data too. A name is a study that the store holds, as it
    was last run there; else a shipped study, which is read as a file is.

    Args:
        study: A name or a file.
        reader: Of the store.
        store: Its folder or address, for messages.
        data_dir: Folder of the task files.
        definition: Id of an earlier definition that the store keeps.

    Raises:
        ConfigError: The store does not hold it, or no such definition of it.
    """
    held = reader.studies()
    shown = store.shown if isinstance(store, Store) else hide_password(str(store))
    named = str(study) in held and not is_study_file(study)
    if not named and not is_study_file(study) and str(study) not in study_names():
        absent = reader.why_absent(str(study))
        near = nearest(str(study), [*held, *study_names()])
        there = f"studies there: {known(held) or 'none'}; a file is named with its suffix{near}"
        raise ConfigError(f"no such study {str(study)!r} in {shown}; {absent or there}")
    config = None if named else load_study(study)
    name = str(study) if config is None else config.name
    if name not in held:
        absent = reader.why_absent(name)
        there = absent or f"studies there: {known(held) or 'none'}"
        raise ConfigError(f"{study}: not {'found' if absent else 'run'} in {shown}; {there}")
    if definition is not None:
        return with_others(_as_kept(name, reader, definition), reader)
    if config is None:
        return with_others(_as_last_run(name, reader), reader)
    config = with_added_seeds(config, (kept.text for kept in reader.definitions(name)))
    data, doubts = _read_data(config, data_dir, reader)
    cells = planned_cells(Definition(config, data))
    return with_others(asked_of(config, cells, doubts=doubts), reader)


def asked_of(
    config: StudyConfig,
    cells: tuple[PlannedCell, ...],
    remarks: tuple[str, ...] = (),
    doubts: tuple[str, ...] = (),
) -> Asked:
    """Return a study whose definition is known as one that is asked about.

    Args:
        config: The study.
        cells: Its cells.
        remarks: Sentences on where its definition was found.
        doubts: What makes its numbers doubtful.
    """
    added = config.confirm.added
    if added:
        seeds = ", ".join(str(seeds.init) for seeds in config.confirm.seeds[-added:])
        remarks += (
            f"study {config.name}: of its {len(config.confirm.seeds)} confirm seeds {added} were "
            f"added after its results were there ({seeds}).",
        )
    return Asked(
        config.name,
        cells,
        config.metric,
        description=config.description,
        baseline=config.baseline,
        margin=config.report.margin,
        remarks=remarks,
        doubts=doubts,
    )


def with_others(asked: Asked, reader: Reader) -> Asked:
    """Add the other definitions that the store keeps of a study, the last one first.

    Add too why cells were not begun or completed, where the last launcher recorded it.
    """
    others: list[OtherDefinition] = []
    recorded: dict[tuple[str, ...], list[PlannedCell]] = {}
    definitions = [
        (kept, planned_cells(definition))
        for kept in reversed(reader.definitions(asked.study))
        if (definition := read_definition(kept.text)) is not None
    ]
    seen = {frozenset(asked.cells or ())}
    for kept, cells in definitions:
        for cell in cells:
            recorded.setdefault((*cell.name, cell.fingerprint), []).append(cell)
        if cells and frozenset(cells) not in seen:
            seen.add(frozenset(cells))
            fingerprints = frozenset(cell.fingerprint for cell in cells)
            others.append(OtherDefinition(kept.id, _when(kept.time), fingerprints))
    if asked.cells is not None:
        own = [
            _with_ends(cell, recorded.get((*cell.name, cell.fingerprint), ()))
            for cell in asked.cells
        ]
        earlier = [cell for _, cells in definitions for cell in cells]
        looks = _looks((*own, *earlier))
        remarks = (*asked.remarks, *_of_looks(asked.study, looks))
        asked = replace(asked, cells=_taken_up(own, earlier, reader), remarks=remarks)
    return replace(asked, others=tuple(others))


def _looks(cells: Sequence[PlannedCell]) -> tuple[int, ...]:
    """Return the sizes of the different sets of confirm seeds that one cell has had, ascending.

    Args:
        cells: As the study and its earlier definitions have them.
    """
    sets: dict[tuple[str, ...], set[frozenset[SeedKey]]] = {}
    for cell in cells:
        sets.setdefault((*cell.name, cell.core), set()).add(frozenset(cell.seeds))
    most = max(sets.values(), key=len, default=set())
    return tuple(sorted(map(len, most)))


def _of_looks(study: str, looks: Sequence[int]) -> Iterator[str]:
    """Yield a sentence where confirm seeds were added to a study, perhaps after a look."""
    if len(looks) > 1:
        sizes = listed([str(size) for size in looks])
        yield (
            f"study {study}: it has had {len(looks)} sets of confirm seeds, of {sizes} seeds. "
            f"Where seeds are added until a verdict comes, it is wrong more often than the level "
            f"says: after {len(looks)} looks up to {len(looks)} times as often."
        )


def with_log(asked: Asked, reader: Reader) -> Asked:
    """Add the journal's log of the searches."""
    log = reader.search_log(asked.study)
    if asked.cells is None or not log:
        return asked
    cells = (replace(cell, log=tuple(log.get(cell.search_name, ()))) for cell in asked.cells)
    return replace(asked, cells=tuple(cells))


def _taken_up(
    cells: Sequence[PlannedCell], kept: Sequence[PlannedCell], reader: Reader
) -> tuple[PlannedCell, ...]:
    """Give cells without runs the runs from before a data seed was added or dropped.

    A fingerprint depends on all data seeds. A study that is started again records the runs of the
    seeds that stay under the new fingerprint.

    Args:
        cells: Of one study.
        kept: As the store's earlier definitions have them, the last one first.
        reader: The store.
    """
    earlier = {
        cell: [other.fingerprint for other in kept if _differ_in_seeds_alone(cell, other)]
        for cell in cells
    }
    if not any(earlier.values()):
        return tuple(cells)
    groups = [run.group for run in reader.runs(cells[0].study)]
    ran = {(group.study, group.task, group.model, group.arm, group.cell) for group in groups}
    found = []
    for cell, others in earlier.items():
        marks = (mark for mark in (cell.fingerprint, *others) if (*cell.name, mark) in ran)
        found.append(replace(cell, fingerprint=next(marks, cell.fingerprint)))
    return tuple(found)


def _differ_in_seeds_alone(one: PlannedCell, other: PlannedCell) -> bool:
    shared = one.data.keys() & other.data.keys()
    same = (one.name, one.core) == (other.name, other.core)
    return same and bool(shared) and all(one.data[seed] == other.data[seed] for seed in shared)


def _with_ends(cell: PlannedCell, kept: Sequence[PlannedCell]) -> PlannedCell:
    """Add to a cell how it ended, as launchers recorded it, the last one first."""
    if not kept:
        return cell
    last, tried = kept[0], max(one.tried for one in kept)
    return replace(
        cell, fault=cell.fault or last.fault, ended=cell.ended or last.ended, tried=tried
    )


def _as_last_run(name: str, reader: Reader) -> Asked:
    """Return a study as the store keeps it."""
    kept = reader.definitions(name)
    if kept:
        return _of_kept(name, kept[-1], "as it was last run")
    made = read_definition(reader.study_yaml(name))
    records = reader.runs(name)
    if made is not None:
        made = replace(made, data={t.name: _data_of(records, t.name) for t in made.config.tasks})
        cells = planned_cells(made)
        if {cell.fingerprint for cell in cells} & {run.group.cell for run in records}:
            last = max(run.start for run in records)
            remark = f"study {name}: as it was last run, {_when(last)}."
            return asked_of(made.config, cells, (remark,))
    return Asked(name, remarks=(f"study {name}: {_UNKNOWN}",))


def _as_kept(name: str, reader: Reader, wanted: str) -> Asked:
    found = reader.definitions(name)
    for kept in found:
        if kept.id == wanted:
            return _of_kept(name, kept, f"its definition {kept.id}, last run")
    shown = ", ".join(f"{kept.id} ({_when(kept.time)})" for kept in reversed(found)) or "none"
    raise ConfigError(f"--definition: {name} has none of this id, got {wanted!r}; known: {shown}")


def _of_kept(name: str, kept: KeptDefinition, words: str) -> Asked:
    definition = read_definition(kept.text)
    if definition is None:
        return Asked(name, remarks=(f"study {name}: {_UNKNOWN}",))
    remark = f"study {name}: {words} {_when(kept.time)}."
    return asked_of(definition.config, planned_cells(definition), (remark,))


def _when(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S} UTC"


def _read_data(
    config: StudyConfig, data_dir: Path, reader: Reader
) -> tuple[dict[str, Digests], tuple[str, ...]]:
    """Return the digests of a study's data: of today's data, or of the last run's if unreadable.

    Return too a doubt for each task whose data cannot be read: its runs may have used other rows.
    """
    config = config.with_data_dir(data_dir)
    seeds = sorted({s.data for s in config.every_seed()})
    data: dict[str, Digests] = {}
    doubts = []
    for task in config.tasks:
        try:
            found = {seed: load_task(task, data_dir, seed).digests for seed in seeds}
        except (TunerError, OSError, ImportError) as error:
            found = dict(_last_data(config.name, task.name, seeds, reader))
            doubts.append(
                f"{task.name}: its data cannot be read here ({error}); the runs are those on the "
                "data as they were when the study was last run"
            )
        data[task.name] = found
    return data, tuple(doubts)


def _last_data(study: str, task: str, seeds: Sequence[int], reader: Reader) -> Digests:
    for kept in reversed(reader.definitions(study)):
        definition = read_definition(kept.text)
        if definition is not None and set(definition.data.get(task, {})) >= set(seeds):
            return {seed: definition.data[task][seed] for seed in seeds}
    found = _data_of(reader.runs(study), task)
    return {seed: found[seed] for seed in seeds if seed in found}


def _data_of(records: Sequence[RunRecord], task: str) -> Digests:
    """Return the digests of a task's rows, by data seed, as the last runs have them."""
    prefix = "data."
    found: dict[int, Mapping[str, str]] = {}
    for run in records:  # in the order they were started
        digests = {k.removeprefix(prefix): v for k, v in run.facts.items() if k.startswith(prefix)}
        if run.group.task == task and digests:
            found[run.seeds.data] = digests
    return found
