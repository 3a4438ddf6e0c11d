"""What runs need in memory, before they run: of a study, of one configuration, of states alone."""

from tuner.forecast.memory.fits import METHODS, Fitting, fitting
from tuner.forecast.memory.need import Configuration, Need, need_of
from tuner.forecast.memory.of_study import study_needs

__all__ = ["METHODS", "Configuration", "Fitting", "Need", "fitting", "need_of", "study_needs"]
