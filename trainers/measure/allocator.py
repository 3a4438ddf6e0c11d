"""Read torch's record of its CPU allocator: the bytes of living tensors, and their peak."""

from __future__ import annotations

import contextlib
import gc
import time
from collections.abc import Iterator
from typing import Any

from trainers.measure.peaks import PeakSource

_SECONDS_BETWEEN_READINGS = 5.0


class AllocatorRecord(PeakSource):
    """Sums up every allocation and release that torch's profiler records.

    Bytes are exact, also inside of operators. The profiler records memory alone, and its records
    are read and dropped every few seconds, or they would fill the memory. It is bound to the
    thread that made it: earlier allocations are not counted, nor those of other threads; `hold`
    adds the weights, which transformers loads in threads.
    """

    def __init__(self) -> None:
        self._held = 0
        self._peak = 0
        self._begin()

    def take(self) -> dict[str, int]:
        """Return the peak since the last call."""
        self._read()
        peak, self._peak = self._peak, self._held
        return {"allocator_bytes": peak}

    def tick(self) -> None:
        """Read the records when they have become many."""
        if time.monotonic() - self._begun > _SECONDS_BETWEEN_READINGS:
            self._read()

    def hold(self, held_bytes: int) -> None:
        """Start the count at the model's bytes."""
        self._read()
        self._held = held_bytes
        self._peak = max(self._peak, held_bytes)

    def close(self) -> None:
        """End the profiler."""
        from torch._C import _autograd as profiler

        if profiler._profiler_enabled():
            profiler._disable_profiler()

    def _begin(self) -> None:
        """Start the profiler with a scope in which nothing runs, so that it records memory alone.

        `torch.profiler.profile` has no such option, and records four times as much.
        """
        from torch._C import _autograd as profiler
        from torch._C._profiler import (
            ProfilerActivity,
            ProfilerConfig,
            ProfilerState,
            RecordScope,
            _ExperimentalConfig,
        )

        # Shapes, memory, stack, operations, modules.
        what = (False, True, False, False, False)
        config = ProfilerConfig(ProfilerState.KINETO, *what, _ExperimentalConfig())
        activities = {ProfilerActivity.CPU}
        profiler._prepare_profiler(config, activities)
        start: Any = profiler._enable_profiler  # its type stub lacks the scopes
        start(config, activities, {RecordScope.USER_SCOPE})
        self._begun = time.monotonic()

    def _read(self) -> None:
        """Add up the records, and begin anew."""
        from torch._C import _autograd as profiler

        with gc_disabled():  # else a tensor that is freed meanwhile would count for ever
            events: list[Any] = profiler._disable_profiler().events()
            self._begin()
        notes = [(e.start_ns(), e.nbytes()) for e in events if e.name() == "[memory]"]
        for _, change in sorted(notes, key=lambda note: note[0]):
            self._held += change
            self._peak = max(self._peak, self._held)


@contextlib.contextmanager
def gc_disabled() -> Iterator[None]:
    """Turn Python's garbage collector off meanwhile."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


@contextlib.contextmanager
def gc_frozen() -> Iterator[None]:
    """Let the garbage collector skip all objects that exist already.

    It would visit half a million objects of torch's and transformers' modules again and again:
    half the time of a short trace.
    """
    if not gc.isenabled():
        yield
        return
    frozen = gc.get_freeze_count() > 0  # by the process itself, for good
    gc.freeze()
    try:
        yield
    finally:
        if not frozen:
            gc.unfreeze()
