"""Show a run its own CUDA devices and no others."""

from __future__ import annotations

import os
from collections.abc import Sequence

from trainers.errors import ConfigError

_VISIBLE = "CUDA_VISIBLE_DEVICES"


def take_devices(places: Sequence[int]) -> None:
    """Hide all devices but a run's; to be called before anything opens CUDA.

    With several in sight a run of one rank would be spread over all of them by the Trainer.

    Args:
        places: Numbers that no other run of this launcher has, one for each rank. With more runs
            at once than devices, runs share them.

    Raises:
        ConfigError: There are devices, but fewer than ranks.
    """
    devices = visible_devices()
    if not devices:
        return
    if len(places) > len(devices):
        raise ConfigError(
            f"ranks: got {len(places)}, each wants a CUDA device; there are {len(devices)}"
        )
    first = places[0] % len(devices)
    own = [devices[(first + n) % len(devices)] for n in range(len(places))]
    os.environ[_VISIBLE] = ",".join(own)


def visible_devices() -> list[str]:
    """List the CUDA devices that this process sees, by their numbers or names, without torch."""
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
