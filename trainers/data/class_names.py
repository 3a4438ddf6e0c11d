"""Check the names of a task's classes: spelled twice, lists, numbers, hidden, one a row."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal, InvalidOperation

from trainers.data.tables import is_gap
from trainers.errors import DataError
from trainers.interfaces import Corpus, Example

# Unicode's default ignorable code points, controls, and signs that are drawn as nothing.
_INVISIBLE = (
    "\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f"
    "\u200b-\u200f\u202a-\u202e\u2060-\u206f\u2800\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
_ANY_INVISIBLE = re.compile(f"[{_INVISIBLE}]")
_VISIBLE = re.compile(rf"[^\s{_INVISIBLE}]")
_NUMBER = re.compile(r"\s*[-+]?(\d+([.,]\d*)?|[.,]\d+)(e[-+]?\d+)?\s*", re.IGNORECASE | re.ASCII)
_JOINT = re.compile(r"(?<=[^\W_])[\s_-]+(?=[^\W_])")
_LAST_SIGNS = re.compile(r"(\s*[.,;:!?])+$")
_BRACKETED = re.compile(r"\s*(\[.*\]|\(.*\)|\{.*\})\s*", re.DOTALL)
_MEMBERS = re.compile(r"[,'\"]|^\s*.\s*\d*\s*.\s*$", re.DOTALL)
_SHARING, _NAMING = ",;|\t\n", "/&+"
_SEVERAL_NUMBERS = re.compile(r"\s*\d+(\s+\d+)+\s*", re.ASCII)

_PERCENT = re.compile(r"\s*[-+]?\d+([.,]\d+)?\s*%\s*", re.ASCII)
_DATE = re.compile(r"\s*(\d{4}[-/.]\d{1,2}([-/.]\d{1,2})?|\d{1,2}([-/.])\d{1,2}\3\d{2,4})\s*")

FEW_SCORES = 5
"""Most different numbers with fractions that are taken for classes."""
_SHARE, _LEAST_ROWS = 0.9, 10
_TEXT_LENGTH, _SENTENCE_LENGTH, _SENTENCE_WORDS = 40, 25, 5
_FEW_EACH = 5
"""Rows of each class on average, below which long names are taken for texts."""
_CHANCE = 1e-3
_SHOWN = 40


@dataclass(frozen=True)
class Alike:
    """Classes whose names differ only in how they are written."""

    names: tuple[str, ...]
    differ_by: str
    """The difference, such as `spaces and case`."""


def is_visible(text: str) -> bool:
    """Return whether a text has a visible character."""
    return _VISIBLE.search(text) is not None


def quoted(name: str) -> str:
    """Return a class's name with invisible characters escaped, shortened where it is long."""
    shown = repr(name if len(name) <= _SHOWN else f"{name[: _SHOWN - 3]}...")
    # A letter with a combining accent looks like the accented letter.
    return shown if unicodedata.is_normalized("NFC", shown) else ascii(name[:_SHOWN])


def listed(names: Sequence[str], *, most: int = 6) -> str:
    """Return a list of class names, in the given order and bounded in length."""
    shown = ", ".join(map(quoted, names[:most]))
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown


def number(label: str) -> float | None:
    """Return a class's name as a number, with a point or a comma; None for a word."""
    return float(label.replace(",", ".")) if _NUMBER.fullmatch(label) else None


def alike(labels: Iterable[str]) -> list[Alike]:
    """Find the classes that differ only by spaces, case, Unicode form or a number's spelling."""
    groups: defaultdict[str, list[str]] = defaultdict(list)
    for label in labels:
        groups[_form(label)].append(label)
    return [Alike(tuple(names), _differ_by(names)) for names in groups.values() if len(names) > 1]


def same_but_written(label: str, labels: Iterable[str]) -> str:
    """Return a sentence about a label that is the same in other writing; "" if none is."""
    for group in alike([label, *labels]):
        if label in group.names:
            (other, *_) = [name for name in group.names if name != label]
            return f"{quoted(other)} differs by {group.differ_by} alone"
    return ""


def like_lists(labels: Sequence[str]) -> tuple[str, ...]:
    """Find the classes that look like lists of classes, such as `pos,food` or `["a"]`.

    A name with a comma counts if a part of it is a class too, or a part of
    another such name.
    """
    known = {label.strip() for label in labels}
    found = {label for label in labels if _SEVERAL_NUMBERS.fullmatch(label)}
    found |= {x for x in labels if _BRACKETED.fullmatch(x) and _MEMBERS.search(x)}
    for separator in _SHARING + _NAMING:
        members = {x: [part.strip() for part in x.split(separator)] for x in labels}
        several = {x: parts for x, parts in members.items() if len(parts) > 1 and all(parts)}
        times = Counter(part for parts in several.values() for part in set(parts))
        for label, parts in several.items():
            shared = separator in _SHARING and any(times[part] > 1 for part in parts)
            if shared or not known.isdisjoint(parts):
                found.add(label)
    return tuple(label for label in labels if label in found)


def like_scores(labels: Sequence[str]) -> tuple[str, ...]:
    """Return the numbers with fractions, in order, where every class is a number and some has one.

    Whole numbers among them are returned too; none where all are whole.
    """
    numbers = {label: number(label) for label in labels}
    values = {label: value for label, value in numbers.items() if value is not None}
    if len(values) < len(labels) or all(value.is_integer() for value in values.values()):
        return ()
    return tuple(sorted(values, key=lambda label: values[label]))


def like_measurements(labels: Sequence[str], rows: int) -> bool:
    """Return whether the classes are whole numbers that look measured or counted, not assigned.

    Numbers that are assigned to classes have few gaps and many rows each.
    """
    values = [number(label) for label in labels]
    whole = sorted(value for value in values if value is not None)
    if len(whole) < len(labels) or len(whole) <= 2 * FEW_SCORES:
        return False
    gaps = whole[-1] - whole[0] + 1 - len(whole)
    return gaps >= len(whole) or len(whole) > rows / (5 if gaps else 2)


def like_numbers(labels: Sequence[str], rows: int) -> tuple[str, bool]:
    """Describe classes that may be numbers to predict, and whether that is likely.

    Whole numbers from 0 on are as often codes of classes: of them it is not sure.
    """
    if len(labels) > 2 and all(_PERCENT.fullmatch(label) for label in labels):
        return "percentages, which look like numbers to predict", True
    if len(labels) > 2 and all(_DATE.fullmatch(label) for label in labels):
        return "dates, which look like numbers to predict", True
    if like_measurements(labels, rows):
        return "numbers that look measured or counted", True
    whole = [value for label in labels if (value := number(label)) is not None]
    if len(whole) < len(labels) or len(whole) <= FEW_SCORES:
        return "", False
    span = f"whole numbers from {min(whole):.0f} to {max(whole):.0f}"
    if min(whole) == 0:
        return f"{span}, taken for names; if they are numbers to predict", False
    return f"{span}, which look like numbers to predict", True


def refuse_unlabelled(labels: Sequence[object], split: str, column: str) -> None:
    """Refuse a split whose labels are all empty.

    Raises:
        DataError: There are two or more rows, and none has a class.
    """
    if split != "train" and len(labels) > 1 and all(map(is_gap, labels)):
        raise DataError(
            f"{split}: none of the {len(labels)} rows has a class in {column!r}: {_HIDDEN}"
        )


def refuse_labels(corpus: Corpus) -> None:
    """Refuse a task whose labels cannot be classes.

    Raises:
        DataError: The labels of a split are hidden, are texts or scores, or differ in every row.
    """
    if not corpus.train:
        return
    found = Counter(row.label for row in corpus.train)
    _refuse_scores(tuple(found))
    for split, rows in (("validation", corpus.validation or ()), ("test", corpus.test)):
        _refuse_hidden(split, rows, corpus.train)
    if len(corpus.train) >= _LEAST_ROWS:
        _refuse_texts(corpus, found)
        refuse_one_a_row(corpus)


def _refuse_hidden(split: str, rows: Sequence[Example], train: Sequence[Example]) -> None:
    if len(rows) < 2:
        return
    ((label, count),) = Counter(row.label for row in rows).most_common(1)
    of_train = Counter(row.label for row in train)
    share = of_train[label] / len(train)
    if count < (len(rows) if share else _SHARE * len(rows)):
        return
    if len(of_train) < 2 or (share and (len(rows) < _LEAST_ROWS or share ** len(rows) > _CHANCE)):
        return
    trained = f"; train has {listed(list(of_train))}" if share else ", which no row of train has"
    which = f"all {count}" if count == len(rows) else f"{count} of {len(rows)}"
    raise DataError(f"{split}: {which} rows have the class {quoted(label)}{trained}: {_HIDDEN}")


def _refuse_scores(labels: tuple[str, ...]) -> None:
    scores = like_scores(labels)
    if len(scores) > FEW_SCORES:
        raise DataError(
            f"train: the classes are {len(scores)} different numbers with fractions, from "
            f"{scores[0]} to {scores[-1]}: scores, not classes; round them to whole numbers, put "
            "bands such as low and high in their place, or write each as a word, such as "
            f"'score {scores[0]}', to train it as a class"
        )


def _refuse_texts(corpus: Corpus, found: Counter[str]) -> None:
    same = sum(row.label == row.text for row in corpus.train)
    if same > len(corpus.train) / 2:
        raise DataError(
            f"train: in {same} of {len(corpus.train)} rows the class is the text itself; {_COLUMN}"
        )
    length = sum(map(len, found.elements())) / len(corpus.train)
    share = len(found) / len(corpus.train)
    is_long = length >= _TEXT_LENGTH and share > 1 / 2
    if is_long or (share > 1 / _FEW_EACH and _like_sentences(found)):
        raise DataError(
            f"train: {len(corpus.train)} rows have {len(found)} different classes of "
            f"{length:.0f} characters on average, such as {quoted(next(iter(found)))}: these are "
            f"texts; {_COLUMN}"
        )


def _like_sentences(names: Collection[str]) -> bool:
    """Return whether there are many names that read like sentences on average."""
    words = sum(len(name.split()) for name in names) / len(names)
    length = sum(map(len, names)) / len(names)
    return len(names) > 2 * FEW_SCORES and (
        words >= _SENTENCE_WORDS or (words >= _SENTENCE_WORDS / 2 and length >= _SENTENCE_LENGTH)
    )


def refuse_one_a_row(corpus: Corpus) -> None:
    """Refuse about a class a row, unless test shows that one row a class is intended.

    Raises:
        DataError: Nearly every row of train has a class of its own.
    """
    found = Counter(row.label for row in corpus.train)
    few = len(corpus.train) < _LEAST_ROWS
    if few or len(found) < _SHARE * len(corpus.train):
        return
    unknown = sum(row.label not in found for row in corpus.test)
    of_test = {row.label for row in corpus.test}
    if unknown > len(corpus.test) / 2 or len(of_test) >= _SHARE * len(corpus.test):
        raise DataError(
            f"train: {len(corpus.train)} rows have {len(found)} different classes, such as "
            f"{listed(list(found), most=3)}: with about one a row none can be learnt; {_COLUMN}"
        )


_COLUMN = "name the column of the classes with `label`"
_HIDDEN = (
    "the labels of this split look hidden, and it cannot be scored; name a split whose classes "
    "are known"
)


def _differ_by(names: Sequence[str]) -> str:
    """Return the ways of writing that must be undone, each of them, to make the names equal."""
    ways = [way for way in _FORMS if len({_form(name, but=way) for name in names}) > 1]
    if not ways:  # one of several is enough
        ways = [way for way, rewrite in _FORMS.items() if len(set(map(rewrite, names))) == 1][:1]
    *first, last = ways or ["their writing"]
    return f"{', '.join(first)} and {last}" if first else last


def _form(name: str, *, but: str = "") -> str:
    """Undo every way of writing a name, or all but one."""
    for way, rewrite in _FORMS.items():
        name = name if way == but else rewrite(name)
    return name


def _as_number(name: str) -> str:
    """Write a number in its shortest form with all digits: a float has only 15 of them."""
    if not _NUMBER.fullmatch(name):
        return name
    exact = Context(prec=len(name), Emax=MAX_EMAX, Emin=MIN_EMIN)
    try:
        value = Decimal(name.strip().replace(",", ".")).normalize(exact)
    except InvalidOperation:  # its exponent is too large
        return name
    return str(value or Decimal())


_FORMS: dict[str, Callable[[str], str]] = {
    "invisible characters": lambda name: _ANY_INVISIBLE.sub("", name),
    "spaces": lambda name: " ".join(name.split()),
    "Unicode form": lambda name: unicodedata.normalize("NFKC", name),
    "case": str.casefold,
    "a sign at the end": lambda name: _LAST_SIGNS.sub("", name) or name,
    "the signs between words": lambda name: _JOINT.sub(" ", name),
    "the spelling of a number": _as_number,
}
