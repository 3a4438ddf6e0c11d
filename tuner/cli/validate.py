"""Check what of a study needs more than its YAML."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trainers.contract import RunSpec
    from tuner.config import StudyConfig
    from tuner.plan import Cell


def look_for_models(config: StudyConfig) -> list[str]:
    """Look for every model; return a line for each that cannot be looked up now.

    Raises:
        ModelError: One is not there, or not for this user.
    """
    from trainers.errors import ModelAway

    away: list[str] = []
    for model in config.models:
        try:
            model.check()
        except ModelAway as error:
            away.append(f"not looked at: {error}")
    return away


def check_cap(cells: Sequence[Cell]) -> None:
    """Refuse a memory cap below a model's weights, where the model's config can be had.

    Raises:
        ConfigError: In one line.
    """
    if not isinstance(cells[0].study.memory_cap, int):
        return  # or torch would be loaded
    from trainers.errors import ModelError
    from tuner.memory_cap import check_weights

    def weigh(weights: Callable[[RunSpec], int], spec: RunSpec) -> int:
        try:
            return weights(spec)
        except ModelError:  # not to be had here: the study will run elsewhere
            return 0

    check_weights(cells, weigh)
