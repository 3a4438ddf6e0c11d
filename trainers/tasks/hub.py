"""Any data set of the Hugging Face Hub with a text and a class column."""

from __future__ import annotations

import dataclasses
import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from trainers.data import (
    Columns,
    Dialect,
    Table,
    check_classes,
    class_name,
    column_cells,
    find_path,
    is_gap,
    label_order,
    look_up_data,
    make_examples,
    missing_message,
    names_a_file,
    no_class,
    read_table,
    shown_cell,
)
from trainers.errors import DataError, MissingData, known
from trainers.interfaces import Corpus, Example, TextColumns
from trainers.tasks._sampled import SampledTask

if TYPE_CHECKING:
    from datasets import Dataset, DatasetBuilder, Features

# Settings of a folder's card that this reader supports too.
_SUPPORTED = {"name", "version", "description", "data_dir", "data_files", "features", "chunksize"}
_SUPPORTED |= {"sep", "delimiter", "encoding"}
_ITS_FIELD = re.compile(r"\b(encoding|delimiter|quoting|format)\b")
_TEXT_FILE = ", with kind: text_file, which names the files and has that field"
_EACH = "name the files with kind: text_file, which reads each in its own format"
_FORMATS = re.compile(r"'(\w+)'\): \('(\w+)'")


@dataclass(frozen=True)
class _SplitTable:
    """The rows of a split, their place for messages, and the declared names of the classes."""

    table: Table
    where: str
    names: tuple[str, ...] | None


class HubTask(SampledTask):
    """Splits of a Hub data set, cached where the Hub's own tools cache them (HF_HOME)."""

    kind: Literal["hub"] = "hub"
    """A data set of the Hugging Face Hub."""
    id: str = Field(min_length=1)
    """Its id, such as fancyzhx/ag_news, or a folder of data files, searched beside the study,
    then in the data folder."""
    config: str | None = None
    """Its configuration, if it has several."""
    revision: str | None = None
    """Git commit or tag; set it to a commit, so that the data cannot change."""
    train: str = "train"
    """Name of the training split."""
    validation: str | None = None
    """Name of the validation split; unset, validation is carved from train."""
    test: str = "test"
    """Name of the test split."""
    text: str = "text"
    """Column of the text."""
    text_pair: str | None = None
    """Column of the second text, if the task is about pairs."""
    label: str = "label"
    """Column of the class."""

    def read(self, data_dir: Path) -> Corpus:
        """Load the splits, downloading them the first time; a local folder is read anew."""
        splits = self._load(data_dir)
        train = self._examples(splits, self.train)
        validation = None if self.validation is None else self._examples(splits, self.validation)
        test = self._examples(splits, self.test)
        found = (row.label for row in (*train, *(validation or ()), *test))
        return Corpus(splits[self.train].names or label_order(found), train, validation, test)

    def text_columns(self) -> TextColumns:
        """Return the columns by the study's names."""
        return TextColumns(self.text, self.text_pair)

    def _where(self, data_dir: Path) -> str:
        """Return the place of the data: an existing folder, or the Hub's id."""
        folders = self.folders(data_dir)
        path = find_path(self.id, folders, folder=True)
        if path is not None:
            return str(path)
        where = f"{self.name}: id: {self.id}"
        if find_path(self.id, folders) is not None:
            raise DataError(f"{where}: a file; allowed: a folder; for files use kind: text_file")
        if self.id[:1] in "./~":
            raise DataError(f"{where}: {missing_message(self.id, folders, 'folder')}")
        return self.id

    def _of_hub(self, folders: Sequence[Path]) -> dict[str, _SplitTable]:
        """Load a data set from the Hub, or its local copy where the Hub does not answer."""
        import datasets

        where = f"{self.name}: id: {self.id}"
        try:
            look_up_data(self.id, self.revision or "main")
        except MissingData as away:
            try:
                with _offline():
                    loaded = datasets.load_dataset(self.id, self.config, revision=self.revision)
            except ConnectionError:
                if names_a_file(self.id):
                    said = missing_message(self.id, folders)
                    raise DataError(f"{where}: {said}; for files use kind: text_file") from None
                raise MissingData(f"{where}: {away}") from None
        except DataError as error:
            nowhere = missing_message(self.id, folders, "folder")
            raise DataError(f"{where}: {error}; and {nowhere}") from None
        else:
            loaded = datasets.load_dataset(self.id, self.config, revision=self.revision)
        return {split: self._of_dataset(loaded[split], split) for split in self._asked(loaded)}

    def _columns(self) -> Columns:
        return Columns(text=self.text, pair=self.text_pair, label=self.label)

    def _examples(self, splits: Mapping[str, _SplitTable], split: str) -> tuple[Example, ...]:
        found = splits[split]
        table = found.table
        if found.names is not None:
            check_classes(table.columns[self.label], self.label, found.where)
            names = [
                _named(found.names, cell, self.label, f"{found.where}: {table.unit} {place}")
                for cell, place in zip(table.columns[self.label], table.places, strict=True)
            ]
            table = dataclasses.replace(table, columns={**table.columns, self.label: names})
        return tuple(make_examples(table, self._columns(), where=found.where, split=split))

    def _load(self, data_dir: Path) -> dict[str, _SplitTable]:
        import datasets
        from datasets.exceptions import DatasetGenerationError, DatasetsError
        from datasets.utils.tqdm import are_progress_bars_disabled

        # A run's standard error is its log, which progress bars would fill.
        quiet = are_progress_bars_disabled()
        datasets.disable_progress_bars()
        try:
            place = self._where(data_dir)
            local = Path(place).is_dir()
            return self._splits(place) if local else self._of_hub(self.folders(data_dir))
        except (OSError, ValueError, DatasetsError) as error:
            # The library's own error for an unreadable file does not name the cause.
            cause = error.__cause__ if isinstance(error, DatasetGenerationError) else error
            reason = (str(cause or error).splitlines() or [type(error).__name__])[0]
            if "same data file format" in reason:
                formats = ", ".join(f"{split} {form}" for split, form in _FORMATS.findall(reason))
                reason = f"the splits are in different formats ({formats}); {_EACH}"
            raise DataError(f"{self.name}: cannot load data set {self.id!r}: {reason}") from None
        finally:
            if not quiet:
                datasets.enable_progress_bars()

    def _splits(self, place: str) -> dict[str, _SplitTable]:
        import datasets

        # The library knows an edited file by its time alone, which an edit may leave as it is.
        kept = Path(datasets.config.HF_DATASETS_CACHE)
        kept.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=kept, prefix="folder-") as cache:
            builder = datasets.load_dataset_builder(place, self.config, cache_dir=cache)
            files = _own_files(builder)
            if files:
                asked = self._asked(files)
                return {split: self._of_files(builder, files[split], split) for split in asked}
            builder.download_and_prepare()
            data = builder.as_dataset(in_memory=True)
            return {split: self._of_dataset(data[split], split) for split in self._asked(data)}

    def _asked(self, known_splits: Iterable[str]) -> list[str]:
        """Return the splits to read, each once."""
        there = [str(split) for split in known_splits]
        asked = [split for split in (self.train, self.validation, self.test) if split is not None]
        for split in asked:
            if split not in there:
                raise DataError(
                    f"{self.name}: {split}: {self.id!r} has no such split; known: {known(there)}"
                )
        return list(dict.fromkeys(asked))

    def _of_dataset(self, data: Dataset, split: str) -> _SplitTable:
        where = f"{self.name}: {split}"
        fields = self._columns().fields()
        lacking = self._columns().lacking(data.column_names)
        if lacking:
            raise DataError(f"{where}: {lacking}")
        table = data.select_columns(list(fields.values())).with_format("arrow")[:]
        cells = {name: column_cells(table.column(name)) for name in fields.values()}
        names = _class_names(data.features, self.label)
        return _SplitTable(Table(cells, range(1, len(data) + 1)), where, names)

    def _of_files(self, builder: DatasetBuilder, paths: Sequence[str], split: str) -> _SplitTable:
        """Read CSV and JSON, in which the library would take words for numbers, dates or gaps."""
        where = f"{self.name}: {split}"
        columns, names = self._columns(), _class_names(builder.info.features, self.label)
        try:
            tables = [read_table(Path(path), columns, _dialect(builder)) for path in paths]
        except DataError as error:
            hint = _TEXT_FILE if _ITS_FIELD.search(str(error)) else ""
            raise DataError(f"{where}: {error}{hint}") from None
        if len(tables) == 1:
            return _SplitTable(tables[0], f"{where}: {paths[0]}", names)
        cells = {
            column: [cell for table in tables for cell in table.columns[column]]
            for column in columns.fields().values()
        }
        return _SplitTable(Table(cells, range(1, len(cells[self.text]) + 1)), where, names)


@contextmanager
def _offline() -> Iterator[None]:
    """Keep the library from sending requests to the Hub, which it does repeatedly."""
    import datasets

    before = datasets.config.HF_HUB_OFFLINE
    datasets.config.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        datasets.config.HF_HUB_OFFLINE = before


def _own_files(builder: DatasetBuilder) -> dict[str, list[str]]:
    """Return each split's files of CSV or JSON; none if the card has unsupported settings."""
    from datasets.packaged_modules.csv.csv import CsvConfig
    from datasets.packaged_modules.json.json import JsonConfig

    config = builder.config
    if not isinstance(config, CsvConfig | JsonConfig) or not config.data_files:
        return {}
    usual = {field.name: field.default for field in dataclasses.fields(config)}
    if any(getattr(config, name) != usual[name] for name in usual if name not in _SUPPORTED):
        return {}
    files = {str(split): list(paths) for split, paths in config.data_files.items()}
    local = all(Path(path).is_file() for paths in files.values() for path in paths)
    packed = any(path.endswith(".zip") for paths in files.values() for path in paths)
    return files if local and not packed else {}


def _dialect(builder: DatasetBuilder) -> Dialect:
    delimiter = getattr(builder.config, "sep", ",")
    encoding = getattr(builder.config, "encoding", None)
    return Dialect(
        delimiter=None if delimiter in (",", "\t") else delimiter,
        encoding=None if encoding == "utf-8" else encoding,
    )


def _class_names(features: Features | None, column: str) -> tuple[str, ...] | None:
    """Return the class names that the data set declares, in their order."""
    names = getattr((features or {}).get(column), "names", None)
    return tuple(map(class_name, names)) if names is not None else None


def _named(names: tuple[str, ...], cell: object, column: str, where: str) -> str:
    """Return the name of a cell's class, by its number or its name."""
    if is_gap(cell):
        raise DataError(f"{where}: {no_class(column)}")
    text = class_name(str(cell).strip())
    if isinstance(cell, str) and text in names:
        return text
    if text.isdecimal() and int(text) < len(names):
        return names[int(text)]
    hidden = "; test labels that are kept secret are often -1: name a split that has classes"
    said = f"{where}: {column}: got {shown_cell(cell)}; allowed: {known(names)}"
    raise DataError(f"{said}{hidden if text == '-1' else ''}")
