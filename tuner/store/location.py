"""The parts of a store: a folder of files, and the database that launchers share."""

from __future__ import annotations

import os
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from trainers.errors import ConfigError
from tuner.config import hide_password, hide_passwords

STORE = Path("mlruns")
"""Default folder of everything."""
_ADDRESS = re.compile(r"[\w+]+:/")
_PATH = re.compile(r"\.{0,2}/[^/]")
_POSTGRES = re.compile(r"postgres(ql)?(\+psycopg)?://", re.IGNORECASE)


@dataclass(frozen=True)
class Store:
    """The place of studies; by default all of it, MLflow's runs too, in `./mlruns`."""

    root: Path
    """Folder of the files."""
    shared: str | None = None
    """URL of the PostgreSQL database of the journal; by default SQLite in the folder."""

    @property
    def database_url(self) -> str:
        """URL of the database of the journal, as SQLAlchemy wants it."""
        if self.shared is not None:
            return _POSTGRES.sub("postgresql+psycopg://", self.shared, count=1)
        # SQLAlchemy unquotes the database's path and ends it at a question mark.
        path = self.database.resolve().as_posix()
        return f"sqlite:///{path.replace('%', '%25').replace('?', '%3F')}"

    @property
    def database(self) -> Path:
        """File of the journal, where it is not in PostgreSQL."""
        return self.root / "tuner.db"

    def exists(self) -> bool:
        """Return whether studies were run in it; for PostgreSQL that is assumed."""
        return self.shared is not None or self.database.is_file()

    @property
    def shown(self) -> str:
        """Its address for messages, without a password."""
        return hide_password(self.shared or str(self.root))

    @property
    def cache_dir(self) -> Path:
        """Folder of tokenised data."""
        return self.root / "cache"

    def check(self) -> None:
        """Check that the folder exists or can be made, without writing anything.

        Raises:
            ConfigError: A file is in its place or above it, or it is not writable.
        """
        check_folder(self.root)
        there = _nearest(self.root)
        if not os.access(there, os.W_OK):
            raise ConfigError(
                f"--store {self.root}: not a folder that can be written to: {there} may not be "
                "written to"
            )

    def make(self) -> None:
        """Make the folder.

        Raises:
            ConfigError: Nothing can be written there.
        """
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=self.root).close()
        except OSError as error:
            raise ConfigError(
                f"--store {self.root}: not a folder that can be written to: {error.strerror}"
            ) from error

    def run_dir(self, digest: str, number: int) -> Path:
        """Return the folder of one attempt at a run, by the run's digest: its spec and files."""
        return self.root / "runs" / f"{digest}-{number}"

    def run_dirs(self, digest: str) -> list[Path]:
        """Return the folders of all attempts at a run that are here."""
        return sorted((self.root / "runs").glob(f"{digest}-*"))


def find_store(store: str | Path | Store, files: str | Path | None = None) -> Store:
    """Return the store of an address.

    Args:
        store: A folder, or the URL of a PostgreSQL database.
        files: With a database, the folder of the files; by default `./mlruns`.

    Raises:
        ConfigError: The address is invalid.
    """
    if isinstance(store, Store):
        return store
    if store == "":
        raise ConfigError("--store: names a folder or postgresql://user@host/database, got ''")
    if _ADDRESS.match(str(files or "")):
        scheme = str(files).partition(":")[0]
        raise ConfigError(f"--files: names a folder, got {scheme}:; --store takes an address")
    if _POSTGRES.match(str(store)):
        _check_address(str(store))
        return Store(Path(files or STORE), str(store))
    if _ADDRESS.match(str(store)):
        scheme = str(store).partition(":")[0]
        raise ConfigError(
            f"--store: a study is kept in a folder or in PostgreSQL (postgresql://...), got "
            f"{scheme}:"
        )
    shown = hide_password(str(store))
    if shown != str(store) and not (_PATH.match(str(store)) or Path(store).is_dir()):
        raise ConfigError(
            f"--store: names a folder or postgresql://user@host/database, got {shown}"
        )
    if files is not None:
        raise ConfigError(f"--files {files}: needs --store postgresql://..., got {shown}")
    return Store(Path(store))


def check_folder(root: Path) -> None:
    """Refuse a store that cannot be made as a folder.

    Raises:
        ConfigError: A file is in its place or above it.
    """
    there = _nearest(root)
    if not there.is_dir():
        raise ConfigError(
            f"--store {hide_password(str(root))}: not a folder that can be written to: "
            f"{hide_password(str(there))} is a file"
        )


def _nearest(root: Path) -> Path:
    """Return a folder, or the nearest existing path above it."""
    places = (root, *root.absolute().parents)
    return next(place for place in places if os.path.exists(place))


def _check_address(url: str) -> None:
    fault: ValueError | None = None
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018  # this property raises if the port is invalid
        unquoted = "@" in parts.path or parts.netloc.count("@") > 1
        unquoted |= "@" in parts.netloc and ":" in parts.path
    except ValueError as error:
        unquoted, fault = True, error
    if unquoted:  # the text after a / in a password would be taken for the database
        raise ConfigError(
            "--store: PostgreSQL's address is postgresql://user@host:port/database, with signs "
            f"such as @ / : in user or password as %40 %2F %3A; got {_cut(url)}"
        ) from fault


def _cut(url: str) -> str:
    """Return an address without a password; text before a / may be half of one."""
    user, mark, rest = hide_passwords(url).partition(":***@")
    return f"{user}:***" if mark and ":" in rest.partition("/")[2] else f"{user}{mark}{rest}"


def write_whole(path: Path, text: str) -> None:
    """Write a file atomically: a reader sees all of it or none."""
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)
