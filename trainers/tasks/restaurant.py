"""SemEval-2014 task 4, restaurants: the sentiment towards a term of a review sentence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

from trainers.data import locate, read_text
from trainers.interfaces import Corpus, Example, SourceFile, TextColumns
from trainers.tasks._sampled import SampledTask

_LABELS = ("positive", "neutral", "negative")
# The source states no licence, so the files are fetched by the user and never shipped.
_FOLDER = (
    "https://raw.githubusercontent.com/jasondayuan/NLP-DL_Assignment_2/"
    "127b36337d10bfe96cfaf35820ffc852776b6d55/data/SemEval14-res"
)
_SHA256 = {
    "train": "9a51a1b32c7fa487e9bdf98b594b9e8d757ab8a7eb5023eb2d03902e7cbab6f9",
    "dev": "e3a562ffdadd9d781e9d54a1b022c07c19ed7a992c99f5cf1f2c6050018af4ac",
    "test": "588d3f04badf0b4515686346f663cd8f541b3e15adc801e9968255b80d595a9e",
}
_SOURCES = {
    split: SourceFile(f"restaurant_sup/{split}.json", f"{_FOLDER}/{split}.json", sha256)
    for split, sha256 in _SHA256.items()
}


class Restaurant(SampledTask):
    """Pairs (term, sentence) without the class `conflict`: 3,452 / 150 / 1,120 rows."""

    NAMED = {  # noqa: RUF012  # typed by the base
        "restaurant_sup": {},
        "restaurant_fs": {"few_shot": {"rule": "first", "count": 32}},
    }

    kind: Literal["restaurant"] = "restaurant"
    """SemEval-2014 task 4, restaurants."""

    def read(self, data_dir: Path) -> Corpus:
        """Read the three files, in their own order."""
        return Corpus(
            labels=_LABELS,
            train=_read(locate(_SOURCES["train"], data_dir)),
            validation=_read(locate(_SOURCES["dev"], data_dir)),
            test=_read(locate(_SOURCES["test"], data_dir)),
        )

    def text_columns(self) -> TextColumns:
        """Return the columns by the files' names."""
        return TextColumns("term", "sentence")

    def sources(self) -> tuple[SourceFile, ...]:
        """Return the three files."""
        return tuple(_SOURCES.values())


def _read(path: Path) -> tuple[Example, ...]:
    rows: dict[str, Any] = json.loads(read_text(path))
    return tuple(
        Example(id=key, text=row["term"], pair=row["sentence"], label=row["polarity"])
        for key, row in rows.items()
    )
