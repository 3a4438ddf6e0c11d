"""Record the birth, the size and the death of every tensor storage while code runs.

torch is imported at the top: only a trace imports this file.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterable
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from trainers.memory.prediction import CATEGORIES, Categories


class Ledger(TorchDispatchMode):
    """The allocations of whatever runs inside it, in the order of time.

    Under a FakeTensorMode nothing is allocated, and a storage still knows how large it would be.

    Args:
        rounding: A storage takes a multiple of so many bytes, as the allocator has it.
    """

    def __init__(self, rounding: int = 1) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch
        self.category = "temporaries"
        self._rounding = rounding
        self._sizes: list[int] = []
        self._categories: list[str] = []
        self._events: list[int] = []  # a birth is the storage's number, a death its complement
        self._marks: dict[str, int] = {}
        self._live: dict[int, int] = {}

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Run one operator and enter the storages that its results bring."""
        result = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            if isinstance(leaf, torch.Tensor):
                self._enter(leaf)
        return result

    def name(self, tensors: Iterable[torch.Tensor | None], category: str) -> None:
        """Say what these tensors' storages are held for."""
        for tensor in tensors:
            number = None if tensor is None else self._number(tensor)
            if number is not None:
                self._categories[number] = category

    def name_new(self, category: str) -> None:
        """Say what all living storages are held for that are still called temporaries."""
        for number in self._live.values():
            if self._categories[number] == "temporaries":
                self._categories[number] = category

    def mark(self, name: str) -> None:
        """Remember this moment."""
        self._marks[name] = len(self._events)

    def peak(self, start: str, end: str) -> Categories:
        """Return what is held at the fullest moment between two marks, by category."""
        held = dict.fromkeys(CATEGORIES, 0)
        total, best, fullest = 0, -1, dict(held)
        first, last = self._marks[start], self._marks[end]
        for moment, event in enumerate(self._events[:last]):
            number, sign = (event, 1) if event >= 0 else (~event, -1)
            change = sign * self._sizes[number]
            held[self._categories[number]] += change
            total += change
            if moment >= first and total > best:
                best, fullest = total, dict(held)
        return Categories(**(held if best < 0 else fullest))

    def _number(self, tensor: torch.Tensor) -> int | None:
        return self._live.get(tensor.untyped_storage()._cdata)

    def _enter(self, tensor: torch.Tensor) -> None:
        storage = tensor.untyped_storage()
        key = storage._cdata
        if key in self._live:
            return
        number = len(self._sizes)
        self._live[key] = number
        self._sizes.append(-(-storage.nbytes() // self._rounding) * self._rounding)
        self._categories.append(self.category)
        self._events.append(number)
        weakref.finalize(storage, self._leave, key, number).atexit = False

    def _leave(self, key: int, number: int) -> None:
        del self._live[key]
        self._events.append(~number)
