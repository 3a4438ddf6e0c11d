"""Make MLflow agree with a store's journal, line by line; every step may be repeated."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from mlflow.entities import Metric

from trainers.contract import RunEvent, Seeds
from tuner.store import Group, Store
from tuner.store.attempts import AttemptLine
from tuner.store.definitions import STUDIES, StudyOpened
from tuner.store.journal import Journal, TopicLine
from tuner.store.projected import Projected, experiment_key
from tuner.store.runs import RUNS, GroupEnd, Run, Runs, final_metrics, parse_events
from tuner.tracking.aggregate import aggregate
from tuner.tracking.mlflow_store import MlflowStore
from tuner.tracking.names import cut_names, entity_name, has_several_cells, run_name
from tuner.tracking.run_parts import (
    SPEC,
    events_of,
    files_of,
    final_points,
    last_step,
    params_of,
    points_of,
    shared_params,
    spec_text,
)
from tuner.tracking.server import is_gone
from tuner.tracking.tags import REASON, STATE, fact_tags, group_tags, run_tags

_LOG = logging.getLogger(__name__)
_EVENTS = "events "


class Projection:
    """MLflow as a function of the journal: an experiment for each study, a run for each attempt.

    A configuration is the parent of its runs, and a function of them: its state is its last in
    the journal, its metrics are means over its finished runs.

    Args:
        journal: The store's journal.
        store: The store, with the files of runs on this machine.
        target: MLflow.
        projected: State of the projection; one process at a time changes it.

    Attributes:
        cursor: Id of the last projected line; below 0 until it is known.
        on_line: Called after every line.
    """

    def __init__(
        self,
        journal: Journal,
        store: Store,
        target: MlflowStore,
        projected: Projected,
        *,
        on_line: Callable[[], None] = lambda: None,
    ) -> None:
        self._on_line = on_line
        self._journal = journal
        self._store = store
        self._target = target
        self._projected = projected
        self._runs = Runs(journal)
        self.cursor = -1
        self._ids: dict[str, str] = {}
        self._new: dict[str, str] = {}
        self._studies: dict[str, StudyOpened] = {}
        self._open: set[Group] = set()
        self._sent: dict[Group, dict[str, float]] = {}

    def has_news(self) -> bool:
        """Return whether there are lines to project."""
        if self.cursor < 0:
            return True
        lines = self._journal.read_mixed((STUDIES, RUNS), _EVENTS, self.cursor, 1)
        return bool(lines)

    def step(self, at_once: int = 200) -> tuple[int, bool]:
        """Project the next lines, at most `at_once` of them.

        Returns:
            The id of the last projected line, and whether there may be more.
        """
        cursor = self._projected.cursor()
        if cursor != self.cursor:  # at the start, or after another process has projected
            if self.cursor < 0 < cursor and not self._target.has_studies():
                _LOG.warning("MLflow has lost all studies; it is filled again from the journal")
                self._projected.forget()
                cursor = 0
            before, self.cursor = self.cursor, cursor
            self._ids, self._new = self._projected.ids(), {}
            self._open.clear()
            self._target.doubt()
            self._runs.refresh()
            self._send_files(max(0, before), cursor, all_files=before >= 0)
        lines = self._journal.read_mixed((STUDIES, RUNS), _EVENTS, cursor, at_once)
        self._runs.refresh()
        for line in lines:
            self._project(line)
            self._on_line()
        if lines:
            self._projected.note(lines[-1].id, self._new)
            self._new, self.cursor = {}, lines[-1].id
            self._target.trust()
        return self.cursor, len(lines) == at_once

    def settle(self) -> None:
        """Restore studies that were deleted or renamed in MLflow since the last write."""
        for study in list(self._studies):
            self._restore_study(study)

    def _send_files(self, after: int, upto: int, *, all_files: bool) -> None:
        """Send files on this machine of runs that a process on another machine has projected.

        Args:
            after: Only lines with a larger id.
            upto: Only lines with this id or a smaller one.
            all_files: Whether to send all files; False: only models.
        """
        for number, text in self._journal.read(RUNS, after):
            line = AttemptLine.model_validate_json(text)
            if number > upto or line.kind not in ("ended", "kept"):
                continue
            run = self._runs.own(line.name, line.number)
            if run.id in self._ids and line.kind == "kept":
                self._keep_model(run)
            elif run.id in self._ids and all_files and run.outcome is not None:
                self._target.keep_files(self._ids[run.id], files_of(self._store, run, run.outcome))

    def _project(self, line: TopicLine) -> None:
        if line.topic == STUDIES:
            opened = StudyOpened.model_validate_json(line.line)
            self._studies[opened.study] = opened
            made = self._target.open_study(opened, self._ids)
            self._know_experiment(opened.study)
            if made:
                self._fill(opened.study)
        elif line.topic == RUNS:
            self._project_run(AttemptLine.model_validate_json(line.line))
        else:
            _, digest, number = line.topic.split(" ")
            run = self._runs.own(digest, int(number))
            self._log(run, parse_events(line.line))

    def _project_run(self, line: AttemptLine) -> None:
        if line.kind == "closed":
            group = Group.model_validate_json(line.name)
            end = GroupEnd.model_validate_json(line.content)
            self._close(group, end, int(line.time * 1000))
        elif line.kind == "reused":
            group = Group.model_validate_json(line.content)
            self._enter_whole(Run(group, self._runs.attempt(line.name, line.number)))
        elif line.kind == "kept":
            self._keep_model(self._runs.own(line.name, line.number))
        elif line.kind == "begun":
            self._enter(self._runs.own(line.name, line.number))
        else:
            self._end(self._runs.own(line.name, line.number))

    def _enter(self, run: Run) -> str:
        """Return MLflow's identifier of a run; make a missing one."""
        if run.id in self._ids:
            return self._ids[run.id]
        parent = self._parent(run)
        tags = run_tags(run.group, run.attempt.name, run.seeds(), parent)
        name = run_name(
            run.group, run.seeds(), with_cell=has_several_cells(self._opened(run.group.study).text)
        )
        start = int(run.attempt.start * 1000)
        study = run.group.study
        made = self._make(study, lambda: self._target.make_run(study, run.id, tags, name, start))
        self._target.log_params(made, params_of(run, self._opened(study).text))
        self._know(run.id, made)
        return made

    def _parent(self, run: Run) -> str:
        """Return MLflow's identifier of a run's configuration, and set it to running."""
        group = run.group
        known = self._ids.get(group.id)
        if known is None:
            return self._make_parent(run)
        if group not in self._open:  # it may have ended
            tags = {STATE: "running", REASON: ""}
            if not self._on(group, None, known, lambda: self._target.reopen(known, tags)):
                return self._ids.get(group.id) or self._make_parent(run)
            self._open.add(group)
        return known

    def _make_parent(self, run: Run) -> str:
        group, study = run.group, run.group.study
        text = self._opened(study).text
        name = run_name(group, None, with_cell=has_several_cells(text))
        start = int(run.attempt.start * 1000)
        tags = group_tags(group)
        made = self._make(study, lambda: self._target.make_run(study, group.id, tags, name, start))
        self._target.log_params(made, shared_params(run, text))
        self._target.keep_text(made, "study.yaml", text)
        self._target.keep_text(made, SPEC, spec_text(run))
        self._know(group.id, made)
        self._open.add(group)
        self._sent.pop(group, None)
        for child in self._runs.in_group(group):  # their former parent was deleted
            if child.id in self._ids:
                self._target.move(self._ids[child.id], made)
        return made

    def _log(self, run: Run, events: Sequence[RunEvent]) -> None:
        run_id = self._enter(run)
        facts = {name: value for event in events for name, value in event.facts.items()}
        facts |= cut_names(name for event in events for name in event.metrics)
        self._write(run, lambda: self._target.log(run_id, points_of(events), fact_tags(facts)))

    def _end(self, run: Run) -> None:
        run_id, outcome = self._enter(run), run.outcome
        assert outcome is not None
        assert run.attempt.end is not None
        milliseconds = int(run.attempt.end * 1000)
        points = final_points(self._journal, run)
        facts = {**run.facts(), **cut_names(run.metrics())}
        tags = fact_tags(facts) | {STATE: outcome.state, REASON: outcome.reason}
        files = files_of(self._store, run, outcome)

        def write() -> None:
            self._target.keep_files(run_id, files)
            self._target.log_inputs(run_id, run.group.task, run.facts())
            self._target.end(run_id, points, tags, outcome.state, milliseconds)

        self._write(run, write)

    def _close(self, group: Group, end: GroupEnd, milliseconds: int) -> None:
        parent = self._ids.get(group.id)
        if parent is None:
            return  # none of its runs was ever begun
        metric = self._runs.in_group(group)[0].begun.spec["metric"]
        rows = [final_metrics(outcome) for outcome in self._runs.finished(group)]
        metrics = {entity_name(name): value for name, value in aggregate(rows, metric).items()}
        tags = {STATE: end.state, REASON: end.reason}

        def write(run_id: str) -> None:
            known = self._sent[group] if group in self._sent else self._target.metrics(run_id)
            changed = {k: v for k, v in metrics.items() if known.get(k) != v}
            points = [Metric(name, value, milliseconds, 0) for name, value in changed.items()]
            self._target.end(run_id, points, tags, end.state, milliseconds)

        if not self._on(group, None, parent, lambda: write(parent)):
            write(self._ids.get(group.id) or self._make_parent(self._runs.in_group(group)[0]))
        self._sent[group] = metrics
        self._open.discard(group)

    def _enter_whole(self, run: Run) -> None:
        """Project all of a run."""
        self._log(run, events_of(self._journal, run))
        if run.outcome is not None:
            self._end(run)

    def _fill(self, study: str) -> None:
        """Project all of a study into its new experiment; the former one is gone."""
        known = [run for run in self._runs.in_study(study) if run.id in self._ids]
        for key in {key for run in known for key in (run.id, run.group.id)}:
            self._ids.pop(key, None)
        for run in known:
            self._enter_whole(run)
        for group in dict.fromkeys(run.group for run in known):
            end = self._runs.state_of(group)
            if end.state != "running":
                ends = [run.attempt.end or 0 for run in known if run.group == group]
                self._close(group, end, int(max(ends) * 1000))

    def _keep_model(self, run: Run) -> None:
        folder = self._store.run_dir(run.attempt.name, run.attempt.number) / "model"
        if not folder.is_dir():  # MLflow has it already, or it is on another machine
            return
        run_id = self._enter(run)
        step = last_step(self._journal, run)
        study = run.group.study
        self._write(run, lambda: self._target.keep_model(study, run_id, folder, step))

    def _write(self, run: Run, write: Callable[[], None]) -> None:
        """Write to a run; make it again if it was deleted."""
        if not self._on(run.group, run.seeds(), self._ids[run.id], write):
            self._enter_whole(run)

    def _make(self, study: str, make: Callable[[], str]) -> str:
        """Make a run; restore the study if it was deleted or renamed."""
        try:
            return make()
        except Exception as error:
            if not is_gone(error):
                raise
        self._restore_study(study)
        return make()

    def _restore_study(self, study: str) -> bool:
        """Restore a study's experiment; return whether it is a new one, which is then filled."""
        made = self._target.restore_study(self._opened(study), self._ids)
        if made:
            self._know_experiment(study)
            self._fill(study)
        return made

    def _on(
        self, group: Group, seeds: Seeds | None, run_id: str, write: Callable[[], None]
    ) -> bool:
        """Write to a run; restore the study if it was deleted or renamed.

        Returns:
            Whether the run exists: a deleted one is forgotten.
        """
        for restore in (True, False):
            try:
                write()
            except Exception as error:
                if not is_gone(error):
                    raise
            else:
                return True
            if restore and self._restore_study(group.study):
                return False
        self._forget(run_id)
        _LOG.warning(
            "MLflow study %s: run %r was deleted while the study is running; it is made again",
            *(group.study, run_name(group, seeds, with_cell=True)),
        )
        return False

    def _forget(self, run_id: str) -> None:
        for ids in (self._ids, self._new):
            for key in [key for key, value in ids.items() if value == run_id]:
                del ids[key]

    def _know_experiment(self, study: str) -> None:
        """Keep the identifier of a study's experiment: addresses of MLflow's pages need it."""
        self._know(experiment_key(study), self._target.experiment_id(study))

    def _know(self, key: str, run_id: str) -> None:
        self._ids[key] = self._new[key] = run_id

    def _opened(self, study: str) -> StudyOpened:
        if study not in self._studies:
            for _, line in self._journal.read(STUDIES):
                opened = StudyOpened.model_validate_json(line)
                self._studies[opened.study] = opened
        return self._studies[study]
