"""Loading refuses data that is no basis for a comparison, in one line."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest

from trainers.data.load import leaked_test_rows, load_task
from trainers.errors import DataError
from trainers.interfaces import Corpus, Example, Task
from trainers.tasks import SampledTask


def row(label: str, row_id: str, text: str = "some text", pair: str | None = None) -> Example:
    """Make a row."""
    return Example(id=row_id, text=text, pair=pair, label=label)


GOOD = Corpus(
    labels=("x", "y"),
    train=(row("x", "1"), row("y", "2")),
    validation=(row("x", "3"),),
    test=(row("y", "4"),),
)


class Given(Task):
    """A task of the rows that a test gives."""

    kind: Literal["given"] = "given"
    corpus: Corpus

    def read(self, data_dir: Path) -> Corpus:
        """Return the given rows."""
        return self.corpus


class GivenSampled(SampledTask):
    """The same, with validation carved."""

    kind: Literal["given"] = "given"
    corpus: Corpus

    def read(self, data_dir: Path) -> Corpus:
        """Return the given rows."""
        return self.corpus


def changed(**splits: object) -> Given:
    """Make a task of the good rows with some parts replaced."""
    return Given(corpus=Corpus(**{**vars(GOOD), **splits}))  # type: ignore[arg-type]


def test_good_rows_load_as_they_are() -> None:
    """Rows pass through unchanged, with a digest for each split."""
    data = load_task(changed(), Path(), 1)
    assert (data.train, data.validation, data.test) == (GOOD.train, GOOD.validation, GOOD.test)
    assert {name: len(digest) for name, digest in data.digests.items()} == {
        "train": 64,
        "validation": 64,
        "test": 64,
    }


@pytest.mark.parametrize(
    ("task", "message"),
    [
        (changed(train=()), "given: train: no rows; a task needs some in each split"),
        (changed(validation=()), "given: validation: no rows; a task needs some in each split"),
        (changed(validation=None), "given: validation: no rows; a task needs some in each split"),
        (changed(test=()), "given: test: no rows; a task needs some in each split"),
        (changed(labels=("x",)), "given: got 1 class; a task needs two or more"),
        (
            changed(test=(row("z", "4"),), labels=("x", "y", "z")),
            "given: test: row '4': class 'z' is not in train; train has: x, y",
        ),
        (
            changed(validation=(row("z", "4"),), test=(row("x", "5"),), labels=("x", "y", "z")),
            "given: validation: row '4': class 'z' is not in train; train has: x, y",
        ),
        (changed(labels=("x", "y", "z")), "given: train: no rows of class 'z'"),
        (changed(test=(row("z", "4"),)), "given: test: row '4': got class 'z'; known: x, y"),
        (changed(test=(row("x", "1"),)), "given: test: the id '1' is already in train"),
        (
            changed(train=(row("x", "1"), row("y", "1"))),
            "given: train: the id '1' is already in train",
        ),
        (
            changed(test=(row("x", "4", text="half \ud800"),)),
            "given: row '4': the text is not valid Unicode",
        ),
    ],
)
def test_unusable_rows_are_refused(task: Task, message: str) -> None:
    """Each error says the task, the split and what is wrong."""
    with pytest.raises(DataError) as caught:
        load_task(task, Path(), 1)
    assert str(caught.value) == message


def test_of_many_classes_few_are_named_and_one_in_other_writing_is() -> None:
    """A class of test that train lacks; ninety others are no help."""
    train = tuple(row(f"c{n}", str(n)) for n in range(90))
    task = changed(
        labels=(*(f"c{n}" for n in range(90)), "C1 ", "new"),
        train=train,
        validation=(row("c1", "v"),),
        test=(row("C1 ", "t"), row("new", "u")),
    )
    with pytest.raises(DataError) as caught:
        load_task(task, Path(), 1)
    assert str(caught.value) == (
        "given: test: row 't': class 'C1 ' is not in train, and 1 more of test are not; train "
        "has: c0, c1, c10, c11, c12, c13, c14, c15, ... (90 in all); 'c1' differs by spaces "
        "and case alone"
    )


def test_a_data_set_of_one_row_is_refused() -> None:
    """One row can not be cut into train and validation."""
    corpus = Corpus(("x", "y"), (row("x", "1"),), None, (row("x", "2"),))
    with pytest.raises(DataError, match=r"^given: validation_size: got 1 rows of 1 "):
        load_task(GivenSampled(corpus=corpus), Path(), 1)


def test_an_empty_sampled_train_split_is_refused() -> None:
    """The missing rows are named, not the carving that they make impossible."""
    corpus = Corpus(("x", "y"), (), None, (row("x", "2"),))
    with pytest.raises(DataError, match=r"^given: train: no rows"):
        load_task(GivenSampled(corpus=corpus), Path(), 1)


def test_an_empty_text_is_allowed() -> None:
    """A review without words is still a review."""
    data = load_task(changed(test=(row("x", "4", text=""),)), Path(), 1)
    assert data.test[0].text == ""


@pytest.mark.parametrize(
    "other",
    [
        row("y", "4", text="other"),
        row("y", "5"),
        row("x", "4"),
        row("y", "4", pair=""),
    ],
)
def test_a_digest_changes_with_every_part_of_a_row(other: Example) -> None:
    """Text, id, class and the absence of a second text all count; other splits do not."""
    before = load_task(changed(), Path(), 1).digests
    after = load_task(changed(test=(other,)), Path(), 1).digests
    assert before["test"] != after["test"]
    assert before["train"] == after["train"]


def test_a_leak_is_the_same_text_and_the_same_pair() -> None:
    """Pairs leak as pairs: the same sentence with another term is another row."""
    train = (row("x", "1", "term", "sentence"), row("y", "2", "alone"))
    test = (
        row("y", "3", "term", "sentence"),
        row("y", "4", "other term", "sentence"),
        row("y", "5", "alone"),
        row("y", "6", "term"),
    )
    data = load_task(changed(train=train, validation=(row("x", "7"),), test=test), Path(), 1)
    assert leaked_test_rows(data) == ("3", "5")
