"""Estimate the seeds needed to detect a difference, by the spread in a store."""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev, variance

from trainers.errors import ConfigError
from tuner.config import StudyConfig
from tuner.forecast.time.forecasts import BlockSpread, PairSpread, SeedsForecast
from tuner.store import RunRecord

LEVEL, POWER = 0.05, 0.8
_BOUNDED = ("accuracy", "macro_f1", "micro_f1")
_SeedKey = tuple[int, int, int]
_ArmKey = tuple[str, str, str]


@dataclass(frozen=True)
class _Differences:
    """Two arms' differences: their number and standard deviation."""

    arms: tuple[str, str]
    n: int
    std: float


def check_detect(config: StudyConfig, difference: float, spread: float | None) -> None:
    """Refuse a difference or a spread that scores cannot have.

    Raises:
        ConfigError: Not above 0; or above 1 for a score between 0 and 1.
    """
    bounded = config.metric in _BOUNDED or config.metric.startswith("f1/")
    for option, value in (("--detect", difference), ("--spread", spread)):
        if value is None:
            continue
        if not 0 < value < math.inf:
            raise ConfigError(f"{option}: got {value}; allowed: a number above 0")
        if bounded and value >= 1:
            raise ConfigError(
                f"{option}: {config.metric} lies between 0 and 1, so one point is 0.01; "
                f"got {value:g}"
            )


def seeds_of(
    config: StudyConfig, runs: Sequence[RunRecord], difference: float, spread: float | None
) -> SeedsForecast:
    """Estimate the seeds needed to detect a difference between two arms.

    The spread is that of the differences between arms over common confirm seeds. Before there are
    any, it is that of each trial's scores over the search seeds, as if both arms varied
    independently of each other; the user's spread is used in the same way.

    Args:
        config: The study.
        runs: The study's runs.
        difference: Difference to detect, in the metric's unit.
        spread: Standard deviation of one arm over seeds, given by the user; None: not given.
    """
    arms = len(config.arms)
    comparisons = len(config.tasks) * len(config.models) * arms * (arms - 1) // 2
    confirmed = _confirm_pairs(config, runs)
    seen = confirmed or _search_pairs(config, runs)

    def needed(std: float) -> int | None:
        return _seeds_to_detect(std, difference, comparisons) if comparisons else None

    return SeedsForecast(
        metric=config.metric,
        difference=difference,
        level=LEVEL,
        power=POWER,
        comparisons=comparisons,
        planned=len(config.confirm.seeds),
        source="confirm runs" if confirmed else "search runs" if seen else None,
        blocks=tuple(
            BlockSpread(
                task=task,
                model=model,
                pairs=len(pairs),
                largest=_pair(pairs[-1], needed(pairs[-1].std)),
                median=_pair(pairs[len(pairs) // 2], needed(pairs[len(pairs) // 2].std)),
            )
            for (task, model), pairs in seen.items()
        ),
        given_std=spread,
        given_seeds=None if spread is None else needed(spread * math.sqrt(2)),
    )


def _seeds_to_detect(std: float, difference: float, comparisons: int) -> int | None:
    from tuner.report import seeds_to_detect

    found: int | None = seeds_to_detect(
        std, difference, level=LEVEL, power=POWER, comparisons=comparisons
    )
    return found


def _pair(seen: _Differences, seeds: int | None) -> PairSpread:
    arm_a, arm_b = seen.arms
    return PairSpread(arm_a=arm_a, arm_b=arm_b, n=seen.n, std_difference=seen.std, seeds=seeds)


def _confirm_pairs(
    config: StudyConfig, runs: Sequence[RunRecord]
) -> dict[tuple[str, str], list[_Differences]]:
    """Return each block's pairs of arms with at least two common seeds, with their spread."""
    name = f"test/{config.metric}"
    latest: dict[_ArmKey, RunRecord] = {}
    scores: defaultdict[_ArmKey, dict[_SeedKey, float]] = defaultdict(dict)
    finished = [
        run
        for run in sorted(runs, key=lambda run: run.start)
        if run.group.phase == "confirm" and run.state == "finished" and name in run.metrics
    ]
    for run in finished:
        latest[_arm_of(run)] = run
    for run in finished:
        if run.group == latest[_arm_of(run)].group:
            seeds = run.seeds
            scores[_arm_of(run)][seeds.init, seeds.order, seeds.data] = run.metrics[name]

    def compare(arms: tuple[str, str], found: Mapping[str, _ArmKey]) -> _Differences | None:
        first, second = (scores[found[arm]] for arm in arms)
        differences = [first[seed] - second[seed] for seed in sorted(first.keys() & second)]
        if len(differences) < 2:
            return None
        return _Differences(arms, len(differences), stdev(differences))

    return _by_block(config, set(scores), compare)


def _search_pairs(
    config: StudyConfig, runs: Sequence[RunRecord]
) -> dict[tuple[str, str], list[_Differences]]:
    """Return each block's pairs of arms, with the spread over the seeds of their trials."""
    name = f"validation/{config.metric}"
    trials: defaultdict[tuple[_ArmKey, str, int | None], dict[str, float]] = defaultdict(dict)
    for run in runs:
        if run.group.phase == "search" and run.state == "finished" and name in run.metrics:
            key = (_arm_of(run), run.group.cell, run.group.trial)
            trials[key][run.digest] = run.metrics[name]
    within: defaultdict[_ArmKey, list[float]] = defaultdict(list)
    counts: defaultdict[_ArmKey, list[int]] = defaultdict(list)
    for (arm, _, _), values in trials.items():
        if len(values) > 1:
            within[arm].append(variance(values.values()))
            counts[arm].append(len(values))

    def compare(arms: tuple[str, str], found: Mapping[str, _ArmKey]) -> _Differences:
        first, second = (found[arm] for arm in arms)
        std = math.sqrt(fmean(within[first]) + fmean(within[second]))
        return _Differences(arms, min(*counts[first], *counts[second]), std)

    return _by_block(config, set(within), compare)


def _arm_of(run: RunRecord) -> _ArmKey:
    return run.group.task, run.group.model, run.group.arm


def _by_block(
    config: StudyConfig,
    known: set[_ArmKey],
    compare: Callable[[tuple[str, str], Mapping[str, _ArmKey]], _Differences | None],
) -> dict[tuple[str, str], list[_Differences]]:
    blocks = {}
    for task, model in itertools.product(config.tasks, config.models):
        keys = {arm: (task.name, model.name, arm) for arm in config.arms}
        arms = [arm for arm, key in keys.items() if key in known]
        found = [compare(pair, keys) for pair in itertools.combinations(arms, 2)]
        pairs = sorted((seen for seen in found if seen), key=lambda seen: seen.std)
        if pairs:
            blocks[task.name, model.name] = pairs
    return blocks
