"""The shape of the project: what loads what, how long files are, what is declared."""

from __future__ import annotations

import ast
import configparser
import importlib
import importlib.metadata
import inspect
import itertools
import pkgutil
import re
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from trainers.interfaces import Method, ModelSource, Task
from trainers.plugins import Plugin, kinds
from tuner.cli.app import COMMANDS
from tuner.config import EXECUTORS, ExecutorSettings

ROOT = Path(__file__).parent.parent
SOURCES = sorted(path for name in ("trainers", "tuner") for path in (ROOT / name).rglob("*.py"))
HEAVY = {
    "accelerate",
    "datasets",
    "matplotlib",
    "mlflow",
    "optuna",
    "pandas",
    "peft",
    "scipy",
    "sklearn",
    "torch",
    "transformers",
}
PACKAGES: dict[type[Plugin], str] = {
    Method: "trainers.methods",
    Task: "trainers.tasks",
    ModelSource: "trainers.models",
    ExecutorSettings: EXECUTORS,
}
LINES_OF_A_FILE, LINES_OF_A_FUNCTION, PARAMETERS = 350, 40, 5
HIDDEN_FILES = {"pareto", "variance_components"}
"""Files of tuner/report/stats that have the name of their function. No new one comes in."""
UNPLAIN = re.compile(
    r'"""(Say|Tell) (whether|why|that|which|what|where|how)\b|cannot be meant|stands? twice'
    r"|\bforetell|\bforesee|\bwhoever\b|\b(is|are) told\b|\bto mend\b|\bbearable\b|\bgoes on\b"
    r"|\bgoing on\b|\bnobody else\b|\bat work\b|\blooked at\b|speaks against|makes nothing of"
    r"|nothing to pair|\bcame again\b|\brows stand in (train|validation|test)\b"
    r"|ranks otherwise|leave all of this",
    re.IGNORECASE,
)
"""Phrases that a reader has to read twice; docs/decisions and docs/log.md may have them."""
_OLD_WORDS = ("log.md", "report.md")
"""Pages that keep the words of their time: the log, and reports of earlier versions."""
PRIVATE_IN_TESTS = {
    "tests/template.py: os._exit": "Python's own name, of how a forked process ends",
    "tests/trainers/models/test_hub.py: model.config._attn_implementation": "transformers' own",
    "tests/trainers/models/test_tiny.py: model.config._attn_implementation": "transformers' own",
    "tests/tuner/executors/test_child.py: ctypes.CDLL('libstdc++.so.6')._Znwm": "new, in C++",
    "tests/tuner/study/test_retry.py: torch._subclasses.fake_tensor.FakeTensor": "torch's own",
    "tests/tuner/tracking/test_names.py: mlflow.utils.validation._validate_metric_name": (
        "the names that MLflow takes, without a server"
    ),
    "tests/tuner/executors/test_messages.py: tuner.executors._messages.Message": (
        "what runs say is shared by the executors alone, whose other files are plug-ins"
    ),
    "tests/tuner/tracking/test_projection.py: tuner.tracking.client_reader._PAGE": (
        "a page of two runs, for a thousand take minutes"
    ),
}
"""Private names that a test uses, after its file, and why. The list shrinks."""
_OWN_PRIVATE = re.compile(r"(trainers|tuner|bench)(\.\w+)*\._[^_]\w*(\.\w+)*")


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def _loaded_by(code: str) -> set[str]:
    """Run code in a fresh interpreter; return the top-level packages that it loaded."""
    script = (
        f"import sys\ntry:\n    {code}\nexcept SystemExit as end:\n    assert not end.code, end\n"
        "print('\\n' + ' '.join({name.partition('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return set(done.stdout.splitlines()[-1].split())


def _command(*words: str) -> str:
    return f"sys.argv = ['tuner', *{words!r}]; from tuner.cli import main; main()"


def _functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def _imported(path: Path) -> Iterator[str]:
    """Yield the modules that a file imports, anywhere in it; also what it takes from them."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_the_probe_sees_a_heavy_import() -> None:
    """The tests below would notice: the probe reports what a statement loads."""
    assert "pandas" in _loaded_by("import pandas")


def test_importing_the_package_is_light() -> None:
    """`import tuner` loads nothing that takes time."""
    assert _loaded_by("import tuner") & (HEAVY | {"pydantic", "yaml", "rich"}) == set()


@pytest.mark.parametrize(
    "words", [("--help",), ("run-study", "--help"), ("ui", "--help")], ids=" ".join
)
def test_help_is_light(words: tuple[str, ...]) -> None:
    """`tuner --help` and its like load no library that takes time."""
    assert _loaded_by(_command(*words)) & HEAVY == set()


@pytest.mark.parametrize(
    "words",
    [
        ("validate", "--no-data", "quickstart"),
        *(("list", n) for n in ("studies", "methods", "tasks", "models")),
    ],
    ids=" ".join,
)
def test_checking_a_study_loads_nothing_that_trains_or_tracks(words: tuple[str, ...]) -> None:
    """A check may ask Optuna which options a pruner has; it needs neither torch nor MLflow."""
    assert _loaded_by(_command(*words)) & (HEAVY - {"optuna"}) == set()


def test_plugin_files_are_light_to_import() -> None:
    """Every file or folder that is a plug-in imports heavy things inside functions."""
    names = [
        f"{package}.{found.name}"
        for package in PACKAGES.values()
        for found in pkgutil.iter_modules([str(ROOT / package.replace(".", "/"))])
        if not found.name.startswith("_")
    ]
    assert len(names) >= 23
    assert _loaded_by(f"import {', '.join(names)}") & (HEAVY | {"ray"}) == set()


@pytest.mark.parametrize("base", PACKAGES, ids=lambda base: base.__name__)
def test_a_folder_of_plugins_holds_nothing_else(base: type[Plugin]) -> None:
    """A file without a leading underscore is a plug-in; whatever they share has one."""
    package = PACKAGES[base]
    files = pkgutil.iter_modules([str(ROOT / package.replace(".", "/"))])
    assert [found.name for found in files if found.name[0] != "_"] == kinds(base, package)


@pytest.mark.parametrize("base", PACKAGES, ids=lambda base: base.__name__)
def test_a_plugin_knows_no_other(base: type[Plugin]) -> None:
    """What plug-ins share stands in a file that is none, so that each can be taken away."""
    package = PACKAGES[base]
    names = kinds(base, package)
    assert len(names) > 1
    for name in names:
        others = tuple(f"{package}.{other}" for other in names if other != name)
        folder = ROOT / package.replace(".", "/")
        for path in (*folder.glob(f"{name}.py"), *folder.glob(f"{name}/*.py")):
            assert [used for used in _imported(path) if used.startswith(others)] == [], path


@pytest.mark.parametrize("path", SOURCES, ids=_name)
def test_a_source_file_says_its_job_and_is_short(path: Path) -> None:
    """Every source file begins with one line that says its job, and has at most 350 lines."""
    text = path.read_text(encoding="utf-8")
    docstring = ast.get_docstring(ast.parse(text))
    assert docstring, "no docstring"
    assert docstring.splitlines()[0].endswith((".", ":"))
    assert len(text.splitlines()) <= LINES_OF_A_FILE


@pytest.mark.parametrize("path", SOURCES, ids=_name)
def test_functions_are_short_and_take_few_parameters(path: Path) -> None:
    """At most 40 lines without the docstring, and five parameters; a base's signature is free."""
    for function in _functions(path):
        has_docstring = ast.get_docstring(function) is not None
        body = function.body[1:] if has_docstring and len(function.body) > 1 else function.body
        assert (function.end_lineno or 0) - body[0].lineno < LINES_OF_A_FUNCTION, function.name
        arguments = function.args
        named = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
        count = len([argument for argument in named if argument.arg not in ("self", "cls")])
        if not _is_command(path, function):
            assert count <= PARAMETERS, function.name


def _is_command(path: Path, function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Return whether a function's parameters are a command's options."""
    return path.parent.name == "cli" and path.stem in COMMANDS and function.name == "command"


@pytest.mark.parametrize("room", ["tuner", "tuner.config", "tuner.store", "tuner.study"])
def test_a_door_that_loads_on_use_has_what_it_says(room: str) -> None:
    """Every name can be had, none is a file's, and the type checker is told of the same names."""
    module = importlib.import_module(room)
    assert not {found.name for found in pkgutil.iter_modules(module.__path__)} & set(
        module.__all__
    )
    told = {
        alias.asname or alias.name
        for block in ast.parse(inspect.getsource(module)).body
        if isinstance(block, ast.If)
        for node in ast.walk(block)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    exported = {name for name in module.__all__ if name not in vars(module)}
    assert told == exported
    assert all(getattr(module, name) is not None for name in exported)


def test_a_file_with_a_command_is_a_command() -> None:
    """None is forgotten in the list that orders them in `tuner --help`."""
    files = (ROOT / "tuner" / "cli").glob("*.py")
    having = {path.stem for path in files if "\ndef command(" in path.read_text("utf-8")}
    assert having == set(COMMANDS)


def test_no_two_classes_have_one_name() -> None:
    """A name stands for one thing in both packages."""
    counts = Counter(
        node.name
        for path in SOURCES
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.ClassDef)
    )
    assert {name for name, count in counts.items() if count > 1} == set()


def test_a_door_names_what_is_there_and_hides_no_file() -> None:
    """Each name of `__all__` is there; a function that is named like a file would hide it."""
    doors = [path for path in SOURCES if path.name == "__init__.py"]
    for path in doors:
        room = importlib.import_module(_name(path.parent).replace("/", "."))
        names = set(getattr(room, "__all__", ()))
        assert {name for name in names if not hasattr(room, name)} == set(), path
        hidden = names & {file.stem for file in path.parent.glob("*.py")} - HIDDEN_FILES
        assert hidden == set(), path


def test_tests_use_no_private_names() -> None:
    """A test holds a promise, whatever the code behind it is called."""
    found = {
        f"{_name(path)}: {name}"
        for path in (ROOT / "tests").rglob("*.py")
        if path != Path(__file__)
        for name in _private_names(path)
    }
    assert found == PRIVATE_IN_TESTS.keys()


def _private_names(path: Path) -> Iterator[str]:
    """Yield the private names that a test takes from elsewhere: imported, looked up, patched."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (name for name in names if re.search(r"(^|\.)_[^_]", name))
        elif isinstance(node, ast.Attribute) and re.match("_(?!_)", node.attr):
            if not (isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")):
                yield ast.unparse(node)
        elif isinstance(node, ast.Constant) and _OWN_PRIVATE.fullmatch(str(node.value)):
            yield str(node.value)


def test_every_module_has_its_floor() -> None:
    """A file or folder that .importlinter does not name could import what it likes."""
    contracts = configparser.ConfigParser()
    contracts.read(ROOT / ".importlinter", encoding="utf-8")
    floors = [
        name
        for part in ("floors", "trainers-floors")
        for name in re.split(r"[\s|:]+", contracts[f"importlinter:contract:{part}"]["layers"])
        if name
    ]
    modules = [
        f"{package}.{path.stem}"
        for package in ("trainers", "tuner")
        for path in (ROOT / package).iterdir()
        if not path.stem.startswith("_") and (path.suffix == ".py" or any(path.glob("*.py")))
    ]
    assert sorted(floors) == sorted(modules)


def test_every_imported_package_is_declared() -> None:
    """What the code imports stands in the project's own dependencies, not in a dependency's."""
    project = _project()
    extras = {k: v for k, v in project["optional-dependencies"].items() if k != "test"}
    declared = _names([*project["dependencies"], *itertools.chain(*extras.values())])
    homes = importlib.metadata.packages_distributions()
    own = {"trainers", "tuner"} | sys.stdlib_module_names
    modules = {name for path in SOURCES for name in _imported(path)}
    imported = {name.partition(".")[0] for name in modules} - own
    assert "torch" in imported
    missing = {name for name in imported if not _names(homes[name]) & declared}
    assert missing == set()


def test_the_constraints_pin_every_dependency() -> None:
    """constraints.txt holds one exact version of everything that pyproject.toml asks for."""
    project = _project()
    extras = itertools.chain(*project["optional-dependencies"].values())
    wanted = _names([*project["dependencies"], *extras])
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if not line.startswith("#")]
    assert [pin for pin in pins if not re.fullmatch(r"[a-z0-9-]+==\d[^ ]*", pin)] == []
    names = [pin.partition("==")[0] for pin in pins]
    assert names == sorted(set(names))
    assert wanted - {project["name"]} - set(names) == set()


def _project() -> dict[str, Any]:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    project: dict[str, Any] = tomllib.loads(text)["project"]
    return project


def _names(requirements: Iterable[str]) -> set[str]:
    """Return the distributions that requirements name, in the package index's spelling."""
    names = (re.split(r"[\[<>=!~; ]", line, maxsplit=1)[0] for line in requirements)
    return {re.sub(r"[-_.]+", "-", name).lower() for name in names}


def test_words_are_plain() -> None:
    """Phrases that were replaced by the field's terms do not come back, in code or documents."""
    code = (
        path
        for room in ("trainers", "tuner", "bench")
        for suffix in ("py", "j2")
        for path in (ROOT / room).rglob(f"*.{suffix}")
    )
    pages = (path for path in (ROOT / "docs").rglob("*.md") if path.name not in _OLD_WORDS)
    found = [
        f"{path.relative_to(ROOT)}:{number}: {match[0]}"
        for path in (*code, *pages, ROOT / "README.md", ROOT / "CONTRIBUTING.md")
        if not path.is_relative_to(ROOT / "docs" / "decisions")
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if (match := UNPLAIN.search(line))
    ]
    assert not found, "\n".join(found)
