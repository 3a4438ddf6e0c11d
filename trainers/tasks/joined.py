"""Several tasks as one: one model learns to distinguish all their classes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, field_validator

from trainers.contract import AnyTask
from trainers.errors import ConfigError
from trainers.interfaces import Corpus, Example, SourceFile, Task, TextColumns


class Joined(Task):
    """The rows of all member tasks; a class `c` of task `t` becomes the class `t/c`.

    Each member is drawn and carved by its own settings before the rows are joined.
    """

    kind: Literal["joined"] = "joined"
    """Several tasks as one."""
    tasks: tuple[AnyTask, ...] = Field(min_length=2)
    """The members: names or settings, each with a name of its own."""

    @field_validator("tasks")
    @classmethod
    def _distinct(cls, tasks: tuple[Task, ...]) -> tuple[Task, ...]:
        names = [task.name for task in tasks]
        if len(set(names)) < len(names):
            raise ConfigError(f"got {', '.join(names)}; allowed: members of different names")
        return tasks

    def placed(self, folders: Sequence[Path]) -> Self:
        """Return a copy whose members look in these folders."""
        members = tuple(task.placed(folders) for task in self.tasks)
        return super().placed(folders).model_copy(update={"tasks": members})

    def read(self, data_dir: Path) -> Corpus:
        """Read and join the members' rows; validation only where every member has it."""
        return self._join(lambda task: task.read(data_dir))

    def splits(self, data_dir: Path, seed: int) -> Corpus:
        """Join the members' splits."""
        return self._join(lambda task: task.splits(data_dir, seed))

    def text_columns(self) -> TextColumns:
        """Return the members' columns where they are equal; else the plain names."""
        members = [task.text_columns() for task in self.tasks]
        if len(set(members)) == 1:
            return members[0]
        pairs = [member.pair is not None and member.needs_pair for member in members]
        return TextColumns(
            pair="text_pair" if any(member.pair for member in members) else None,
            needs_pair=all(pairs),
        )

    def sources(self) -> tuple[SourceFile, ...]:
        """Return the members' files, each once."""
        return tuple(dict.fromkeys(file for task in self.tasks for file in task.sources()))

    def _join(self, corpus_of: Callable[[Task], Corpus]) -> Corpus:
        corpora = [_prefixed(corpus_of(task), task.name) for task in self.tasks]
        validations = [corpus.validation for corpus in corpora if corpus.validation is not None]
        return Corpus(
            labels=tuple(label for corpus in corpora for label in corpus.labels),
            train=_chain(corpus.train for corpus in corpora),
            validation=_chain(validations) if len(validations) == len(corpora) else None,
            test=_chain(corpus.test for corpus in corpora),
        )


def _prefixed(corpus: Corpus, name: str) -> Corpus:
    def rename(rows: tuple[Example, ...]) -> tuple[Example, ...]:
        return tuple(
            replace(row, id=f"{name}/{row.id}", label=f"{name}/{row.label}") for row in rows
        )

    validation = corpus.validation
    return Corpus(
        labels=tuple(f"{name}/{label}" for label in corpus.labels),
        train=rename(corpus.train),
        validation=None if validation is None else rename(validation),
        test=rename(corpus.test),
    )


def _chain(parts: Iterable[tuple[Example, ...]]) -> tuple[Example, ...]:
    return tuple(row for part in parts for row in part)
