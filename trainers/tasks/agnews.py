"""AG News: the section of a news item, four balanced classes."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from trainers.data import locate, read_text, shuffled, split_lines
from trainers.interfaces import Corpus, Example, SourceFile
from trainers.tasks._sampled import SampledTask

_LABELS = ("World", "Sports", "Business", "Sci/Tech")
_SOURCE = SourceFile(
    path="agnews_sup/agnews_sup.csv",
    url=(
        "https://raw.githubusercontent.com/mhjabreel/CharCnn_Keras/"
        "555590db4219b1243abb1918effd6a7425a2d75f/data/ag_news_csv/test.csv"
    ),
    sha256="521465c2428ed7f02f8d6db6ffdd4b5447c1c701962353eb2c40d548c3c85699",
)
_SPLIT_SEED = 2022
_TEST_ROWS = 760


class AgNews(SampledTask):
    """The 7,600 rows of AG News's own test file, cut into 6,840 for training and 760 for test.

    The cut is fixed: a run's data seed changes the carved validation, never the test rows.
    """

    NAMED = {  # noqa: RUF012  # typed by the base
        "agnews_sup": {},
        "agnews_fs": {"few_shot": {"rule": "first", "count": 32}},
    }

    kind: Literal["agnews"] = "agnews"
    """AG News topics."""
    text: Literal["title_description", "description"] = "title_description"
    """Parts of a news item that make its text."""

    def read(self, data_dir: Path) -> Corpus:
        """Read the file and cut off the test rows."""
        lines = split_lines(read_text(locate(_SOURCE, data_dir)))
        rows = shuffled([self._example(n, line) for n, line in enumerate(lines)], _SPLIT_SEED)
        return Corpus(
            labels=_LABELS, train=rows[_TEST_ROWS:], validation=None, test=rows[:_TEST_ROWS]
        )

    def sources(self) -> tuple[SourceFile, ...]:
        """Return the one file."""
        return (_SOURCE,)

    def _example(self, number: int, line: list[str]) -> Example:
        category, title, description = line
        text = description if self.text == "description" else f"{title} {description}"
        return Example(id=str(number), text=text, pair=None, label=_LABELS[int(category) - 1])
