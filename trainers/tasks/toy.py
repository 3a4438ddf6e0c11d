"""A generated task: each text hides a few words of its class among noise words."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Literal

from pydantic import Field

from trainers.interfaces import Corpus, Example, TextColumns
from trainers.tasks._sampled import SampledTask

_MARKERS = {
    "animal": ("cat", "dog", "bird", "horse"),
    "colour": ("red", "blue", "green", "black"),
    "food": ("bread", "soup", "rice", "cheese"),
    "weather": ("rain", "snow", "wind", "storm"),
    "body": ("hand", "foot", "head", "knee"),
    "music": ("song", "drum", "piano", "choir"),
}
_NOISE = (
    *("the", "a", "one", "two", "this", "that", "it", "is", "was", "are", "of", "to", "in", "on"),
    *("at", "by", "with", "from", "and", "or", "as", "but", "so", "then", "here", "there", "now"),
    *("often", "very", "more", "some", "any", "all", "each", "both", "such", "much", "same"),
)
_MARKERS_PER_TEXT = 3
_NOISE_PER_TEXT = (3, 10)


class Toy(SampledTask):
    """Texts made offline in milliseconds, which a small random model learns in a few epochs."""

    kind: Literal["toy"] = "toy"
    """Generated texts with words that mark their class."""
    rows: int = Field(default=128, ge=8)
    """Training rows; validation and test have half as many each."""
    classes: int = Field(default=3, ge=2, le=len(_MARKERS))
    """Number of classes, all equally frequent."""
    pair: bool = False
    """Make pairs of texts; either has the class's words."""
    seed: int = Field(default=2022, ge=0)
    """Decides the texts, whatever the seeds of the run."""

    def read(self, data_dir: Path) -> Corpus:
        """Generate the rows; no file is read."""
        random = Random(self.seed)
        return Corpus(
            labels=tuple(_MARKERS)[: self.classes],
            train=self._rows("train", self.rows, random),
            validation=self._rows("validation", max(self.rows // 2, self.classes), random),
            test=self._rows("test", max(self.rows // 2, self.classes), random),
        )

    def text_columns(self) -> TextColumns:
        """Return the column of the second text where there is one."""
        return TextColumns(pair="text_pair" if self.pair else None)

    def _rows(self, split: str, count: int, random: Random) -> tuple[Example, ...]:
        labels = [list(_MARKERS)[number % self.classes] for number in range(count)]
        random.shuffle(labels)
        return tuple(
            self._example(f"{split}-{number}", label, random)
            for number, label in enumerate(labels, start=1)
        )

    def _example(self, row_id: str, label: str, random: Random) -> Example:
        marked = _text(random.choices(_MARKERS[label], k=_MARKERS_PER_TEXT), random)
        if not self.pair:
            return Example(id=row_id, text=marked, pair=None, label=label)
        plain = _text([], random)
        first, second = (marked, plain) if random.random() < 0.5 else (plain, marked)
        return Example(id=row_id, text=first, pair=second, label=label)


def _text(markers: list[str], random: Random) -> str:
    words = markers + random.choices(_NOISE, k=random.randint(*_NOISE_PER_TEXT))
    random.shuffle(words)
    return " ".join(words)
