"""The executor in the launcher itself."""

from __future__ import annotations

import pytest

from tests.executor_contract import ExecutorContract
from tuner.executors import Executor
from tuner.executors.inprocess import InprocessExecutor


class TestInprocess(ExecutorContract):
    """Keeps the contract."""

    @pytest.fixture
    def executor(self) -> Executor:
        """Make one."""
        return InprocessExecutor()
