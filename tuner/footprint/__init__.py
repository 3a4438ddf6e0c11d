"""What runs need in memory, before they run: of a study, of one configuration, of states alone."""

from tuner.footprint.cells import study_needs
from tuner.footprint.fits import METHODS, Fitting, fitting
from tuner.footprint.need import Need
from tuner.footprint.single import Configuration, need_of

__all__ = ["METHODS", "Configuration", "Fitting", "Need", "fitting", "need_of", "study_needs"]
