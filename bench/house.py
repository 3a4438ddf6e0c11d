"""Count what a reader of the code must know: files, lines and classes a room, layers, ways.

`python bench/house.py --before a1bc455 --after HEAD` prints two revisions side by side, in
Markdown; `--rev HEAD` prints one. The files are those of the revision, by `git archive`.

- A room is a first-level folder of `tuner/` or `trainers/`; files beside the rooms are `root`. All
  lines of Python files are counted, and all classes, inner ones too.
- The recording path is what records a run: study, store, tracking, executors and the root files of
  `tuner/`; before there were rooms, its root files, executors and trackers.
- A way is what an event, a spec or a run's end passes. It is not found by following calls, which
  queues, pipes, threads and plug-ins break. It is listed in `house_ways.toml`, function by
  function, and checked. Each function must exist: in the listed module, else in the only one of
  that file's name, else in the only one at all. Its code must name the next function, unless the
  list says how else that is reached. A way may be listed in several shapes, the newest first; the
  first that is whole in a revision is counted. Where none is, a line says what the first lacks.
  Its classes are all of those in the modules that it passes.
"""

from __future__ import annotations

import argparse
import ast
import configparser
import io
import re
import subprocess
import tarfile
import tempfile
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeGuard

PACKAGES = ("tuner", "trainers")
RECORDING = ("root", "study", "store", "tracking", "executors", "trackers")
WAYS = Path(__file__).with_name("house_ways.toml")
_COUNTED = ("modules", "functions", "classes", "processes", "serialisations")
_SERIALISED = re.compile("JSON|pickle")
_FUNCTION = (ast.FunctionDef, ast.AsyncFunctionDef)


@dataclass(frozen=True)
class Size:
    """Numbers of files, lines and classes."""

    files: int = 0
    lines: int = 0
    classes: int = 0

    def __add__(self, other: Size) -> Size:
        """Return both together."""
        return Size(
            self.files + other.files, self.lines + other.lines, self.classes + other.classes
        )


@dataclass(frozen=True)
class Step:
    """A function on a way."""

    module: str
    function: str
    """Qualified, such as `Sender.do`."""
    by: str = ""
    """How it is reached, if the function before does not call it."""

    def __str__(self) -> str:
        """Return it as it is listed."""
        return f"{self.module}:{self.function}"


@dataclass(frozen=True)
class Way:
    """The functions that an event, a spec or a run's end passes."""

    name: str
    """`event`, or another of the list."""
    steps: tuple[Step, ...]


@dataclass(frozen=True)
class House:
    """The two packages of one revision, in a folder."""

    name: str
    root: Path

    @cached_property
    def rooms(self) -> Mapping[str, Size]:
        """Sizes by room, such as `tuner/study`."""
        found: dict[str, Size] = {}
        for package in PACKAGES:
            for path in sorted((self.root / package).rglob("*.py")):
                parts = path.relative_to(self.root / package).parts
                room = f"{package}/{parts[0] if len(parts) > 1 else 'root'}"
                found[room] = found.get(room, Size()) + size_of(path)
        return found

    @property
    def recording(self) -> Size:
        """The size of the recording path."""
        sizes = (self.rooms.get(f"tuner/{room}", Size()) for room in RECORDING)
        return sum(sizes, Size())

    @property
    def layers(self) -> Mapping[str, int]:
        """Numbers of layers in import-linter's contracts, by package."""
        contracts = configparser.ConfigParser()
        contracts.read(self.root / ".importlinter", encoding="utf-8")
        found: dict[str, int] = {}
        for section in contracts.values():
            if section.get("type") != "layers":
                continue
            for line in section["layers"].split("\n"):
                package = line.strip(" ()").split(".")[0]
                place = section.get("containers", "").strip() or package
                if line.strip():
                    found[place] = found.get(place, 0) + 1
        return found

    def way(self, shapes: Sequence[Way]) -> Way | str:
        """Return the first complete shape; if there is none, the fault of the first one."""
        faults = [self._fault(way) for way in shapes]
        whole = (way for way, fault in zip(shapes, faults, strict=True) if not fault)
        return next(whole, None) or faults[0]

    def counts_of(self, way: Way) -> dict[str, int]:
        """Count what a complete way passes."""
        modules = {path for step in way.steps if (path := self._file_of(step))}
        borders = [step.by for step in way.steps if step.by]
        return {
            "modules": len(modules),
            "functions": len(way.steps),
            "classes": sum(size_of(path).classes for path in modules),
            "processes": 1 + sum("between processes" in border for border in borders),
            "serialisations": sum(len(_SERIALISED.findall(border)) for border in borders),
        }

    def _fault(self, way: Way) -> str:
        before: Step | None = None
        code: ast.AST | None = None
        for step in way.steps:
            path = self._file_of(step)
            if path is None:
                return f"{step} is not there"
            if code is not None and not step.by and not names(code, step.function):
                return f"{before} does not name {step.function}"
            before, code = step, find_function(self._trees[path], step.function)
        return ""

    def _file_of(self, step: Step) -> Path | None:
        """Return the file of a step: its module, or where it was moved to, if that is clear."""
        listed = self.root.joinpath(*step.module.split(".")).with_suffix(".py")
        holding = [p for p, tree in self._trees.items() if find_function(tree, step.function)]
        if listed in holding:
            return listed
        named = [path for path in holding if path.stem == listed.stem]
        return next((found[0] for found in (named, holding) if len(found) == 1), None)

    @cached_property
    def _trees(self) -> Mapping[Path, ast.Module]:
        paths = (path for package in PACKAGES for path in (self.root / package).rglob("*.py"))
        return {path: ast.parse(path.read_text(encoding="utf-8")) for path in paths}


def size_of(path: Path) -> Size:
    """Measure one file."""
    text = path.read_text(encoding="utf-8")
    classes = sum(isinstance(node, ast.ClassDef) for node in ast.walk(ast.parse(text)))
    return Size(1, len(text.splitlines()), classes)


def find_function(module: ast.Module, name: str) -> ast.AST | None:
    """Return a function by its qualified name; None where there is none."""
    first, *others = name.split(".")
    found = next((node for node in module.body if _is_called(node, first)), None)
    for part in others:
        inner = ast.walk(found) if found else iter(())
        found = next((node for node in inner if _is_called(node, part)), None)
    return found if isinstance(found, _FUNCTION) else None


def _is_called(node: ast.AST, name: str) -> TypeGuard[ast.stmt]:
    return isinstance(node, (*_FUNCTION, ast.ClassDef)) and node.name == name


def names(code: ast.AST, function: str) -> bool:
    """Return whether code names a function, or the class that it makes."""
    *owners, last = function.split(".")
    wanted = owners[-1] if last == "__init__" else last
    return any(
        (isinstance(node, ast.Attribute) and node.attr == wanted)
        or (isinstance(node, ast.Name) and node.id == wanted)
        for node in ast.walk(code)
    )


def read_ways(path: Path) -> dict[str, list[Way]]:
    """Read the listed ways, the shapes of each by its name."""
    tree: dict[str, list[dict[str, Any]]] = tomllib.loads(path.read_text(encoding="utf-8"))
    return {
        name: [Way(name, tuple(map(_step, shape["steps"]))) for shape in shapes]
        for name, shapes in tree.items()
    }


def _step(text: str) -> Step:
    place, _, by = text.partition(" by ")
    module, _, function = place.partition(":")
    return Step(module, function, by)


def unpack(repository: Path, revision: str, folder: Path) -> House:
    """Write the files of a revision into a folder."""
    command = ["git", "-C", str(repository), "archive", revision, *PACKAGES, ".importlinter"]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
        archive.extractall(folder, filter="data")
    return House(revision, folder)


def text(houses: Sequence[House], ways: Mapping[str, Sequence[Way]]) -> Iterator[str]:
    """Yield the page's lines; a column, or a group of columns, a revision."""
    titles = [house.name for house in houses]
    yield "## Rooms\n"
    heads = [f"{what} {title}" for what in ("files", "lines", "classes") for title in titles]
    yield from _table(["room", *heads], [*_room_rows(houses)])
    yield "\n## Layers that import-linter holds\n"
    places = sorted({place for house in houses for place in house.layers})
    rows = [[place, *(house.layers.get(place, 0) for house in houses)] for place in places]
    rows.append(["all", *(sum(house.layers.values()) for house in houses)])
    yield from _table(["layers of", *titles], rows)
    yield "\n## Ways\n"
    for name, shapes in ways.items():
        found = [house.way(shapes) for house in houses]
        lacking = [way for way in found if isinstance(way, str)]
        yield f"{name[:1].upper()}{name[1:]}:\n"
        yield from (f"not listed as it is now: {fault}\n" for fault in lacking)
        counts = [
            {} if isinstance(way, str) else house.counts_of(way)
            for house, way in zip(houses, found, strict=True)
        ]
        rows = [[what, *(count.get(what, "") for count in counts)] for what in _COUNTED]
        yield from _table(["it passes", *titles], rows)
        yield ""


def _room_rows(houses: Sequence[House]) -> Iterator[list[object]]:
    for room in sorted({room for house in houses for room in house.rooms}):
        yield _size_row(room, [house.rooms.get(room, Size()) for house in houses])
    for package in PACKAGES:
        wholes = [
            sum((size for room, size in house.rooms.items() if room.startswith(package)), Size())
            for house in houses
        ]
        yield _size_row(f"**{package}**", wholes)
    yield _size_row("**recording path**", [house.recording for house in houses])


def _size_row(title: str, sizes: Sequence[Size]) -> list[object]:
    return [
        title,
        *(size.files for size in sizes),
        *(size.lines for size in sizes),
        *(size.classes for size in sizes),
    ]


def _table(heads: Sequence[str], rows: Sequence[Sequence[object]]) -> Iterator[str]:
    yield f"| {' | '.join(heads)} |"
    yield f"| --- |{' ---: |' * (len(heads) - 1)}"
    for row in rows:
        cells = (f"{cell:,}" if isinstance(cell, int) else str(cell) for cell in row)
        yield f"| {' | '.join(cells)} |"


def main(words: Sequence[str] | None = None) -> None:
    """Count one revision or two, print the page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rev", help="one revision alone; default: HEAD")
    parser.add_argument("--before", help="the first of two")
    parser.add_argument("--after", default="HEAD", help="the second of two")
    parser.add_argument("--repository", type=Path, default=Path(__file__).parents[1])
    parser.add_argument("--ways", type=Path, default=WAYS, help="list of what is passed")
    asked = parser.parse_args(words)
    revisions = [asked.before, asked.after] if asked.before else [asked.rev or asked.after]
    with tempfile.TemporaryDirectory() as scratch:
        houses = [
            unpack(asked.repository, revision, Path(scratch) / str(number))
            for number, revision in enumerate(revisions)
        ]
        print("\n".join(text(houses, read_ways(asked.ways))))


if __name__ == "__main__":
    main()
