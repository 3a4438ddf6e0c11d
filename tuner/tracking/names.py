"""Make names of runs, metrics, params and tags that MLflow accepts."""

from __future__ import annotations

import hashlib
import re
import sys
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

import yaml

from trainers.contract import Seeds
from tuner.store import Group

_NOT_ALLOWED = re.compile(r"[^\w.\- :]|_(?=x[0-9a-f]{2}|u[0-9a-f]*-)")
"""Texts to escape besides those that MLflow refuses: they look like an escape."""
_HEX = re.compile(r"_x(?P<short>[0-9a-f]{2,6})|_u(?P<long>[0-9a-f]*)-")
_CUT = re.compile(r" \.\.\. \(cut from \d+ characters\)\Z")
_LONGEST_NAME = 250
_MARK_DIGITS = 16
_CUT_NAME = re.compile(rf"_h([0-9a-f]{{{_MARK_DIGITS}}})\Z")
_SHORT = frozenset(range(0x21, 0x7F))
"""Characters that are escaped with two digits: visible ASCII."""
CUT_NAME = "metric_name."
"""Prefix of facts with whole names of metrics; the mark of the stored name follows."""


def entity_name(name: str) -> str:
    """Return a unique name that MLflow accepts for a metric, param or tag.

    Task labels become parts of metric names and may hold anything: `f1/A & B` turns into
    `f1/A _x26 B`, and a character beyond ASCII into `_u2013-`. A name that MLflow accepts is
    returned unchanged, unless it looks like one of these. `true_name` is the inverse.
    """
    stored = "/".join(_path_part(_NOT_ALLOWED.sub(_in_hex, part)) for part in name.split("/"))
    if len(stored) <= _LONGEST_NAME and not cut_mark(stored):
        return stored
    mark = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:_MARK_DIGITS]
    return f"{stored[: _LONGEST_NAME - len(mark) - 2]}_h{mark}"


def true_name(stored: str) -> str:
    """Return the argument of `entity_name`; if that cut it, the part that is left.

    Names of earlier versions, which wrote all escapes as `_x2013`, are read if unambiguous.
    """
    return "/".join("" if p == "_x2f" else _HEX.sub(_from_hex, p) for p in stored.split("/"))


def cut_mark(stored: str) -> str:
    """Return the mark at the end of a name that `entity_name` cut, else ""."""
    found = _CUT_NAME.search(stored) if len(stored) == _LONGEST_NAME else None
    return found.group(1) if found else ""


def cut(value: str, longest: int) -> str:
    """Return a value, cut to a length if needed, with a note of its whole length."""
    if len(value) <= longest:
        return value
    note = f" ... (cut from {len(value)} characters)"
    return value[: longest - len(note)] + note


def is_cut(value: str) -> bool:
    """Return whether `cut` shortened a value."""
    return _CUT.search(value) is not None


def cut_names(names: Iterable[str]) -> dict[str, str]:
    """Return the names that `entity_name` cuts as facts, for `record_of` to restore them."""
    marks = {name: cut_mark(entity_name(name)) for name in names}
    return {CUT_NAME + mark: name for name, mark in marks.items() if mark}


def true_metrics(metrics: Mapping[str, float], facts: Mapping[str, str]) -> dict[str, float]:
    """Return a stored run's metrics under their true names.

    Args:
        metrics: Values by stored name.
        facts: The run's facts, with those of `cut_names`.
    """
    return {
        facts.get(CUT_NAME + cut_mark(stored), "") or _true_name(stored): value
        for stored, value in metrics.items()
    }


def run_name(group: Group, seeds: Seeds | None, *, with_cell: bool) -> str:
    """Return a run's name in MLflow's table, such as `lora · trial 3 · seed 7`.

    Args:
        group: The run's configuration.
        seeds: The run's seeds; None for the configuration's parent run.
        with_cell: Put task and model first, for a study with several of them.
    """
    parts = [group.task, group.model] if with_cell else []
    noun = {"search": "trial", "finalists": "finalist"}.get(group.phase)
    tried = noun is not None and group.trial is not None
    parts += [group.arm, f"{noun} {group.trial}" if tried else group.phase]
    parts += [f"seed {seed_text(seeds)}"] if seeds else []
    return " · ".join(parts)


def seed_text(seeds: Seeds) -> str:
    """Return one number where the seeds of init and order are equal, as in studies, else both."""
    return str(seeds.init) if seeds.init == seeds.order else f"{seeds.init}/{seeds.order}"


def has_several_cells(resolved_yaml: str) -> bool:
    """Return whether a study has more than one task or model, to be named in its runs."""
    study = study_tree(resolved_yaml)
    return any(len(study.get(key) or ()) > 1 for key in ("tasks", "models"))


def searched_names(resolved_yaml: str, arm: str) -> frozenset[str]:
    """Return the names of the params that a study searches in an arm."""
    arms = study_tree(resolved_yaml).get("arms") or {}
    return frozenset((arms.get(arm) or {}).get("space") or ())


@lru_cache(maxsize=16)
def study_tree(resolved_yaml: str) -> Mapping[str, Any]:
    """Return the fields of a study; none where the text is no mapping."""
    study = yaml.safe_load(resolved_yaml)
    return study if isinstance(study, dict) else {}


# A study's runs share their names.
_true_name = lru_cache(maxsize=4096)(true_name)


def _path_part(part: str) -> str:
    """Escape a part such as `..` that MLflow would refuse as a path."""
    if not part:
        return "_u-"
    dots = len(part) if set(part) == {"."} else int(part.startswith(".."))
    return "_x2e" * dots + part[dots:]


def _in_hex(match: re.Match[str]) -> str:
    code = ord(match.group())
    return f"_x{code:02x}" if code in _SHORT else f"_u{code:x}-"


def _from_hex(match: re.Match[str]) -> str:
    digits, found = match["short"], match["long"]
    if found is not None:
        return chr(int(found, 16)) if found and int(found, 16) <= sys.maxunicode else ""
    if int(digits[:2], 16) in _SHORT:
        return chr(int(digits[:2], 16)) + digits[2:]
    # Earlier versions wrote no end: take the first character that they had to escape.
    for length in (5, 2, 3, 4) if digits.startswith("1f") else (2, 3, 4, 5, 6):
        code = int(digits[:length], 16)
        if length <= len(digits) and code <= sys.maxunicode and _NOT_ALLOWED.match(chr(code)):
            return chr(code) + digits[length:]
    return match.group()
