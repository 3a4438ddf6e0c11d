"""Promises of the count of rooms, layers and ways, on a made-up project of two revisions."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from bench import house

CONTRACTS = """
[importlinter:contract:floors]
type = layers
layers =
    tuner.study
    tuner.store | tuner.config
    trainers

[importlinter:contract:report]
type = layers
containers = tuner.report
layers =
    build

[importlinter:contract:mlflow]
type = protected
"""
WAYS = """
[["an event"]]
steps = ["tuner.study.run:Run.send", "tuner.store.log:write by a pipe between processes (JSON)"]

[["an event"]]
steps = ["tuner.run:send", "tuner.log:write"]
"""
SEND = "from tuner.log import write\n\ndef send():\n    def inner():\n        write()\n"
CLASSES = "class Run:\n    class Inner:\n        pass\n\n    def send(self):\n        return 1\n"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Make a project with a commit before its rooms and one after."""
    root = tmp_path / "project"
    before = {"tuner/run.py": SEND, "tuner/log.py": "def write():\n    pass\n"}
    after = {"tuner/study/run.py": CLASSES, "tuner/store/log.py": "def write():\n    pass\n"}
    for files in (before, after):
        for path in root.rglob("*.py"):
            path.unlink()
        for name, text in {
            "trainers/loop.py": "x = 1\n",
            ".importlinter": CONTRACTS,
            **files,
        }.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)
        _git(root, "init", "--quiet")
        _git(root, "add", "--all")
        _git(root, "commit", "--quiet", "--message", "x")
    (tmp_path / "ways.toml").write_text(WAYS)
    return root


def _git(root: Path, *words: str) -> None:
    person = ["-c", "user.name=x", "-c", "user.email=x@example.org"]
    subprocess.run(["git", "-C", str(root), *person, *words], check=True)


def _lines(project: Path, capsys: pytest.CaptureFixture[str], *words: str) -> list[str]:
    ways = project.parent / "ways.toml"
    house.main(["--repository", str(project), "--ways", str(ways), *words])
    return capsys.readouterr().out.splitlines()


def test_two_revisions_are_counted_side_by_side(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Files, lines and classes by room; a room that one of them has not is of nothing."""
    lines = _lines(project, capsys, "--before", "HEAD~1", "--after", "HEAD")
    assert "| tuner/root | 2 | 0 | 7 | 0 | 0 | 0 |" in lines
    assert "| tuner/study | 0 | 1 | 0 | 6 | 0 | 2 |" in lines
    assert "| trainers/root | 1 | 1 | 1 | 1 | 0 | 0 |" in lines
    assert "| **tuner** | 2 | 2 | 7 | 8 | 0 | 2 |" in lines
    assert "| **recording path** | 2 | 2 | 7 | 8 | 0 | 2 |" in lines
    assert "| tuner | 2 | 2 |" in lines
    assert "| tuner.report | 1 | 1 |" in lines
    assert "| all | 4 | 4 |" in lines


def test_each_revision_has_the_shape_of_a_way_that_is_whole_in_it(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is handed on by a pipe is a border, and as JSON a serialisation."""
    lines = _lines(project, capsys, "--before", "HEAD~1")
    assert lines[lines.index("An event:") + 4 :][:5] == [
        "| modules | 2 | 2 |",
        "| functions | 2 | 2 |",
        "| classes | 0 | 2 |",
        "| processes | 1 | 2 |",
        "| serialisations | 0 | 1 |",
    ]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("by a pipe between processes (JSON)", "", "tuner.study.run:Run.send does not name write"),
        ("Run.send", "Run.close", "tuner.study.run:Run.close is not there"),
        ("log:write", "log:read", "tuner.store.log:read is not there"),
    ],
)
def test_a_way_that_is_listed_wrongly_is_said(
    project: Path, capsys: pytest.CaptureFixture[str], old: str, new: str, said: str
) -> None:
    """The first fault of its newest shape, in place of a count."""
    ways = project.parent / "ways.toml"
    ways.write_text(WAYS.replace(old, new).replace(' "', '"'))
    assert f"not listed as it is now: {said}" in _lines(project, capsys, "--rev", "HEAD")


def test_a_function_whose_file_was_moved_is_found(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where one file has it, or one of the file's name; two that have it are not told apart."""
    ways = project.parent / "ways.toml"
    ways.write_text(WAYS.replace("store.log:write", "away:write"))
    assert "| modules | 2 |" in _lines(project, capsys)
    (project / "trainers/log.py").write_text("def write():\n    pass\n")
    _git(project, "add", "--all")
    _git(project, "commit", "--quiet", "--message", "x")
    lines = _lines(project, capsys)
    assert "not listed as it is now: tuner.away:write is not there" in lines
    ways.write_text(WAYS.replace("tuner.store.log:write", "tuner.other.log:write"))
    (project / "trainers/log.py").rename(project / "trainers/other.py")
    _git(project, "add", "--all")
    _git(project, "commit", "--quiet", "--message", "x")
    assert "| modules | 2 |" in _lines(project, capsys)


def test_the_listed_ways_are_those_of_the_code_before_the_rooms() -> None:
    """What stands in the list can be read, and has steps."""
    ways = house.read_ways(house.WAYS)
    assert len(ways) == 3
    assert all(len(shape.steps) > 1 for shapes in ways.values() for shape in shapes)
