"""What is said of a task's rows is true, short, and loud where it must be."""

from __future__ import annotations

import time
from collections.abc import Sequence

import pytest

from trainers.data.findings import Finding
from trainers.data.load import TaskData
from trainers.data.survey import SplitLengths, survey_lengths, survey_rows
from trainers.errors import DataError
from trainers.interfaces import Example

Row = tuple[str, str]
TRAIN = [("a", "x"), ("b", "y"), ("c", "x"), ("d", "y")]
VALIDATION = [("e", "x"), ("f", "y")]
TEST = [("g", "x"), ("h", "y")]


def data(
    train: Sequence[Row] = TRAIN,
    validation: Sequence[Row] = VALIDATION,
    test: Sequence[Row] = TEST,
) -> TaskData:
    """Make a task of these texts and classes."""

    def rows(split: str, given: Sequence[Row]) -> tuple[Example, ...]:
        return tuple(
            Example(f"{split}-{number}", text, None, label)
            for number, (text, label) in enumerate(given, start=1)
        )

    labels = tuple(sorted({label for _, label in train}))
    return TaskData(
        labels, rows("train", train), rows("validation", validation), rows("test", test), {}
    )


def found(task: TaskData, name: str) -> Finding:
    """Return the one finding of a name."""
    (finding,) = [f for f in survey_rows(task).findings if f.name == name]
    return finding


def test_of_clean_rows_one_line_is_said() -> None:
    """Rows of each split and of each class in it."""
    survey = survey_rows(data())
    (finding,) = survey.findings
    assert not finding.warns
    assert finding.text == (
        "4 train, 2 validation, 2 test rows; 2 classes (train/validation/test): 'x' 2/1/1, "
        "'y' 2/1/1"
    )
    assert survey.facts()["read.rows"] == finding.text


def test_of_many_classes_the_most_and_the_least_frequent_are_named() -> None:
    """Ninety classes do not fill the screen."""
    labels = [f"class {n}" for n in range(90)]
    train = [(f"text {n}", label) for n, label in enumerate([*labels, *labels[:89], "class 0"])]
    text = found(data(train, train[:90], train[:90]), "rows").text
    assert (
        "90 classes (train/validation/test): most rows: 'class 0' 3/1/1; fewest: 'class 89' 1/1/1"
        in text
    )


def test_rows_without_a_text_are_counted_in_each_split() -> None:
    """Empty, blank, a no-break space, a zero-width space; the words null and NA are texts."""
    blank = [("", "x"), ("  ", "y"), ("\u00a0", "x"), ("\u200b", "y"), ("null", "x"), ("NA", "y")]
    survey = survey_rows(data(train=[("a", "x"), *blank], test=blank[1:]))
    assert survey.counts["empty.train"] == 4
    assert survey.counts["empty.test"] == 3
    (text,) = [f.text for f in survey.findings if f.name == "empty" and f.warns]
    assert text == (
        "no text in 4 of 7 training rows (first: row 2) and 3 of 5 test rows (first: row 1)"
    )


def test_rows_in_two_splits_are_counted_for_every_pair_of_splits() -> None:
    """Rows with another class there are distinguished; the first is named by its number."""
    task = data(
        validation=[("a", "x"), ("b", "x")],
        test=[("new", "x"), ("a", "x"), ("b", "y"), ("c", "y")],
    )
    assert found(task, "validation_in_train").text == (
        "2 of 2 validation rows are in train too (first: row 1), 1 of them with another class "
        "(first: row 2)"
    )
    assert found(task, "test_in_train").text == (
        "3 of 4 test rows are in train too (first: row 2), 1 of them with another class "
        "(first: row 4)"
    )
    assert found(task, "test_in_validation").text == (
        "2 of 4 test rows are in validation too (first: row 2), 1 of them with another class "
        "(first: row 3); validation picks epochs and trials"
    )
    assert survey_rows(task).counts["rows.test_seen_in_train"] == 3


def test_a_text_with_two_classes_in_train_contradicts_no_row_that_has_one_of_them() -> None:
    """Only a class that the text never has there is another one."""
    task = data(train=[*TRAIN, ("a", "y")], test=[("a", "x"), ("a", "y")])
    assert "another class" not in found(task, "test_in_train").text


def test_few_of_many_rows_are_said_and_are_no_warning() -> None:
    """One row of a thousand decides nothing."""
    train = [(f"text {n}", "xy"[n % 2]) for n in range(1000)]
    test = [(f"other {n}", "xy"[n % 2]) for n in range(999)]
    finding = found(data(train, VALIDATION, [*test, train[0]]), "test_in_train")
    assert finding.text.startswith("1 of 1000 test rows is in train too")
    assert not finding.warns


def test_repeated_training_rows_are_counted_and_contradicting_ones_apart() -> None:
    """The same text twice, with the same class and with another."""
    finding = found(data(train=[*TRAIN, ("a", "x"), ("b", "x")]), "repeated")
    assert finding.text == (
        "2 of 6 training rows repeat the text of an earlier one, 1 of them with another class "
        "(first: row 6)"
    )
    assert finding.warns


def test_a_row_that_was_carved_from_train_keeps_its_number() -> None:
    """The number is that of the file."""
    carved = TaskData(
        ("x", "y"),
        (Example("train-1", "a", None, "x"), Example("train-2", "b", None, "y")),
        (Example("train-3", "a", None, "x"), Example("train-4", "b", None, "y")),
        (Example("t/test-1", "", None, "x"), Example("odd", "q", None, "y")),
        {},
    )
    assert "(first: row 3 of train)" in found(carved, "validation_in_train").text
    assert "(first: row 1 of t)" in found(carved, "empty").text


def test_the_first_row_is_the_first_of_the_file() -> None:
    """A run's rows are shuffled; an earlier row is one that stands earlier in the file."""
    shuffled = TaskData(
        ("x", "y"),
        (
            Example("train-9", "a", None, "y"),
            Example("train-10", "b", None, "x"),
            Example("train-2", "a", None, "x"),
        ),
        (Example("train-12", " ", None, "x"), Example("train-3", " ", None, "x")),
        (Example("test-1", "q", None, "x"), Example("test-2", "r", None, "y")),
        {},
    )
    assert "with another class (first: row 9)" in found(shuffled, "repeated").text
    assert "(first: row 3 of train)" in found(shuffled, "empty").text


def test_rows_without_a_text_repeat_nothing() -> None:
    """They are told as such; a count of contradictions is of texts."""
    blank = [("", "x"), ("", "y")]
    names = {f.name for f in survey_rows(data(train=[*TRAIN, *blank], test=blank)).findings}
    assert "empty" in names
    assert names.isdisjoint({"repeated", "test_in_train"})


def test_a_missing_second_text_is_told_apart() -> None:
    """The column of the pair is named, and rows without any text are no such rows."""
    rows = [("a", "", "x"), ("b", "c", "y"), ("", "", "x"), ("", "d", "y")]
    pairs = tuple(Example(f"train-{n}", *row) for n, row in enumerate(rows, start=1))
    task = TaskData(("x", "y"), pairs, pairs[1:2], pairs[1:2], {})
    assert found(task, "empty").text == "no text in 1 of 4 training rows (first: row 3)"
    second = "no second text (the column of `text_pair`) in 1 of 4 training rows (first: row 1)"
    assert found(task, "empty_pair").text == second
    assert "no first text (the column of `text`) in 1 of 4" in found(task, "empty_first").text


@pytest.mark.parametrize(
    ("labels", "text", "warns"),
    [
        ([str(n) for n in range(1, 11)], "whole numbers from 1 to 10, which look like", True),
        ([str(n) for n in range(21)], "whole numbers from 0 to 20, taken for names", False),
        (["0%", "10%", "20%"], "percentages, which look like numbers to predict", True),
        (["2024-01-01", "2024-02-01", "2024-03-01"], "dates, which look like", True),
    ],
)
def test_numbers_to_predict_are_told(labels: list[str], text: str, warns: bool) -> None:
    """Ratings, shares and dates are doubtful; whole numbers from 0 on may be codes."""
    rows = [(f"text {n}", label) for n, label in enumerate(labels * 6)]
    finding = found(data(rows, rows, rows), "numbers")
    assert text in finding.text
    assert finding.warns == warns


def test_five_stars_are_a_usual_set_of_classes() -> None:
    """Nothing is said of them."""
    rows = [(f"text {n}", str(n % 5)) for n in range(30)]
    assert "numbers" not in {f.name for f in survey_rows(data(rows, rows, rows)).findings}


def test_classes_that_a_split_lacks_are_named_with_what_becomes_of_their_f1() -> None:
    """One sentence for validation and test."""
    odd = [*TRAIN, ("o", "odd")]
    assert found(data(train=odd), "lacking").text == (
        "class 'odd' has no row in validation and test: in macro-F1 such a class counts as 0 "
        "where a run predicts it, else it is left out"
    )
    text = found(data(train=[*odd, ("p", "even")], test=[*TEST, ("o", "odd")]), "lacking").text
    assert "2 of 4 classes have no row in validation ('even', 'odd'); class 'even' has no" in text


@pytest.mark.parametrize(
    ("labels", "name", "text"),
    [
        (
            [" pos", "Pos", "pos"],
            "alike",
            "classes ' pos', 'Pos' and 'pos' differ by spaces and case alone, and are trained as "
            "different classes; write them alike if they are one",
        ),
        (
            ["pos", "neg", "pos,food"],
            "lists",
            "1 of 3 classes look like lists of classes ('pos,food'): a row has one class here, "
            "and each list is one of its own",
        ),
        (
            ["0.5", "1.5", "1"],
            "numbers",
            "the classes are numbers with fractions ('0.5', '1', '1.5'): they look like scores, "
            "and are trained as 3 classes",
        ),
        (
            [str(7 * n) for n in range(30)],
            "numbers",
            "the 30 classes are numbers that look measured or counted: how near a prediction "
            "comes is not seen",
        ),
        (
            [f"class {n}" for n in range(30)],
            "one_a_row",
            "30 classes in 30 training rows: most have one row alone",
        ),
    ],
)
def test_doubtful_class_names_are_a_warning(labels: list[str], name: str, text: str) -> None:
    """It says what the program takes them for."""
    rows = [(f"text {n}", label) for n, label in enumerate(labels)]
    finding = found(data(rows, rows, rows), name)
    assert (finding.text, finding.warns) == (text, True)


def test_a_hundred_thousand_rows_take_little_time() -> None:
    """A survey is quick where a study is large."""
    rows = [
        (f"a text of some words, number {n} of many", f"class {n % 20}") for n in range(100_000)
    ]
    task = data(rows, rows[:5000], rows[:5000])
    started = time.process_time()
    survey_rows(task)
    assert time.process_time() - started < 2


def test_cut_rows_are_counted_in_each_split_with_the_longest() -> None:
    """Every row of each split is longer than max_length."""
    lengths = {
        "train": SplitLengths(rows={45: 7, 40: 20}),
        "validation": SplitLengths(rows={12: 2, 33: 1}),
        "test": SplitLengths(rows={44: 15}),
    }
    survey = survey_lengths(lengths, [32])
    (finding,) = survey.findings
    assert finding.text == (
        "max_length: 32 cuts 27 of 27 training rows; the longest has 45 tokens (validation: 1 of "
        "3, longest 33; test: 15 of 15, longest 44)"
    )
    assert finding.warns
    assert survey.counts == {
        **{"cut.train": 27, "cut.validation": 1, "cut.test": 15},
        **{"tokens.longest.train": 45, "tokens.longest.validation": 33, "tokens.longest.test": 44},
    }


def test_each_max_length_of_a_study_is_looked_at() -> None:
    """Both ends of a range; one that cuts nothing is no warning."""
    lengths = {"train": SplitLengths(rows={10: 50}), "test": SplitLengths(rows={12: 50})}
    texts = [
        (f.text.partition(";")[0], f.warns) for f in survey_lengths(lengths, [64, 8]).findings
    ]
    assert texts == [
        ("max_length: 8 cuts 50 of 50 training rows", True),
        ("max_length: 64 cuts no row", False),
    ]


def test_rows_of_unknown_tokens_are_counted_and_refused_where_there_are_no_others() -> None:
    """A text in a script that the tokenizer does not know leaves nothing to learn from."""
    some = {"train": SplitLengths(rows={5: 9}, wordless=3, first_wordless="train-4")}
    (text,) = [f.text for f in survey_lengths(some, [32]).findings if f.name == "unknown"]
    assert (
        text == "the tokenizer knows no token of the text in 3 of 9 training rows (first: row 4)"
    )
    every = {"train": SplitLengths(rows={5: 9}, wordless=9, first_wordless="train-1")}
    with pytest.raises(DataError, match=r"^train: none of the 9 rows has a token that the"):
        survey_lengths(every, [32])


def test_a_row_without_any_token_is_refused() -> None:
    """A tokenizer that adds no special token makes nothing of an empty text."""
    lengths = {"test": SplitLengths(rows={0: 1, 4: 9}, first_empty="test-3")}
    with pytest.raises(
        DataError, match=r"^test: row 3: the text has no tokens, and the tokenizer"
    ):
        survey_lengths(lengths, [32])
