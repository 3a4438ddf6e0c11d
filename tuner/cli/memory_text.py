"""Print the predicted memory of runs: a table with a bar for each category, or JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from trainers.errors import ConfigError
from trainers.memory import CATEGORIES, STAGES, Sharding, StateBytes, state_bytes

if TYPE_CHECKING:
    from tuner.forecast.memory import Fitting, Need

_BAR = 24
_GIB = 2**30
_NAME = 34
_HALF = (
    (),
    ("weights and gradients in half precision, the optimizer's part with a float32 copy",),
)


@dataclass(frozen=True)
class StatesOptions:
    """The options of `--parameters`."""

    parameters: float
    precision: str
    optimizer: str
    ranks: int
    stages: tuple[int, ...]


def parse_stages(text: str | None) -> tuple[int, ...]:
    """Read `--zero`: stages with commas.

    Raises:
        ConfigError: No such stage.
    """
    if text is None:
        return ()
    words = [word.strip() for word in text.split(",")]
    for word in words:
        if word not in map(str, STAGES):
            raise ConfigError(f"--zero: got {word!r}; known: 0, 1, 2, 3, several with commas")
    return tuple(int(word) for word in words)


def states_text(wanted: StatesOptions, *, as_json: bool) -> str:
    """Return weights, gradients and optimizer state alone: whole, or by the named stages."""
    options: dict[str, Any] = {"precision": wanted.precision, "optimizer": wanted.optimizer}
    whole = state_bytes(wanted.parameters, **options)
    by_stage = {
        stage: state_bytes(
            wanted.parameters, **options, sharding=Sharding(ranks=wanted.ranks, stage=stage)
        )
        for stage in wanted.stages
    }
    if as_json:
        tree = {"states": _tree(whole), "unit": "bytes", "ranks": wanted.ranks}
        tree |= {"parameters": wanted.parameters, **options}
        tree["zero"] = {str(stage): _tree(found) for stage, found in by_stage.items()}
        return json.dumps(tree, indent=2)
    lines = [
        f"{wanted.parameters:,.0f} parameters, {wanted.precision}, {wanted.optimizer}: "
        "the states alone, without activations",
        *_HALF[wanted.precision != "fp32"],
        "",
    ]
    if not by_stage:
        lines += _bars(_tree(whole), whole.total)
        return "\n".join([*lines, f"  {'total':12}{_gb(whole.total):>24}", "", _UNITS])
    most = max(found.total for found in by_stage.values())
    for stage, found in by_stage.items():
        ranks = f"each of {wanted.ranks} ranks" if wanted.ranks > 1 else "1 rank"
        lines += [f"ZeRO {stage}, {ranks}: total {_gb(found.total)}"]
        lines += [*_bars(_tree(found), most), ""]
    return "\n".join([*lines, _UNITS])


def needs_json(needs: Sequence[Need], **more: Any) -> str:
    """Return the rows of a study as JSON."""
    rows = [need.model_dump() for need in needs]
    return json.dumps({**more, "unit": "bytes", "cells": rows}, indent=2)


def need_json(need: Need) -> str:
    """Return the prediction for one configuration as JSON."""
    return json.dumps({**need.model_dump(), "unit": "bytes"}, indent=2)


def need_lines(need: Need) -> Iterator[str]:
    """Yield the prediction for one configuration as lines to read."""
    yield need.name
    yield f"trained parameters   {need.trainable_parameters:,}"
    yield ""
    yield from _bars(need.categories, need.train_peak_bytes)
    yield ""
    yield f"peak in training     {_gb(need.train_peak_bytes)}"
    yield f"peak at load         {_gb(need.load_peak_bytes)}"
    yield f"peak in evaluation   {_gb(need.eval_peak_bytes)}"
    yield f"framework adds       {_gb(need.framework_bytes)}"
    yield ""
    yield from _MOMENT
    yield _UNITS


def study_lines(name: str, needs: Sequence[Need], cap: int | str | None = None) -> Iterator[str]:
    """Yield a study's cells as lines to read: numbers first, then bars of categories."""
    yield f"{name}: predicted memory of one rank, each range at its upper end"
    yield ""
    yield f"{'cell':{_NAME}}{'trained':>9}{'predicted':>11}{'saved':>7}{'measured':>11}{'off':>7}"
    for need in needs:
        saved = "-" if need.saved is None else f"{100 * need.saved:.0f}%"
        yield (
            f"{_short(need.name, _NAME - 1):{_NAME}}{_count(need.trainable_parameters):>9}"
            f"{_size(need.predicted_peak_bytes):>11}{saved:>7}{_measured(need)}"
        ).rstrip()
    if cap is not None:
        yield ""
        yield from _under_cap(needs, cap)
    most = max(need.train_peak_bytes for need in needs)
    for need in needs:
        yield ""
        yield need.name
        yield from _bars(need.categories, most)
    yield ""
    yield f"predicted: tensors; the framework adds {_gb(max(n.framework_bytes for n in needs))}."
    yield from _STUDY_NOTES
    yield _UNITS


def _measured(need: Need) -> str:
    """Return the columns of a measured peak; "" where none was measured."""
    if need.measured_peak_bytes is None:
        return ""
    own = need.measured_predicted_bytes
    off = "" if own is None else f"{100 * (own / need.measured_peak_bytes - 1):+.1f}%"
    return f"{_size(need.measured_peak_bytes):>11}{off:>7}"


def _under_cap(needs: Sequence[Need], cap: int | str) -> Iterator[str]:
    if isinstance(cap, str):
        yield f"memory_cap: {cap}: the memory that is free there when a run begins"
        return
    over = [need.name for need in needs if need.whole_bytes > cap]
    said = "no cell is above it" if not over else f"{len(over)} of {len(needs)} cells above it:"
    yield f"memory_cap: {_gb(cap)}, with the framework: {said}"
    yield from (f"  {name}" for name in over)


def fits_lines(fitting: Fitting, cap: int) -> Iterator[str]:
    """Yield the configurations that fit, best first, each with its command."""
    yield f"fits in {_gb(cap)}, the framework included. Best first: most"
    yield "trained parameters, then least recomputation and communication, then the largest"
    yield "micro-batch."
    yield ""
    for number, (chosen, need) in enumerate(fitting.found, start=1):
        yield f"{number:2}. {chosen.name}"
        yield f"    {_gb(need.whole_bytes)}, trains {_count(need.trainable_parameters)}"
        yield f"    {chosen.command()}"
    for method, reason in fitting.left_out.items():
        yield f"left out: {method}: {reason}"
    yield ""
    yield "Other methods: name one with --method (`tuner list methods`)."
    yield _UNITS


def fits_json(fitting: Fitting, cap: int) -> str:
    """Return the configurations that fit as JSON."""
    rows = [
        {
            "method": chosen.method,
            "batch_size": chosen.batch_size,
            "accumulation": chosen.accumulation,
            "checkpointing": chosen.checkpointing,
            "zero": chosen.stage,
            "ranks": chosen.ranks,
            "whole_bytes": need.whole_bytes,
            "command": chosen.command(),
            **need.model_dump(),
        }
        for chosen, need in fitting.found
    ]
    tree = {"cap_bytes": cap, "unit": "bytes", "fits": rows, "left_out": dict(fitting.left_out)}
    return json.dumps(tree, indent=2)


_STUDY_NOTES = (
    "saved: compared with the arm that trains most.",
    "measured: peak of the largest run, by the allocator's record, else by the growth",
    "of its process. off: by how much that run's own prediction was above it.",
    "Numbers: the largest of load, training and evaluation. Bars: the moment of",
    "training with most memory in use; gradients or optimizer state may peak at",
    "another moment.",
)
_MOMENT = (
    "Bars: the moment of training with most memory in use; gradients or optimizer",
    "state may peak at another moment.",
)
_UNITS = "GB is 1e9 bytes, GiB 2^30."


def _bars(categories: Mapping[str, float], whole: float) -> Iterator[str]:
    for name in (*CATEGORIES, *(n for n in categories if n not in CATEGORIES)):
        if name in categories and name != "total":
            value = categories[name]
            yield f"  {name:12}{_gb(value):>24}  {_bar(value / whole if whole else 0)}".rstrip()


def _bar(share: float) -> str:
    filled = round(share * _BAR)
    return "█" * filled if filled or not share else "▏"


def _tree(found: StateBytes) -> dict[str, float]:
    tree = {name: getattr(found, name) for name in ("parameters", "gradients", "optimizer")}
    return tree | {"total": found.total}


def _gb(size: float) -> str:
    if not size:
        return "0"
    if size < 5e6:
        return f"{size / 1e6:.3f} MB ({size / 2**20:.3f} MiB)"
    if size < 1e9:
        return f"{size / 1e6:.0f} MB ({size / 2**20:.0f} MiB)"
    return f"{size / 1e9:.2f} GB ({size / _GIB:.2f} GiB)"


def _size(size: float) -> str:
    return f"{size / 1e9:.2f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"


def _count(number: int) -> str:
    for unit, scale in (("B", 1e9), ("M", 1e6), ("k", 1e3)):
        if number >= scale:
            return f"{number / scale:.3g} {unit}"
    return str(number)


def _short(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}…"
