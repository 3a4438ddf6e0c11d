"""What a run says on its way to the launcher."""

from __future__ import annotations

import threading

from tests.launchers import wait_until
from tuner.executors.ray.outbox import Message, Outbox


def _event(text: str) -> Message:
    return Message("event", text)


def test_what_was_not_acknowledged_comes_again() -> None:
    """An answer that got lost costs no message, and none comes twice to a reader that counts."""
    outbox = Outbox()
    outbox.put(_event("a"))
    outbox.put(_event("b"))
    assert outbox.after(0) == outbox.after(0) == [_event("a"), _event("b")]
    outbox.put(_event("c"))
    assert outbox.after(2) == [_event("c")]


def test_a_reader_waits_for_the_next_message() -> None:
    """It does not ask again and again."""
    outbox = Outbox()
    timer = threading.Timer(0.2, outbox.put, [_event("late")])
    timer.start()
    assert outbox.after(0) == [_event("late")]
    timer.join()


def test_the_bytes_of_files_wait_for_the_reader_but_not_for_one_that_is_gone() -> None:
    """A model of gigabytes is not held in memory; closing lets its sender go."""
    outbox = Outbox()

    def send() -> None:
        for _ in range(20):
            outbox.put(Message("file", "model", content=b"bytes"))

    thread = threading.Thread(target=send)
    thread.start()
    wait_until(lambda: len(outbox.after(0)) == 8)
    thread.join(0.3)
    assert thread.is_alive()
    assert len(outbox.after(0)) == 8
    outbox.close()
    thread.join(10)
    assert not thread.is_alive()
