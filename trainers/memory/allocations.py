"""Record the allocation, the size and the release of every tensor storage while code runs.

torch is imported at the top: only a trace imports this file.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch._subclasses.fake_tensor import FakeTensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from trainers.memory.prediction import CATEGORIES, Categories

_DEVICE = torch.ops.prim.device.default
# References to a gradient that only the engine's buffer holds, while an operator is dispatched on
# it: the tensor is held by the buffer, the operator's arguments and their Python object; the
# storage by the tensor and the Python object made here.
_TENSOR_HOLDERS, _STORAGE_HOLDERS = 4, 2


class AllocationTrace(TorchDispatchMode):
    """The allocations of the code that runs inside it, in the order of time.

    Under a FakeTensorMode nothing is allocated, but a storage still knows its size.

    Args:
        rounding: A storage takes a multiple of this number of bytes, as in the allocator.
    """

    def __init__(self, rounding: int = 1) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch
        self.category = "temporaries"
        self._rounding = rounding
        self._sizes: list[int] = []
        self._categories: list[str] = []
        self._events: list[int] = []  # allocation: a number; release: its complement
        self._marks: dict[str, int] = {}
        self._live: dict[int, int] = {}
        self._watches: dict[int, Any] = {}

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Run one operator and record the storages of its results."""
        if func is _DEVICE and isinstance(args[0], FakeTensor):
            return args[0].fake_device  # two of three calls are this query of autograd
        adopts = _adds_in_place(func, args)
        result = func(*args, **(kwargs or {}))
        if adopts:
            self._adopt(args[0], result)
        for leaf in tree_leaves(result):
            if isinstance(leaf, torch.Tensor):
                self._enter(leaf)
        return result

    def name(self, tensors: Iterable[torch.Tensor | None], category: str) -> None:
        """Set the category of these tensors' storages."""
        for tensor in tensors:
            number = None if tensor is None else self._number(tensor)
            if number is not None:
                self._categories[number] = category

    def name_new(self, category: str) -> None:
        """Set the category of all living storages that are still temporaries."""
        for number in self._live.values():
            if self._categories[number] == "temporaries":
                self._categories[number] = category

    def mark(self, name: str) -> None:
        """Mark this moment by a name."""
        self._marks[name] = len(self._events)

    def peak(self, start: str, end: str, shares: Mapping[str, float]) -> Categories:
        """Return the bytes by category at the peak between two marks.

        Args:
            start: The first mark.
            end: The last mark.
            shares: Part of a category's bytes that counts, if not all.
        """
        held: dict[str, float] = dict.fromkeys(CATEGORIES, 0)
        total, best, fullest = 0.0, -1.0, dict(held)
        first, last = self._marks[start], self._marks[end]
        for moment, event in enumerate(self._events[:last]):
            number, sign = (event, 1) if event >= 0 else (~event, -1)
            category = self._categories[number]
            change = sign * self._sizes[number] * shares.get(category, 1)
            held[category] += change
            total += change
            if moment >= first and total > best:
                best, fullest = total, dict(held)
        chosen = held if best < 0 else fullest
        return Categories(**{name: round(value) for name, value in chosen.items()})

    def _number(self, tensor: torch.Tensor) -> int | None:
        return self._live.get(tensor.untyped_storage()._cdata)

    def _enter(self, tensor: torch.Tensor) -> None:
        storage = tensor.untyped_storage()
        key = storage._cdata
        if key in self._live:
            return
        number = len(self._sizes)
        self._sizes.append(-(-storage.nbytes() // self._rounding) * self._rounding)
        self._categories.append(self.category)
        self._events.append(number)
        self._watch(storage, number)

    def _adopt(self, old: torch.Tensor, new: torch.Tensor) -> None:
        """Count the new tensor as the old one."""
        key = old.untyped_storage()._cdata
        if key in self._live:
            number = self._live.pop(key)
            self._watches.pop(key).detach()
            self._watch(new.untyped_storage(), number)

    def _watch(self, storage: torch.UntypedStorage, number: int) -> None:
        key = storage._cdata
        self._live[key] = number
        self._watches[key] = weakref.finalize(storage, self._leave, key, number)
        self._watches[key].atexit = False

    def _leave(self, key: int, number: int) -> None:
        del self._live[key], self._watches[key]
        self._events.append(~number)


def _adds_in_place(func: Any, args: Any) -> bool:
    """Return whether the engine would write a sum of gradients over its first part.

    Autograd adds the gradients of several uses of a tensor in place where nothing else holds the
    first part (`can_accumulate_inplace` in torch's input_buffer.cpp), but not under fake tensors.
    """
    if func is not torch.ops.aten.add.Tensor or torch.is_grad_enabled():
        return False
    first, second = args
    if not isinstance(second, torch.Tensor) or first.shape != second.shape:
        return False
    count: Any = torch._C._storage_Use_Count
    alone = (
        first._use_count() == _TENSOR_HOLDERS
        and count(first.untyped_storage()._cdata) == _STORAGE_HOLDERS
    )
    dense = first.numel() * first.element_size() == first.untyped_storage().nbytes()
    return bool(alone and dense and first.dtype == second.dtype)
