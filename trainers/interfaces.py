"""The base classes of methods, tasks and models, and the rows of a task."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from pydantic import Field

from trainers.errors import ConfigError
from trainers.plugins import Plugin

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from trainers.contract import TrainSettings


@dataclass(frozen=True, slots=True)
class Example:
    """One labelled text, or pair of texts."""

    id: str
    text: str
    pair: str | None
    label: str


@dataclass(frozen=True)
class Corpus:
    """A task's rows as its files have them. `None`: the files have no such split."""

    labels: tuple[str, ...]
    train: tuple[Example, ...]
    validation: tuple[Example, ...] | None
    test: tuple[Example, ...]


@dataclass(frozen=True, slots=True)
class TextColumns:
    """Names of the columns that hold a task's texts."""

    text: str = "text"
    """Column of the text."""
    pair: str | None = None
    """Column of the second text; None where no row has one."""
    needs_pair: bool = True
    """Every row is a pair; False: some are, some are not."""


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file of a task, pinned by its checksum."""

    path: str
    """Path under the data folder, with forward slashes; the first part is the name
    of the task that `tuner fetch-data` takes."""
    url: str
    """Address of the download, whose content does not change."""
    sha256: str
    """Checksum of its bytes, in hex."""


class Method(Plugin):
    """A way of training. Its settings are in its own file and nowhere else."""

    SPACE: ClassVar[Mapping[str, Any]] = {}
    """Fields that a search varies by default, as a study would write them; empty: a study has to
    write its own. Each range has its source beside it."""

    @property
    def checkpointing(self) -> bool:
        """Whether the method works with gradient checkpointing."""
        return True

    def check(self, train: TrainSettings) -> None:
        """Check the settings of a training with this method.

        Raises:
            ConfigError: The method does not work with them.
        """
        if train.gradient_checkpointing and not self.checkpointing:
            raise ConfigError(
                f"train.gradient_checkpointing: true does not work with {self.kind} tuning; "
                "allowed: false"
            )

    @abstractmethod
    def apply(self, model: PreTrainedModel) -> nn.Module:
        """Freeze, add or wrap: return the module to train, its head trainable.

        Random weights come from torch's global generator, which the caller has seeded.
        """

    @abstractmethod
    def save(self, model: nn.Module, folder: Path) -> None:
        """Write the trained weights, and no frozen ones, into `folder`."""

    @abstractmethod
    def load(self, model: nn.Module, folder: Path) -> None:
        """Load weights that `save` wrote into `model`, which `apply` made from a fresh base."""


class Placed(Plugin):
    """A plug-in whose settings may name files and folders by relative paths."""

    _folders: tuple[Path, ...] = ()
    """Folders to look in: that of the study's file, then the data folder. No part of
    the identity of a run, and not written with it."""

    def __eq__(self, other: object) -> bool:
        """Compare the settings; the folders make no difference."""
        return type(self) is type(other) and self.__dict__ == other.__dict__

    def placed(self, folders: Sequence[Path]) -> Self:
        """Return a copy with the folders to look in; none: the working folder."""
        placed = self.model_copy()
        placed._folders = tuple(folders)
        return placed

    def folders(self, data_dir: Path | None = None) -> tuple[Path, ...]:
        """Return the folders to look in.

        Args:
            data_dir: The data folder, if another than that of `placed`.
        """
        study, *data = self._folders or (Path.cwd(),)
        return (study, *data) if data_dir is None else (study, data_dir)


class Task(Placed):
    """Labelled texts with a train and a test split, perhaps a validation split."""

    name: str = Field(default_factory=lambda data: data.get("kind", ""), min_length=1)
    """Name in tables and tags; the kind unless given."""

    @abstractmethod
    def read(self, data_dir: Path) -> Corpus:
        """Read the rows from the files under `data_dir`.

        Raises:
            DataError: A file is missing (the message names how to get it) or unreadable.
        """

    def splits(self, data_dir: Path, seed: int) -> Corpus:
        """Read the rows and cut them into the splits of a run.

        Args:
            data_dir: Folder of the task's files.
            seed: Decides every draw; a task that draws nothing ignores it.

        Raises:
            DataError: As `read`, or too few rows for the settings.
        """
        return self.read(data_dir)

    def text_columns(self) -> TextColumns:
        """Return the columns of a frame in which a kept model finds its texts."""
        return TextColumns()

    def sources(self) -> tuple[SourceFile, ...]:
        """Return the files to download; none where the user or a package provides the data."""
        return ()


class ModelSource(Placed):
    """Makes a tokenizer and a sequence classifier."""

    BESIDES: ClassVar[str] = (
        "org/name of the Hub, a folder such as ./{0}, or {{kind: hub, id: {0}}}"
    )

    name: str = Field(default_factory=lambda data: data.get("kind", ""), min_length=1)
    """Name in tables and tags; the kind unless given."""

    def check(self, *, ask: bool = True) -> None:  # a source may have nothing to look for
        """Check that the model exists, without loading it.

        Args:
            ask: Whether a server may be asked, which takes seconds.

        Raises:
            ModelError: It does not; the message says what to do.
        """

    def files(self) -> tuple[Path, ...]:
        """Return the model's files on this machine; none where it is not here."""
        return ()

    @abstractmethod
    def tokenizer(self) -> PreTrainedTokenizerBase:
        """Load the tokenizer, with a pad token.

        Raises:
            ModelError: Not found, or not loadable under the study's safety settings.
        """

    @abstractmethod
    def model(self, labels: tuple[str, ...], attention: str) -> PreTrainedModel:
        """Load the classifier in float32 with a fresh head of `len(labels)` outputs.

        Args:
            labels: Class names, in the order of the outputs.
            attention: `sdpa` or `eager`.

        Raises:
            ModelError: Not found, or not loadable under the study's safety settings.
        """

    @abstractmethod
    def outline(self, labels: tuple[str, ...], attention: str) -> PreTrainedModel:
        """Build the same classifier without its weights, from its config alone.

        The caller has made torch's meta device the default.

        Args:
            labels: Class names, in the order of the outputs.
            attention: `sdpa` or `eager`.

        Raises:
            ModelError: No such config, or none of a known architecture.
        """
