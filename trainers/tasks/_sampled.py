"""Settings that most tasks share: the few-shot draw and the size of a carved validation split."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, field_validator

from trainers.data import (
    Cut,
    FewShot,
    carve,
    check_enough,
    draw_few_shot,
    refuse_labels,
    refuse_one_a_row,
    take_evenly,
)
from trainers.errors import ConfigError, DataError
from trainers.interfaces import Corpus, Example, Task

_CARVED_SHARE = 0.1


class SampledTask(Task):
    """A task with an optional few-shot draw, and with validation carved from train if needed."""

    few_shot: FewShot | None = None
    """Train on a few rows only. Validation then comes from the rest of train, test stays whole."""
    validation_size: float | None = Field(default=None, gt=0)
    """Validation rows to take from train; below 1, a share. Unset: the files' own validation
    split, a tenth of train where they have none, and after a few-shot draw as many rows as it
    drew (Gao et al. 2021, LM-BFF)."""

    @field_validator("validation_size")
    @classmethod
    def _whole(cls, size: float | None) -> float | None:
        if size is not None and size >= 1 and size != int(size):
            raise ConfigError(f"got {size}; allowed: a share below 1 or a whole number of rows")
        return size

    def splits(self, data_dir: Path, seed: int) -> Corpus:
        """Read the rows, draw the few shots and carve validation.

        Raises:
            DataError: As `read`, labels that cannot be classes, or too few rows.
        """
        corpus = self.read(data_dir)
        try:
            refuse_labels(corpus)
            sampled = self._sample(corpus, seed)
            if self.few_shot is None:  # carving takes rows of classes with several rows
                refuse_one_a_row(sampled)
            return sampled
        except DataError as error:
            raise DataError(f"{self.name}: {error}") from None

    def _sample(self, corpus: Corpus, seed: int) -> Corpus:
        if not corpus.train:
            return corpus
        if self.few_shot is not None:
            drawn = draw_few_shot(corpus.train, corpus.labels, self.few_shot, seed)
            validation = self._few_shot_validation(drawn, corpus.labels, self.few_shot)
            return Corpus(corpus.labels, drawn.taken, validation, corpus.test)
        if corpus.validation is not None and self.validation_size is None:
            return corpus
        count = _rows(self.validation_size or _CARVED_SHARE, len(corpus.train))
        carved = carve(corpus.train, count, seed)
        return Corpus(corpus.labels, carved.rest, carved.taken, corpus.test)

    def _few_shot_validation(
        self, drawn: Cut, labels: tuple[str, ...], few_shot: FewShot
    ) -> tuple[Example, ...]:
        size = self.validation_size
        count = len(drawn.taken) if size is None else _rows(size, len(drawn.rest))
        if few_shot.rule == "first":
            check_enough(drawn.rest, count)
            return drawn.rest[:count]
        return take_evenly(drawn.rest, labels, count).taken


def _rows(size: float, available: int) -> int:
    return int(size) if size >= 1 else max(1, round(size * available))
