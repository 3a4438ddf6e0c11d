"""Make comparisons with known numbers, and with names that try to break a page or a picture."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from tuner.report import Column, Comparison, Note, all_tables

ARMS = ("<script>alert(1)</script>", "a $x^2$ [b]", "bottleneck", "full", "lora")
TASKS = ("restaurant & co", "toy")
SEEDS = (11, 22, 33, 44, 55)
MODEL = "tiny-bert"
METRICS = ("macro_f1", "accuracy")
LEVEL = {"full": 0.86, "lora": 0.85, "bottleneck": 0.84, "a $x^2$ [b]": 0.8}
RATE = "train.learning_rate"

EXPORTED = {table.name: table.COLUMNS for table in all_tables() if table.COLUMNS}
_FRAMES = {
    "ranks": "model tasks arm mean_rank friedman_p critical_difference",
    "budget": "task model arm trials seconds expected bound",
    "tradeoff": "task model arm score score_low score_high peak_memory_bytes seconds pareto "
    "pareto_probability seeds saved_peak saved_largest_peak saved_with_eval",
    "searched": "task model arm field chosen low high log position near",
    "over_tasks": "model arm_a arm_b metric tasks scope margin mean_difference ci_low ci_high "
    "level freedom verdict each memory_ratio seconds_ratio",
    "confusion": "task model arm label predicted rows share",
    "variance": "task model arm source variance share",
    "curves": "task model arm series step n mean low high",
    "references": "source task model method metric arm published_mean published_std published_n "
    "mean std n difference standard_error",
}


def make_comparison(**changes: Any) -> Comparison:
    """Return two tasks, five arms, five seeds; one cell has a single run, some numbers lack.

    Args:
        changes: Fields of Comparison to replace, and frames by their names.
    """
    scores = _scores()
    frames = {
        "cells": _frame(_cells(scores), EXPORTED["cells"]),
        "pairs": _frame(_pairs(scores), EXPORTED["pairs"]),
        "runs": _frame(_runs(scores), EXPORTED["runs"], *(f"test/{metric}" for metric in METRICS)),
        "trials": _frame(_trials(), EXPORTED["trials"], RATE),
        "search": _frame(_searches(), EXPORTED["search"]),
        "ranks": _plain("ranks", _ranks(scores)),
        "budget": _plain("budget", _budget()),
        "tradeoff": _plain("tradeoff", _tradeoff(scores)),
        "searched": _plain("searched", _searched()),
        "over_tasks": _plain("over_tasks", _over_tasks()),
        "confusion": _plain("confusion", _confusion()),
        "variance": _plain("variance", _variance()),
        "curves": _plain("curves", _curves()),
        "references": _plain("references", _references(scores)),
    }
    given = {name: changes.pop(name) for name in frames.keys() & changes.keys()}
    whole = Comparison(
        studies=("restaurant-full-vs-adapters", "s & <b>t</b>"),
        metric="macro_f1",
        baseline=None,
        frames=frames | given,
        flags=("toy: arms had unequal budgets: full 12 trials, lora 8 <b>trials</b>.",),
        notes=(
            Note("With 5 shared seeds no p can be below 0.0625.", TASKS[0], MODEL),
            Note("lora: 1 run failed.", TASKS[1], MODEL),
            Note("Friedman's test needs five tasks; there are 2."),
        ),
    )
    return replace(whole, **changes)


def _searches() -> list[dict[str, Any]]:
    """Return the searches of every cell; one of them has found nothing yet."""
    spent = {"trials": 12, "finished": 7, "pruned": 4, "failed": 1, "epochs": 29.0}
    spent |= {"finalist_runs": 9, "finalist_epochs": 27.0, "dimensions": 2}
    found = {"best_at_last_epoch": 3, "confirm_runs": 5, "half_cost": 0.012}
    found |= {"search_score": 0.91, "finalists_score": 0.87, "confirm_score": 0.86}
    found |= {"optimism": 0.05}
    return [
        {"task": task, "model": MODEL, "arm": arm} | spent | ({} if arm == "full" else found)
        for task, arm in itertools.product(TASKS, ARMS)
    ]


def with_frames(whole: Comparison, **frames: pd.DataFrame) -> Comparison:
    """Return a comparison with other frames in the place of some."""
    return replace(whole, frames={**whole.frames, **frames})


def make_empty() -> Comparison:
    """Return what a study that has no run yet gives."""
    frames = {name: _frame([], columns) for name, columns in EXPORTED.items()}
    frames |= {name: _plain(name, []) for name in _FRAMES}
    return Comparison(("empty",), "macro_f1", None, frames, flags=(), notes=())


def ranks_of(mean_ranks: Mapping[str, float], difference: float, tasks: int = 6) -> pd.DataFrame:
    """Return the ranks frame of a comparison over enough tasks for a critical difference."""
    rows = [
        {"model": MODEL, "tasks": tasks, "arm": arm, "mean_rank": rank}
        | {"friedman_p": 0.012, "critical_difference": difference}
        for arm, rank in sorted(mean_ranks.items())
    ]
    return _plain("ranks", rows)


Scores = dict[tuple[str, str], np.ndarray]


def _scores() -> Scores:
    """Return every cell's macro-F1, one value a seed; the first arm of `toy` has one run."""
    draw = np.random.default_rng(7)
    found: Scores = {}
    for task, arm in itertools.product(TASKS, ARMS):
        lift = draw.normal(0, 0.012, len(SEEDS)) - (0.1 if task == "toy" else 0.0)
        found[task, arm] = LEVEL.get(arm, 0.78) + lift
    found["toy", ARMS[0]] = found["toy", ARMS[0]][:1]
    return found


def _ids(task: str, arm: str, count: int) -> list[str]:
    cell = TASKS.index(task) * 10 + ARMS.index(arm)
    return [f"{cell:04x}{seed:028x}" for seed in range(count)]


def _cells(scores: Scores) -> list[dict[str, Any]]:
    rows = []
    for (task, arm), values in scores.items():
        for shift, metric in enumerate(METRICS):
            shown = values + 0.03 * shift
            rows.append(_cell(task, arm, metric=metric, values=shown))
    return rows


def _cell(task: str, arm: str, *, metric: str, values: np.ndarray) -> dict[str, Any]:
    count, place = len(values), ARMS.index(arm)
    many = count > 1
    std = values.std(ddof=1) if many else None
    half = 2.776 * std / count**0.5 if many else 0.0
    peak = 9e8 - 1e8 * place
    return {
        "study": "s",
        **{"task": task, "model": MODEL, "arm": arm, "method": arm, "metric": metric},
        **{"n": count, "mean": values.mean(), "std": std},
        "ci_low": values.mean() - half if many else None,
        "ci_high": values.mean() + half if many else None,
        **{"median": np.median(values), "min": values.min(), "max": values.max()},
        "test_noise_std": 0.011,
        **{"failed_runs": int(arm == "lora"), "collapsed_runs": 2 * (place == 0)},
        **{"planned_runs": count, "reason": ""},
        **{
            "left_out_runs": 0,
            "chosen": f"{RATE} 0.0003",
            "trials": 0 if place == 1 else 8,
            "seconds": 30.0 + 7 * place,
        },
        "peak_memory_bytes": None if place == 1 else int(peak),
        **{"peak_memory_mean_bytes": peak, "peak_with_eval_bytes": peak * 1.1},
        **{"trained_parameters": 300_000 + 10**place, "adapter_parameters": 10**place},
        **{"head_parameters": 300_000, "parent_run_id": f"parent{place}"},
        "run_ids": " ".join(_ids(task, arm, count)),
    }


def _pairs(scores: Scores) -> list[dict[str, Any]]:
    rows = []
    for task, metric in itertools.product(TASKS, METRICS):
        for first, second in itertools.combinations(ARMS, 2):
            count = min(len(scores[task, first]), len(scores[task, second]))
            gap = scores[task, first][:count] - scores[task, second][:count]
            rows.append(_pair((task, metric), (first, second), gap))
    return rows


def _pair(place: Sequence[str], arms: Sequence[str], gap: np.ndarray) -> dict[str, Any]:
    task, metric = place
    mean, std = gap.mean(), gap.std(ddof=1) if len(gap) > 1 else None
    if len(gap) < 2:
        verdict = "open"
    elif abs(mean) < 0.02:
        verdict = "equivalent within the margin"
    else:
        verdict = "better" if mean > 0 else "worse"
    spread = {} if std is None else {"ci_low": mean - 2 * std, "ci_high": mean + 2 * std}
    return {
        **{"task": task, "model": MODEL, "metric": metric},
        **{"arm_a": arms[0], "arm_b": arms[1], "n": len(gap)},
        **{"mean_difference": mean, "std_difference": std, **spread},
        **{
            "asked": True,
            "all_collapsed": False,
            "row_error": 0.004,
            "level": 0.0025,
            "family_size": 20,
            "margin": 0.01,
        },
        **{"verdict": verdict, "p": None, "nearest": "", "seeds_low": None, "seeds_high": None},
        **{"ahead": (gap > 0).sum(), "behind": (gap < 0).sum()},
        **{"collapsed_a": 0, "collapsed_b": 0},
        "probability_a_better": (gap > 0).mean(),
        **{"probability_low": 0.1, "probability_high": 0.95},
        "cohens_d": None if std is None else mean / std,
        **{"unpaired_a": "", "unpaired_b": ""},
        "run_ids_a": " ".join(_ids(task, arms[0], len(gap))),
        "run_ids_b": " ".join(_ids(task, arms[1], len(gap))),
    }


def _runs(scores: Scores) -> list[dict[str, Any]]:
    rows = []
    for (task, arm), values in scores.items():
        ids = _ids(task, arm, len(values))
        for seed, value, run in zip(SEEDS, values, ids, strict=False):
            seeds = {"init_seed": seed, "order_seed": seed, "data_seed": 2022}
            place = {"study": "s", "task": task, "model": MODEL, "arm": arm, "state": "finished"}
            metrics = {"test/macro_f1": value, "test/accuracy": value + 0.03}
            rows.append({**place, "reason": "", **seeds, "run_id": run, **metrics})
    failed = {"study": "s", "task": "toy", "model": MODEL, "arm": "lora", "state": "failed"}
    return [*rows, failed | {"reason": "exit code 1", "init_seed": 66, "run_id": "f" * 32}]


def _trials() -> list[dict[str, Any]]:
    rows = []
    for task, arm in itertools.product(TASKS, ARMS):
        for trial in range(8 if arm != ARMS[1] else 0):
            rows.append(
                {
                    **{"study": "s", "task": task, "model": MODEL, "arm": arm, "trial": trial},
                    **{"state": "pruned" if trial % 3 == 2 else "finished", "reason": ""},
                    **{"chosen": trial == 4, "metric": "macro_f1", "score": 0.6 + 0.02 * trial},
                    **{"seconds": 20.0, "seeds": 1, "peak_memory_bytes": 10**9},
                    **{"parent_run_id": "parent", "run_ids": f"{trial:032x}"},
                    RATE: 1e-4 * 2**trial,
                }
            )
    return rows


def _searched() -> list[dict[str, Any]]:
    """Return the chosen learning rate of every searched arm; that of lora is near an end."""
    return [
        {"task": task, "model": MODEL, "arm": arm, "field": RATE, "chosen": f"{1e-4 * 2**4:g}"}
        | {"low": 1e-4, "high": 2e-3 if arm == "lora" else 1.28e-2, "log": True}
        | {"position": 0.926 if arm == "lora" else 0.57, "near": "upper" if arm == "lora" else ""}
        for task, arm in itertools.product(TASKS, ARMS)
        if arm != ARMS[1]
    ]


def _over_tasks() -> list[dict[str, Any]]:
    """Return what is said of two arms over both tasks."""
    return [
        {"model": MODEL, "arm_a": "lora", "arm_b": "full", "metric": "macro_f1", "tasks": 2}
        | {"scope": "these tasks", "margin": 0.01, "mean_difference": -0.008, "ci_low": -0.03}
        | {"ci_high": 0.014, "level": 0.05, "freedom": 7.5, "verdict": "open"}
        | {"each": "restaurant & co -0.67, toy -0.90", "memory_ratio": 0.6, "seconds_ratio": 1.2}
    ]


def _confusion() -> list[dict[str, Any]]:
    """Return two classes, of which every fifth row is taken for the other."""
    return [
        {"task": task, "model": MODEL, "arm": arm, "label": label, "predicted": predicted}
        | {"rows": 80 if label == predicted else 20, "share": 0.8 if label == predicted else 0.2}
        for task, arm in itertools.product(TASKS, ARMS)
        for label, predicted in itertools.product(("<i>no</i>", "yes"), repeat=2)
    ]


def _ranks(scores: Scores) -> list[dict[str, Any]]:
    means = {arm: np.mean([scores[task, arm].mean() for task in TASKS]) for arm in ARMS}
    order = sorted(ARMS, key=lambda arm: -means[arm])
    return [
        {"model": MODEL, "tasks": 2, "arm": arm, "mean_rank": order.index(arm) + 1.0}
        for arm in ARMS
    ]


def _budget() -> list[dict[str, Any]]:
    return [
        {"task": task, "model": MODEL, "arm": arm, "trials": trial}
        | {
            "seconds": 20.0 * trial * (1 + place),
            "expected": 0.8 - 0.1 / (trial + place),
            "bound": 0.79 - 0.1 / (trial + place),
        }
        for task in TASKS
        for place, arm in enumerate(ARMS)
        for trial in range(1, 9)
    ]


def _tradeoff(scores: Scores) -> list[dict[str, Any]]:
    rows = []
    for (task, arm), values in scores.items():
        place, mean = ARMS.index(arm), values.mean()
        half = 1.2 * values.std(ddof=1) if len(values) > 1 else None
        ends = {} if half is None else {"score_low": mean - half, "score_high": mean + half}
        rows.append(
            {
                **{"task": task, "model": MODEL, "arm": arm, "score": mean, **ends},
                **{"peak_memory_bytes": 9e8 - 1e8 * place, "seconds": 30.0 + 7 * place},
                **{"pareto": place > 1, "pareto_probability": 0.2 * place, "seeds": 5},
                **{"saved_peak": 0.1 * place, "saved_largest_peak": 0.09 * place},
                "saved_with_eval": 0.05 * place,
            }
        )
    return rows


def _variance() -> list[dict[str, Any]]:
    shares = {"init": 0.5, "order": 0.3, "rest": 0.2}
    return [
        {"task": "toy", "model": MODEL, "arm": "lora", "source": source}
        | {"variance": 1e-4 * share, "share": share}
        for source, share in shares.items()
    ]


def _curves() -> list[dict[str, Any]]:
    rows = []
    for task, (place, arm) in itertools.product(TASKS, enumerate(ARMS)):
        alone = (task, arm) == ("toy", ARMS[0])
        for series, steps in (
            ("train/loss", range(2, 61, 2)),
            ("validation/loss", range(20, 61, 20)),
            ("validation/macro_f1", range(20, 61, 20)),
        ):
            for step in steps:
                value = np.exp(-step / (25 + 5 * place)) + 0.1 * place
                if series.endswith("f1"):
                    value = 0.9 - 0.4 * value
                band = {} if alone else {"low": value - 0.03, "high": value + 0.03}
                row = {"task": task, "model": MODEL, "arm": arm, "series": series, "step": step}
                rows.append(row | {"n": 1 if alone else 5, "mean": value, **band})
    return rows


def _references(scores: Scores) -> list[dict[str, Any]]:
    values = scores["toy", "full"]
    ours = {"mean": values.mean(), "std": values.std(ddof=1), "n": 5}
    return [
        {
            **{"source": "Course report <2023>", "task": "toy", "model": MODEL},
            **{"method": "full", "metric": "macro_f1", "arm": "full", "published_mean": 0.77},
            **{"published_std": 0.01, "published_n": 5, **ours},
            **{"difference": values.mean() - 0.77, "standard_error": 0.0071},
        }
    ]


def _frame(rows: Sequence[Mapping[str, Any]], columns: Sequence[Column], *more: str) -> Any:
    dtypes = {column.name: column.dtype for column in columns}
    frame = pd.DataFrame([dict(row) for row in rows], columns=[*dtypes, *more]).astype(dtypes)
    keys = [name for name in ("task", "model", "arm", "arm_a", "arm_b", "metric") if name in frame]
    return frame.sort_values(keys, kind="stable", ignore_index=True)


def _plain(name: str, rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    names = _FRAMES[name].split()
    numbers = [n for n in names if n.startswith(("score", "saved", "published_s", "low", "high"))]
    numbers += [
        n for n in names if n in ("friedman_p", "critical_difference", "peak_memory_bytes")
    ]
    frame = pd.DataFrame([dict(row) for row in rows], columns=names)
    return frame.astype(dict.fromkeys(numbers, "float64"))
