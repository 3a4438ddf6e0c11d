"""A study's definition: its settings and data at one time, as text in a store."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import yaml
from pydantic import ValidationError

from trainers.contract import Seeds
from trainers.errors import ConfigError
from tuner.config.cells import Cell, Digests, plan
from tuner.config.load import dump_study
from tuner.config.study import StudyConfig

_MARK = "# read by tuner report: "
"""Prefix of the text's last line, a comment of the YAML."""
_VARIED = ("init", "order")
"""The seeds that differ between added runs; the draw of the rows stays."""


@dataclass(frozen=True)
class Definition:
    """A study with the digests of its data."""

    config: StudyConfig
    data: Mapping[str, Digests] = field(default_factory=dict)
    """Digests by task."""
    fingerprints: Mapping[str, str] = field(default_factory=dict)
    """Fingerprints of cells, by label, as written by a launcher; versions may compute others."""
    faults: Mapping[str, str] = field(default_factory=dict)
    """Why a launcher did not begin cells, or gave them up, by label."""
    ended: str = ""
    """Why the last call ended before all was done, in a few words; "" where all was done."""
    tried: Mapping[str, int] = field(default_factory=dict)
    """Ended trials of a search at the end of the last call, by the cell's label."""

    chosen: Mapping[str, int] = field(default_factory=dict)
    """Number of the trial that each search chose, by the cell's label."""

    def cells(self) -> tuple[Cell, ...]:
        """Return the cells."""
        return plan(self.config, self.data)

    def fingerprint(self, cell: Cell) -> str:
        """Return the fingerprint in the records of a cell's runs."""
        return self.fingerprints.get(cell.label) or cell.fingerprint()


def define(cells: Sequence[Cell]) -> Definition:
    """Return the definition of these cells, which are of one study."""
    return Definition(cells[0].study, {cell.task: cell.data for cell in cells})


def dump_definition(
    cells: Sequence[Cell],
    faults: Mapping[str, str] | None = None,
    *,
    ended: str = "",
    tried: Mapping[str, int] | None = None,
    chosen: Mapping[str, int] | None = None,
) -> str:
    """Write a study out as YAML, with the digests of its data in a comment at the end.

    Args:
        cells: The study's cells.
        faults: Why cells are not begun, by label.
        ended: Why a call ended before all was done.
        tried: Trials of each search that have ended, by label.
        chosen: Number of the trial that each search chose, by label.
    """
    made = define(cells)
    known: dict[str, object] = {
        "data": made.data,
        "cells": {cell.label: cell.fingerprint() for cell in cells},
    }
    more: dict[str, object] = {"faults": dict(faults or {}), "ended": ended}
    more |= {"tried": dict(tried or {}), "chosen": dict(chosen or {})}
    known |= {name: value for name, value in more.items() if value}
    return f"{dump_study(made.config)}{_MARK}{json.dumps(known, sort_keys=True)}\n"


def read_definition(text: str) -> Definition | None:
    """Read a text of `dump_definition`; those of earlier versions have no digests.

    Returns:
        The definition; None where this version does not know one of its settings.
    """
    *_, last = text.splitlines() or [""]
    known = json.loads(last.removeprefix(_MARK)) if last.startswith(_MARK) else {}
    data = {
        task: {int(seed): digests for seed, digests in by_seed.items()}
        for task, by_seed in known.get("data", {}).items()
    }
    try:
        config = StudyConfig.model_validate(yaml.safe_load(text))
    except ValidationError:
        return None
    return Definition(
        config,
        data,
        fingerprints=known.get("cells", {}),
        faults=known.get("faults", {}),
        ended=known.get("ended", ""),
        tried=known.get("tried", {}),
        chosen=known.get("chosen", {}),
    )


def add_seeds(config: StudyConfig, count: int) -> StudyConfig:
    """Return a study with further confirm seeds, which none of its runs have had.

    They are the smallest numbers that the study does not use. A source of randomness in which all
    confirm seeds agree stays as it is: the comparison is one under that seed.

    Raises:
        ConfigError: The confirm seeds draw the rows too: further draws would start new searches.
    """
    confirm, first = config.confirm, config.confirm.seeds[0]
    if len({seeds.data for seeds in confirm.seeds}) > 1:
        draws = sorted({seeds.data for seeds in confirm.seeds})
        raise ConfigError(
            f"confirm.seeds: got several draws of rows, data: {draws}; further draws would search "
            "anew; allowed: one draw, or seeds written in the file"
        )
    used = {number for seeds in config.every_seed() for number in (seeds.init, seeds.order)}
    shared = {name: {getattr(seeds, name) for seeds in confirm.seeds} for name in _VARIED}
    fixed = {name: found for name, found in shared.items() if len(found) == 1}
    kept = {} if len(confirm.seeds) == 1 else {name: getattr(first, name) for name in fixed}
    fresh = itertools.islice((n for n in itertools.count(1) if n not in used), count)
    added = [Seeds(**{**dict.fromkeys(_VARIED, n), **kept}, data=first.data) for n in fresh]
    return _with_confirm(config, (*confirm.seeds, *added), confirm.added + count)


def with_added_seeds(config: StudyConfig, kept: Iterable[str]) -> StudyConfig:
    """Return a study with the confirm seeds that `add_seeds` has given it in a store.

    They were given to the study with the seeds that its file has now: a file with other seeds is
    a definition of its own.

    Args:
        config: The study as its file has it.
        kept: The texts of its definitions in the store.
    """
    most = config
    for text in kept:
        found = read_definition(text)
        if found is not None and _first_seeds(found.config) == _first_seeds(config):
            most = max(most, found.config, key=lambda study: study.confirm.added)
    return _with_confirm(config, most.confirm.seeds, most.confirm.added)


def _first_seeds(config: StudyConfig) -> tuple[tuple[Seeds, ...], ...]:
    return config.search.seeds, config.finalist_seeds(), config.confirm.first


def _with_confirm(config: StudyConfig, seeds: tuple[Seeds, ...], added: int) -> StudyConfig:
    changed = config.confirm.model_copy(update={"seeds": seeds, "added": added})
    return config.model_copy(update={"confirm": changed})
