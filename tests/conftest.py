"""What every test shares."""

from __future__ import annotations

import gc

import pytest


@pytest.fixture(scope="session", autouse=True)
def _spare_the_collector() -> None:
    """Keep the Trainer's garbage collection, once a training, from walking through all of torch.

    It takes half a second a time otherwise, the most of a tiny training.
    """
    import peft  # noqa: F401  # imported for what it loads
    import transformers.trainer  # noqa: F401  # imported for what it loads

    gc.freeze()
