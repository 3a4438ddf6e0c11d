"""Read the texts for a kept model, in any of the usual forms."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from trainers.errors import InputError, known
from trainers.interfaces import TextColumns

if TYPE_CHECKING:
    import pandas

_FIRST, _SECOND = "text", "text_pair"
"""Names that are also allowed for every task's columns, as in transformers' pipeline."""
_NOT_ROWS = (bytes, bytearray, memoryview)


@dataclass(frozen=True)
class Texts:
    """Rows to classify."""

    first: list[str]
    """The text of each row."""
    second: list[str | None]
    """The second text of each row, where it is a pair."""
    index: pandas.Index
    """Labels of the rows, as the caller's frame has them; else numbers from 0."""


def read_texts(given: Any, columns: TextColumns) -> Texts:
    """Read texts, or pairs of texts.

    Args:
        given: One text; a list, Series, array or any other iterable of texts, of pairs or of
            dicts; or a frame, or a dict of lists, whose columns are taken by name.
        columns: Names of the task's columns.

    Raises:
        InputError: The input is none of these, a column is missing, or a row has no text.
    """
    return _Reader(columns).read(given)


class _Reader:
    """Reads the input as rows of one task."""

    def __init__(self, columns: TextColumns) -> None:
        self._columns = columns
        # A plain name is no alias where it is the name of the other column.
        self._first = _names(columns.text, _FIRST, other=columns.pair)
        self._second = _names(columns.pair, _SECOND, other=columns.text) if columns.pair else ()

    def read(self, given: Any) -> Texts:
        import pandas

        if not isinstance(given, str) and hasattr(given, "to_pandas"):  # Arrow, polars, datasets
            given = given.to_pandas()
        if isinstance(given, pandas.DataFrame):
            return self._frame(given)
        if isinstance(given, Mapping):
            return self._dict(given)
        if isinstance(given, pandas.Series):
            if not set(self._first).isdisjoint(map(str, given.index)):  # a row of a frame
                return self._rows([given], pandas.Index([given.name]))
            return self._rows(list(given), given.index)
        if isinstance(given, str):
            return self._rows([given])
        if hasattr(given, "ndim") and hasattr(given, "tolist"):
            if given.ndim > 2:
                raise self._unreadable(f"an array of {given.ndim} dimensions")
            values = given.tolist()
            return self._rows([values] if given.ndim == 0 else values)
        if isinstance(given, Iterable) and not isinstance(given, _NOT_ROWS):
            return self._rows(list(given))
        raise self._unreadable(type(given).__name__)

    def _frame(self, frame: pandas.DataFrame) -> Texts:
        names = list(frame.columns)
        if not names and not len(frame):
            return self._rows([], frame.index)
        numbers = [str(number) for number in range(len(names))]
        if names and list(map(str, names)) == numbers:
            # Columns without names, as MLflow makes of a list.
            return self._rows(list(frame.itertuples(index=False, name=None)), frame.index)
        first, second = self._places(names, "")
        columns = [list(frame.iloc[:, place]) for place in (first, second) if place is not None]
        return self._checked(
            columns[0], columns[1] if second is not None else [None] * len(frame), frame.index
        )

    def _dict(self, given: Mapping[Any, Any]) -> Texts:
        import pandas

        names = list(given)
        places = [place for place in self._places(names, "") if place is not None]
        columns = {str(names[place]): _column(given[names[place]]) for place in places}
        sizes = {name: len(cells) for name, cells in columns.items() if _is_column(cells)}
        if not sizes:
            return self._rows([columns])
        if len(set(sizes.values())) > 1:
            got = " and ".join(f"{size} rows of {name!r}" for name, size in sizes.items())
            raise InputError(f"texts to classify: got {got}; allowed: equally many")
        return self._frame(pandas.DataFrame(columns, dtype=object))

    def _rows(self, rows: Sequence[Any], index: pandas.Index | None = None) -> Texts:
        import pandas

        cells = [self._cells(row, number) for number, row in enumerate(rows, start=1)]
        index = pandas.RangeIndex(len(rows)) if index is None else index
        return self._checked([cell[0] for cell in cells], [cell[1] for cell in cells], index)

    def _cells(self, row: Any, number: int) -> tuple[Any, Any]:
        """Return a row's two texts; None for a missing second one."""
        import pandas

        if hasattr(row, "_asdict"):  # of `itertuples`
            row = row._asdict()
        if isinstance(row, Mapping | pandas.Series):
            names, values = list(row.keys()), [row[name] for name in row.keys()]  # noqa: SIM118
            first, second = self._places(names, f"row {number}: ")
            return values[first or 0], None if second is None else values[second]
        if hasattr(row, "tolist"):
            row = row.tolist()
        if not isinstance(row, tuple | list):
            return row, None
        most = 2 if self._columns.pair else 1
        if 1 <= len(row) <= most:
            return row[0], row[1] if len(row) > 1 else None
        raise InputError(
            f"texts to classify: row {number}: got {len(row)} values; allowed: "
            f"{self._wanted()}; a frame's columns are taken by name"
        )

    def _places(self, names: Sequence[Any], where: str) -> tuple[int, int | None]:
        """Find the columns of the two texts among names; None for a missing second one."""
        first = self._place(names, self._first, where)
        if first is None:
            raise self._no_column(names, self._columns.text, where)
        second = self._place(names, self._second, where)
        if second is None and self._columns.pair and self._columns.needs_pair:
            raise self._no_column(names, self._columns.pair, where)
        return first, second

    def _place(self, names: Sequence[Any], wanted: Sequence[str], where: str) -> int | None:
        for name in wanted:
            if names.count(name) > 1:
                raise InputError(f"texts to classify: {where}duplicate column {name!r}")
            if name in names:
                return names.index(name)
        return None

    def _checked(self, first: list[Any], second: list[Any], index: pandas.Index) -> Texts:
        """Check that every row has its texts."""
        if not self._columns.needs_pair:
            second = [cell if isinstance(cell, str) else None for cell in second]
        faults = {
            place: fault
            for place, (one, two) in enumerate(zip(first, second, strict=True))
            if (fault := self._fault(one, two))
        }
        for place, fault in faults.items():
            name = getattr(index[place], "item", lambda place=place: index[place])()
            label = "" if name == place else f" (index {name!r})"
            more = len(faults) - 1
            others = f"; {more} more such row{'s' if more > 1 else ''}" if more else ""
            raise InputError(
                f"texts to classify: row {place + 1}{label}: {fault}; allowed: {self._wanted()}"
                f"{others}; leave such rows out or fill them in"
            )
        return Texts([str(one) for one in first], second, index)

    def _fault(self, first: Any, second: Any) -> str:
        """Return why a row is invalid, "" if it is valid."""
        fault = _fault(first, self._columns.text)
        if fault or not self._columns.pair:
            return fault
        if second is None and not self._columns.needs_pair:
            return ""
        return _fault(second, self._columns.pair)

    def _wanted(self) -> str:
        if not self._columns.pair:
            return "a text"
        return "a text and a second text" if self._columns.needs_pair else "one or two texts"

    def _no_column(self, names: Sequence[Any], wanted: str, where: str) -> InputError:
        got = known(map(str, names), 20) or "no columns"
        return InputError(
            f"texts to classify: {where}no column {wanted!r}; got: {got}; rename the column, or "
            "give its texts alone"
        )

    def _unreadable(self, got: str) -> InputError:
        return InputError(
            f"texts to classify: got {got}; allowed: a text; a list, Series or array of texts, "
            "pairs or dicts; a frame or a dict of lists"
        )


def _names(own: str, plain: str, *, other: str | None) -> tuple[str, ...]:
    return (own,) if plain in (own, other) else (own, plain)


def _column(values: Any) -> Any:
    """Return a dict's column as a Series or a list; one cell as it is."""
    import pandas

    if hasattr(values, "to_pandas"):
        values = values.to_pandas()
    if isinstance(values, str | pandas.Series):
        return values
    if hasattr(values, "ndim") and hasattr(values, "tolist"):
        column = values.ndim == 2 and values.shape[1] == 1
        return (values.reshape(-1) if column else values).tolist()
    return list(values) if isinstance(values, Iterable) else values


def _is_column(values: Any) -> bool:
    return hasattr(values, "__len__") and not isinstance(values, str)


def _fault(cell: Any, name: str) -> str:
    """Return why a cell is no text, "" if it is one."""
    if not isinstance(cell, str):
        return f"{name}: got {_shown(cell)}"
    try:
        cell.encode()
    except UnicodeEncodeError:
        return f"{name}: the text is not valid Unicode"
    return ""


def _shown(cell: Any) -> str:
    text = repr(cell)
    return text if len(text) <= 40 else f"{text[:37]}..."
