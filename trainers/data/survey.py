"""Survey a task's rows: sizes, classes, texts, and faults that make its numbers doubtful."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from trainers.data.class_names import (
    alike,
    is_visible,
    like_lists,
    like_numbers,
    like_scores,
    listed,
    quoted,
)
from trainers.data.findings import NOTABLE, ROWS_OF, Finding, joined, row_name, row_place
from trainers.data.load import TaskData
from trainers.data.repeats import in_two_splits, read_split, repeated_rows
from trainers.errors import DataError
from trainers.interfaces import Example
from trainers.plugins import Frozen

_LACKS = {
    "empty": "text",
    "empty_first": "first text (the column of `text`)",
    "empty_pair": "second text (the column of `text_pair`)",
}
WARNING_PREFIX, READ_PREFIX = "warning.", "read."
"""Prefixes of the names of a run's facts that are a survey's findings."""
_MANY_CUT = 0.1
_MANY_CLASSES = 8


@dataclass(frozen=True)
class Survey:
    """The findings on a task's rows."""

    findings: tuple[Finding, ...]
    counts: Mapping[str, int]
    """Numbers of the findings, such as `empty.train`."""

    def facts(self) -> dict[str, str]:
        """Return all as facts of a run; findings are named `warning.<name>` or `read.<name>`."""
        facts = {name: str(count) for name, count in self.counts.items()}
        for found in self.findings:
            facts[f"{WARNING_PREFIX if found.warns else READ_PREFIX}{found.name}"] = found.text
        return facts


class SplitLengths(Frozen):
    """Lengths of the rows of a split in tokens, before they are cut."""

    rows: Mapping[int, int]
    """Number of rows of each length in tokens, special ones included."""
    wordless: int = 0
    """Rows with text but without a known token: all are special or unknown."""
    first_wordless: str = ""
    """Id of the first of these rows."""
    first_empty: str = ""
    """Id of the first row without any token, even a special one."""

    @property
    def longest(self) -> int:
        """Tokens of the longest row."""
        return max(self.rows)

    @property
    def total(self) -> int:
        """Number of rows."""
        return sum(self.rows.values())

    def cut(self, max_length: int) -> int:
        """Return the number of longer rows."""
        return sum(count for length, count in self.rows.items() if length > max_length)


def survey_rows(data: TaskData) -> Survey:
    """Survey the rows of a run as they were read, without a tokenizer."""
    splits = {name: in_file_order(rows) for name, rows in splits_of(data).items()}
    counts: dict[str, int] = {}
    findings = [_read(data, splits)]
    findings += _class_names(data)
    findings += _lacking(data, splits)
    findings += _without_text(splits, counts)
    texts = {split: read_split(splits[split]) for split in ("train", "validation")}
    findings += in_two_splits(splits, texts, counts)
    findings += repeated_rows(splits["train"], texts["train"], counts)
    return Survey(tuple(findings), counts)


def survey_lengths(lengths: Mapping[str, SplitLengths], max_lengths: Sequence[int]) -> Survey:
    """Survey the rows' lengths in tokens.

    Args:
        lengths: Lengths by split.
        max_lengths: Lengths at which rows are cut; each is checked.

    Raises:
        DataError: A row has no token at all, or no row of a split has a known one.
    """
    for split, of_split in lengths.items():
        if of_split.first_empty:
            raise DataError(
                f"{split}: {row_name(of_split.first_empty, split)}: the text has no tokens, and "
                "the tokenizer adds none; remove the row, or write something in it"
            )
        if of_split.wordless == of_split.total:
            raise DataError(
                f"{split}: none of the {of_split.total} rows has a token that the tokenizer "
                "knows; choose a model of the texts' language"
            )
    longest = {f"tokens.longest.{split}": of_split.longest for split, of_split in lengths.items()}
    findings = [_cut(lengths, limit) for limit in sorted(set(max_lengths))]
    findings += _wordless(lengths)
    if len(max_lengths) != 1:
        return Survey(tuple(findings), longest)
    cut = {f"cut.{split}": found.cut(max_lengths[0]) for split, found in lengths.items()}
    return Survey(tuple(findings), cut | longest)


def splits_of(data: TaskData) -> dict[str, tuple[Example, ...]]:
    """Return the rows of each split, by its name."""
    return {"train": data.train, "validation": data.validation, "test": data.test}


def in_file_order(rows: Sequence[Example]) -> tuple[Example, ...]:
    """Return rows in the order of their files: a run's own order is shuffled."""
    return tuple(sorted(rows, key=lambda row: row_place(row.id)))


def _read(data: TaskData, splits: Mapping[str, Sequence[Example]]) -> Finding:
    by_split = [Counter(row.label for row in rows) for rows in splits.values()]
    sizes = ", ".join(f"{len(rows)} {split}" for split, rows in splits.items())

    def counted(label: str) -> str:
        return f"{quoted(label)} {'/'.join(str(found[label]) for found in by_split)}"

    if len(data.labels) <= _MANY_CLASSES:
        classes = ", ".join(map(counted, data.labels))
    else:
        ordered = by_split[0].most_common()
        classes = f"most rows: {counted(ordered[0][0])}; fewest: {counted(ordered[-1][0])}"
    text = f"{sizes} rows; {len(data.labels)} classes ({'/'.join(splits)}): {classes}"
    return Finding("rows", text, warns=False)


def _without_text(
    splits: Mapping[str, Sequence[Example]], counts: dict[str, int]
) -> Iterator[Finding]:
    found: dict[str, dict[str, list[Example]]] = {}
    for split, rows in splits.items():
        blank = [(row, lacks) for row in rows if (lacks := _lacks(row))]
        counts[f"empty.{split}"] = len(blank)
        for row, lacks in blank:
            found.setdefault(lacks, {}).setdefault(split, []).append(row)
    for lacks, by_split in sorted(found.items()):
        parts = [
            f"{len(rows)} of {len(splits[split])} {ROWS_OF[split]} "
            f"(first: {row_name(rows[0].id, split)})"
            for split, rows in by_split.items()
        ]
        share = max(len(rows) / len(splits[split]) for split, rows in by_split.items())
        said = f"no {_LACKS[lacks]} in {joined(parts)}"
        yield Finding(lacks, said, warns=share >= NOTABLE)


def _lacks(row: Example) -> str:
    """Return the name of a row's missing text; "" where it has all."""
    if row.pair is None or is_visible(row.text) == is_visible(row.pair):
        return "" if is_visible(row.text) else "empty"
    return "empty_first" if is_visible(row.pair) else "empty_pair"


def _lacking(data: TaskData, splits: Mapping[str, Sequence[Example]]) -> Iterator[Finding]:
    where: dict[tuple[str, ...], list[str]] = {}
    for split in ("validation", "test"):
        present = {row.label for row in splits[split]}
        missing = tuple(label for label in data.labels if label not in present)
        where.setdefault(missing, []).append(split)
    parts = [
        f"class {listed(missing)} has no row in {joined(found)}"
        if len(missing) == 1
        else f"{len(missing)} of {len(data.labels)} classes have no row in {joined(found)} "
        f"({listed(missing)})"
        for missing, found in where.items()
        if missing
    ]
    if parts:
        text = (
            f"{'; '.join(parts)}: in macro-F1 such a class counts as 0 where a run predicts it, "
        )
        yield Finding("lacking", f"{text}else it is left out", warns=True)


def _class_names(data: TaskData) -> Iterator[Finding]:
    ways: dict[str, list[str]] = {}
    for group in alike(data.labels):
        ways.setdefault(group.differ_by, []).append(joined(list(map(quoted, group.names))))
    if ways:
        parts = [f"{_several(groups)} differ by {way} alone" for way, groups in ways.items()]
        text = f"classes {'; '.join(parts)}, and are trained as different classes; write them"
        yield Finding("alike", f"{text} alike if they are one", warns=True)
    lists = like_lists(data.labels)
    scores = like_scores(data.labels)
    if lists and not scores:
        text = (
            f"{len(lists)} of {len(data.labels)} classes look like lists of classes "
            f"({listed(lists, most=3)}): a row has one class here, and each list is one of its own"
        )
        yield Finding("lists", text, warns=True)
    if scores:
        text = f"the classes are numbers with fractions ({listed(scores)}): they look like scores"
        yield Finding("numbers", f"{text}, and are trained as {len(scores)} classes", warns=True)
    numbers, sure = like_numbers(data.labels, len(data.train))
    if numbers and not scores:
        text = f"the {len(data.labels)} classes are {numbers}"
        text += ": " if sure else ", "
        yield Finding("numbers", f"{text}how near a prediction comes is not seen", warns=sure)
    trained = len({row.label for row in data.train})
    if trained > max(len(data.train) / 2, _MANY_CLASSES):
        text = f"{trained} classes in {len(data.train)} training rows: most have one row alone"
        yield Finding("one_a_row", text, warns=True)


def _cut(lengths: Mapping[str, SplitLengths], limit: int) -> Finding:
    cut = {split: found.cut(limit) for split, found in lengths.items()}
    name = f"cut.{limit}"
    if not any(cut.values()):
        longest = max(found.longest for found in lengths.values())
        text = f"max_length: {limit} cuts no row; the longest has {longest} tokens"
        return Finding(name, text, warns=False)
    first, *others = (
        (split, f"{cut[split]} of {found.total}", found.longest)
        for split, found in lengths.items()
    )
    text = f"max_length: {limit} cuts {first[1]} {ROWS_OF[first[0]]}; the longest has {first[2]} "
    more = "; ".join(f"{split}: {share}, longest {most}" for split, share, most in others)
    share = max(cut[split] / found.total for split, found in lengths.items())
    return Finding(name, f"{text}tokens ({more})", warns=share >= _MANY_CUT)


def _wordless(lengths: Mapping[str, SplitLengths]) -> Iterator[Finding]:
    found = {split: of_split for split, of_split in lengths.items() if of_split.wordless}
    if found:
        parts = [
            f"{of.wordless} of {of.total} {ROWS_OF[split]} "
            f"(first: {row_name(of.first_wordless, split)})"
            for split, of in found.items()
        ]
        text = f"the tokenizer knows no token of the text in {joined(parts)}"
        share = max(of.wordless / of.total for of in found.values())
        yield Finding("unknown", text, warns=share >= NOTABLE)


def _several(groups: Sequence[str], most: int = 3) -> str:
    more = f" and {len(groups) - most} more groups" if len(groups) > most else ""
    return f"{'; '.join(groups[:most])}{more}"
