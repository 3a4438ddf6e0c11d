"""Make only a run's own CUDA devices visible to it."""

from __future__ import annotations

import os
from collections.abc import Sequence

from trainers.errors import ConfigError

_VISIBLE = "CUDA_VISIBLE_DEVICES"


def take_devices(places: Sequence[int]) -> None:
    """Hide all devices but a run's own; call it before anything opens CUDA.

    With several visible, the Trainer would spread a run of one rank over all of them.

    Args:
        places: Numbers that no other run of this launcher uses, one for each rank. With more runs
            at once than devices, runs share them.

    Raises:
        ConfigError: There are devices, but fewer than the ranks.
    """
    devices = visible_devices()
    if not devices:
        return
    if len(places) > len(devices):
        raise ConfigError(
            f"ranks: got {len(places)}, each needs a CUDA device; allowed: up to {len(devices)}"
        )
    first = places[0] % len(devices)
    own = [devices[(first + n) % len(devices)] for n in range(len(places))]
    os.environ[_VISIBLE] = ",".join(own)


def visible_devices() -> list[str]:
    """Return the visible CUDA devices, by their numbers or names, without torch."""
    said = os.environ.get(_VISIBLE)
    if said is not None:
        return [name.strip() for name in said.split(",") if name.strip()]
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return []
    try:
        return [str(number) for number in range(pynvml.nvmlDeviceGetCount())]
    finally:
        pynvml.nvmlShutdown()
