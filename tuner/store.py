"""Name the files of a store: one folder that holds everything a study leaves behind."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

STORE = Path("mlruns")
"""Folder that keeps everything unless the user says otherwise."""
DATA_DIR = Path.home() / ".cache" / "tuner" / "data"
"""Where task files are kept unless the user says otherwise."""


@dataclass(frozen=True)
class Store:
    """A local store, by default `./mlruns`. The tracker keeps its database there too."""

    root: Path

    @property
    def optuna_url(self) -> str:
        """URL of Optuna's storage, a SQLite database."""
        # SQLAlchemy unquotes the database's path and ends it at a question mark.
        path = (self.root / "optuna.db").resolve().as_posix()
        return f"sqlite:///{path.replace('%', '%25').replace('?', '%3F')}"

    @property
    def cache_dir(self) -> Path:
        """Folder of tokenised data."""
        return self.root / "cache"

    @property
    def outbox_dir(self) -> Path:
        """Folder of what waits for an MLflow server that is away."""
        return self.root / "outbox"

    def run_dir(self, digest: str) -> Path:
        """Folder of one run: its journal, its outcome, what it keeps."""
        return self.root / "runs" / digest
