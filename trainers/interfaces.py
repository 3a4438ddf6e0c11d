"""What a plug-in is: the base of methods, of tasks and of models, and the rows of a task."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self

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
    """A task's rows as its files hold them. `None`: the files have no such split."""

    labels: tuple[str, ...]
    train: tuple[Example, ...]
    validation: tuple[Example, ...] | None
    test: tuple[Example, ...]


@dataclass(frozen=True, slots=True)
class TextColumns:
    """Names of the columns that hold a task's texts."""

    text: str = "text"
    """Of the text."""
    pair: str | None = None
    """Of the second text; None where no row has one."""
    needs_pair: bool = True
    """Every row is a pair; False: some are, some are not."""


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file of a task, pinned by its checksum."""

    path: str
    """Where it stands under the data folder, with forward slashes; the first part is the name
    of the task that `tuner fetch-data` takes."""
    url: str
    """Where it is downloaded from: an address whose content does not change."""
    sha256: str
    """Checksum of its bytes, in hex."""


class Method(Plugin):
    """What is trained. Its knobs live in its own file and nowhere else."""

    @property
    def checkpointing(self) -> bool:
        """Whether it can be trained under gradient checkpointing."""
        return True

    def check(self, train: TrainSettings) -> None:
        """Check how it is to be trained.

        Raises:
            ConfigError: It cannot be trained so.
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
        """Write what was trained, and no frozen weight, into `folder`."""

    @abstractmethod
    def load(self, model: nn.Module, folder: Path) -> None:
        """Read into `model`, the result of `apply` on a fresh base, what `save` wrote."""


class Placed(Plugin):
    """A plug-in whose settings may name files and folders by relative paths."""

    _folders: tuple[Path, ...] = ()
    """Where to look for them: the folder of the study's file, then the data folder. No part of
    the identity of a run, and not written with it."""

    def __eq__(self, other: object) -> bool:
        """Compare the settings; where their files stand makes no difference."""
        return type(self) is type(other) and self.__dict__ == other.__dict__

    def placed(self, folders: Sequence[Path]) -> Self:
        """Return it with the folders to look in; no folder: the working folder."""
        placed = self.model_copy()
        placed._folders = tuple(folders)
        return placed

    def folders(self, data_dir: Path | None = None) -> tuple[Path, ...]:
        """Return the folders to look in.

        Args:
            data_dir: The data folder, where it is not the one that was placed.
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
            data_dir: Where the task's files stand.
            seed: Decides every draw; a task that draws nothing ignores it.

        Raises:
            DataError: As `read`, or too few rows for what the settings ask.
        """
        return self.read(data_dir)

    def text_columns(self) -> TextColumns:
        """Name the columns of a frame that a kept model is to take its texts from."""
        return TextColumns()

    def sources(self) -> tuple[SourceFile, ...]:
        """List the files to download; none where the user or a package brings the data."""
        return ()


class ModelSource(Placed):
    """Makes a tokenizer and a sequence classifier."""

    BESIDES: ClassVar[str] = (
        "org/name of the Hub, a folder such as ./{0}, or {{kind: hub, id: {0}}}"
    )

    name: str = Field(default_factory=lambda data: data.get("kind", ""), min_length=1)
    """Name in tables and tags; the kind unless given."""

    def check(self, *, ask: bool = True) -> None:  # a source may have nothing to look for
        """Look whether the model is there, as far as that goes without loading it.

        Args:
            ask: Whether a server may be asked, which takes seconds.

        Raises:
            ModelError: It is not; the message says what to do.
        """

    def files(self) -> tuple[Path, ...]:
        """List the files on this machine that the model is made of; none: it has none here."""
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
