"""A cell's search: its tickets, which are waiting trials, with their holders and ends."""

from __future__ import annotations

import contextlib
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import FrozenTrial, TrialState, create_trial

from tuner.config import STATEFUL, Cell, Value, rank_trials, suggest
from tuner.store import search_name
from tuner.store.attempts import Attempt, Attempts
from tuner.store.journal import Journal
from tuner.store.search_log import TrialEnd, log_topic, ticket_topic
from tuner.study.optuna_log import TICKET, TicketMade, open_storage

MEMORY_CAP = "memory_cap"
"""Constraint of a trial: the bytes by which its predicted memory is over the study's cap."""
STATE = "state"
"""User attribute of an ended trial: pruned, diverged or failed."""
REASON = "reason"
"""User attribute of a trial that failed or was pruned."""


@dataclass(frozen=True)
class Best:
    """A configuration that a search found."""

    trial: int
    point: Mapping[str, Value]
    values: Sequence[float]
    """Of each objective; the mean over the search's seeds."""


@dataclass(frozen=True)
class Ticket:
    """A unit of a search's budget that this launcher holds: a trial with its point."""

    trial: optuna.Trial
    point: Mapping[str, Value]
    attempt: Attempt
    adopted: bool
    """Whether another launcher had begun it."""


@dataclass
class CellSearch:
    """The search of one cell. Not locked: one thread at a time takes a ticket or ends one."""

    cell: Cell
    study: optuna.Study
    storage: optuna.storages.BaseStorage
    _attempts: Attempts
    _own: set[int] = field(default_factory=set)

    def trials(self) -> list[FrozenTrial]:
        """Return the trials of the budget: the first ones, if it has become smaller."""
        return self.study.get_trials(deepcopy=False)[: self.cell.study.search.trials]

    @property
    def ended(self) -> int:
        """Number of ended trials of the budget, of any launcher."""
        return sum(trial.state.is_finished() for trial in self.trials())

    @property
    def is_spent(self) -> bool:
        """Whether all trials of the budget have ended."""
        return self.ended == self.cell.study.search.trials

    def take(self) -> Ticket | None:
        """Take the first ticket that no living launcher holds; None: there is none.

        A trial of a dead launcher is continued: it keeps number and point.
        """
        for trial in self.trials():
            if trial.state.is_finished() or trial.number in self._own:
                continue
            attempt = self._attempts.take(str(trial.number))
            if attempt is None:
                continue
            now = self.trials()[trial.number]
            if not now.state.is_finished():
                self._own.add(trial.number)
                return self._begin(now, attempt)
            self._attempts.end(attempt)
        return None

    def _begin(self, trial: FrozenTrial, attempt: Attempt) -> Ticket:
        number = self._id_of(trial.number)
        if trial.state is TrialState.WAITING:
            self.storage.set_trial_state_values(number, state=TrialState.RUNNING)
        self.study.sampler = self._sampler(trial.number)
        asked = optuna.Trial(self.study, number)
        point = suggest(asked, self.cell.study.arms[self.cell.arm].space)
        adopted = attempt.number > 0 or trial.state is TrialState.RUNNING
        return Ticket(asked, point, attempt, adopted)

    def tell(
        self,
        ticket: Ticket,
        values: Sequence[float] | None,
        *,
        state: str,
        attributes: Mapping[str, str],
        excess_bytes: int | None = None,
    ) -> None:
        """End a trial, in the journal and for Optuna.

        Args:
            ticket: The trial's ticket.
            values: A value for each objective; None where it did not finish.
            state: finished, pruned, diverged or failed.
            attributes: User attributes of a trial that did not finish.
            excess_bytes: Predicted memory above the study's cap, where known.
        """
        if self.cell.study.search.sampler.kind == "grid":
            # At the last point the grid sampler calls Study.stop, which only `optimize` may do.
            self.study.sampler = optuna.samplers.RandomSampler()
        end = TrialEnd(state=state, values=tuple(values or ()))
        self._attempts.end_with_next(ticket.attempt, end.model_dump_json())
        # Another launcher that took this one for dead may have ended the trial.
        with contextlib.suppress(UpdateFinishedTrialError):
            # Only once: the first value stays.
            if excess_bytes is not None and MEMORY_CAP not in ticket.trial.constraints:
                ticket.trial.set_constraint(MEMORY_CAP, excess_bytes)
            for name, text in attributes.items():
                ticket.trial.set_user_attr(name, text)
            # Samplers learn from a pruned trial that its point is bad, but ignore a failed one.
            ended = TrialState.FAIL if state == "failed" else TrialState.PRUNED
            ended = TrialState.COMPLETE if values is not None else ended
            self.study.tell(ticket.trial, values, state=ended, skip_if_finished=True)
        self._attempts.journal.flush()
        self._own.discard(ticket.trial.number)

    def leave(self, ticket: Ticket) -> None:
        """Return a ticket at once: the study is ending."""
        self._attempts.end(ticket.attempt)
        self._own.discard(ticket.trial.number)

    def reported(self, ticket: Ticket) -> set[int]:
        """Return the steps that a trial has reported, also before it was continued."""
        return set(self.trials()[ticket.trial.number].intermediate_values)

    def ranked(self) -> list[Best]:
        """Return the completed trials, best first, of each point the first.

        On several objectives the first is Pareto-optimal: its value of the first objective is the
        best, with ties broken by the next.
        """
        done = {t.number: t for t in self.trials() if t.state is TrialState.COMPLETE}
        values = {number: trial.values for number, trial in done.items()}
        found: dict[str, Best] = {}
        for number in rank_trials(values, self.cell.study.objectives()):
            point = done[number].params
            found.setdefault(repr(sorted(point.items())), Best(number, point, values[number]))
        return list(found.values())

    def _sampler(self, number: int) -> optuna.samplers.BaseSampler:
        """Make the sampler of one trial, seeded by cell and trial.

        A fresh seed for every trial makes a resumed search equal to an uninterrupted one;
        samplers that keep their state in the storage need the same seed throughout.
        """
        cell, search = self.cell, self.cell.study.search
        seed = zlib.crc32(f"{search.sampler_seed} {cell.label}".encode())
        seed += 0 if search.sampler.kind in STATEFUL else number
        grid = {k: v.grid() or [] for k, v in cell.study.arms[cell.arm].space.items()}
        running = (t for t in self.trials() if t.state is TrialState.RUNNING)
        beside = any(trial.number != number for trial in running)
        parallel = cell.study.executor.workers > 1 or beside
        before = self.study.sampler
        return search.sampler.build(seed % 2**32, grid=grid, parallel=parallel, before=before)

    def _id_of(self, number: int) -> int:
        study = self.storage.get_study_id_from_name(self.study.study_name)
        return self.storage.get_trial_id_from_study_id_trial_number(study, number)


def open_search(cell: Cell, journal: Journal) -> CellSearch:
    """Open a cell's search, and make the tickets of its budget."""
    config = cell.study
    name = search_name(config.name, cell.label, cell.fingerprint())
    storage = open_storage(journal, log_topic(name))
    study = optuna.create_study(
        study_name=name,
        storage=storage,
        directions=[objective.way() for objective in config.objectives()],
        pruner=config.search.pruner.build(cell.spec(config.search.seeds[0]).train.epochs),
        load_if_exists=True,
    )
    for number in range(len(study.get_trials(deepcopy=False)), config.search.trials):
        with contextlib.suppress(TicketMade):
            study.add_trial(create_trial(state=TrialState.WAITING, user_attrs={TICKET: number}))
    return CellSearch(cell, study, storage, Attempts(journal, ticket_topic(name)))
