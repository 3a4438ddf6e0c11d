"""Check what of a study needs more than its YAML."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tuner.plan import Cell


def check_cap(cells: Sequence[Cell]) -> None:
    """Refuse a memory cap below a model's weights, where the model's config can be had.

    Raises:
        ConfigError: In one line.
    """
    if not isinstance(cells[0].study.memory_cap, int):
        return  # or torch would be loaded
    from trainers.errors import ModelError
    from tuner.memory_cap import check_weights

    with contextlib.suppress(ModelError):  # not here: the study will run elsewhere
        check_weights(cells, lambda weigh, spec: weigh(spec))
