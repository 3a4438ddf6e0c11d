"""Find the modules that a method may name as its targets, and names that match none."""

from __future__ import annotations

import copy
import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import nn

_MOST = 12
_NAMING = re.compile("modules|pattern|parameters")
"""Options of peft that name parts of a model."""
_OF_ADAPTED = re.compile("(?<!layers)_pattern|exclude_modules")
"""Of these, options that name adapted modules."""
# Names of the attention projections, for architectures that peft has no default for.
QUERY_VALUE = (
    ("query", "value"),
    ("q_proj", "v_proj"),
    ("q_lin", "v_lin"),
    ("query_proj", "value_proj"),
    ("q", "v"),
    ("query_key_value",),
    ("qkv_proj",),
    ("Wqkv",),
    ("c_attn",),
)


def query_value(body: nn.Module) -> list[str] | None:
    """Return the names of a body's query and value projections, where they are known."""
    leaves = {name.rpartition(".")[2] for name, _ in body.named_modules()}
    found = next((names for names in QUERY_VALUE if leaves.issuperset(names)), None)
    return list(found) if found else None


def target_names(body: nn.Module) -> list[str]:
    """Return the last parts of the names of modules with matrices: query and value first."""
    leaves = {
        name.rpartition(".")[2]
        for name, module in body.named_modules()
        if getattr(getattr(module, "weight", None), "ndim", 0) > 1  # excludes norms
    }
    first = [name for name in query_value(body) or [] if name in leaves]
    return [*first, *sorted(leaves.difference(first))]


def unknown_targets(targets: str | Iterable[str] | None, model: nn.Module) -> list[str]:
    """Return the targets that no module's name ends with; patterns are not checked."""
    names = [f".{name}" for name, _ in model.named_modules()]
    listed = () if targets is None or isinstance(targets, str) else targets
    return [t for t in sorted(listed) if not any(name.endswith(f".{t}") for name in names)]


def adapted_modules(body: nn.Module, config: Any) -> list[str]:
    """Return the modules that peft would adapt without exclusions.

    Args:
        body: The model before the method.
        config: Peft's, with its targets.
    """
    from peft.tuners.tuners_utils import check_target_module_exists

    if not getattr(config, "target_modules", None):
        return []
    everything = copy.copy(config)
    everything.exclude_modules = None
    names = [name for name, _ in body.named_modules() if name]
    return [name for name in names if check_target_module_exists(everything, name)]


def unknown_option_names(
    options: Mapping[str, Any],
    body: nn.Module,
    adapted: Sequence[str],
    excludable: Sequence[str] = (),
) -> dict[str, tuple[list[str], list[str]]]:
    """Return by option the names that match nothing, which peft ignores, and names that match.

    Args:
        options: A method's options of peft, without its targets.
        body: The model before the method.
        adapted: Modules and parameters that the method adapts: the keys of a mapping name these.
        excludable: Modules that it would adapt without exclusions: exclusions name these.
    """
    modules = [name for name, _ in body.named_modules() if name]
    parameters = [name for name, _ in body.named_parameters()]
    found = {}
    for option, value in options.items():
        listed = [value] if isinstance(value, str) else value
        if not _NAMING.search(option) or not isinstance(listed, list | tuple | dict):
            continue
        parts = parameters if option.endswith("parameters") else modules
        parts = list(adapted) or modules if isinstance(listed, dict) else parts
        parts = list(excludable) or parts if option == "exclude_modules" else parts
        unfit = [str(name) for name in listed if not any(_fits(str(name), p) for p in parts)]
        if unfit:
            leaves = {part.rpartition(".")[2] for part in parts}
            close = difflib.get_close_matches(unfit[0], leaves, n=len(leaves), cutoff=0.0)
            found[option] = (unfit, [leaf for leaf in close if not leaf.isdigit()])
    return found


def _fits(name: str, part: str) -> bool:
    """Return whether a name or pattern matches a part's name, or its end."""
    if f".{part}".endswith(f".{name}"):
        return True
    try:
        return re.fullmatch(rf"(.*\.)?({name})", part) is not None
    except re.error:
        return False


def unknown_targets_message(
    key: str, targets: Sequence[str], model: str, known: Sequence[str]
) -> str:
    """Return the message that targets match no module.

    Args:
        key: The method's field that names them.
        targets: Those without a match.
        model: Name of the model.
        known: The result of `target_names`.
    """
    more = f", ... ({len(known)} in all)" if len(known) > _MOST else ""
    fit = "fit" if len(targets) > 1 else "fits"
    shown = ", ".join(known[:_MOST])
    part = "adapted module" if _OF_ADAPTED.search(key) else "module"
    return f"method.{key}: {', '.join(targets)} {fit} no {part} of {model}; it has {shown}{more}"
