"""Addresses with a password leave the command line."""

from __future__ import annotations

import pytest

from tuner.cli.titles import split_secrets

SECRET = "postgresql://me:secret@host/db"


@pytest.mark.parametrize("words", [["--store", SECRET], [f"--store={SECRET}"]])
def test_an_address_with_a_password_goes_into_the_environment(words: list[str]) -> None:
    """Whichever way it is written; the rest stays as it is, in its order."""
    split = split_secrets(["tuner", "run-study", "x", *words, "--timeout", "3"])
    assert split.words == ["tuner", "run-study", "x", "--timeout", "3"]
    assert split.variables == {"TUNER_STORE": SECRET}


@pytest.mark.parametrize(
    "words", [["--store", "folder"], ["--store"], ["--tracking", "http://me@host:5000"], ["-h"]]
)
def test_what_holds_no_password_stays(words: list[str]) -> None:
    """The command is not started again."""
    split = split_secrets(["tuner", "report", *words])
    assert split.words == ["tuner", "report", *words]
    assert split.variables == {}
