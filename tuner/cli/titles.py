"""Keep passwords out of the process title, which everybody on the machine can read."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from tuner.config import hide_password

VARIABLES = {"--store": "TUNER_STORE", "--tracking": "TUNER_TRACKING"}
"""Options that take an address, and the environment variables that may hold it instead."""


def hide_title(words: Sequence[str]) -> None:
    """Start this command again without the addresses in its words that hold a password.

    They are passed in the environment, which only the same user can read.

    Args:
        words: The whole command line, the interpreter's part included.
    """
    split = split_secrets(words)
    if split.variables:
        os.execve(sys.executable, split.words, os.environ | split.variables)


@dataclass(frozen=True)
class _Split:
    words: list[str]
    variables: dict[str, str]


def split_secrets(words: Sequence[str]) -> _Split:
    """Take options whose address holds a password out of a command line."""
    kept: list[str] = []
    found: dict[str, str] = {}
    left = list(words)
    while left:
        word = left.pop(0)
        option, joined, address = word.partition("=")
        if option in VARIABLES and not joined and left:
            address = left[0]
        if option not in VARIABLES or hide_password(address) == address:
            kept.append(word)
            continue
        found[VARIABLES[option]] = address
        if not joined:
            left.pop(0)
    return _Split(kept, found)
