"""Texts to classify: every form that people give them in is read as it is meant, or refused."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Iterator
from typing import Any

import numpy
import pandas
import pyarrow
import pytest

from trainers.data.texts import read_texts
from trainers.errors import InputError
from trainers.interfaces import Task, TextColumns
from trainers.plugins import resolve

_ONE = TextColumns()
_BODY = TextColumns("body")
_PAIR = TextColumns("premise", "hypothesis")
_TEXTS = ["good food", "bad food"]
_TABLE = pandas.DataFrame(
    {"id": [7, 8], "label": ["pos", "neg"], "text": _TEXTS, "text_pair": ["x", "y"]}
)
_PAIRS = pandas.DataFrame({"hypothesis": ["c", "d"], "note": ["e", "f"], "premise": ["a", "b"]})


def _generator() -> Iterator[str]:
    yield from _TEXTS


@pytest.mark.parametrize(
    "given",
    [
        _TEXTS,
        tuple(_TEXTS),
        _generator(),
        pandas.Series(_TEXTS),
        pandas.Series(_TEXTS, name="label", index=["a", "b"]),
        pandas.Series(_TEXTS, dtype="category"),
        pandas.Series(_TEXTS, dtype="string"),
        pandas.Series(_TEXTS, dtype=pandas.ArrowDtype(pyarrow.string())),
        pandas.Series([{"text": text, "label": 1} for text in _TEXTS]),
        pandas.Index(_TEXTS),
        numpy.array(_TEXTS),
        numpy.array(_TEXTS, dtype=object),
        numpy.array(_TEXTS).reshape(2, 1),
        [[text] for text in _TEXTS],
        pyarrow.array(_TEXTS),
        pyarrow.table({"label": [0, 1], "text": _TEXTS}),
        pandas.DataFrame(_TEXTS),
        pandas.DataFrame({"0": _TEXTS}),
        _TABLE,
        _TABLE[["text", "label"]],
        {"text": _TEXTS},
        {"text": tuple(_TEXTS), "label": "pos"},
        {"text": numpy.array(_TEXTS), "id": [1, 2, 3]},
        {"text": numpy.array(_TEXTS).reshape(2, 1)},
        {"text": pandas.Series(_TEXTS), "label": None},
        {"text": iter(_TEXTS)},
        _TABLE.to_dict("records"),
        [row for _, row in _TABLE.iterrows()],
        list(_TABLE.itertuples()),
    ],
    ids=lambda given: type(given).__name__,
)
def test_one_text_a_row_however_it_is_given(given: Any) -> None:
    """Columns are taken by name, whatever else stands in the frame and in whatever order."""
    texts = read_texts(given, _ONE)
    assert texts.first == _TEXTS
    assert texts.second == [None, None]


@pytest.mark.parametrize(
    "given",
    [
        "good food",
        numpy.str_("good food"),
        numpy.array("good food"),
        {"text": "good food"},
        {"text": numpy.array("good food"), "label": "pos"},
        {"text": ["good food"]},
        _TABLE.iloc[0],
        _TABLE.iloc[:1],
    ],
    ids=lambda given: type(given).__name__,
)
def test_one_text_is_one_row(given: Any) -> None:
    """A string is no list of letters, a row of a frame no list of texts."""
    assert read_texts(given, _ONE).first == ["good food"]


@pytest.mark.parametrize(
    "given",
    [
        [("a", "c"), ("b", "d")],
        [["a", "c"], ["b", "d"]],
        zip(["a", "b"], ["c", "d"], strict=True),
        numpy.array([["a", "c"], ["b", "d"]]),
        pandas.Series([("a", "c"), ("b", "d")]),
        pandas.DataFrame([["a", "c"], ["b", "d"]]),
        _PAIRS,
        _PAIRS.rename(columns={"premise": "text", "hypothesis": "text_pair"}),
        {"hypothesis": ["c", "d"], "premise": ["a", "b"]},
        [{"text_pair": "c", "text": "a"}, {"text_pair": "d", "text": "b"}],
    ],
    ids=lambda given: type(given).__name__,
)
def test_pairs_are_read_by_place_or_by_name(given: Any) -> None:
    """By the task's own names, or by text and text_pair."""
    texts = read_texts(given, _PAIR)
    assert (texts.first, texts.second) == (["a", "b"], ["c", "d"])


def test_a_second_text_may_be_the_same_for_all_rows() -> None:
    """A text beside a list of texts is meant for each."""
    texts = read_texts({"premise": ["a", "b"], "hypothesis": "c"}, _PAIR)
    assert texts.second == ["c", "c"]


def test_a_task_goes_by_its_own_name_first() -> None:
    """A column called text is the text only where the task's own column is not there."""
    both = pandas.DataFrame({"text": ["no"], "body": ["yes"]})
    assert read_texts(both, _BODY).first == ["yes"]
    assert read_texts(both[["text"]], _BODY).first == ["no"]
    turned = TextColumns("text_pair", "text")
    with pytest.raises(InputError, match="no column 'text_pair'"):
        read_texts(both, turned)


@pytest.mark.parametrize(
    "index",
    [
        pandas.Index([7, 7]),
        pandas.Index(["b", "a"], name="key"),
        pandas.MultiIndex.from_tuples([("a", 1), ("a", 2)]),
    ],
)
def test_the_index_is_kept(index: pandas.Index) -> None:
    """Of a frame and of a Series, whatever it is."""
    for given in (_TABLE.set_axis(index), pandas.Series(_TEXTS, index=index)):
        assert read_texts(given, _ONE).index.equals(index)


@pytest.mark.parametrize("given", [[], (), {"text": []}, _TABLE[:0], pandas.DataFrame()])
def test_no_rows_are_no_rows(given: Any) -> None:
    """Nothing is asked, nothing is refused."""
    assert read_texts(given, _ONE).first == []


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["a", None], "row 2: text: got None; allowed: a text; leave such rows out"),
        (["a", float("nan"), 3], "row 2: text: got nan; allowed: a text; 1 more such row;"),
        ([None, None, None], "row 1: text: got None; allowed: a text; 2 more such rows;"),
        (["a", ["b", "c"]], "row 2: got 2 values; allowed: a text; a frame's columns"),
        ([b"a"], "row 1: text: got b'a'; allowed: a text"),
        (["\ud800"], "row 1: text: the text is not valid Unicode"),
        (pandas.Series(["a", pandas.NA], dtype="string"), "row 2: text: got <NA>"),
        (_TABLE.assign(text=["a", None])[1:], r"row 1 \(index 1\): text: got nan"),
        (_TABLE.assign(text=["a", None])[1:].set_axis([42]), r"row 1 \(index 42\): text: got nan"),
        (_TABLE[["id"]], "no column 'text'; got: id; rename the column, or give its texts"),
        (_TABLE.rename(columns={"text": "review"}), "no column 'text'; got: id, label, review"),
        (pandas.concat([_TABLE, _TABLE], axis=1), "duplicate column 'text'"),
        (_TABLE.to_numpy(), "row 1: got 4 values"),
        (_TABLE[[]], "no column 'text'; got: no columns; rename"),
        ({}, "no column 'text'; got: no columns; rename"),
        ({"label": ["a"]}, "no column 'text'; got: label"),
        ([{"text": "a"}, {"label": "b"}], "row 2: no column 'text'; got: label"),
        ({"text": None}, "row 1: text: got None"),
        (numpy.array([[["a"]]]), "got an array of 3 dimensions; allowed: a text; a list"),
        (None, "got NoneType; allowed: a text; a list"),
        (3, "got int; allowed"),
        (b"abc", "got bytes; allowed"),
    ],
)
def test_what_holds_no_text_is_refused_with_its_place(given: Any, message: str) -> None:
    """One line: the row's number, and its label where that differs; what was got and allowed."""
    with pytest.raises(ValueError, match=f"^texts to classify: {message}") as caught:
        read_texts(given, _ONE)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("a", "row 1: hypothesis: got None; allowed: a text and a second text"),
        (["a", "b"], "row 1: hypothesis: got None; allowed: .*; 1 more such row"),
        (_PAIRS[["premise"]], "no column 'hypothesis'; got: premise"),
        (_PAIRS.assign(hypothesis=[None, "d"]), "row 1: hypothesis: got"),
        ([("a", "b"), ("a", "b", "c")], "row 2: got 3 values; allowed: a text and a second"),
        (
            {"premise": ["a"], "hypothesis": ["b", "c"]},
            "got 1 rows of 'premise' and 2 rows of 'hypothesis'; allowed: equally many",
        ),
    ],
)
def test_a_pair_without_its_second_text_is_refused(given: Any, message: str) -> None:
    """It would be classified as no row that the model was trained on."""
    with pytest.raises(InputError, match=f"^texts to classify: {message}"):
        read_texts(given, _PAIR)


def test_named_tuples_are_read_by_their_names() -> None:
    """Whatever the order of their fields."""
    row = namedtuple("row", ["label", "text"])  # what itertuples makes
    assert read_texts([row("pos", "a")], _ONE).first == ["a"]


@pytest.mark.parametrize(
    ("task", "columns"),
    [
        ({"kind": "toy"}, TextColumns()),
        ({"kind": "toy", "pair": True}, TextColumns(pair="text_pair")),
        ("restaurant_sup", TextColumns("term", "sentence")),
        ("acl_sup", TextColumns()),
        (
            {"kind": "text_file", "train": "a.csv", "test": "b.csv", "text": "body"},
            TextColumns("body"),
        ),
        ({"kind": "hub", "id": "a/b", "text": "q", "text_pair": "p"}, TextColumns("q", "p")),
        (
            {"kind": "joined", "tasks": ["acl_sup", "restaurant_sup"]},
            TextColumns(pair="text_pair", needs_pair=False),
        ),
        (
            {"kind": "joined", "tasks": ["restaurant_sup", "restaurant_fs"]},
            TextColumns("term", "sentence"),
        ),
    ],
    ids=str,
)
def test_every_task_names_its_columns(task: Any, columns: TextColumns) -> None:
    """As the study, or the task's own files, name them."""
    found: Task = resolve(Task, "trainers.tasks", task)  # type: ignore[type-abstract]  # a base
    assert found.text_columns() == columns


def test_a_joined_task_takes_texts_and_pairs() -> None:
    """Where some of its members have pairs and some have not, a gap is no second text."""
    mixed = TextColumns(pair="text_pair", needs_pair=False)
    frame = pandas.DataFrame({"text": ["a", "b"], "text_pair": [None, "c"]})
    for given in (frame, ["a", ("b", "c")]):
        texts = read_texts(given, mixed)
        assert (texts.first, texts.second) == (["a", "b"], [None, "c"])
