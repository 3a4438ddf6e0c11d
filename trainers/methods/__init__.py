"""Ways of training, one file each; the file name is the method's kind.

Other rooms get a method by its name, from `trainers.plugins`.
"""

from trainers.methods._parameters import count_parameters
from trainers.methods._targets import misfit, target_names, targeted, unfit_options, unfit_targets

__all__ = [
    "count_parameters",
    "misfit",
    "target_names",
    "targeted",
    "unfit_options",
    "unfit_targets",
]
