"""Find reasons why a comparison is unfair: unequal budgets, data, code; a test read early."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

from trainers.errors import TunerError
from tuner.report.searches import SearchProgress
from tuner.report.selection import Block
from tuner.report.wording import counted
from tuner.store import RunRecord

_SHOWN = 5
_PACKAGES = ("accelerate", "datasets", "deepspeed", "numpy", "scikit-learn", "cuda")
"""Packages whose versions are named where they differ; see `_packages` for torch's."""
_EXTENT = frozenset(
    {
        *("train.epochs", "train.early_stopping", "train.keep", "train.max_length"),
        *("train.batch_size", "train.gradient_accumulation"),
    }
)
"""Settings of how much is trained or seen. All arms should search them, or none. An arm may need
its own search of other settings, such as the learning rate."""


class TestReadEarly(TunerError):
    """Search runs have scores of the test split, so their choice cannot be compared on it."""

    __test__ = False  # no test class, whatever its name begins with


def refuse_early_test(records: Sequence[RunRecord]) -> None:
    """Check that no run but confirm runs has read the test split.

    Raises:
        TestReadEarly: One has; the message names the runs.
    """
    early = sorted(
        record.run_id
        for record in records
        if record.group.phase != "confirm"
        and (
            record.params.get("read_test") == "True"
            or any(name.startswith("test/") for name in record.metrics)
        )
    )
    if early:
        more = f" and {len(early) - _SHOWN} more" if len(early) > _SHOWN else ""
        raise TestReadEarly(
            f"the search has read the test split, in the runs {', '.join(early[:_SHOWN])}{more}; "
            "configurations that were chosen with the test in sight cannot be compared on it"
        )


def unfair(block: Block) -> list[str]:
    """Return a sentence for each difference between a block's arms that none should have."""
    return [
        *_unequal_trials(block),
        *_searched_in_some(block),
        *_different_settings(block),
        *_different_deepspeed(block),
        *_different_facts(block),
    ]


def _unequal_trials(block: Block) -> Iterator[str]:
    searches = {cell.arm: cell.search for cell in block.begun}
    if len({(search.counted, search.points) for search in searches.values()}) > 1:
        shown = ", ".join(f"{arm} {_trials(search)}" for arm, search in searches.items())
        yield f"unequal search budgets, in trials: {shown}"


def _trials(search: SearchProgress) -> str:
    again = search.points < search.counted
    points = f" ({counted(search.points, 'different point')})" if again else ""
    return f"{search.counted or 'none'}{points}"


def _partly_searched(block: Block) -> set[str]:
    """Return the settings of `_EXTENT` that some arms search, and others do not."""
    searched = [cell.searched_fields & _EXTENT for cell in block.begun]
    return set().union(*searched) - set(_EXTENT).intersection(*searched)


def _searched_in_some(block: Block) -> Iterator[str]:
    """Yield each setting of `_EXTENT` that some arms search, with its values in all arms."""
    for name in sorted(_partly_searched(block)):
        arms: dict[bool, list[str]] = {True: [], False: []}
        for cell in block.begun:
            values = ", ".join(
                dict.fromkeys(r.params[name] for r in cell.finished if name in r.params)
            )
            searched = name in cell.searched_fields
            values_text = f" ({'chosen: ' if searched else ''}{values})" if values else ""
            arms[searched].append(f"{cell.arm}{values_text}")
        free, fixed = ", ".join(arms[True]), ", ".join(arms[False])
        yield f"{name} is searched in {free} and fixed in {fixed}"


def _different_settings(block: Block) -> Iterator[str]:
    """Name each setting that is fixed, and not at the same value in all arms."""
    values: defaultdict[str, defaultdict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    partly = _partly_searched(block)
    for cell in block.begun:
        searched = cell.searched_fields
        for run in cell.finished:
            for name, value in run.params.items():
                if (name.startswith("train.") or name == "ranks") and name not in searched:
                    values[name][value].add(cell.arm)
    for name, arms in sorted(values.items()):
        if len(arms) > 1 and name not in partly:
            yield f"different {name}: {_by_arm(arms)}"


def _different_deepspeed(block: Block) -> Iterator[str]:
    """Name the first settings in which the arms' DeepSpeed configs differ."""
    configs = {
        (cell.arm, run.run_id): {k: v for k, v in run.params.items() if k.startswith("deepspeed.")}
        for cell in block.begun
        for run in cell.finished
    }
    names = {name for config in configs.values() for name in config}
    differ = [name for name in sorted(names) if len({c.get(name) for c in configs.values()}) > 1]
    arms: defaultdict[str, set[str]] = defaultdict(set)
    for (arm, _), config in configs.items():
        shown = [
            f"{name.removeprefix('deepspeed.')} {config.get(name, 'unset')}"
            for name in differ[:_SHOWN]
        ]
        arms[", ".join(shown) if config else "none"].add(arm)
    if differ:
        yield f"different DeepSpeed configs: {_by_arm(arms)}"


def _by_arm(values: Mapping[str, Collection[str]]) -> str:
    return "; ".join(f"{v} ({', '.join(sorted(values[v]))})" for v in sorted(values))


def _different_facts(block: Block) -> Iterator[str]:
    for what, read in _FACTS.items():
        arms: defaultdict[str, set[str]] = defaultdict(set)
        for cell in block.cells:
            for run in cell.finished:
                arms[read(run)].add(cell.arm)
        if "" in arms:
            arms["unknown"] = arms.pop("")
        if len(arms) > 1:
            yield f"different {what}: {_by_arm(arms)}"
    yield from _different_data(block)


def _different_data(block: Block) -> Iterator[str]:
    """Compare the rows of runs with the same data seed; another seed may draw others."""
    for split in ("train", "validation", "test"):
        digests: defaultdict[int, defaultdict[str, set[str]]] = defaultdict(
            lambda: defaultdict(set)
        )
        for cell in block.cells:
            for run in cell.finished:
                digest = run.facts.get(f"data.{split}")
                if digest:
                    digests[run.seeds.data][digest[:8]].add(cell.arm)
        for found in digests.values():
            if len(found) > 1:
                yield f"different rows in {split}: {_by_arm(found)}"
                break


def _code(run: RunRecord) -> str:
    commit = run.facts.get("git_commit", "")[:8]
    return f"{commit} with changes" if run.facts.get("git_dirty") == "true" else commit


def _packages(run: RunRecord) -> str:
    names = ("torch", "transformers", "peft")
    return ", ".join(f"{name} {run.facts[name]}" for name in names if name in run.facts)


def _fact(name: str) -> Callable[[RunRecord], str]:
    return lambda run: run.facts.get(name, "")


def _hardware(run: RunRecord) -> str:
    name = run.facts.get("gpu") or run.facts.get("cpu") or ""
    threads = run.facts.get("threads")
    return f"{name}, {threads} threads" if name and threads else name


def _allocation(run: RunRecord) -> str:
    return run.facts.get("malloc") or "keeps blocks"


def _precision(run: RunRecord) -> str:
    return run.facts.get("precision", "")


def _chosen_by(run: RunRecord) -> str:
    return run.params.get("metric", "")


_FACTS: dict[str, Callable[[RunRecord], str]] = {
    "metric of choice": _chosen_by,
    "code": _code,
    "packages": _packages,
    "Python": _fact("python"),
    **{f"version of {name}": _fact(name) for name in _PACKAGES},
    "precision": _precision,
    "hardware": _hardware,
    "malloc, which frees at once under a memory_cap": _allocation,
}
