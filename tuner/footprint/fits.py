"""Find the configurations that fit into so much memory, best first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from trainers.errors import ConfigError
from tuner.footprint.need import Need
from tuner.footprint.single import Configuration, need_of
from tuner.retry import smallest_divisor
from tuner.sizes import show_bytes

Fit = tuple[Configuration, Need]
_WORTH = 0.99
"""Share of the memory without checkpointing; above it, checkpointing saves nothing."""
_METHODS = ("full", "lora", "bottleneck", "head")


@dataclass(frozen=True)
class Fitting:
    """What fits, best first, and which methods were left out."""

    found: list[Fit]
    left_out: Mapping[str, str]
    """Method that cannot be applied to the model, and why."""


def fitting(wanted: Configuration, cap: int, *, methods: tuple[str, ...] = _METHODS) -> Fitting:
    """Return what fits, best first. A method that the model does not let in is left out.

    Of each method, with checkpointing and without, and of each stage of ZeRO where there are
    several ranks, it is the largest micro-batch that fits, at most the one that is wanted and the
    rest made up by accumulation. Checkpointing that saves nothing is not listed. Best is what
    trains most, then what computes least again and sends least (no checkpointing, the lowest
    stage), then the largest micro-batch.

    Raises:
        ConfigError: The cap is below the weights, or nothing fits.
        TunerError: No such model.
    """
    _check_weights(wanted, cap)
    found: list[Fit] = []
    left_out: dict[str, str] = {}
    for method in methods:
        try:
            for chosen in _by_stage(wanted.but(method=method)):
                found += _of_stage(chosen, cap)
        except ConfigError as error:
            if not str(error).startswith("method"):
                raise
            left_out[method] = str(error)
    if not found:
        raise ConfigError(
            f"--fits: nothing fits in {show_bytes(cap)}, not even one row at a time; allow more "
            "memory, fewer --length, or more --ranks with --zero 3"
        )
    return Fitting(sorted(found, key=_rank), left_out)


def _by_stage(wanted: Configuration) -> Iterator[Configuration]:
    for stage in (None, 1, 2, 3) if wanted.ranks > 1 else (wanted.stage,):
        yield wanted.but(stage=stage)


def _of_stage(wanted: Configuration, cap: int) -> list[Fit]:
    """Return what fits without checkpointing, and with it where that makes a difference."""
    plain, again = (_largest(wanted.but(checkpointing=on), cap) for on in (False, True))
    if plain and again and plain[0].batch_size == again[0].batch_size:
        saves = again[1].whole_bytes < _WORTH * plain[1].whole_bytes
        again = again if saves else None
    return [fit for fit in (plain, again) if fit is not None]


def _largest(wanted: Configuration, cap: int) -> Fit | None:
    """Divide the micro-batch until it fits, down to one row; the effective batch stays."""
    tried = wanted
    while (predicted := need_of(tried)).whole_bytes > cap:
        if tried.batch_size == 1:
            return None
        divisor = smallest_divisor(tried.batch_size)
        tried = tried.but(
            batch_size=tried.batch_size // divisor, accumulation=tried.accumulation * divisor
        )
    return tried, predicted


def _rank(fit: Fit) -> tuple[int, bool, int, int]:
    chosen, predicted = fit
    return (
        -predicted.trainable_parameters,
        chosen.checkpointing,
        chosen.stage or 0,
        -chosen.batch_size,
    )


def _check_weights(wanted: Configuration, cap: int) -> None:
    smallest = wanted.but(method="head", batch_size=1, length=4)
    if wanted.ranks > 1:
        smallest = smallest.but(stage=3)
    predicted = need_of(smallest)
    least = predicted.load_peak_bytes + predicted.framework_bytes
    if least > cap:
        raise ConfigError(
            f"--fits: {show_bytes(cap)} is below the weights and the framework alone, "
            f"{show_bytes(least)}; allow more"
        )
