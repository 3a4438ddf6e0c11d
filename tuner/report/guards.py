"""Find what makes a comparison unfair: unequal budgets, data, code; a test read early."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence

from trainers.errors import TunerError
from tuner.report.compared import Block
from tuner.trackers import RunRecord

_SHOWN = 5


class TestReadEarly(TunerError):
    """Search runs have scores of the test split: what was chosen on them cannot be compared."""

    __test__ = False  # no test class, whatever its name begins with


def refuse_early_test(records: Sequence[RunRecord]) -> None:
    """Let records pass whose search has not read the test split.

    Raises:
        TestReadEarly: It has; the message names the runs.
    """
    early = sorted(
        record.run_id
        for record in records
        if record.group.phase == "search"
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
    return [*_unequal_trials(block), *_different_facts(block)]


def _unequal_trials(block: Block) -> Iterator[str]:
    counts = {c.arm: sum(trial.counts for trial in c.trials) for c in block.cells}
    if len(set(counts.values())) > 1:
        shown = ", ".join(f"{arm} {count or 'none'}" for arm, count in counts.items())
        yield f"unequal search budgets, in trials: {shown}"


def _different_facts(block: Block) -> Iterator[str]:
    for what, read in _FACTS.items():
        arms: defaultdict[str, set[str]] = defaultdict(set)
        for cell in block.cells:
            for run in cell.finished:
                arms[read(run)].add(cell.arm)
        if "" in arms:
            arms["unknown"] = arms.pop("")
        if len(arms) > 1:
            shown = "; ".join(
                f"{value} ({', '.join(sorted(arms[value]))})" for value in sorted(arms)
            )
            yield f"different {what}: {shown}"
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
                shown = "; ".join(f"{d} ({', '.join(sorted(found[d]))})" for d in sorted(found))
                yield f"different rows in {split}: {shown}"
                break


def _code(run: RunRecord) -> str:
    commit = run.facts.get("git_commit", "")[:8]
    return f"{commit} with changes" if run.facts.get("git_dirty") == "true" else commit


def _packages(run: RunRecord) -> str:
    names = ("torch", "transformers", "peft")
    return ", ".join(f"{name} {run.facts[name]}" for name in names if name in run.facts)


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
    "precision": _precision,
    "hardware": _hardware,
    "malloc, which frees at once under a memory_cap": _allocation,
}
