"""Check the values of peft's options: peft accepts most types and fails later, or never.

The rule of an option follows from its annotation and its name in peft's config.
"""

from __future__ import annotations

import json
import math
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass, is_dataclass
from enum import Enum
from typing import Any, Literal, Union

from trainers.errors import ConfigError, shown

_SCALES = frozenset(
    {"alpha", "delora_lambda", "lora_alpha", "randlora_alpha", "scaling", "shadow_alpha"}
)
"""Factors of the adapter's output, which need not be whole numbers."""
_FROM_ZERO = frozenset({"boft_block_size", "num_frozen_tokens", "oft_block_size"})
"""Counts for which 0 means that another option decides, or none."""
_ELSEWHERE = frozenset({"init_lora_weights", "mask_type", "prompt_tuning_init", "shadow_model"})
"""Options that are checked by other rules."""
_TEXTS = {("TINYLORA", "init_weights"): {"uniform"}}
"""Allowed texts of an option that its annotation does not list."""
_NULL = frozenset({("ADAMSS", "init_weights"), ("HIRA", "init_weights"), ("OSF", "init_weights")})
"""Options that may be null though peft's default is another."""


@dataclass(frozen=True)
class _Rule:
    """The allowed values of an option."""

    allowed: str
    holds: Callable[[Any], bool]


def check_value(kind: str, name: str, value: Any, hint: Any, default: Any) -> None:
    """Check the value of one option.

    Args:
        kind: The peft type, in capitals.
        name: The option.
        value: The study's value.
        hint: The option's annotation in peft's config.
        default: peft's default.

    Raises:
        ConfigError: A value of another type, or one with which nothing could be learned.
    """
    if name in _ELSEWHERE or (value is None and (default is None or (kind, name) in _NULL)):
        return
    parts = set(_members(hint))
    if name.endswith("_pattern") and isinstance(value, Mapping):
        of_one = _of_patterns(kind, name)
        for module, number in value.items():
            _check(f"{name}.{module}", number, of_one)
        return
    form = list[str] if name == "modules_to_save" else hint
    among_lists = _Rule(_form(form), lambda got: got is not None and _fits(got, form))
    _check(name, value, _rule(kind, name, parts, default) or among_lists)


def _check(name: str, value: object, rule: _Rule) -> None:
    if not rule.holds(value):
        raise ConfigError(f"method.config.{name}: got {shown(value)}; allowed: {rule.allowed}")


def _members(hint: Any) -> tuple[Any, ...]:
    if typing.get_origin(hint) in (Union, types.UnionType):
        return typing.get_args(hint)
    return (hint,)


def _rule(kind: str, name: str, parts: set[Any], default: Any) -> _Rule | None:
    """Return the rule of an option with single values; None: its values are lists or texts."""
    words = _literals(parts) | _names_of_enumerations(parts) | _TEXTS.get((kind, name), set())
    if name == "bias":
        return _words({"none", "all", *(words or {f"{kind.lower()}_only"})}, truths=False)
    if words or parts <= {bool, type(None)}:
        return _words(words, truths=bool in parts)
    if any(is_dataclass(part) for part in parts):
        return _Rule("a mapping", lambda value: isinstance(value, Mapping))
    if parts <= {int, float, type(None)}:
        return _of_numbers(kind, name, parts, default)
    return None


def _of_numbers(kind: str, name: str, parts: set[Any], default: Any) -> _Rule:
    if "dropout" in name:
        return _Rule("0 to below 1", lambda value: _is_number(value) and 0 <= value < 1)
    if name in _SCALES or name == "effective_rank":
        return _ABOVE_ZERO
    if (kind, name) == ("VERA", "d_initial"):  # the other factor of its update starts at 0
        return _Rule("a finite number, not 0", lambda value: _is_number(value) and value != 0)
    if name.startswith("init_") and float in parts and kind in ("VBLORA", "UNILORA", "TINYLORA"):
        # The spread of first weights; where all come from one bank, 0 leaves them 0.
        return _ABOVE_ZERO if name.endswith(("bank_bound", "d_bound")) else _FROM_NOTHING
    if float in parts:
        return _FINITE
    if "seed" in name or name in ("decompose_factor", "projection_prng_key"):
        return _Rule("a whole number", _is_whole)
    return _WHOLE[0 if name in _FROM_ZERO or default == 0 else 1]


def _of_patterns(kind: str, name: str) -> _Rule:
    """Return the rule of the numbers of a mapping by module."""
    if (
        name in ("alpha_pattern", "lambda_pattern") or kind == "OSF"
    ):  # OSF takes a share of the rank too
        return _ABOVE_ZERO
    return _WHOLE[1]


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and type(value) is not bool and math.isfinite(value)


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and type(value) is not bool


def _whole(least: int) -> _Rule:
    return _Rule(f"a whole number from {least}", lambda got: _is_whole(got) and got >= least)


_WHOLE = (_whole(0), _whole(1))
_FINITE = _Rule("a finite number", _is_number)
_FROM_NOTHING = _Rule("a finite number from 0", lambda value: _is_number(value) and value >= 0)
_ABOVE_ZERO = _Rule("a finite number above 0", lambda value: _is_number(value) and value > 0)


def _words(words: set[str], *, truths: bool) -> _Rule:
    def holds(value: Any) -> bool:
        if isinstance(value, bool):
            return truths
        return isinstance(value, str) and getattr(value, "value", value) in words

    return _Rule(", ".join([*(["true", "false"] if truths else []), *sorted(words)]), holds)


def _literals(parts: set[Any]) -> set[str]:
    literals = [part for part in parts if typing.get_origin(part) is Literal]
    return {word for part in literals for word in typing.get_args(part)}


def _names_of_enumerations(parts: set[Any]) -> set[str]:
    enumerations = [p for p in parts if isinstance(p, type) and issubclass(p, Enum)]
    return {member.value for each in enumerations for member in each}


def _fits(value: object, hint: Any) -> bool:
    """Return whether pydantic accepts a value, such as a list of names, for its annotation."""
    from pydantic import TypeAdapter, ValidationError

    try:
        TypeAdapter(hint).validate_json(json.dumps(value), strict=True)
    except (ValidationError, TypeError):
        return False
    return True


def _form(hint: Any) -> str:
    """Return an annotation in words."""
    words = {str: "a text", int: "a whole number", bool: "true or false", dict: "a mapping"}
    items = {str: "texts", int: "whole numbers", float: "numbers"}
    said = []
    for part in _members(hint):
        origin, of = typing.get_origin(part), typing.get_args(part)
        if origin is list:
            said.append(f"a list of {items.get(of[0], 'lists')}")
        elif (origin or part) is not type(None):
            said.append(words.get(origin or part, "a value"))
    return " or ".join(sorted(said))
