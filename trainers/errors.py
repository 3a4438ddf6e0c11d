"""Errors that the user can correct, and the failure of one run."""

from __future__ import annotations

import json
import re
import reprlib
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import ClassVar


class TunerError(Exception):
    """An error that the user can correct. The command line prints it in one line, no traceback."""

    exit_code = 2
    """Exit code of the command line."""

    def __str__(self) -> str:
        return visible(super().__str__())


class ConfigError(TunerError, ValueError):
    """A study, a spec or an argument that is invalid.

    It is a ValueError too, so that pydantic adds the place in the document.
    """


class SeveralFaults(ConfigError):
    """All errors of a study, a line each."""

    def __init__(self, faults: Iterable[str]) -> None:
        super().__init__("\n".join(faults))


class BadFile(ConfigError):
    """A file that a study names and that is invalid; the message begins with its path."""


class UnknownField:
    """Replaces the value of a key that a model does not have, so that the rest is checked too."""

    def __init__(self, fields: Iterable[str]) -> None:
        self._known = known(fields)

    def __repr__(self) -> str:
        return f"no such field; known: {self._known}"


class DataError(TunerError):
    """Task data that is missing, damaged or unusable."""


class MissingData(DataError):
    """Task data that is not downloaded or installed yet; it may be good."""


class InputError(TunerError, ValueError):
    """An input that a kept model cannot classify."""


class ModelError(TunerError):
    """A pretrained model that cannot be found or loaded."""


class MissingModel(ModelError):
    """A model that is not downloaded or installed yet; it may be good."""


class CannotTrace(ModelError):
    """A model or a method that cannot be traced without values; training it may well work."""


class RunFailed(TunerError):
    """One run that ended without a result: an exception, a signal, an exit code.

    Args:
        reason: One line that says why.
        detail: The last lines of the run's standard error, or its traceback.
    """

    kind: ClassVar[str] = "failed"
    """Name of the class, in a message to another process."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.detail = detail


class OutOfMemory(RunFailed):
    """A run whose device or process had too little memory.

    Args:
        reason: One line with the size that was asked for.
        during: Phase it happened in: load, train or eval.
    """

    kind = "out of memory"

    def __init__(self, reason: str, during: str = "train") -> None:
        super().__init__(reason)
        self.during = during


class LostRank(RunFailed):
    """A rank lost another one, whose own error has the reason."""

    kind = "lost"


class RunKilled(RunFailed):
    """A run that somebody else has ended with SIGKILL; nothing in the run itself is at fault.

    The kernel kills in the same way where memory is short, so it is not done again for ever.
    """

    kind = "killed"


class Diverged(RunFailed):
    """A run whose loss or logits are not finite: a result of its settings, no breakdown."""

    kind = "diverged"


class CannotBuild(RunFailed):
    """A run whose model and method do not fit together, whatever the seeds."""

    kind = "cannot build"


def run_failure(kind: str, reason: str, detail: str = "") -> RunFailed:
    """Make a failure again from the message of another process.

    Args:
        kind: Names its class.
        reason: Its reason.
        detail: Its detail; of an OutOfMemory, the phase.
    """
    classes: dict[str, type[RunFailed]] = {
        found.kind: found
        for found in (RunFailed, OutOfMemory, LostRank, RunKilled, Diverged, CannotBuild)
    }
    return classes[kind](reason, detail)


def one_line(error: BaseException) -> str:
    """Return an exception in one line."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


def visible(text: str) -> str:
    """Escape characters that a terminal would obey or not show, such as ESC; keep line ends."""
    if text.isprintable():
        return text
    return "".join(
        each if each.isprintable() or each == "\n" else each.encode("unicode_escape").decode()
        for each in text
    )


class _Yaml(reprlib.Repr):
    """Writes values in short, with YAML's words instead of Python's."""

    def repr_NoneType(self, value: None, level: int) -> str:
        return "null"

    def repr_bool(self, value: bool, level: int) -> str:
        return "true" if value else "false"

    def repr_float(self, value: float, level: int) -> str:
        return f"{value}".replace("inf", ".inf").replace("nan", ".nan")

    def repr_tuple(self, value: tuple[object, ...], level: int) -> str:
        return self.repr_list(list(value), level)


def shown(value: object, most: int = 60) -> str:
    """Write a value as a study's YAML has it, for a message, and bounded in length."""
    text = repr(value) if isinstance(value, str) else _Yaml().repr(value)
    return text if len(text) <= most else f"{text[: most - 3]}..."


_PLAIN = re.compile(r"[^\W\d](?:[\w./\-]*\w)?")
_NOT_PLAIN = re.compile(r"y|n|yes|no|on|off|true|false|null", re.IGNORECASE)


def in_yaml(value: str | Mapping[str, str]) -> str:
    """Write a text, or a mapping of texts, so that YAML reads it as it is."""
    if not isinstance(value, str):
        pairs = ", ".join(f"{key}: {in_yaml(text)}" for key, text in value.items())
        return f"{{{pairs}}}"
    if not value.isprintable():
        return json.dumps(value, ensure_ascii=False)
    if _PLAIN.fullmatch(value) and not _NOT_PLAIN.fullmatch(value):
        return value
    return "'" + value.replace("'", "''") + "'"


def nearest(text: str, names: Iterable[str]) -> str:
    """Return the end of an error message, with the allowed name that is most like a text."""
    found = get_close_matches(text.strip().lower(), list(names), n=1, cutoff=0.75)
    return f"; did you mean {found[0]}?" if found else ""


def known(values: Iterable[str], most: int = 30) -> str:
    """Return a list of allowed values for an error message, in order and bounded in length."""
    ordered = sorted(values)
    shown = ", ".join(ordered[:most])
    return f"{shown}, ... ({len(ordered)} in all)" if len(ordered) > most else shown
