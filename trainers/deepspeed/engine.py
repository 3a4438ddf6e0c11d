"""Set DeepSpeed up for a run that uses it, and hide it from any other run."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from trainers.errors import ConfigError

if TYPE_CHECKING:
    from trainers.contract import RunSpec

_NAME = "deepspeed"


def check_installed() -> None:
    """Raise a ConfigError where DeepSpeed is not installed, without importing it."""
    if sys.modules.get(_NAME) is None and importlib.util.find_spec(_NAME) is None:
        raise ConfigError("deepspeed: not installed; run `pip install 'tuner-studies[deepspeed]'`")


@contextlib.contextmanager
def deepspeed_for(spec: RunSpec) -> Iterator[None]:
    """Import and set up DeepSpeed for a run that uses it; hide it from any other.

    accelerate imports DeepSpeed where it is installed, also in runs that do not use it: that takes
    seconds, and prints a warning about the machine.

    Raises:
        ConfigError: The run uses DeepSpeed, which is not installed or refuses the config.
    """
    if spec.deepspeed is not None:
        # Imported here: else `python -m trainers.deepspeed.fields` finds itself imported already.
        from trainers.deepspeed.fields import check_fields

        check_installed()
        _set_up()
        check_fields(spec.deepspeed)
        yield
    elif _NAME in sys.modules:
        yield
    else:
        sys.modules[_NAME] = None  # type: ignore[assignment]  # Python's way to hide a module
        try:
            yield
        finally:
            del sys.modules[_NAME]


def _set_up() -> None:
    import torch

    cuda = torch.cuda.is_available()
    if not cuda:
        os.environ["DS_ACCELERATOR"] = "cpu"  # else it warns that it found no accelerator
    import deepspeed

    if not cuda:
        # Its shared-memory all-reduce would be compiled at first use, for 40 s; gloo is used.
        deepspeed.ops.__compatible_ops__ = {}
    # Without it DeepSpeed takes the world size to be 1, and refuses the batch size.
    deepspeed.init_distributed("nccl" if cuda else "gloo", verbose=False)
