"""The fields of a study's YAML file: tasks, models, arms, budget, seeds."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator

from trainers.contract import AnyModel, AnyTask, Measure, RunSpec, Seeds, TrainSettings
from trainers.errors import ConfigError, SeveralFaults, known, nearest, shown
from trainers.plugins import Written
from tuner.config.arm import Arm, DeepSpeed, put
from tuner.config.executor import AnyExecutor, read_executor
from tuner.config.search import (
    ConfirmSettings,
    Objective,
    ReportSettings,
    SearchSettings,
    check_score,
)
from tuner.config.sizes import parse_cap
from tuner.config.spaces import Point, count_points


class StudyConfig(Written):
    """A study: its arms are compared on every task with every model."""

    name: str
    """Name of the study and of its MLflow experiment: letters, digits, dots, dashes."""
    description: str = ""
    """The question that the study asks, in a sentence."""
    tasks: tuple[AnyTask, ...] = Field(min_length=1)
    """Task names, or mappings with `kind`."""
    models: tuple[AnyModel, ...] = Field(min_length=1)
    """Model names, or mappings with `kind`."""
    metric: str = "macro_f1"
    """Validation metric that picks epochs and configurations."""
    train: TrainSettings = TrainSettings()
    """Settings of every arm's training, unless the arm has its own."""
    search: SearchSettings = SearchSettings()
    """Budget of the search."""
    confirm: ConfirmSettings = ConfirmSettings()
    """Runs that are compared."""
    report: ReportSettings = ReportSettings()
    """What the report is asked: the arm to compare with, and what is too small to matter."""
    executor: AnyExecutor = Field(default_factory=lambda: read_executor({}))
    """Where runs are done: an executor's name, or a mapping with `kind`."""
    ranks: int = Field(default=1, ge=1, strict=True)
    """Processes that train a run together, each on a device of its own."""
    deepspeed: DeepSpeed | None = None
    """DeepSpeed config: a preset (`tuner list ds-configs`), a JSON file, or its content."""
    arms: Mapping[str, Arm] = Field(min_length=1)
    """Ways of training, by name."""
    save: Literal["none", "best", "confirm"] = "none"
    """Trained models kept: none, the best confirm run of a cell on validation, or all of them."""
    measure: Measure = "process"
    """How memory is measured; allocator: on a CPU, also by torch's own record, for slower runs."""
    memory_cap: Annotated[int | Literal["device"] | None, BeforeValidator(parse_cap)] = None
    """Most memory that a run may take, such as 24GB or 20GiB, or `device`: all that is free there.
    A trial that is predicted to take more is not started. On a CPU the whole process counts."""
    timeout_seconds: float | None = Field(default=None, ge=0)
    """Begin nothing new after this time; the same command continues later."""
    max_failures: int = Field(default=5, ge=0)
    """Failed runs that the study tolerates before it stops."""

    @field_validator("name")
    @classmethod
    def _plain(cls, name: str) -> str:
        if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", name) is None:
            raise ConfigError(
                f"got {shown(name)}; allowed: letters a to z, digits, dots, dashes, underscores, "
                "the first a letter or a digit, 100 at most"
            )
        return name

    @field_validator("metric")
    @classmethod
    def _known_metric(cls, metric: str) -> str:
        return check_score(metric)

    @field_validator("tasks", "models")
    @classmethod
    def _apart(cls, parts: tuple[AnyTask | AnyModel, ...]) -> tuple[AnyTask | AnyModel, ...]:
        names = [part.name for part in parts]
        faults = [
            f"duplicate name {name!r}; set `name` on one of them"
            for name in dict.fromkeys(names)
            if names.count(name) > 1
        ]
        _refuse([*faults, *_unfit_names(names)])
        return parts

    @field_validator("arms")
    @classmethod
    def _names_of_arms(cls, arms: Mapping[str, Arm]) -> Mapping[str, Arm]:
        _refuse(_unfit_names(arms))
        return arms

    def conflicts(self) -> list[str]:
        """Return a line for each conflict between settings that are each valid."""
        found = [
            f"arms.{name}.{line}" for name, arm in self.arms.items() for line in arm.set_twice()
        ]
        found += _idle_patience(self)
        if self.report.baseline is not None and self.report.baseline not in self.arms:
            got = shown(self.report.baseline)
            near = nearest(self.report.baseline, self.arms)
            found.append(
                f"report.baseline: no such arm, got {got}; known: {known(self.arms)}{near}"
            )
        found += self.executor.conflicts(self)
        if any(arm.space for arm in self.arms.values()):
            found += _conflicts_of_search(self)
        return found

    def placed(self, folders: Sequence[Path]) -> StudyConfig:
        """Return a copy that looks for its relative paths in these folders, in turn."""
        tasks = tuple(task.placed(folders) for task in self.tasks)
        models = tuple(model.placed(folders) for model in self.models)
        return self.model_copy(update={"tasks": tasks, "models": models})

    def with_data_dir(self, data_dir: str | Path) -> StudyConfig:
        """Return a copy with another data folder, which is searched after the study's own."""
        return self.placed(self.models[0].folders(Path(data_dir).absolute()))

    def objectives(self) -> tuple[Objective, ...]:
        """Return the objectives of the search; the study's metric unless `search` has its own."""
        return self.search.objectives or (Objective(metric=self.metric),)

    def every_seed(self) -> tuple[Seeds, ...]:
        """Return the seeds of all runs."""
        return (*self.search.seeds, *self.finalist_seeds(), *self.confirm.seeds)

    def finalist_runs(self) -> int:
        """Return the most runs on fresh seeds of a cell's finalists."""
        return min(self.search.finalists.count, self.search.trials) * len(self.finalist_seeds())

    def finalist_seeds(self) -> tuple[Seeds, ...]:
        """Return the seeds of finalists; by default three from 8 on that nothing else uses.

        Confirm seeds that were added later avoid these, so that the choice stays as it was.
        None where there are no finalists.
        """
        if min(self.search.finalists.count, self.search.trials) < 2 or not any(
            arm.space for arm in self.arms.values()
        ):
            return ()
        if self.search.finalists.seeds is not None:
            return self.search.finalists.seeds
        used = {seeds.init for seeds in (*self.search.seeds, *self.confirm.first)}
        fresh = (number for number in itertools.count(8) if number not in used)
        (*_, last) = self.search.seeds
        return tuple(
            last.model_copy(update={"init": n, "order": n}) for n in itertools.islice(fresh, 3)
        )

    @property
    def baseline(self) -> str | None:
        """Arm that every other is compared with; None: all pairs are."""
        return self.report.baseline or ("full" if "full" in self.arms else None)

    def few_points(self) -> dict[str, int]:
        """Return the arms with fewer points than the search has trials, each with its number."""
        counts = {name: count_points(arm.space) for name, arm in self.arms.items() if arm.space}
        return {arm: n for arm, n in counts.items() if n is not None and n < self.search.trials}

    def remarks(self) -> tuple[str, ...]:
        """Return a line for each setting that has no effect."""
        found: dict[str, list[str]] = {}
        for arm, epochs in _epochs(self).items():
            said = self.search.pruner.remark(trials=self.search.trials, epochs=epochs)
            found.setdefault(said, []).append(arm)
        return tuple(
            f"search.pruner: of {', '.join(arms)}: {said}" for said, arms in found.items() if said
        )

    def deepspeed_of(self, arm: str) -> DeepSpeed | None:
        """Return the content of an arm's DeepSpeed config; None or empty: it has none."""
        own = self.arms[arm].deepspeed
        return self.deepspeed if own is None else own

    def spec(
        self, *, task: str, model: str, arm: str, seeds: Seeds, point: Point | None = None
    ) -> RunSpec:
        """Describe one search run. A confirm run is the same with `read_test`.

        Raises:
            ConfigError: The point names a field that does not exist.
            pydantic.ValidationError: A field does not allow its value.
        """
        chosen = self.arms[arm]
        tree: dict[str, Any] = {
            "task": next(t for t in self.tasks if t.name == task),
            "model": next(m for m in self.models if m.name == model),
            "method": chosen.method.model_dump(),
            "train": self.train.model_dump() | dict(chosen.train),
            "seeds": seeds,
            "metric": self.metric,
            "ranks": self.ranks_of(arm),
            "deepspeed": self.deepspeed_of(arm) or None,
        }
        for name, value in (point or {}).items():
            put(tree, name, value)
        return RunSpec.model_validate(tree)

    def most_ranks(self) -> int:
        """Return the most ranks that a run of the study has."""
        return max(map(self.ranks_of, self.arms))

    def ranks_of(self, arm: str) -> int:
        """Return the ranks that a run of an arm has."""
        return self.arms[arm].ranks or self.ranks


def _refuse(faults: Sequence[str]) -> None:
    if faults:
        raise SeveralFaults(faults)


def _unfit_names(names: Iterable[str]) -> list[str]:
    return [
        f"a name is 1 to 100 printable characters, got {name!r}"
        for name in names
        if not name.strip() or not name.isprintable() or len(name) > 100
    ]


def _conflicts_of_search(config: StudyConfig) -> Iterator[str]:
    search = config.search
    used = set(search.seeds) & set(config.confirm.seeds)
    if used:
        both = sorted(s.init for s in used)
        yield f"confirm.seeds: search has used {both}; confirm needs fresh ones"
    for name, others in (("search", search.seeds), ("confirm", config.confirm.seeds)):
        taken = sorted(s.init for s in set(others) & set(search.finalists.seeds or ()))
        if taken and search.finalists.count:
            yield f"search.finalists.seeds: {name} uses {taken} too; finalists need fresh ones"
    if len(search.objectives) > 1 and search.pruner.kind != "none":
        yield f"search.pruner: with several objectives it must be none, got {search.pruner.kind}"
    elif len(search.seeds) > 1 and search.pruner.kind not in ("wilcoxon", "none"):
        yield f"search.pruner: with several seeds it is wilcoxon or none, got {search.pruner.kind}"
    else:
        epochs = max(_epochs(config).values())
        try:
            search.pruner.check(seeds=len(search.seeds), trials=search.trials, epochs=epochs)
        except ConfigError as error:
            yield str(error)
    if len(search.objectives) > 1 and search.sampler.kind == "cmaes":
        several = known(search.sampler.CLASSES.keys() - {"cmaes"})
        yield (
            "search.sampler: got cmaes, which takes one objective; allowed with several: "
            + several
        )
    if search.sampler.kind == "grid":
        yield from _unfit_for_grid(config)


def _idle_patience(config: StudyConfig) -> Iterator[str]:
    """Return where `early_stopping` can stop no training: the first epoch is the best so far."""
    for name, arm in config.arms.items():
        longest = max(_values(config, arm, "epochs"))
        waits = [wait for wait in _values(config, arm, "early_stopping") if wait is not None]
        if not waits:
            continue
        key = "train.early_stopping"
        place = f"arms.{name}." if "early_stopping" in arm.train else ""
        place = f"arms.{name}.space." if key in arm.space else place
        own = arm.train.keys() | {field.removeprefix("train.") for field in arm.space}
        whose = f" of arm {name}" if own & {"epochs", "keep"} and not place else ""
        said = f"{place}{key}: got {min(waits)}; it can stop no training{whose}"
        if "best" not in _values(config, arm, "keep"):
            yield f"{said}: keep: last compares no epochs; allowed: null"
        elif min(waits) >= longest:
            epochs = f"{longest} epoch{'s' * (longest > 1)}"
            yield f"{said}, which has {epochs}; allowed: fewer than its epochs, or null"


def _values(config: StudyConfig, arm: Arm, field: str) -> list[Any]:
    """Return the values of a setting that an arm's trainings have: both ends of a range."""
    if f"train.{field}" in arm.space:
        return list(arm.space[f"train.{field}"].ends())
    return [arm.train.get(field, getattr(config.train, field))]


def _epochs(config: StudyConfig) -> dict[str, int]:
    """Return the most epochs that a training of each searched arm has."""
    return {n: max(_values(config, arm, "epochs")) for n, arm in config.arms.items() if arm.space}


def _unfit_for_grid(config: StudyConfig) -> Iterator[str]:
    for name, arm in config.arms.items():
        grids = {field: dimension.grid() for field, dimension in arm.space.items()}
        endless = [field for field, values in grids.items() if values is None]
        yield from (
            f"arms.{name}.space.{field}: the grid sampler needs a step" for field in endless
        )
        size = math.prod(len(values) for values in grids.values() if values is not None)
        if arm.space and not endless and size < config.search.trials:
            yield (
                f"arms.{name}.space: the grid has {size} points, search.trials wants "
                f"{config.search.trials}; every arm gets an equal budget"
            )
