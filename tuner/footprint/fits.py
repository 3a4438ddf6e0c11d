"""Find the configurations that fit into so much memory, best first."""

from __future__ import annotations

from collections.abc import Iterator

from trainers.errors import ConfigError
from tuner.footprint.need import Need
from tuner.footprint.single import Configuration, need_of
from tuner.sizes import show_bytes

_METHODS = ("full", "lora", "bottleneck", "head")
_SMALLEST = 1


def fitting(
    wanted: Configuration, cap: int, *, methods: tuple[str, ...] = _METHODS
) -> list[tuple[Configuration, Need]]:
    """Return what fits, best first.

    Of each method, with checkpointing and without, and of each stage of ZeRO where there are
    several ranks, it is the largest micro-batch that fits, at most the one that is wanted and the
    rest made up by accumulation. Best is what trains most, then what computes least again and
    sends least (no checkpointing, the lowest stage), then the largest micro-batch.

    Raises:
        ConfigError: The cap is below the weights, or nothing fits.
        TunerError: No such model.
    """
    _check_weights(wanted, cap)
    found = []
    for chosen in _variants(wanted, methods):
        fit = _largest(chosen, cap)
        if fit is not None:
            found.append(fit)
    if not found:
        raise ConfigError(
            f"--fits: nothing fits in {show_bytes(cap)}, not even one row at a time; allow more "
            "memory, fewer --length, or more --ranks with --zero 3"
        )
    return sorted(found, key=_rank)


def _variants(wanted: Configuration, methods: tuple[str, ...]) -> Iterator[Configuration]:
    stages = (None, 1, 2, 3) if wanted.ranks > 1 else (wanted.stage,)
    for method in methods:
        for stage in stages:
            for checkpointing in (False, True):
                yield wanted.but(method=method, stage=stage, checkpointing=checkpointing)


def _largest(wanted: Configuration, cap: int) -> tuple[Configuration, Need] | None:
    """Halve the micro-batch until it fits; the effective batch stays."""
    rows, accumulation = wanted.batch_size, wanted.accumulation
    while rows >= _SMALLEST:
        tried = wanted.but(batch_size=rows, accumulation=accumulation)
        predicted = need_of(tried)
        if predicted.whole_bytes <= cap:
            return tried, predicted
        if rows % 2:
            return None
        rows, accumulation = rows // 2, accumulation * 2
    return None


def _rank(fit: tuple[Configuration, Need]) -> tuple[int, bool, int, int]:
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
