"""Apply a function to items, several at once, ending early and cleanly on an error."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def map_threads(
    work: Callable[[T], R],
    items: Iterable[T],
    at_once: int,
    *,
    on_error: Callable[[], None] = lambda: None,
) -> list[R]:
    """Return `work` of every item, in order.

    Args:
        work: Called once an item.
        items: Its arguments.
        at_once: Threads; with 1 the caller's own thread does all, so that Ctrl-C reaches it.
        on_error: Called at the first exception, Ctrl-C included, to end the other threads.

    Raises:
        BaseException: The first exception of `work`, after every thread has ended.
    """
    if at_once == 1:
        return [work(item) for item in items]
    pool = ThreadPoolExecutor(at_once)
    futures = [pool.submit(work, item) for item in items]
    try:
        wait(futures, return_when=FIRST_EXCEPTION)
        failed = [f for f in futures if f.done() and f.exception() is not None]
        if failed:
            failed[0].result()
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        on_error()
        raise
    finally:
        pool.shutdown(wait=True)
    return [future.result() for future in futures]
