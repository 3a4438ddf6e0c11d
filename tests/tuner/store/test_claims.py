"""Launchers that share a database: one holds a claim, and takes over from the dead alone."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, update

from tests.postgres import PostgresServer, postgres
from tuner.store.claim_rows import ClaimRows
from tuner.store.claims import Claims, Taken
from tuner.store.database import Outage, Patience, engine_options, tell_outages
from tuner.store.launchers import LAUNCHERS, Launcher, LauncherReplaced
from tuner.store.location import Store

Open = Callable[..., Claims]


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """Run PostgreSQL."""
    with postgres() as running:
        yield running


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def launch(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Open]:
    """Open claims as a launcher of its own would, with an engine of its own."""
    if request.param == "sqlite":
        url = Store(tmp_path).database_url
    else:
        name = request.node.name.replace("[", "_").replace("]", "")[-60:]
        url = Store(tmp_path, request.getfixturevalue("server").make_database(name)).database_url
    engines: list[Engine] = []
    opened: list[Claims] = []

    def open_claims(
        seconds: float = 60.0,
        replaced: Callable[[], None] = lambda: None,
        *,
        study: str = "study",
    ) -> Claims:
        engine = create_engine(url, **engine_options(url))
        tell_outages(engine)
        engines.append(engine)
        patience = Patience("the database")
        launcher = Launcher(engine, study, patience, seconds, on_replaced=replaced)
        claims = Claims(engine, study, launcher, patience, time.sleep, 0.01)
        claims.open()
        opened.append(claims)
        return claims

    yield open_claims
    for claims in opened:
        claims.close()
    for engine in engines:
        engine.dispose()


def die_elsewhere(claims: Claims, *, silent: bool) -> None:
    """Make a launcher one of another machine that has died, just now or some time ago."""
    claims.launcher._closed.set()
    claims.launcher._thread.join()
    values: dict[str, object] = {"place": "elsewhere"} | ({"expires": 0.0} if silent else {})
    mine = LAUNCHERS.c.launcher == claims.launcher.name
    with claims.engine.begin() as connection:
        connection.execute(update(LAUNCHERS).where(mine).values(values))


def test_of_many_that_ask_at_once_one_gets_the_claim(launch: Open) -> None:
    """Eight threads as eight launchers, twenty pieces of work, each done once."""
    done: list[str] = []
    several = [launch() for _ in range(8)]
    barrier = threading.Barrier(len(several))

    def work(claims: Claims) -> None:
        barrier.wait()
        for number in range(20):
            if claims.take(f"run {number}", lambda content, fresh: True) == Taken():
                done.append(f"run {number}")
                claims.complete(f"run {number}", "done")

    threads = [threading.Thread(target=work, args=(claims,)) for claims in several]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(done) == sorted(f"run {number}" for number in range(20))


def test_what_one_has_done_the_other_gets(launch: Open) -> None:
    """While it is held nobody else gets it; then its content, or the work if that won't do."""
    first, second = launch(), launch()
    assert first.take("run") == Taken()
    assert second.take("run") is None
    assert second.held() == {"run"}
    first.complete("run", "the outcome")
    accepted = second.take("run", lambda content, fresh: fresh)
    assert accepted == Taken(content="the outcome", by="living")
    again = second.take("run", lambda content, fresh: False)
    assert again == Taken(before="the outcome", by="living")
    assert first.take("run") is None


def test_what_was_done_before_a_launcher_began_is_not_fresh(launch: Open) -> None:
    """By the database's clock."""
    first = launch()
    first.take("run")
    first.complete("run", "failed")
    first.close()
    seen: list[bool] = []
    taken = launch().take("run", lambda content, fresh: bool(seen.append(fresh)))
    assert seen == [False]
    assert taken == Taken(before="failed", by="gone")


def test_a_claim_that_is_given_up_is_free_at_once(launch: Open) -> None:
    """By the launcher itself, or because it has ended."""
    first, second = launch(), launch()
    first.take("run")
    first.release("run")
    assert second.take("run") == Taken()
    second.close()
    assert first.take("run") == Taken(by="gone")


def test_a_dead_launchers_claims_are_free_after_its_heartbeat(launch: Open) -> None:
    """Not before; and of two that take over, one does."""
    dead, second, third = launch(), launch(), launch()
    dead.take("run")
    die_elsewhere(dead, silent=False)
    assert second.take("run") is None
    die_elsewhere(dead, silent=True)
    assert second.held() == frozenset()
    assert second.take("run") == Taken(by="gone")
    assert third.take("run") is None
    second.complete("run", "outcome")


def test_after_an_outage_silence_tells_nothing_for_a_while(launch: Open) -> None:
    """Everybody has been silent then: the others get the time to come back."""
    dead, second = launch(), launch()
    dead.take("run")
    die_elsewhere(dead, silent=True)
    second.patience.away_until = time.monotonic()
    assert second.take("run") is None
    second.patience.away_until = time.monotonic() - 1000
    assert second.take("run") == Taken(by="gone")


def test_a_launcher_that_wakes_up_too_late_is_told_so(launch: Open) -> None:
    """It can say nothing of its runs any more, and its heartbeat calls it."""
    called = threading.Event()
    asleep, second = launch(0.2, called.set), launch()
    asleep.take("run")
    row = LAUNCHERS.c.launcher == asleep.launcher.name
    with second.engine.begin() as connection:
        connection.execute(update(LAUNCHERS).where(row).values(alive=False))
    assert second.take("run") == Taken(by="gone")
    with pytest.raises(LauncherReplaced):
        asleep.complete("run", "too late")
    assert called.wait(5)
    with pytest.raises(LauncherReplaced):
        asleep.take("other")


def test_one_launcher_at_a_time_is_let_in(launch: Open) -> None:
    """And what one notes the next finds."""
    several = [launch() for _ in range(4)]

    def count(claims: Claims) -> None:
        for _ in range(10):
            with claims.exclusive("counter") as held:
                held.note = str(int(held.note or 0) + 1)

    threads = [threading.Thread(target=count, args=(claims,)) for claims in several]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with several[0].exclusive("counter") as held:
        assert held.note == "40"


def test_who_lets_itself_in_twice_cannot_rule_others_out(launch: Open) -> None:
    """The answer to the first time was lost: another may have been in before it."""
    claims, other = launch(), launch()
    with claims.exclusive("door"):
        pass
    with claims.exclusive("door") as held:
        assert not held.others
    with other.exclusive("door"):
        pass
    assert claims.take("door") is not None
    with claims.exclusive("door") as held:
        assert held.others


def test_what_is_wanted_is_held_when_others_are_let_in(launch: Open) -> None:
    """No moment lies between, in which another could take it; an error takes nothing."""
    claims, other = launch(), launch()
    with claims.exclusive("door") as held:
        held.wanted.append("trial 0")
        assert other.take("door") is None
    assert other.take("trial 0") is None
    assert claims.take("trial 0") == Taken(by="this", again=True)
    with contextlib.suppress(ZeroDivisionError), other.exclusive("door") as held:
        held.wanted.append("trial 1")
        raise ZeroDivisionError
    assert claims.held() == {"trial 0"}


def test_to_let_others_in_may_be_repeated(launch: Open) -> None:
    """The answer was lost, and another has been let in since."""
    claims, other = launch(), launch()
    with claims.exclusive("door") as held:
        held.wanted.append("trial 0")
    with other.exclusive("door"):
        claims._let_in("door", held)
    assert other.take("trial 0") is None
    die_elsewhere(claims, silent=True)
    assert other.take("trial 0") is not None
    claims.launcher._closed.clear()  # it wakes up
    with pytest.raises(LauncherReplaced):
        claims._let_in("door", held)


def test_a_row_that_was_left_is_taken_over_with_what_is_wanted(launch: Open) -> None:
    """As by a launcher that was killed, of a search that was deleted and begun anew."""
    gone, claims, other = launch(), launch(), launch()
    assert gone.take("trial 0") is not None
    die_elsewhere(gone, silent=True)
    with claims.exclusive("door") as held:
        held.wanted.append("trial 0")
    assert other.take("trial 0") is None
    assert claims.held() == {"trial 0"}
    assert other.take("door") is not None


def test_a_launcher_leaves_although_nothing_can_be_deleted(
    launch: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database goes away at the very end, and comes back for the process that lives on."""
    claims, other = launch(), launch()
    assert claims.take("trial 0") is not None
    claims.drop("trial 0")

    def sweep(rows: ClaimRows) -> None:
        raise Outage

    monkeypatch.setattr(ClaimRows, "sweep", sweep)
    claims.close()
    assert not claims.launcher._thread.is_alive()
    assert other.held() == frozenset()


def test_what_is_dropped_goes_with_the_next_step(launch: Open) -> None:
    """And at the end at the latest."""
    claims, other = launch(), launch()
    for name in ("trial 0", "trial 1"):
        assert claims.take(name) is not None
    claims.drop("trial 0")
    assert other.held() == {"trial 0", "trial 1"}
    with claims.exclusive("door"):
        pass
    assert other.held() == {"trial 1"}
    claims.drop("trial 1")
    claims.close()
    with other.engine.connect() as connection:
        rows = connection.exec_driver_sql("SELECT name FROM tuner_claims").scalars().all()
    assert rows == ["door"]


def test_what_all_studies_share_is_claimed_once(launch: Open) -> None:
    """Each knows its own launchers by name, and takes over from the others' dead too."""
    ours, theirs, ally = launch(), launch(study="another"), launch()
    assert ours.take("cell") is not None
    assert theirs.take("cell") is not None
    runs = [claims.of_all_studies() for claims in (ours, theirs, ally)]
    assert runs[1].take("run 1") is not None
    assert runs[0].take("run 1") is None
    assert runs[0].held() == frozenset()
    assert runs[2].take("run 2") is not None
    assert runs[0].held() == {"run 2"}
    die_elsewhere(theirs, silent=True)
    taken = runs[0].take("run 1")
    assert taken is not None
    assert taken.by == "gone"


def test_waiting_is_said_once_and_the_return_too(caplog: pytest.LogCaptureFixture) -> None:
    """A line when it begins to take long, a line at the end, whatever comes between."""
    now = [0.0]
    patience = Patience("PostgreSQL db", pause=lambda seconds: now.__setitem__(0, now[0] + 1))
    patience.clock = lambda: now[0]

    def call() -> str:
        if now[0] < 60:
            raise Outage("connection refused")
        return "answer"

    assert patience.persist(call) == "answer"
    assert [record.getMessage() for record in caplog.records] == [
        "PostgreSQL db does not answer, the study waits: connection refused",
        "PostgreSQL db answers again, the study goes on",
    ]
