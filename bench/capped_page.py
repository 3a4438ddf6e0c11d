"""Write the results of a search under a memory cap, as a section of a page."""

from __future__ import annotations

import re
import shlex
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tuner.store import RunRecord

if TYPE_CHECKING:
    from bench.capped import Bench

_HEAD = """# Searches under a memory cap

`memory_cap` refuses a trial that is predicted to need more. Here each run has the same as a hard
limit too, which no run can pass. Full fine-tuning and LoRA, 50 trials each, one epoch on a CPU in
fp32, batch size and length drawn at random, every one in a process of its own.

- **The cap** is for the process's own memory: its anonymous pages, with what it holds before it
  has a model, without the pages of files.
- **The hard limit** is RLIMIT_AS and RLIMIT_DATA: what a run has of either when it begins, plus
  the cap, minus its own memory then. RLIMIT_AS alone is too kind: addresses that malloc had
  reserved before count as used, and where it gets no new ones it seems to take from there.
- **Need** is what a run's address space grew to at its fullest (VmPeak), minus what it was when
  it began, plus its own memory then: the least limit that the run would have got through under.
- **A refusal is false** if the run gets through under the hard limit: each refused trial is
  tried. Shares are of all trials. What failed there was run once more without it for its need.
- **Off** is predicted minus need. Where a run was tried again with fewer rows it says nothing: the
  need is the first try's, the prediction the last one's. It is far below zero where loading is
  the fullest moment: the file of weights is mapped then, which takes addresses, but its pages are
  a file's, and the cap is not for those.
"""


def section(
    name: str, bench: Bench, records: Sequence[RunRecord], through: dict[str, bool]
) -> str:
    """Return the results of a set-up's runs.

    Args:
        name: Name of the set-up.
        bench: The runner of the set-up.
        records: The search runs, in the order of their start.
        through: By digest, whether each refused run succeeds under the hard limit.
    """
    setup = bench.setup
    states = [record.state for record in records]
    died = [record for record in records if "out of memory" in record.reason]
    off = {r.digest: _megabytes(bench.predicted(r) - bench.need(r)) for r in _known(records)}
    rows = {
        "trials": len({record.digest for record in records}),
        "finished": states.count("finished"),
        "tries that ran out of memory": len(died),
        "failed": states.count("failed"),
        "refused before they started": len(through),
        "of these false": sum(through.values()),
        "off, least": min(off.values()),
        "off, median": round(statistics.median(off.values()), 1),
        "off, most": max(off.values()),
    }
    task = setup.task if isinstance(setup.task, str) else "toy, 1,024 pairs"
    command = shlex.join(["python", "bench/memory_cap.py", *sys.argv[1:]])
    reasons = sorted({r.reason for r in records if r.state == "failed" or r in died})
    lines = [
        f"## {name}",
        "",
        f"`{command}`",
        "",
        f"{setup.model} on {task}: {setup.batch[0]} to {setup.batch[1]} rows at once, "
        f"{setup.length[0]} to {setup.length[1]} tokens, cap {setup.cap}. Before it has a model a "
        f"run holds {_megabytes(bench.own)} MB of its own.",
        "",
        "| | |",
        "|---|---:|",
        *(
            f"| {label}{', MB' if label.startswith('off') else ''} | {n} |"
            for label, n in rows.items()
        ),
        *(f"\n{state}: {reason}" for state, reason in ((r.state, r.reason) for r in died)),
        *(f"\nFailed: {reason}" for reason in reasons if reason not in {r.reason for r in died}),
    ]
    return "\n".join([*lines, "", *_refusals(bench, records, through)]) + "\n"


def _refusals(bench: Bench, records: Sequence[RunRecord], through: dict[str, bool]) -> list[str]:
    lines = [
        "| refused: arm | batch | tokens | predicted, MB | need, MB | off, MB | false |",
        "|---|---:|---:|---:|---:|---:|---|",
    ]
    for record in sorted((r for r in records if r.digest in through), key=bench.predicted):
        predicted, need = bench.predicted(record), bench.need(record)
        off, size = _megabytes(predicted - need), record.params
        lines.append(
            f"| {record.group.arm} | {size['train.batch_size']} | {size['train.max_length']} | "
            f"{_megabytes(predicted)} | {_megabytes(need)} | {off} | "
            f"{'yes' if through[record.digest] else ''} |"
        )
    return lines


def _known(records: Sequence[RunRecord]) -> list[RunRecord]:
    return [record for record in records if record.state in ("finished", "pruned")]


def _megabytes(size: float) -> float:
    return round(size / 1e6, 1)


def put(page: Path, names: Sequence[str], name: str, text: str) -> None:
    """Put a section into the page, replacing an older one of its name."""
    old = page.read_text(encoding="utf-8") if page.is_file() else ""
    sections = dict.fromkeys(names, "")
    for found in re.findall(r"^## .*?(?=^## |\Z)", old, re.DOTALL | re.MULTILINE):
        sections[found.splitlines()[0].removeprefix("## ")] = found.strip() + "\n"
    sections[name] = text
    parts = [_HEAD, *(part for part in sections.values() if part)]
    page.write_text("\n".join(parts), encoding="utf-8")
