"""`tuner list`: the names that a study or a command may use, each with a line about it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from trainers.plugins import Plugin

EXAMPLE = "tuner list methods"
_NOUNS = ("studies", "methods", "tasks", "models", "executors", "ds-configs", "forms")


def command(
    noun: Annotated[
        str,
        typer.Argument(
            metavar="|".join(_NOUNS), help=f"{', '.join(_NOUNS[:-1])} or {_NOUNS[-1]}."
        ),
    ],
) -> None:
    """List the names that a study may use, and the forms of a report."""
    from rich.console import Console
    from rich.table import Table

    from trainers.errors import ConfigError, nearest

    if noun not in _NOUNS:
        raise ConfigError(f"list: got {noun!r}; known: {', '.join(_NOUNS)}{nearest(noun, _NOUNS)}")
    table = Table(box=None, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column("name", no_wrap=True)
    table.add_column("is")
    for name, about in _lines(noun):
        table.add_row(name, about.replace("[", r"\["))
    Console().print(table)


def _lines(noun: str) -> Iterable[tuple[str, str]]:
    from tuner.config import describe_ds_config, ds_configs, load_study, study_names

    if noun == "studies":
        return [(name, load_study(name).description) for name in study_names()]
    if noun == "ds-configs":
        return [(name, describe_ds_config(content)) for name, content in ds_configs().items()]
    return _plugin_lines(noun)


def _plugin_lines(noun: str) -> list[tuple[str, str]]:
    from trainers.interfaces import Method, ModelSource, Task
    from trainers.plugins import kinds, named
    from tuner.config import EXECUTORS, ExecutorSettings
    from tuner.report import FORMS, ReportForm

    plugins: dict[str, tuple[type[Plugin], str]] = {
        "methods": (Method, "trainers.methods"),
        "tasks": (Task, "trainers.tasks"),
        "models": (ModelSource, "trainers.models"),
        "executors": (ExecutorSettings, EXECUTORS),
        "forms": (ReportForm, FORMS),
    }
    base, package = plugins[noun]
    lines = {name: _about(base, package, s["kind"]) for name, s in named(base, package).items()}
    lines |= {kind: _about(base, package, kind) for kind in kinds(base, package)}
    return sorted(lines.items())


def _about(base: type[Plugin], package: str, kind: str) -> str:
    from trainers.plugins import plugin_class
    from tuner.config import describe_space

    plugin = plugin_class(base, package, kind)
    fields = [name for name in plugin.model_fields if name not in ("kind", "name")]
    first = (plugin.__doc__ or "").strip().splitlines()[0]
    space = getattr(plugin, "SPACE", {})
    searched = f"\nspace: default searches {describe_space(space)}" if space else ""
    return (f"{first} ({', '.join(fields)})" if fields else first) + searched
