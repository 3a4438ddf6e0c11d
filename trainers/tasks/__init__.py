"""Labelled data, one file a task; the file name is the task's kind.

Other rooms get a task by its name, from `trainers.plugins`. `SampledTask` is the base of most.
"""

from trainers.tasks._sampled import SampledTask

__all__ = ["SampledTask"]
