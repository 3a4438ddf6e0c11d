"""Ways of training, one file each; the file name is the method's kind.

Other rooms get a method by its name, from `trainers.plugins`.
"""

from trainers.methods._parameters import count_parameters
from trainers.methods._targets import (
    adapted_modules,
    target_names,
    unknown_option_names,
    unknown_targets,
    unknown_targets_message,
)

__all__ = [
    "adapted_modules",
    "count_parameters",
    "target_names",
    "unknown_option_names",
    "unknown_targets",
    "unknown_targets_message",
]
