"""Attempts: each piece of work is one living launcher's at a time, and ends once."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.journals import opened
from tests.postgres import PostgresServer, postgres
from tuner.store.attempts import Attempt, Attempts
from tuner.store.journal import Journal
from tuner.store.leases import LauncherReplaced

HEARTBEAT = 0.3


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """Run PostgreSQL."""
    with postgres() as running:
        yield running


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> str | Path:
    """Give a store in a file, and one in PostgreSQL."""
    if request.param == "sqlite":
        return tmp_path / "store"
    running = request.getfixturevalue("server")
    return str(running.make_database(f"attempts-{time.time_ns()}"))


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()


def test_work_is_held_by_the_first_and_free_once_it_has_ended(store: str | Path) -> None:
    """Another launcher sees who has it, and what came out of it."""
    with opened(store) as one, opened(store) as two:
        mine, theirs = Attempts(one, "runs"), Attempts(two, "runs")
        attempt = mine.take("a", "what to do")
        assert attempt is not None
        assert theirs.take("a") is None
        assert mine.take("a") is None  # its other threads see to that themselves
        assert mine.held() == theirs.held() == {"a"}
        mine.end(attempt, "done")
        (known,) = theirs.of("a")
        assert (known.content, known.ended) == ("what to do", "done")
        assert theirs.held() == frozenset()
        again = theirs.take("a")
        assert again is not None
        assert again.number == 1


def test_many_launchers_take_each_piece_once(store: str | Path) -> None:
    """Side by side, from several threads each."""
    taken: list[Attempt] = []

    def work(journal: Journal) -> None:
        attempts = Attempts(journal, "runs")
        found = (attempts.take(str(number)) for number in range(15))
        taken.extend(attempt for attempt in found if attempt is not None)

    with ExitStack() as stack:
        journals = [stack.enter_context(opened(store)) for _ in range(4)]
        list(ThreadPoolExecutor(4).map(work, journals))
    assert sorted(int(attempt.name) for attempt in taken) == list(range(15))


def test_the_work_of_a_silent_launcher_is_taken_over_and_it_can_write_no_more(
    store: str | Path,
) -> None:
    """Its attempt ends as abandoned; what it says later is not taken, and it is told."""
    with opened(store, seconds=3600) as one, opened(store) as two:
        mine, theirs = Attempts(one, "runs"), Attempts(two, "runs")
        attempt = mine.take("a")
        assert attempt is not None
        one.lease.close()  # as others see it: marked as dead
        taken = theirs.take("a")
        assert taken is not None
        assert [attempt.ended for attempt in theirs.of("a")] == ["", None]
        with pytest.raises(LauncherReplaced):
            mine.end(attempt, "done")
        assert one.lease.replaced
        theirs.end(taken, "done after all")
        assert [attempt.ended for attempt in theirs.of("a")] == ["", "done after all"]


def test_an_append_may_be_repeated(store: str | Path) -> None:
    """The answer to the first may have been lost; a key lets one line in."""
    with opened(store) as one, opened(store) as two:
        assert one.append("topic", "a line", key="key")
        assert one.append("topic", "a line", key="key")
        assert not two.append("topic", "another", key="key")
        assert [line for _, line in two.read("topic")] == ["a line"]


def test_kept_lines_go_before_the_next_one_in_its_transaction(store: str | Path) -> None:
    """Until then nobody reads them; `flush` appends those that no line took along."""
    with opened(store) as journal, opened(store) as other:
        journal.append_with_next("a", "1")
        journal.append_with_next("b", "2", key="k")
        assert [line.line for line in other.read_mixed((), "", 0, None)] == []
        assert journal.append("a", "3")
        assert [line.line for line in other.read_mixed((), "", 0, None)] == ["1", "2", "3"]
        journal.append_with_next("b", "again", key="k")
        journal.append_with_next("b", "4")
        journal.flush()
        journal.flush()
        assert [line.line for line in other.read("b")] == ["2", "4"]


def test_a_launcher_that_was_replaced_appends_no_kept_line(store: str | Path) -> None:
    """Nor the line that would have taken it along."""
    with opened(store, seconds=HEARTBEAT) as silent, opened(store) as other:
        silent.append_with_next("a", "1")
        silent.writer.close()
        with pytest.raises(LauncherReplaced):
            silent.append("a", "2")
        assert not other.read("a")


def test_lines_are_read_in_order_and_from_where_one_was(store: str | Path) -> None:
    """By topic."""
    with opened(store) as journal:
        for number in range(5):
            journal.append("topic", str(number))
            journal.append("elsewhere", "x")
        lines = journal.read("topic")
        assert [line for _, line in lines] == list("01234")
        assert [line for _, line in journal.read("topic", lines[2].id)] == ["3", "4"]
