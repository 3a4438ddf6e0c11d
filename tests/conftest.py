"""What every test shares."""

from __future__ import annotations

import gc

import pytest


@pytest.hookimpl(tryfirst=True)  # before xdist, which writes the groups into the names
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Have a module's tests run in one process where they share a fixture, made once then."""
    for item in items:
        known = getattr(item, "_fixtureinfo", None)
        shared = known.name2fixturedefs.values() if known else ()
        if any(found[-1].scope == "module" for found in shared):
            item.add_marker(pytest.mark.xdist_group(item.path.stem))


@pytest.fixture(scope="session", autouse=True)
def _spare_the_collector() -> None:
    """Keep the Trainer's garbage collection, once a training, from walking through all of torch.

    It takes half a second a time otherwise, the most of a tiny training.
    """
    import peft  # noqa: F401  # imported for what it loads
    import transformers.trainer  # noqa: F401  # imported for what it loads

    gc.freeze()
