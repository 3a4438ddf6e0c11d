"""See a run's rows: how long they are, how many, and what the process holds with them."""

from __future__ import annotations

from dataclasses import dataclass

from trainers.contract import RunSpec, Workspace
from trainers.data import encode_task, load_task
from trainers.measure import own_bytes, spare_memory
from trainers.memory.order import decisive_rows
from trainers.memory.prediction import Rows


def tokenise(spec: RunSpec, workspace: Workspace) -> None:
    """Leave a run's tokens in the cache, as its first run would.

    Raises:
        TunerError: Data or model that cannot be used.
    """
    spare_memory(workspace)
    see_rows(spec, workspace)


@dataclass(frozen=True)
class SeenRows:
    """What a run's rows make of it."""

    spec: RunSpec
    """With batches that its rows can fill."""
    labels: int
    """Number of classes."""
    rows: Rows
    own_bytes: int
    """The process's own memory with rows and tokenizer loaded."""


def see_rows(spec: RunSpec, workspace: Workspace) -> SeenRows:
    """Load the rows as a run does.

    Raises:
        TunerError: Data or model that cannot be used.
    """
    data = load_task(spec.task, workspace.data_dir, spec.seeds.data)
    length = spec.train.max_length
    tokenizer = spec.model.tokenizer()
    tokens = encode_task(data, tokenizer, max_length=length, cache_dir=workspace.cache_dir)
    held = own_bytes()
    scored = (tokens.validation, tokens.test)
    share = -(-len(tokens.train) // spec.ranks)
    rows = decisive_rows(
        spec,
        tokens.train["length"],
        eval_length=max(max(split["length"]) for split in scored),
    )
    seen = _with_batches(spec, share, max(map(len, scored)))
    return SeenRows(spec=seen, labels=len(data.labels), rows=rows, own_bytes=held)


def _with_batches(spec: RunSpec, train_rows: int, scored_rows: int) -> RunSpec:
    """Return the spec with batches no larger than the splits that fill them."""
    settings = spec.train
    batches = {
        "batch_size": min(settings.batch_size, train_rows),
        "eval_batch_size": min(settings.eval_batch_size, scored_rows),
    }
    return spec.model_copy(update={"train": settings.model_copy(update=batches)})
