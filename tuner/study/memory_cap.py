"""Predict each run's memory: refuse runs over the study's cap, compare with measurements."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from trainers.contract import RunEvent, RunResult, RunSpec, Seeds, Workspace
from trainers.errors import ConfigError, RunFailed
from trainers.memory import (
    ExpectedMemory,
    compare_with_measured,
    expect_in_background,
    expect_memory,
    fill_token_cache,
    memory_key,
    weights_bytes,
)
from tuner.config import Cell, show_bytes
from tuner.executors import Executor, RunLost
from tuner.store import RunInterrupted

Cap = int | Literal["device"] | None
"""Bytes; `device`: the free memory of the device when a run is to begin; or none."""
Expect = Callable[[RunSpec, Workspace], ExpectedMemory]
NOT_PREDICTED = "memory_not_predicted"
"""Fact of a run whose memory could not be predicted, with the reason."""


@dataclass(frozen=True)
class MemoryPrediction:
    """The prediction of a run's memory before it begins."""

    expected: ExpectedMemory | None
    """The predicted memory; None where there is none."""
    limit: int | None = None
    """The cap in bytes."""
    fault: str = ""
    """Why there is no prediction."""

    @property
    def excess_bytes(self) -> int | None:
        """Predicted memory above the cap, negative below it; None where unknown."""
        if self.expected is None or self.limit is None:
            return None
        return self.expected.needed_bytes - self.limit

    @property
    def refusal(self) -> str:
        """Why the run must not begin; "" where it may."""
        if self.expected is None or self.limit is None or (self.excess_bytes or 0) <= 0:
            return ""
        needed, limit = show_bytes(self.expected.needed_bytes), show_bytes(self.limit)
        return f"predicted peak of memory {needed} is over memory_cap {limit}"


def refused(predicted: MemoryPrediction) -> RunEvent:
    """Return the event of a refused run, with the prediction as its metrics."""
    compared = compare_with_measured(predicted.expected, {}) if predicted.expected else {}
    metrics = {f"memory/{name}": value for name, value in compared.items()}
    return RunEvent(kind="refused", time=time.time(), metrics=metrics)


def check_weights(
    cells: Sequence[Cell], compute: Callable[[Callable[[RunSpec], int], RunSpec], int]
) -> None:
    """Refuse a cap below a model's weights alone.

    Args:
        cells: A study's cells.
        compute: Calls a function that needs torch.

    Raises:
        ConfigError: In one line, before anything has been written.
        ModelError: No such model.
    """
    cap = cells[0].study.memory_cap
    if not isinstance(cap, int):
        return
    known: dict[str, int] = {}
    for cell in cells:
        spec = cell.spec(Seeds(init=0, order=0))
        held = [cell.model, spec.deepspeed, spec.ranks, spec.train.precision]
        key = json.dumps(held, sort_keys=True)
        weights = known[key] if key in known else compute(weights_bytes, spec)
        known[key] = weights
        if weights > cap:
            raise ConfigError(
                f"memory_cap: got {show_bytes(cap)}, less than the weights alone of "
                f"{cell.model}, which take {show_bytes(weights)}"
            )


@dataclass
class MemoryForecast:
    """Predicts runs through the executor, each kind of run once. Thread-safe."""

    executor: Executor
    cap: Cap = None
    _known: dict[str, MemoryPrediction] = field(default_factory=dict)
    _locks: defaultdict[str, threading.Lock] = field(
        default_factory=lambda: defaultdict(threading.Lock)
    )

    def before(self, spec: RunSpec, workspace: Workspace) -> MemoryPrediction:
        """Predict a run if there is a cap that it might exceed."""
        if self.cap is None:
            return MemoryPrediction(None)
        predicted = self._predict(spec, workspace)
        free = predicted.expected.free_bytes if predicted.expected else None
        return MemoryPrediction(
            predicted.expected, free if self.cap == "device" else self.cap, predicted.fault
        )

    def beside(self, spec: RunSpec, workspace: Workspace) -> None:
        """Start to predict a running run, if the executor can do both at once.

        By then its tokens are in the cache.
        """
        known = memory_key(spec) in self._known
        if self.cap is not None or known or not self.executor.computes_aside:
            return

        def predict() -> None:
            with contextlib.suppress(RunInterrupted):
                self._predict(spec, workspace, expect_in_background)

        threading.Thread(target=predict, daemon=True).start()

    def of_too_much(self, spec: RunSpec, workspace: Workspace) -> list[RunEvent]:
        """Return the prediction for a run that ran out of memory; none if it was broken off."""
        with contextlib.suppress(RunInterrupted, RunLost):
            return [refused(self._predict(spec, workspace))]
        return []

    def after(self, spec: RunSpec, workspace: Workspace, result: RunResult) -> RunResult:
        """Add the prediction and its error to a result."""
        predicted = self._predict(spec, workspace)
        if predicted.expected is None:
            facts = result.facts | {NOT_PREDICTED: predicted.fault}
            return result.model_copy(update={"facts": facts})
        compared = compare_with_measured(predicted.expected, result.memory)
        return result.model_copy(update={"expected": compared})

    def _predict(
        self, spec: RunSpec, workspace: Workspace, expect: Expect = expect_memory
    ) -> MemoryPrediction:
        key = memory_key(spec)
        with self._locks[key]:
            known = self._known.get(key)
            if known is not None and self.cap != "device":  # whose free memory is read each time
                return known
            try:
                if self.cap is not None:  # else the prediction would include the tokenizer's work
                    self.executor.compute(fill_token_cache, spec, workspace)
                predicted = MemoryPrediction(self.executor.compute(expect, spec, workspace))
            except RunFailed as failed:
                predicted = MemoryPrediction(None, fault=failed.reason)
            self._known[key] = predicted
            return predicted
