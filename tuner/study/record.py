"""Do one run exactly once: reuse its outcome, or do it, keep it and track it."""

from __future__ import annotations

import logging
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from trainers.contract import Emit, StopRun
from tuner.store.claims import Claims
from tuner.store.location import Store
from tuner.store.outcome import Order, Outcome, Recorded, claim_of, read_outcome, take_up
from tuner.study.journal import read_journal, write_whole
from tuner.study.memory_cap import refused
from tuner.study.retry import retry_params
from tuner.study.tries import Tries
from tuner.tracking import Tracker

_logger = logging.getLogger(__name__)


@dataclass
class Recorder:
    """Does runs for a study: the one place where tries, tracker and claims meet."""

    tries: Tries
    _locks: defaultdict[str, threading.Lock] = field(
        default_factory=lambda: defaultdict(threading.Lock)
    )

    @property
    def tracker(self) -> Tracker:
        """The study's tracker."""
        return self.tries.tracker

    @property
    def store(self) -> Store:
        """Where the runs' folders are."""
        return self.tries.store

    @property
    def claims(self) -> Claims:
        """On runs: equal ones of two studies are done once, and in one folder."""
        return self.tries.claims

    def run(self, order: Order, watch: Emit) -> Recorded | None:
        """Return the outcome of a run, doing it only if it has none yet.

        Args:
            order: The run, and what it is for.
            watch: Called with every event, also those of an earlier run. It may raise StopRun.

        Returns:
            None while another launcher is at it, or where it is not done and not to be begun.

        Raises:
            RunInterrupted, KeyboardInterrupt: The study is being closed; the run is tracked as
                killed and will be done again.
            LauncherReplaced: Another launcher has taken the run over.
        """
        digest = order.spec.digest()

        def will_do(content: str, fresh: bool) -> bool:
            return order.fulfilled_by(Outcome.model_validate_json(content), fresh=fresh)

        with self._locks[digest]:
            new = not self.store.run_dir(digest).exists()
            taken = self.claims.take(claim_of(digest), will_do, new=new)
            if taken is None:
                return None
            if taken.content is None:
                try:
                    return self._hold(order, watch)
                except BaseException:
                    self.claims.release(claim_of(digest))
                    raise
            outcome = Outcome.model_validate_json(taken.content)
            if taken.by == "living" and outcome.owner == order.owner:
                return Recorded(outcome, reused=True, elsewhere=True)
            if not order.shared:
                return self._reuse(order, outcome, watch)
            # Two launchers that looked into the group at once would each enter the run. While an
            # MLflow server is away they may all the same: what they do then is written later.
            with self.claims.alone(f"track {order.owner} {digest}"):
                return self._reuse(order, outcome, watch)

    def _hold(self, order: Order, watch: Emit) -> Recorded | None:
        """Reuse the outcome in the run's folder, or do the run; then say so in the claim."""
        outcome = take_up(self.store.run_dir(order.spec.digest()), order.data)
        if outcome is not None and order.fulfilled_by(outcome):
            with self._completed(order, outcome):
                return self._reuse(order, outcome, watch)
        if not order.begin:
            self.claims.release(claim_of(order.spec.digest()))
            return None
        run_id = self.tracker.open_run(order.group_id, order.spec, adopt=False)
        return Recorded(self._do(order, run_id, watch), reused=False)

    @contextmanager
    def _completed(self, order: Order, outcome: Outcome) -> Iterator[None]:
        """Say in the claim what came out of a run, around telling the tracker.

        Launchers that share the group take what the tracker shows as running for abandoned once
        the claim says that it is done. Another study does again, in the same folder, what has not
        finished; a tracker that is far behind loses files then. Else the claim, which may be
        lost, comes first.

        Raises:
            LauncherReplaced: Another launcher has taken the run over.
        """
        claim, content = claim_of(order.spec.digest()), outcome.model_dump_json()
        if order.shared or outcome.result is None:
            self.claims.keep(claim)
            yield
            self.claims.complete(claim, content)
        else:
            self.claims.complete(claim, content)
            yield

    def _reuse(self, order: Order, outcome: Outcome, watch: Emit) -> Recorded:
        """Take an earlier outcome, unless it is of a trial that this study would refuse."""
        folder = self.store.run_dir(order.spec.digest())
        is_trials = order.searched and not order.spec.read_test
        if not is_trials or not order.of_another_search(outcome):
            self._track(order, outcome, folder, watch)
            return Recorded(outcome, reused=True)
        foreseen = self.tries.foresee(order.spec, folder)
        known = {"excess_bytes": foreseen.excess_bytes}
        if not foreseen.refusal:
            self._track(order, outcome, folder, watch)
            return Recorded(outcome.model_copy(update=known), reused=True)
        run_id = self.tracker.open_run(order.group_id, order.spec, adopt=True)
        self.tracker.log(run_id, [refused(foreseen)])
        here = Outcome(state="pruned", owner=order.owner, reason=foreseen.refusal, **known)
        self._close(run_id, here, None)
        return Recorded(here, reused=True)

    def _track(self, order: Order, outcome: Outcome, folder: Path, watch: Emit) -> None:
        """Give the tracker an earlier run, and show its events, where this machine has them."""
        run_id = self.tracker.open_run(order.group_id, order.spec, adopt=True, extra=outcome.retry)
        found = read_outcome(folder)
        # Else the run was done on another machine, or what is here is an earlier attempt.
        here = found is not None and found.model_dump_json() == outcome.model_dump_json()
        if here:
            self._replay(folder, run_id, watch)
        self._close(run_id, outcome, folder if here else None)

    def _replay(self, folder: Path, run_id: str, watch: Emit) -> None:
        """Show an earlier run's events; its end is known, so a wish to stop it comes too late."""
        events = list(read_journal(folder))
        self.tracker.log(run_id, events)
        for event in events:
            try:
                watch(event)
            except StopRun:
                return

    def _do(self, order: Order, run_id: str, watch: Emit) -> Outcome:
        """Do a run; do it again where its machine is lost, with fewer rows where memory runs out.

        Each try is a run of the tracker, so that no curve holds the points of two.
        """
        folder = self.store.run_dir(order.spec.digest())
        tried = self.tries.once(order, order.spec, run_id, watch)
        while tried.next is not None:
            _logger.warning("%s: %s", order.title, tried.outcome.reason)
            self.tracker.close_run(run_id, state="killed", reason=tried.outcome.reason)
            extra = retry_params(order.spec, tried.next)
            run_id = self.tracker.open_run(order.group_id, order.spec, adopt=False, extra=extra)
            tried = self.tries.once(order, tried.next, run_id, watch)
        write_whole(folder / "outcome.json", tried.outcome.model_dump_json())
        with self._completed(order, tried.outcome):
            self._close(run_id, tried.outcome, folder)
        return tried.outcome

    def _close(self, run_id: str, outcome: Outcome, folder: Path | None) -> None:
        self.tracker.close_run(
            run_id,
            state=outcome.state,
            reason=outcome.reason,
            result=outcome.result,
            folder=folder,
        )
