"""Every file and folder of `tuner/executors` keeps the contract of executors."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec

import pytest

from tests.executor_contract import ExecutorContract
from trainers.plugins import kinds, plugin_class
from tuner.config import EXECUTORS, ExecutorSettings, read_executor
from tuner.executors import Executor

FIXTURES = {"ray": "ray_cluster"}
"""Fixtures whose `settings()` open an executor on more than its defaults do, by kind."""


def _kinds() -> Iterator[object]:
    """Yield each kind; one that needs an extra has the mark of that name, and may be skipped."""
    for kind in kinds(ExecutorSettings, EXECUTORS):  # type: ignore[type-abstract]
        extra = plugin_class(ExecutorSettings, EXECUTORS, kind).EXTRA  # type: ignore[type-abstract]
        missing = bool(extra) and find_spec(extra) is None
        skip = pytest.mark.skipif(missing, reason=f"needs the extra `{extra}`")
        yield pytest.param(kind, marks=[skip, getattr(pytest.mark, extra)] if extra else [])


class TestContract(ExecutorContract):
    """By file name: a new executor is tried without a line here."""

    @pytest.fixture(scope="class", params=_kinds())
    @classmethod
    def executor(cls, request: pytest.FixtureRequest) -> Iterator[Executor]:
        """Make one for all tests of a kind, so that torch is loaded once."""
        kind = request.param
        named = FIXTURES.get(kind)
        settings = request.getfixturevalue(named).settings() if named else read_executor(kind)
        executor = settings.open()
        yield executor
        executor.close()
