"""A reader of a store writes nothing, and sees what is appended while it is open."""

from __future__ import annotations

import os
from pathlib import Path

from tests.journals import opened
from tuner.store.definitions import open_study
from tuner.tracking import open_reader


def test_a_reader_leaves_no_file_and_sees_what_comes_later(tmp_path: Path) -> None:
    """Before a launcher, beside it, and after its end."""
    with opened(tmp_path) as journal:
        open_study(journal, "a", "name: a")
    reader = open_reader(tmp_path)
    assert reader.studies() == ["a"]
    assert os.listdir(tmp_path) == ["tuner.db"]
    with opened(tmp_path) as journal:
        for names in (["a", "b"], ["a", "b", "c"]):
            open_study(journal, names[-1], f"name: {names[-1]}")
            assert reader.studies() == names
    assert reader.studies() == ["a", "b", "c"]
    assert os.listdir(tmp_path) == ["tuner.db"]
