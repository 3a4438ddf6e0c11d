"""What every test shares."""

from __future__ import annotations

import gc
from functools import cache
from pathlib import Path
from typing import Any

import pytest


@pytest.hookimpl(optionalhook=True)  # of xdist, which need not be there
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Have the tests of a module run in one process where they share a fixture, made once then.

    Those of the Ray cluster are together too, and those of a finished study. All others are dealt
    one by one.
    """
    from xdist.scheduler import LoadScopeScheduling

    class BySharedFixture(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return _group(nodeid.partition("::")[0]) or nodeid

    return BySharedFixture(config, log)


@cache
def _group(module: str) -> str:
    text = (Path(__file__).parents[1] / module).read_text(encoding="utf-8")
    shared = [name for name in ("ray_cluster", "finished_store") if name in text]
    return shared[0] if shared else module if 'scope="module"' in text else ""


@pytest.fixture(scope="session", autouse=True)
def _spare_the_collector() -> None:
    """Keep the Trainer's garbage collection, once a training, from walking through all of torch.

    It takes half a second a time otherwise, the most of a tiny training. No other is needed: there
    are trainings enough.
    """
    import peft  # noqa: F401  # imported for what it loads
    import transformers.trainer  # noqa: F401  # imported for what it loads

    gc.freeze()
    gc.disable()
