"""Sources of pretrained models, one file each; the file name is the source's kind.

Other rooms get a source by its name, from `trainers.plugins`.
"""

from trainers.models._positions import position_count, too_long_message, too_many_virtual_message
from trainers.models._quiet import quiet

__all__ = ["position_count", "quiet", "too_long_message", "too_many_virtual_message"]
