"""Paths of a study: where they are looked for, and how it is said that they are nowhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from trainers.data.paths import find_path, missing_message


def test_the_first_folder_that_has_it_wins(tmp_path: Path) -> None:
    """Beside the study comes before the data folder."""
    study, data = tmp_path / "study", tmp_path / "data"
    for folder in (study, data):
        folder.mkdir()
    (data / "train.csv").touch()
    assert find_path("train.csv", (study, data)) == data / "train.csv"
    (study / "train.csv").touch()
    assert find_path("train.csv", (study, data)) == study / "train.csv"
    assert find_path(str(data / "train.csv"), (study,)) == data / "train.csv"


def test_a_folder_is_not_hidden_by_a_file_of_its_name(tmp_path: Path) -> None:
    """Who asks for a folder gets one."""
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / "model").touch()
    (tmp_path / "data" / "model").mkdir(parents=True)
    folders = (tmp_path / "study", tmp_path / "data")
    assert find_path("model", folders, folder=True) == tmp_path / "data" / "model"


def test_the_home_folder_may_be_written_short(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`~` is expanded, and an unknown user's is nowhere."""
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "model").mkdir()
    assert find_path("~/model", (Path("/nowhere"),)) == tmp_path / "model"
    assert find_path("~no-such-user/model", (tmp_path,)) is None


@pytest.mark.parametrize("name", ["x" * 5000, "nul\0byte", "no/such"])
def test_what_cannot_be_a_path_is_nowhere(name: str, tmp_path: Path) -> None:
    """It raises nothing of its own."""
    assert find_path(name, (tmp_path,)) is None


def test_every_place_is_named_with_the_way_to_name_another() -> None:
    """An absolute path has one place, and no folder to name."""
    both = missing_message("train.csv", (Path("/study"), Path("/data")))
    assert both == (
        "no such file in /study or /data; put it beside the study, or name its folder with "
        "--data-dir or TUNER_DATA_DIR"
    )
    assert missing_message("/train.csv", (Path("/study"), Path("/data"))) == "no such file"
    assert missing_message("m", (Path("/a"), Path("/a")), "folder") == "no such folder: /a/m"
