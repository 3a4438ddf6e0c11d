"""Class names that are one name twice, lists, scores, texts or hidden are found."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle, islice

import pytest

from trainers.data.class_names import (
    alike,
    is_visible,
    like_lists,
    like_measurements,
    like_scores,
    quoted,
    refuse_labels,
    refuse_unlabelled,
)
from trainers.errors import DataError
from trainers.interfaces import Corpus, Example


def corpus(
    train: Sequence[str], test: Sequence[str], texts: Sequence[str] | None = None
) -> Corpus:
    """Make rows with these labels, and texts of their own unless some are given."""

    def rows(split: str, labels: Sequence[str]) -> tuple[Example, ...]:
        given = texts or [f"{split} text {number}" for number in range(len(labels))]
        return tuple(
            Example(f"{split}-{number}", text, None, label)
            for number, (text, label) in enumerate(zip(given, labels, strict=False), start=1)
        )

    return Corpus(
        tuple(dict.fromkeys([*train, *test])), rows("train", train), None, rows("test", test)
    )


def many(labels: Sequence[str], count: int) -> list[str]:
    """Repeat labels until there are so many."""
    return list(islice(cycle(labels), count))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "  \t\n",
        "\u00a0",
        "\u200b",
        "\ufeff",
        "\u2060\u00ad",
        "\u3164",
        "\u2800",
        "\u3000\ufe0f",
    ],
)
def test_a_text_of_invisible_characters_is_none(text: str) -> None:
    """Spaces of any width, marks of order or joining, fillers: a reader sees nothing."""
    assert not is_visible(text)


@pytest.mark.parametrize("text", ["null", "NA", "0", ".", " a", "\u200bé", "猫", "🙂"])
def test_whatever_is_seen_is_a_text(text: str) -> None:
    """A word such as null is a word, a stop is a sign."""
    assert is_visible(text)


@pytest.mark.parametrize(
    ("names", "differ_by"),
    [
        ([" pos", "pos ", "pos"], "spaces"),
        (["pos\u00a0", "pos"], "spaces"),
        (["credit  card", "credit card"], "spaces"),
        (["pos", "Pos", "POS"], "case"),
        (["pos\u200b", "pos"], "invisible characters"),
        (["caf\u00e9", "cafe\u0301"], "Unicode form"),
        (["\uff30os", "Pos"], "Unicode form"),
        (["1", "1.0"], "the spelling of a number"),
        (["1", "01"], "the spelling of a number"),
        (["1,50", "1.5"], "the spelling of a number"),
        (["9007199254740993", "9007199254740993.0"], "the spelling of a number"),
        (["credit_card", "credit card", "credit-card"], "the signs between words"),
        ([" pos", "Pos", "pos "], "spaces and case"),
        (["C1 ", "c1"], "spaces and case"),
    ],
)
def test_one_name_written_twice_is_found(names: list[str], differ_by: str) -> None:
    """What tells the names apart is named, whatever other classes there are."""
    (found,) = alike(["other", *names])
    assert (found.names, found.differ_by) == (tuple(names), differ_by)


@pytest.mark.parametrize(
    "names",
    [
        ("pos", "neg"),
        ("C", "C++", "C#"),
        ("-1", "1"),
        ("1", "10"),
        ("9007199254740993.0", "9007199254740992"),
        ("0.1", "0.10000000000000001"),
        ("1e400", "1e500"),
        ("1e99999999999999999999", "1e99999999999999999998"),
        ("né", "ne"),
        ("a.b", "ab"),
    ],
)
def test_other_names_are_not_alike(names: tuple[str, ...]) -> None:
    """A sign or an accent makes another word."""
    assert alike(names) == []


@pytest.mark.parametrize(
    ("labels", "lists"),
    [
        (["pos", "neg", "pos,food"], ["pos,food"]),
        (["a;b", "b;c", "d"], ["a;b", "b;c"]),
        (["a | b", "b", "a"], ["a | b"]),
        (['["a"]', '["a", "b"]', "c"], ['["a"]', '["a", "b"]']),
        (["[1, 2]", "[1]", "[2]"], ["[1, 2]", "[1]", "[2]"]),
        (["2,27", "2", "27"], ["2,27"]),
        (["3 17", "3", "17"], ["3 17"]),
        (["pos/food", "pos", "neg"], ["pos/food"]),
        (["('a', 'b')", "{'a'}"], ["('a', 'b')", "{'a'}"]),
    ],
)
def test_lists_of_classes_are_found(labels: list[str], lists: list[str]) -> None:
    """A list shares its members with classes or other lists, or is written in brackets."""
    assert list(like_lists(labels)) == lists


@pytest.mark.parametrize(
    "labels",
    [
        ["Health, Beauty and Care", "Books", "Toys & Games"],
        ["C++ / C#", "Java"],
        ["Sci/Tech", "World"],
        ["[UNK]", "(other)"],
        ["credit card", "credit"],
    ],
)
def test_a_name_with_a_comma_or_a_slash_is_no_list_by_itself(labels: list[str]) -> None:
    """Natural names hold signs too."""
    assert like_lists(labels) == ()


def test_scores_are_sorted_by_value() -> None:
    """10.0 comes after 9.5; whole numbers alone, or a word among them, are no scores."""
    assert like_scores(["10.0", "9.5", "0", "-1,5"]) == ("-1,5", "0", "9.5", "10.0")
    assert like_scores(["1.0", "2", "3"]) == like_scores(["1.5", "2", "none"]) == ()


def test_whole_numbers_with_wide_gaps_look_measured() -> None:
    """Years or prices; codes from 0 on, of which each has rows, do not."""
    assert like_measurements([str(n * 7) for n in range(30)], 300)
    assert not like_measurements([str(n) for n in range(77)], 231)
    assert not like_measurements(["1", "5"], 10)


def test_a_name_is_shown_with_what_cannot_be_seen_and_not_at_full_length() -> None:
    """Spaces, invisible characters and a separate accent are distinguished; long texts are cut."""
    assert quoted("pos ") == "'pos '"
    assert quoted("\u00a0pos\u200b") == r"'\xa0pos\u200b'"
    assert (quoted("caf\u00e9"), quoted("cafe\u0301")) == ("'café'", r"'cafe\u0301'")
    assert quoted("w" * 100) == f"'{'w' * 37}...'"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            corpus(many([f"{n / 2}" for n in range(11)], 33), many(["0.5", "1.0"], 12)),
            r"^train: the classes are 11 different numbers with fractions, from 0\.0 to 5\.0: ",
        ),
        (
            corpus([f"{n}.{n}" for n in range(90)], ["0.05", "7.77"]),
            "^train: the classes are 90 different numbers with fractions, from 0.0 to 89.89",
        ),
        (
            corpus([f"note {n}" for n in range(30)], [f"remark {n}" for n in range(9)]),
            "^train: 30 rows have 30 different classes, such as 'note 0', 'note 1', 'note 2' and",
        ),
        (
            corpus([str(n) for n in range(30)], [str(n) for n in range(12)]),
            "^train: 30 rows have 30 different classes",
        ),
        (
            corpus(*2 * [[f"the food was good on day {n} and on the next" for n in range(20)]]),
            "^train: 20 rows have 20 different classes of 4[0-9] characters on average, such as",
        ),
        (
            corpus(many(["so", "not"], 20), ["so", "not"], texts=many(["so", "not"], 20)),
            "^train: in 20 of 20 rows the class is the text itself; name the column of the",
        ),
        (
            corpus(many(["pos", "neg"], 20), many(["-1"], 8)),
            "^test: all 8 rows have the class '-1', which no row of train has: the labels of this",
        ),
        (
            corpus(many(["pos", "neg"], 20), many(["?"], 8)),
            "^test: all 8 rows have the class '\\?', which no row of train has",
        ),
        (
            corpus(many(["pos", "neg", "neu"], 30), many(["neg"], 40)),
            "^test: all 40 rows have the class 'neg'; train has 'pos', 'neg', 'neu': the labels",
        ),
        (
            corpus(many(["pos", "neg"], 20), [*many(["-1"], 19), "pos"]),
            "^test: 19 of 20 rows have the class '-1', which no row of train has: the labels of",
        ),
        (
            corpus(
                *2
                * [many([f"on day {n} the food in the old inn was good" for n in range(30)], 81)]
            ),
            "^train: 81 rows have 30 different classes of 4. characters on average, such as",
        ),
        (
            corpus(*2 * [many([f"on day {n} it was good" for n in range(30)], 81)]),
            "^train: 81 rows have 30 different classes of 2. characters on average, such as",
        ),
    ],
)
def test_labels_that_can_be_no_classes_are_refused(given: Corpus, message: str) -> None:
    """The reason and the next step in one line, before anything is drawn or carved."""
    with pytest.raises(DataError, match=message) as caught:
        refuse_labels(given)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 320


@pytest.mark.parametrize(
    "given",
    [
        corpus(many(["pos", "neg"], 20), many(["pos", "neg"], 9)),
        corpus(["pos", "neg"], ["pos"]),
        corpus([f"intent {n}" for n in range(20)], many([f"intent {n}" for n in range(20)], 60)),
        corpus(many([str(n) for n in range(77)], 231), many([str(n) for n in range(77)], 90)),
        corpus(many(["0.5", "1.5", "2"], 30), many(["0.5", "2"], 9)),
        corpus(*2 * [many([f"Home and Garden > Kitchen > {n}" for n in range(30)], 300)]),
        corpus(*2 * [many([f"card_payment_wrong_exchange_rate_{n}" for n in range(30)], 81)]),
        corpus(many(["rare", *9 * ["usual"]], 30), 10 * ["usual"]),
    ],
)
def test_labels_that_can_be_classes_pass(given: Corpus) -> None:
    """One example a class, codes, few fractions, a small test of one frequent class."""
    refuse_labels(given)


@pytest.mark.parametrize("empty", [None, "", " ", float("nan")])
def test_a_split_without_any_class_looks_hidden(empty: object) -> None:
    """It is said of the split as a whole, with the next step; train has its own refusal."""
    message = "^test: none of the 2 rows has a class in 'label': the labels of this split look"
    with pytest.raises(DataError, match=message):
        refuse_unlabelled([empty, empty], "test", "label")
    refuse_unlabelled([empty, empty], "train", "label")
    refuse_unlabelled([empty, "pos"], "test", "label")
