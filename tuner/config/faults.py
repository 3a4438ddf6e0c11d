"""Reword pydantic's errors: a line for each, its dotted key first."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from pydantic import ValidationError

from trainers.errors import BadFile, SeveralFaults, UnknownField, shown

_VALIDATOR = re.compile(r"(literal|tuple|list|dict|nullable|function-\w+|constrained-\w+)\[.*\]")
_KEY = re.compile(r"[\w.-]+: ")
_MAPPING = "input should be a mapping, `key: value`"
_EXPECTED = {
    "tuple_type": "input should be a list",
    "list_type": "input should be a list",
    "dict_type": _MAPPING,
    "mapping_type": _MAPPING,
    "model_type": _MAPPING,
    "model_attributes_type": _MAPPING,
}
"""Replacements for messages in Python's terms, by pydantic's type of error."""

_LEAST = {"too_short": "item", "string_too_short": "character"}
"""The noun of messages about too few of something, by pydantic's type of error."""


def fault_lines(error: ValidationError, prefix: str = "") -> list[str]:
    """Return a line for each fault of a validation: dotted key, value got, values allowed.

    Args:
        error: Error of any model.
        prefix: Dotted key of the validated value.
    """
    found = _of_one_member(error.errors(include_url=False))
    faults = [fault for fault in found if not _only_follows(fault, found)]
    return list(dict.fromkeys(line for fault in faults for line in _lines(fault, prefix)))


def _of_one_member(faults: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Where a field may hold several types, keep the faults of the one that matched deepest."""
    deepest: dict[tuple[object, ...], tuple[int, object]] = {}
    kept: list[tuple[tuple[object, ...], object, Mapping[str, Any]]] = []
    for fault in faults:
        place = fault["loc"]
        first = next((n for n, part in enumerate(place) if _internal(part)), len(place))
        member = (*place, None)[first]
        if first < len(place) and len(place) > deepest.get(place[:first], (0, None))[0]:
            deepest[place[:first]] = (len(place), member)
        kept.append((place[:first], member, fault))
    return [f for place, member, f in kept if deepest.get(place, (0, member))[1] == member]


def _lines(fault: Mapping[str, Any], prefix: str) -> Iterator[str]:
    place = _dotted(prefix, *(str(part) for part in fault["loc"] if not _internal(part)))
    cause = (fault.get("ctx") or {}).get("error")
    if isinstance(cause, ValidationError):
        yield from fault_lines(cause, place)
    elif isinstance(cause, BadFile):
        yield f"{place}: {_in_one(str(cause))}"
    elif isinstance(cause, ValueError):  # raised by a model's own validator
        said = (
            str(cause).split("\n") if isinstance(cause, SeveralFaults) else [_in_one(str(cause))]
        )
        yield from (join_key(place, line) for line in said)
    elif isinstance(fault["input"], UnknownField):
        yield f"{place}: {fault['input']!r}"
    else:
        got = "" if fault["type"] == "missing" else f", got {shown(fault['input'])}"
        expected = _too_short(fault) or _EXPECTED.get(fault["type"], fault["msg"])
        hint = _hint(fault["type"], fault["input"])
        yield f"{place}: {expected[0].lower()}{expected[1:]}{got}{hint}"


def _too_short(fault: Mapping[str, Any]) -> str:
    """Return how many items or characters are needed; "" where there are not too few."""
    noun = _LEAST.get(fault["type"])
    if noun is None:
        return ""
    least = fault["ctx"]["min_length"]
    return f"at least {least} {noun}{' is' if least == 1 else 's are'} needed"


def _in_one(text: str) -> str:
    """Escape line ends in a message, as each fault is one line."""
    return text.replace("\n", "\\n")


def _only_follows(fault: Mapping[str, Any], faults: Sequence[Mapping[str, Any]]) -> bool:
    """Return whether a fault only follows from another.

    A list is too short because its items are invalid, or a field missing because it is misspelt.
    """
    place = fault["loc"]
    if fault["type"] == "too_short":
        below = (other["loc"] for other in faults if len(other["loc"]) > len(place))
        return any(loc[: len(place)] == place for loc in below)
    beside = [f["loc"] for f in faults if isinstance(f["input"], UnknownField)]
    names = [str(loc[-1]) for loc in beside if loc[:-1] == place[:-1]]
    return fault["type"] == "missing" and bool(get_close_matches(str(place[-1]), names))


def _internal(part: object) -> bool:
    """Return whether a part of a location is a validator's name, not a key of the document."""
    return isinstance(part, str) and _VALIDATOR.fullmatch(part) is not None


def _dotted(*parts: str) -> str:
    return ".".join(part for part in parts if part)


def join_key(place: str, message: str) -> str:
    """Put a place before a message, which may itself begin with a dotted key below it."""
    if not place:
        return message
    return f"{place}.{message}" if _KEY.match(message) else f"{place}: {message}"


def _hint(fault: str, value: object) -> str:
    """Return a hint how to write a value, or ""."""
    if value is None:
        quotes = "; put a text in quotes" if fault == "string_type" else ""
        return f", which an empty value is too{quotes}" if fault != "missing" else ""
    if fault == "tuple_type" and isinstance(value, int | float | str):
        return f"; such as [{value}]"
    return "; put it in quotes" if fault == "string_type" else ""
