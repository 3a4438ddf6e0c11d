"""Get DeepSpeed ready where a run uses it, and keep it out where none does."""

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
    """Raise a ConfigError where DeepSpeed is missing; it is looked for, not imported."""
    if sys.modules.get(_NAME) is None and importlib.util.find_spec(_NAME) is None:
        raise ConfigError("deepspeed: not installed; run `pip install 'tuner-studies[deepspeed]'`")


@contextlib.contextmanager
def deepspeed_for(spec: RunSpec) -> Iterator[None]:
    """Import and set up DeepSpeed for a run that uses it; hide it from any other.

    accelerate imports whatever DeepSpeed is installed, in runs that do without it too: that takes
    seconds, and prints a warning about the machine.

    Raises:
        ConfigError: The run uses DeepSpeed, and it is not installed or refuses the config.
    """
    if spec.deepspeed is not None:
        # Imported here, or `python -m trainers.deepspeed.fields` would find it imported already.
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
        os.environ["DS_ACCELERATOR"] = "cpu"  # or it warns that it found nothing better
    import deepspeed

    if not cuda:
        # Its all-reduce in shared memory would be compiled at first use, 40 s long; gloo does.
        deepspeed.ops.__compatible_ops__ = {}
    # Without it DeepSpeed reads a world of one, and refuses the batch size.
    deepspeed.init_distributed("nccl" if cuda else "gloo", verbose=False)
