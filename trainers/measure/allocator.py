"""Follow the record of torch's CPU allocator: the bytes of living tensors, and their peak."""

from __future__ import annotations

import contextlib
import gc
import time
from collections.abc import Iterator
from typing import Any

from trainers.measure.peaks import PeakSource

_SECONDS_BETWEEN_READINGS = 5.0


class AllocatorRecord(PeakSource):
    """Sums up what torch's profiler notes of every allocation and every release.

    Bytes are exact, those inside of operators included. The profiler is told to note nothing but
    memory, and its notes are read and thrown away every few seconds, or they would fill it. It is
    bound to the thread that made it. What was allocated before it began is not counted, nor what
    other threads allocate; `hold` makes up for the weights, which transformers loads in threads.
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
        """Read the notes when they have become many."""
        if time.monotonic() - self._begun > _SECONDS_BETWEEN_READINGS:
            self._read()

    def hold(self, held_bytes: int) -> None:
        """Begin to count at the model's bytes."""
        self._read()
        self._held = held_bytes
        self._peak = max(self._peak, held_bytes)

    def close(self) -> None:
        """End the profiler."""
        from torch._C import _autograd as profiler

        if profiler._profiler_enabled():
            profiler._disable_profiler()

    def _begin(self) -> None:
        """Start the profiler with a scope in which nothing runs, so that it notes memory alone.

        `torch.profiler.profile` has no such choice, and notes four times as much.
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
        start: Any = profiler._enable_profiler  # its stub does not know the scopes
        start(config, activities, {RecordScope.USER_SCOPE})
        self._begun = time.monotonic()

    def _read(self) -> None:
        """Add up the notes, and begin anew."""
        from torch._C import _autograd as profiler

        with gc_disabled():  # a tensor that is freed in between would be held for ever
            events: list[Any] = profiler._disable_profiler().events()
            self._begin()
        notes = [(e.start_ns(), e.nbytes()) for e in events if e.name() == "[memory]"]
        for _, change in sorted(notes, key=lambda note: note[0]):
            self._held += change
            self._peak = max(self._peak, self._held)


@contextlib.contextmanager
def gc_disabled() -> Iterator[None]:
    """Have Python look for no garbage meanwhile."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


@contextlib.contextmanager
def gc_frozen() -> Iterator[None]:
    """Have Python look for garbage only among what is made meanwhile.

    Half a million objects of torch's and transformers' modules would be looked through again and
    again: of a short trace that is half the time.
    """
    frozen = gc.get_freeze_count() > 0  # by the process, for good
    gc.freeze()
    try:
        yield
    finally:
        if not frozen:
            gc.unfreeze()
