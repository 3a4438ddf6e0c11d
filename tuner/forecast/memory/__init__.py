"""What runs need in memory, before they run: of a study, of one configuration, of states alone."""

from tuner.forecast.memory.cells import study_needs
from tuner.forecast.memory.fits import METHODS, Fitting, fitting
from tuner.forecast.memory.need import Need
from tuner.forecast.memory.single import Configuration, need_of

__all__ = ["METHODS", "Configuration", "Fitting", "Need", "fitting", "need_of", "study_needs"]
