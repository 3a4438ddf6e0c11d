"""Check a DeepSpeed config against a run's own settings: no number may be said twice."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from trainers.errors import ConfigError

if TYPE_CHECKING:
    from trainers.contract import TrainSettings

_AUTO = "auto"
_PARAMETERS = 3


def check_deepspeed(content: Mapping[str, Any], train: TrainSettings, *, ranks: int) -> None:
    """Raise a ConfigError at the first value that contradicts the run's settings.

    Args:
        content: DeepSpeed's JSON.
        train: How the run is trained.
        ranks: Processes of the run.
    """
    batch, accumulation = train.batch_size, train.gradient_accumulation
    expected = {
        "train_micro_batch_size_per_gpu": (batch, "train.batch_size"),
        "gradient_accumulation_steps": (accumulation, "train.gradient_accumulation"),
        "train_batch_size": (
            ranks * batch * accumulation,
            "ranks x train.batch_size x train.gradient_accumulation",
        ),
    }
    for key, (wanted, said_by) in expected.items():
        got = content.get(key, _AUTO)
        if got not in (_AUTO, wanted):
            raise ConfigError(
                f"deepspeed.{key}: got {got!r}; allowed: auto, or {wanted} ({said_by})"
            )


def divides_parameters(content: Mapping[str, Any] | None) -> bool:
    """Say whether a config has ZeRO-3 divide the parameters among the ranks."""
    zero = (content or {}).get("zero_optimization", {})
    return isinstance(zero, Mapping) and zero.get("stage") == _PARAMETERS
