"""DeepSpeed: check its config, make it ready for a run, handle parameters that ZeRO-3 partitions.

`python -m trainers.deepspeed.fields` checks configs in a process of its own.
"""

from trainers.deepspeed.config import check_deepspeed, complete_deepspeed, divides_parameters
from trainers.deepspeed.engine import check_installed, deepspeed_for
from trainers.deepspeed.zero3 import divide, make_whole, own_part, put_back

__all__ = [
    "check_deepspeed",
    "check_installed",
    "complete_deepspeed",
    "deepspeed_for",
    "divide",
    "divides_parameters",
    "make_whole",
    "own_part",
    "put_back",
]
