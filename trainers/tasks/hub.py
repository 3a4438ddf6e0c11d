"""Any data set of the Hugging Face Hub with a text and a class column."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from trainers.bases import Corpus, Example, TextColumns
from trainers.errors import DataError, MissingData, known
from trainers.places import find, looked_in
from trainers.tasks.sampled import SampledTask
from trainers.tasks.tables import Columns, examples, label_order

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict


class Hub(SampledTask):
    """Splits of a Hub data set, kept where the Hub's own tools keep them (HF_HOME)."""

    kind: Literal["hub"] = "hub"
    """A data set of the Hugging Face Hub."""
    id: str = Field(min_length=1)
    """Its id, such as fancyzhx/ag_news, or a folder of data files, looked for beside the study,
    then in the data folder."""
    config: str | None = None
    """Its configuration, where it has several."""
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
        """Load the splits, downloading them the first time."""
        splits = self._load(data_dir)
        train = self._read(splits, self.train)
        validation = None if self.validation is None else self._read(splits, self.validation)
        test = self._read(splits, self.test)
        names = _class_names(splits[self.train], self.label)
        found = (row.label for row in (*train, *(validation or ()), *test))
        return Corpus(names or label_order(found), train, validation, test)

    def text_columns(self) -> TextColumns:
        """Name the columns as the study does."""
        return TextColumns(self.text, self.text_pair)

    def _where(self, data_dir: Path) -> str:
        """Return what datasets is given: a folder that is there, or the Hub's id."""
        folders = self.folders(data_dir)
        path = find(self.id, folders, folder=True)
        if path is not None:
            return str(path)
        if self.id[:1] in "./~":
            nowhere = looked_in(self.id, folders, "folder")
            raise MissingData(f"{self.name}: id: {self.id}: {nowhere}")
        return self.id

    def _load(self, data_dir: Path) -> DatasetDict:
        import datasets
        from datasets.exceptions import DatasetsError
        from datasets.utils.tqdm import are_progress_bars_disabled

        # A run's standard error is its log: bars would fill it.
        quiet = are_progress_bars_disabled()
        datasets.disable_progress_bars()
        try:
            return datasets.load_dataset(
                self._where(data_dir), self.config, revision=self.revision
            )
        except (OSError, ValueError, DatasetsError) as error:
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise DataError(f"{self.name}: cannot load data set {self.id!r}: {reason}") from None
        finally:
            if not quiet:
                datasets.enable_progress_bars()

    def _read(self, splits: DatasetDict, split: str) -> tuple[Example, ...]:
        where = f"{self.name}: {split}"
        if split not in splits:
            raise DataError(f"{where}: {self.id!r} has no such split; known: {known(splits)}")
        rows: list[dict[str, Any]] = splits[split].to_list()
        names = _class_names(splits[split], self.label)
        if names is not None:
            rows = [row | {self.label: _name(names, row[self.label])} for row in rows]
        columns = Columns(text=self.text, pair=self.text_pair, label=self.label)
        return tuple(examples(rows, columns, where=where, split=split))


def _class_names(split: Dataset, column: str) -> tuple[str, ...] | None:
    """Return the class names that the data set itself declares, in their order."""
    names = getattr(split.features.get(column), "names", None)
    return tuple(names) if names is not None else None


def _name(names: tuple[str, ...], index: int | None) -> str | None:
    # Hidden test labels are -1: leave no class, and the reader says which row.
    return names[index] if index is not None and index >= 0 else None
