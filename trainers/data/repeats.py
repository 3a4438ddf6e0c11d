"""Find rows that are in two splits, and training rows that repeat others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from trainers.data.class_names import is_visible
from trainers.data.findings import NOTABLE, ROWS_OF, Finding, row_name
from trainers.interfaces import Example

_MANY_REPEATED = 0.2
_Key = tuple[str, str | None]


@dataclass(frozen=True)
class SplitTexts:
    """The texts of a split and their classes."""

    first: dict[_Key, str]
    """Class of each text at its first row."""
    more: frozenset[tuple[_Key, str]]
    """Texts with other classes of theirs, at later rows."""

    def contradict(self, row: Example) -> bool:
        """Return whether a row's text is among them with another class."""
        key = (row.text, row.pair)
        return self.first[key] != row.label and (key, row.label) not in self.more


def read_split(rows: Sequence[Example]) -> SplitTexts:
    """Read the texts of a split and their classes."""
    first: dict[_Key, str] = {}
    more = set()
    for row in rows:
        key = (row.text, row.pair)
        if first.setdefault(key, row.label) != row.label:
            more.add((key, row.label))
    return SplitTexts(first, frozenset(more))


def in_two_splits(
    splits: Mapping[str, Sequence[Example]],
    texts: Mapping[str, SplitTexts],
    counts: dict[str, int],
) -> Iterator[Finding]:
    """Yield a finding for each two splits that share rows; rows without a text do not count."""
    for one, other in combinations(splits, 2):
        rows, held = splits[other], texts[one]
        shared = [row for row in rows if (row.text, row.pair) in held.first]
        counts[f"rows.{other}_seen_in_{one}"] = len(shared)
        written = [row for row in shared if _has_text(row)]
        if not written:
            continue
        otherwise = [row for row in written if held.contradict(row)]
        verb = "is" if len(shared) == 1 else "are"
        text = f"{len(shared)} of {len(rows)} {ROWS_OF[other]} {verb} in {one} too"
        text += f" (first: {row_name(written[0].id, other)})"
        text += _contradicting(otherwise, other)
        text += "; validation picks epochs and trials" if one == "validation" else ""
        warns = len(shared) >= NOTABLE * len(rows)
        yield Finding(f"{other}_in_{one}", text, warns=warns)


def repeated_rows(
    train: Sequence[Example], texts: SplitTexts, counts: dict[str, int]
) -> Iterator[Finding]:
    """Yield a finding where training rows repeat earlier ones; blank rows do not count."""
    written = [row for row in train if _has_text(row)]
    repeated = len(written) - len({(row.text, row.pair) for row in written})
    otherwise = [row for row in written if texts.first[row.text, row.pair] != row.label]
    counts["rows.train_repeated"] = repeated
    counts["rows.train_contradicted"] = len(otherwise)
    if repeated:
        repeat = "repeats" if repeated == 1 else "repeat"
        text = f"{repeated} of {len(train)} training rows {repeat} the text of an earlier one"
        text += _contradicting(otherwise, "train")
        warns = len(otherwise) >= max(1, NOTABLE * len(train))
        yield Finding("repeated", text, warns=warns or repeated >= _MANY_REPEATED * len(train))


def _has_text(row: Example) -> bool:
    return is_visible(row.text + (row.pair or ""))


def _contradicting(rows: Sequence[Example], split: str) -> str:
    if not rows:
        return ""
    return f", {len(rows)} of them with another class (first: {row_name(rows[0].id, split)})"
