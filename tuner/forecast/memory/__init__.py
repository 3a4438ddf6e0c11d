"""Predict the memory of runs: of a study, of one configuration, of its states alone."""

from tuner.forecast.memory.fits import METHODS, Fitting, find_fitting
from tuner.forecast.memory.need import Need, RunOptions, need_of
from tuner.forecast.memory.of_study import study_needs

__all__ = ["METHODS", "Fitting", "Need", "RunOptions", "find_fitting", "need_of", "study_needs"]
