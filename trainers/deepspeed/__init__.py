"""DeepSpeed: check its config, make it ready for a run, handle parameters that ZeRO-3 partitions.

`python -m trainers.deepspeed.fields` checks configs in a process of its own.
"""

from trainers.deepspeed.config import check_deepspeed, complete_deepspeed, uses_zero3
from trainers.deepspeed.engine import check_installed, deepspeed_for
from trainers.deepspeed.zero3 import (
    gather_trained,
    local_partition,
    partition_parameters,
    restore_partition,
)

__all__ = [
    "check_deepspeed",
    "check_installed",
    "complete_deepspeed",
    "deepspeed_for",
    "gather_trained",
    "local_partition",
    "partition_parameters",
    "restore_partition",
    "uses_zero3",
]
