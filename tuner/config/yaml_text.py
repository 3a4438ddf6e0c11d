"""Read and write YAML by the core of version 1.2; refuse values that versions read apart."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from trainers.errors import ConfigError, SeveralFaults

_NULL = re.compile(r"~|null|Null|NULL|")
_BOOL = re.compile(r"true|True|TRUE|false|False|FALSE")
_INT = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_FLOAT = re.compile(
    r"[-+]?(\.[0-9]+|(0|[1-9][0-9]*)(\.[0-9]*)?)([eE][-+]?[0-9]+)?"
    r"|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"
)
_NUMBER_TO_SOME = re.compile(  # texts that match none of the forms above
    r"[-+]?([0-9][0-9_]*(\.[0-9_]*)?|\.[0-9][0-9_]*)([eE][-+]?[0-9]+)?"  # 010, 1_000
    r"|[-+]?0(o[0-7_]+|b[01_]+|[xX][0-9a-fA-F_]+)"
    r"|[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?"  # 2:08 is 128 in version 1.1
)
_TRUTH_TO_SOME = re.compile(r"yes|no|on|off", re.IGNORECASE)
_PARTED = re.compile(r"[0-9]+([eE][-+]?[0-9]+)?")  # of `0,001` between braces, the key 001
_TAG = "tag:yaml.org,2002:"
_MOST_NODES = 100_000
"""Most nodes of a file, with its aliases expanded; a study has some hundreds."""


def read_yaml(path: Path) -> object:
    """Read a file of one YAML document; keys are texts, as they are written.

    Raises:
        ConfigError: Invalid YAML, in one line; or a line for each value that some readers take
            for another one.
    """
    try:
        return _load(path.read_text(encoding="utf-8-sig"))
    except ConfigError as error:
        raise SeveralFaults(f"{path}: {line}" for line in str(error).split("\n")) from error
    except RecursionError as error:
        raise ConfigError(f"{path}: nested too deeply") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 at byte {error.start}") from error
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f"line {mark.line + 1}: " if mark else ""
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise ConfigError(f"{path}: {line}{problem}") from error


def key_lines(path: Path) -> dict[str, int]:
    """Return the line of each dotted key of a file that `read_yaml` has read.

    Keys below an alias have the lines of its anchor; keys that are merged (`<<`) are left out.
    """
    loader = _Loader(path.read_text(encoding="utf-8-sig"))
    try:
        root = loader.get_single_node()
        return dict(_lines_below(root, "")) if root is not None else {}
    finally:
        loader.dispose()


def _lines_below(node: yaml.Node, place: str) -> Iterator[tuple[str, int]]:
    pairs: list[tuple[Any, Any, Any]] = []  # each with the node that has its line
    if isinstance(node, yaml.MappingNode):
        pairs = [(key.value, value, key) for key, value in node.value]
    elif isinstance(node, yaml.SequenceNode):
        pairs = [(number, item, item) for number, item in enumerate(node.value)]
    for key, value, said in pairs:
        yield _dotted(place, str(key)), _line(said)
        yield from _lines_below(value, _dotted(place, str(key)))


def write_yaml(tree: object) -> str:
    """Write YAML that readers of either version read alike."""
    text: str = yaml.dump(tree, Dumper=_Dumper, sort_keys=False, allow_unicode=True)
    return text


class _Loader(yaml.SafeLoader):
    """PyYAML's reader with the scalars of version 1.2, and with merge keys (`<<`)."""

    def compose_scalar_node(self, anchor: Any) -> Any:
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]  # the stubs leave it out
        node = super().compose_scalar_node(anchor)
        if event.tag:  # a tag gives the type, as quotes do
            node.style = node.style or "'"
        return node

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except (ValueError, LookupError, AttributeError) as error:
            # A tag such as !!bool on another text, or a number of thousands of digits.
            kind = node.tag.removeprefix(_TAG)
            raise ConfigError(f"line {_line(node)}: this cannot be read as {kind}") from error


class _Dumper(yaml.SafeDumper):
    """PyYAML's writer, which also quotes texts that only version 1.2 takes for numbers."""


_Loader.yaml_implicit_resolvers = {}
for _kind, _form, _first in (
    ("null", _NULL, ["~", "n", "N", ""]),
    ("bool", _BOOL, list("tTfF")),
    ("int", _INT, list("-+0123456789")),
    ("float", _FLOAT, list("-+.0123456789")),
    ("merge", re.compile("<<"), ["<"]),
):
    _Loader.add_implicit_resolver(_TAG + _kind, re.compile(rf"(?:{_form.pattern})\Z"), _first)
_Dumper.add_implicit_resolver(
    _TAG + "float", re.compile(rf"(?:{_FLOAT.pattern})\Z"), list("-+.0123456789")
)


def _load(text: str) -> object:
    loader = _Loader(text)
    try:
        root = loader.get_single_node()
        if root is None:
            return None
        doubts: list[str] = []
        if _check(root, "", {}, doubts) > _MOST_NODES:
            raise ConfigError("its aliases expand to more values than a study can have")
        if doubts:
            raise SeveralFaults(doubts)
        tree: object = loader.construct_document(root)
        return tree
    finally:
        loader.dispose()


def _check(node: yaml.Node, place: str, sizes: dict[int, int], doubts: list[str]) -> int:
    """Collect doubtful scalars, refuse keys other than texts; count the nodes below."""
    if id(node) in sizes:
        if not sizes[id(node)]:
            raise ConfigError(f"line {_line(node)}: {place}: an alias contains itself")
        return sizes[id(node)]
    sizes[id(node)] = 0  # until all below is seen
    below: list[tuple[str, yaml.Node]] = []
    if isinstance(node, yaml.MappingNode):
        below = [(key, value) for key, (_, value) in zip(_keys(node), node.value, strict=True)]
    elif isinstance(node, yaml.SequenceNode):
        below = [(str(number), item) for number, item in enumerate(node.value)]
    else:
        doubts += _doubt(node, place)
    children = [_check(inner, _dotted(place, key), sizes, doubts) for key, inner in below]
    sizes[id(node)] = 1 + sum(children)
    return sizes[id(node)]


def _dotted(place: str, key: str) -> str:
    return f"{place}.{key}" if place else key


def _keys(node: yaml.MappingNode) -> list[str]:
    """Return a mapping's keys, from now on read as they are written, `no` and 1 too."""
    keys: list[str] = []
    for key, _ in node.value:
        if not isinstance(key, yaml.ScalarNode):
            raise ConfigError(f"line {_line(key)}: a key must be a text, on one line")
        if key.value in keys:
            raise ConfigError(f"line {_line(key)}: duplicate key {key.value!r}")
        if node.flow_style and keys and _PARTED.fullmatch(key.value):
            _check_parted(node.value[len(keys) - 1], key.value, node.value[len(keys)][1])
        keys.append(key.value)
        if key.tag != _TAG + "merge":
            key.tag = _TAG + "str"
    return keys


def _check_parted(before: Any, key: str, value: Any) -> None:
    """Refuse a number with a comma, which YAML splits into an entry and a key without a value."""
    name, whole = before[0].value, before[1].value
    if value.start_mark.index == value.end_mark.index and str(whole).lstrip("-+").isdigit():
        thousands = (
            f", or {whole}{key} without a separator" if len(key) == 3 and whole != "0" else ""
        )
        raise ConfigError(
            f"line {_line(before[0])}: {name}: got {whole},{key}: the comma begins another "
            f"entry; write {whole}.{key} with a point{thousands}"
        )


def _doubt(node: Any, place: str) -> list[str]:
    """Return a fault where one version takes a text for a number or a truth value, one not."""
    if node.style is not None or node.tag != _TAG + "str":
        return []
    text = node.value
    if _NUMBER_TO_SOME.fullmatch(text):
        meant = "write a number in plain decimal digits"
    elif _TRUTH_TO_SOME.fullmatch(text):
        meant = "write a number in digits, a truth value as true or false"
    else:
        return []
    return [
        f"line {_line(node)}: {place or 'study'}: got {text}, which versions of YAML read "
        f"differently; {meant}, or a text in quotes: '{text}'"
    ]


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1
