"""Make tags of runs and definitions, and records of stored runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from pydantic import ValidationError

from trainers.contract import Seeds
from tuner.store import Group, KeptDefinition, RunRecord, RunState, definition_id
from tuner.tracking.names import entity_name, seed_text, true_metrics, true_name

PARENT = "mlflow.parentRunId"
"""MLflow's own tag for a parent run."""
DIGEST = "tuner.digest"
KEY = "tuner.key"
"""The run's identifier in the journal of its store; see `tuner.store.records`."""
PHASE = "tuner.phase"
STATE, REASON = "tuner.state", "tuner.reason"
STATUS: Mapping[RunState, str] = {
    "running": "RUNNING",
    "finished": "FINISHED",
    "diverged": "FAILED",
    "failed": "FAILED",
    "pruned": "KILLED",
    "killed": "KILLED",
}
"""MLflow's status of a run in each state."""

_GROUP_FIELDS = tuple(name for name in Group.model_fields if name != "study")
_GROUP_TAGS = tuple(f"tuner.{name}" for name in _GROUP_FIELDS)
_DEFINITION = "tuner.definition."
_LONGEST_TAG = 20_000
"""Longest tag of an experiment in MLflow."""
_FACT = "tuner.fact."
_SEEDS = "tuner.seeds"


@dataclass(frozen=True)
class StoredRun:
    """A run as read from MLflow."""

    run_id: str
    status: str
    start: int
    end: int | None
    artifact_uri: str
    tags: Mapping[str, str]
    params: dict[str, str]
    metrics: dict[str, float]


def group_tags(group: Group) -> dict[str, str]:
    """Return the tags of a configuration, which its runs have too."""
    fields = group.model_dump(exclude={"study"}, exclude_none=True)
    tags = {f"tuner.{name}": str(value) for name, value in fields.items()}
    return tags | {STATE: "running", REASON: "", "mlflow.source.name": "tuner"}


def run_tags(group: Group, digest: str, seeds: Seeds, parent_id: str) -> dict[str, str]:
    """Return the tags of one run of a configuration."""
    # tuner.seed is for readers, tuner.seeds has all three.
    of_seeds = {"tuner.seed": seed_text(seeds), _SEEDS: seeds.model_dump_json()}
    return group_tags(group) | {DIGEST: digest, PARENT: parent_id} | of_seeds


def seed_params(tags: Mapping[str, str]) -> dict[str, str]:
    """Return a run's seeds, as its tags have them, under the names of its params."""
    seeds = _seeds(tags[_SEEDS]).model_dump() if _are_seeds(tags) else {}
    return {f"seeds.{name}": str(seed) for name, seed in seeds.items()}


def fact_tags(facts: Mapping[str, str]) -> dict[str, str]:
    """Return facts as tags; the source revision also under the name in MLflow's table."""
    tags = {_FACT + entity_name(name): value for name, value in facts.items()}
    commit = facts.get("git_commit")
    return tags | ({"mlflow.source.git.commit": commit} if commit else {})


def group_of(study: str, tags: Mapping[str, str]) -> Group | None:
    """Read a configuration from a run's tags; None where the run is not tuner's."""
    if "tuner.cell" not in tags:
        return None
    try:
        return _group(study, tuple(tags.get(tag) for tag in _GROUP_TAGS))
    except ValidationError:  # a user has changed its tags
        return None


def is_damaged(run: StoredRun) -> bool:
    """Return whether a run was tuner's before a user removed or changed its tags."""
    if not {DIGEST, _SEEDS, "tuner.cell"} & run.tags.keys():
        return False
    if group_of("", run.tags) is None:
        return True
    own = {DIGEST, _SEEDS, PARENT}
    return bool(own & run.tags.keys()) and not (own <= run.tags.keys() and _are_seeds(run.tags))


def state_of(run: StoredRun) -> RunState:
    """Return a run's state, by MLflow's status, and by the tag where states share a status."""
    if run.status in ("RUNNING", "SCHEDULED"):
        return "running"
    states = [state for state, status in STATUS.items() if status == run.status]
    tagged = [state for state in states if state == run.tags.get(STATE)]
    return (tagged or states)[-1]


def record_of(study: str, run: StoredRun, parents: Mapping[str, RunState]) -> RunRecord | None:
    """Return the record of a stored run; None for a parent, or a run that is not tuner's.

    Args:
        study: The run's study.
        run: The run as read from MLflow.
        parents: The states of groups' parents, by their identifiers.
    """
    group = group_of(study, run.tags)
    if group is None or _SEEDS not in run.tags or is_damaged(run):
        return None
    state, tags = state_of(run), run.tags
    facts = {_fact_name(k): v for k, v in tags.items() if k.startswith(_FACT)}
    # Not validated again: a store may have NaN, which a record would refuse.
    return RunRecord.model_construct(
        run_id=run.run_id,
        parent_id=tags[PARENT],
        group=group,
        digest=tags[DIGEST],
        seeds=_seeds(tags[_SEEDS]),
        state=state,
        reason=tags.get(REASON, ""),
        params=run.params,
        metrics=true_metrics(run.metrics, facts),
        facts=facts,
        start=run.start / 1000,
        end=None if state == "running" or run.end is None else run.end / 1000,
        group_state=parents.get(tags[PARENT]),
    )


# Runs share most of these: made once, held once.
@lru_cache(maxsize=4096)
def _group(study: str, values: tuple[str | None, ...]) -> Group:
    fields = zip(_GROUP_FIELDS, values, strict=True)
    given = {name: value for name, value in fields if value is not None}
    return Group.model_validate(given | {"study": study})


@lru_cache(maxsize=4096)
def _seeds(text: str) -> Seeds:
    return Seeds.model_validate_json(text)


def _are_seeds(tags: Mapping[str, str]) -> bool:
    try:
        _seeds(tags.get(_SEEDS, ""))
    except ValidationError:
        return False
    return True


@lru_cache(maxsize=4096)
def _fact_name(tag: str) -> str:
    return true_name(tag.removeprefix(_FACT))


def definition_tags(text: str, milliseconds: int) -> dict[str, str]:
    """Return the tags of a definition; the last one marks it as complete."""
    key = f"{_DEFINITION}{definition_id(text)}"
    pieces = [text[start : start + _LONGEST_TAG] for start in range(0, len(text), _LONGEST_TAG)]
    tags = {f"{key}.{number}": piece for number, piece in enumerate(pieces)}
    return tags | {key: f"{milliseconds} {len(pieces)}"}


def kept_definitions(tags: Mapping[str, str]) -> list[KeptDefinition]:
    """Return the definitions, in the order of their last opening."""
    found = []
    for key, value in tags.items():
        identity = key.removeprefix(_DEFINITION)
        if not key.startswith(_DEFINITION) or "." in identity:
            continue
        milliseconds, _, count = value.partition(" ")
        text = "".join(tags.get(f"{key}.{number}", "") for number in range(int(count)))
        found.append(KeptDefinition(identity, int(milliseconds) / 1000, text))
    return sorted(found, key=lambda kept: (kept.time, kept.id))
