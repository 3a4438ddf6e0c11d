"""Messages of a run on their way from a node to the launcher."""

from __future__ import annotations

import threading

from tests.launchers import wait_until
from tuner.executors._messages import Message
from tuner.executors.ray.actor import MessageBuffer


def _event(text: str) -> Message:
    return Message("event", text)


def test_what_was_not_acknowledged_comes_again() -> None:
    """An answer that got lost costs no message, and none comes twice to a reader that counts."""
    buffer = MessageBuffer()
    buffer.put(_event("a"))
    buffer.put(_event("b"))
    assert buffer.after(0) == buffer.after(0) == [_event("a"), _event("b")]
    buffer.put(_event("c"))
    assert buffer.after(2) == [_event("c")]


def test_a_reader_waits_for_the_next_message() -> None:
    """It does not ask again and again."""
    buffer = MessageBuffer()
    timer = threading.Timer(0.2, buffer.put, [_event("late")])
    timer.start()
    assert buffer.after(0) == [_event("late")]
    timer.join()


def test_the_bytes_of_files_wait_for_the_reader_but_not_for_one_that_is_gone() -> None:
    """A model of gigabytes is not held in memory; closing lets its sender go."""
    buffer = MessageBuffer()

    def send() -> None:
        for _ in range(20):
            buffer.put(Message("file", "model", content=b"bytes"))

    thread = threading.Thread(target=send)
    thread.start()
    wait_until(lambda: len(buffer.after(0)) == 8)
    thread.join(0.3)
    assert thread.is_alive()
    assert len(buffer.after(0)) == 8
    buffer.close()
    thread.join(10)
    assert not thread.is_alive()
