"""ACL-ARC: the intent of a citation, six unbalanced classes."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from trainers.data import Columns, locate, make_examples, read_table
from trainers.interfaces import Corpus, Example, SourceFile
from trainers.tasks._sampled import SampledTask

_LABELS = ("Background", "Uses", "CompareOrContrast", "Motivation", "Extends", "Future")
_COLUMNS = Columns(text="text", pair=None, label="label")
_FOLDER = (
    "https://raw.githubusercontent.com/allenai/scibert/"
    "06793f77d7278898159ed50da30d173cdc8fdea9/data/text_classification/citation_intent"
)
_SHA256 = {
    "train": "58eef60d2bbfdabefc3de25191714f769db03134523ef67e87d864112c67908c",
    "dev": "bc456ac8caf40829dc2d3a44801a385ad8463c80682cbf002c19329b35812b5f",
    "test": "749d083cc3141d54a2bf1475c02a5a1c020c664601d55fe2829bdf85f06db4bb",
}
# JSON lines, though the source names them .txt.
_SOURCES = {
    split: SourceFile(f"acl_sup/{split}.jsonl", f"{_FOLDER}/{split}.txt", sha256)
    for split, sha256 in _SHA256.items()
}


class Acl(SampledTask):
    """1,688 / 114 / 139 citation sentences; 52 of the test texts are verbatim in train."""

    NAMED = {  # noqa: RUF012  # typed by the base
        "acl_sup": {},
        # With five classes and more, the first 32 rows may miss a class.
        "acl_fs": {"few_shot": {"rule": "per_class", "count": 8}},
    }

    kind: Literal["acl"] = "acl"
    """ACL-ARC citation intent."""

    def read(self, data_dir: Path) -> Corpus:
        """Read the three files, in their own order."""
        return Corpus(
            labels=_LABELS,
            train=_read("train", data_dir),
            validation=_read("dev", data_dir),
            test=_read("test", data_dir),
        )

    def sources(self) -> tuple[SourceFile, ...]:
        """Return the three files."""
        return tuple(_SOURCES.values())


def _read(split: str, data_dir: Path) -> tuple[Example, ...]:
    path = locate(_SOURCES[split], data_dir)
    return tuple(make_examples(read_table(path, _COLUMNS), _COLUMNS, where=str(path), split=split))
