"""Find the configurations that fit into a given memory, best first."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isqrt

from trainers.errors import ConfigError
from tuner.config import show_bytes
from tuner.forecast.memory.need import Need, RunOptions, need_of

_TOO_LARGE = "does not fit, not even one row at a time"
Fit = tuple[RunOptions, Need]
Watch = Callable[[RunOptions], None]
_WORTH = 0.99
"""Share of the memory without checkpointing; above it, checkpointing saves nothing."""
METHODS = ("full", "lora", "bottleneck", "head")
"""Methods that are tried by default."""


def _unwatched(tried: RunOptions) -> None:
    """Ignore a configuration."""


@dataclass(frozen=True)
class Fitting:
    """The configurations that fit, best first, and the methods that were left out."""

    found: list[Fit]
    left_out: Mapping[str, str]
    """Reasons, by the method that cannot be applied to the model, or does not fit."""


def find_fitting(
    wanted: RunOptions, cap: int, *, methods: Sequence[str] = METHODS, watch: Watch = _unwatched
) -> Fitting:
    """Return the configurations that fit, best first; leave out methods that do not apply.

    For each method, with and without checkpointing, and for each stage of ZeRO with several
    ranks, this is the largest micro-batch that fits and divides the requested one, with
    accumulation for the rest. A requested stage or checkpointing is tried alone. Checkpointing
    that saves nothing is not listed. Best: most trained parameters, then least recomputation and
    communication (no checkpointing, the lowest stage), then the largest micro-batch.

    Args:
        wanted: The requested configuration.
        cap: Bytes, with those of the framework.
        methods: Methods to try.
        watch: Called with each configuration that is predicted.

    Raises:
        ConfigError: The cap is below the weights, or nothing fits.
        TunerError: No such model.
    """
    _check_weights(wanted, cap)
    found: list[Fit] = []
    left_out: dict[str, str] = {}
    for method in methods:
        before = len(found)
        try:
            for chosen in _by_stage(wanted.but(method=method)):
                found += _of_stage(chosen, cap, watch)
        except ConfigError as error:
            option, _, reason = str(error).partition(": ")
            if not option.startswith("--method"):
                raise
            left_out[method] = reason
        else:
            if len(found) == before:
                left_out[method] = _TOO_LARGE
    reasons = {reason for reason in left_out.values() if reason != _TOO_LARGE}
    if reasons and len(methods) == 1:
        raise ConfigError(f"--method: {reasons.pop()}")
    if not found:
        raise ConfigError(
            f"--fits: nothing fits in {show_bytes(cap)}, not even one row at a time; allow more "
            "memory, fewer --length, or more --ranks with --zero 3"
        )
    return Fitting(sorted(found, key=_rank), left_out)


def _by_stage(wanted: RunOptions) -> Iterator[RunOptions]:
    chosen = wanted.stage is not None or wanted.ranks == 1
    for stage in (wanted.stage,) if chosen else (None, *_stages(wanted)):
        yield wanted.but(stage=stage)


def _stages(wanted: RunOptions) -> tuple[int, ...]:
    """Return the stages that partition something, if DeepSpeed supports the optimizer."""
    try:
        wanted.but(stage=1).spec()
    except ConfigError as error:
        if not str(error).startswith("--optimizer"):
            raise
        return ()
    return (1, 2, 3)


def _of_stage(wanted: RunOptions, cap: int, watch: Watch) -> list[Fit]:
    """Return the fit without checkpointing, and with it where that makes a difference."""
    plain = None if wanted.checkpointing else _largest(wanted, cap, watch)
    try:
        again = _largest(wanted.but(checkpointing=True), cap, watch)
    except ConfigError as error:
        if wanted.checkpointing or not str(error).startswith("--checkpointing"):
            raise
        again = None
    if plain and again and plain[0].batch_size == again[0].batch_size:
        saves = again[1].whole_bytes < _WORTH * plain[1].whole_bytes
        again = again if saves else None
    return [fit for fit in (plain, again) if fit is not None]


def _largest(wanted: RunOptions, cap: int, watch: Watch) -> Fit | None:
    """Return the largest micro-batch that fits, with the requested effective batch.

    Memory grows with the rows, so that the first prediction tells where to search.
    """
    tries = _micro_batches(wanted)
    known: dict[int, Need] = {}

    def fits(index: int) -> bool:
        if index not in known:
            watch(tries[index])
            known[index] = need_of(tries[index])
        return known[index].whole_bytes <= cap

    index = 0 if fits(0) else _guess(tries, known[0], cap)
    while fits(index) and index > 0 and fits(index - 1):
        index -= 1
    while not fits(index):
        index += 1
        if index == len(tries):
            return None
    return tries[index], known[index]


def _micro_batches(wanted: RunOptions) -> list[RunOptions]:
    """Divide the micro-batch down to one row, with accumulation for the rest."""
    whole = wanted.batch_size
    small = [rows for rows in range(1, isqrt(whole) + 1) if whole % rows == 0]
    return [
        wanted.but(batch_size=rows, accumulation=wanted.accumulation * whole // rows)
        for rows in sorted({*small, *(whole // rows for rows in small)}, reverse=True)
    ]


def _guess(tries: Sequence[RunOptions], whole: Need, cap: int) -> int:
    """Guess which one fits, with activations in proportion to the rows."""
    of_rows = whole.categories["activations"] + whole.categories["temporaries"]
    fixed = whole.whole_bytes - of_rows
    for index, tried in enumerate(tries):
        if fixed + of_rows * tried.batch_size / tries[0].batch_size <= cap:
            return index
    return len(tries) - 1


def _rank(fit: Fit) -> tuple[int, bool, int, int]:
    chosen, predicted = fit
    return (
        -predicted.trainable_parameters,
        chosen.checkpointing,
        chosen.stage or 0,
        -chosen.batch_size,
    )


def _check_weights(wanted: RunOptions, cap: int) -> None:
    smallest = wanted.but(method="head", batch_size=1, length=4)
    if wanted.ranks > 1 and wanted.stage is None and _stages(wanted):
        smallest = smallest.but(stage=3)
    predicted = need_of(smallest)
    least = predicted.load_peak_bytes + predicted.framework_bytes
    if least > cap:
        raise ConfigError(
            f"--fits: {show_bytes(cap)} is below the weights and the framework alone, "
            f"{show_bytes(least)}; allow more"
        )
