"""Build runs' models without weights, and find runs that cannot be trained.

Call it in a process that may load torch; the results can be sent to one that has none.
"""

from __future__ import annotations

import contextlib
import copy
import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from trainers.contract import RunSpec
from trainers.errors import CannotTrace, MissingModel, TunerError
from trainers.interfaces import Method
from trainers.measure import gc_disabled, gc_frozen
from trainers.memory.batch_shapes import BatchShape, BatchShapes
from trainers.methods import adapted_modules, target_names, unknown_option_names, unknown_targets
from trainers.models import position_count, quiet

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedModel

_LABELS = 2
"""Classes of an outline's head: their number makes no difference to these checks."""
_TOKENS = 8
"""Tokens of the rows that are passed through an outline."""


@dataclass(frozen=True)
class UnknownNames:
    """Names that match no part of a model."""

    names: tuple[str, ...]
    """The names without a match."""
    known: tuple[str, ...]
    """The model's own names."""


@dataclass(frozen=True)
class Outline:
    """The findings on a run by its outline."""

    fault: str = ""
    """Why the run cannot be trained; it begins with the run's dotted key."""
    unseen: str = ""
    """Why there is no outline, if that is no fault: the model's config is not here."""
    positions: int | None = None
    """Tokens that a row may have; None: any number."""
    virtual_tokens: int = 0
    """Positions of a row that the method takes."""
    unfit: Mapping[str, UnknownNames] = field(default_factory=dict)
    """Names that match no part of the model, by the method's field."""


def outline_runs(specs: Sequence[RunSpec]) -> list[Outline]:
    """Outline runs one after the other; those of one model share it.

    The first run of each way of training also passes a small batch through the model, forward and
    backward, without computing: some methods can be applied to a model but not run with it.
    """
    with gc_disabled():
        bodies: dict[str, Outline | PreTrainedModel] = {}
        passed: dict[str, str] = {}
        found = []
        for spec in specs:
            key = _key(spec.model, spec.train.attention)
            if key not in bodies:
                bodies[key] = _body(spec)
            found.append(_outlined(spec, bodies[key], passed))
    return found


def _key(*parts: object) -> str:
    return json.dumps(
        [p.model_dump(mode="json") if hasattr(p, "model_dump") else p for p in parts]
    )


def _body(spec: RunSpec) -> Outline | PreTrainedModel:
    from trainers.memory.skeleton import outline

    try:
        return outline(spec, _LABELS)
    except MissingModel as away:
        return Outline(unseen=str(away))
    except TunerError as error:
        return Outline(fault=str(error))


def _outlined(spec: RunSpec, body: Outline | PreTrainedModel, passed: dict[str, str]) -> Outline:
    from trainers.memory.skeleton import apply_method

    if isinstance(body, Outline):
        return body
    bare = Outline(positions=position_count(body), fault=_out_of_range(spec.method, body))
    if bare.fault:
        return bare
    own = copy.deepcopy(body)
    try:
        model = apply_method(spec, own)
    except CannotTrace:
        return bare
    except Exception as error:
        said = _said(error, spec, body)
        named = (
            said if isinstance(error, TunerError) else f"{_method(spec)} cannot be built: {said}"
        )
        return replace(bare, fault=named)
    found = replace(
        bare,
        virtual_tokens=_virtual_tokens(model),
        unfit=_unfit(spec.method, body, model),
    )
    room = _TOKENS if found.positions is None else found.positions - found.virtual_tokens
    if room < 1:
        return found
    way = _key(spec.model, _way(spec.method), spec.train.attention, _checkpoints(spec))
    if way not in passed:
        passed[way] = _pass(model, spec, body, min(room, _TOKENS))
    return replace(found, fault=passed[way])


def _way(method: Method) -> dict[str, Any]:
    """Return the settings of a method that decide whether a batch can pass: all but numbers."""
    fields = method.model_dump(mode="json")
    return {name: v for name, v in fields.items() if not isinstance(v, int | float) or v is True}


def _checkpoints(spec: RunSpec) -> bool:
    return spec.train.gradient_checkpointing


def _pass(model: nn.Module, spec: RunSpec, body: PreTrainedModel, length: int) -> str:
    """Pass a batch through a model; return why it cannot pass, "" where it can or may."""
    plain = copy.deepcopy(body)
    try:
        _trace(model, spec, length)
    except CannotTrace:
        return ""
    except Exception as error:
        if not isinstance(error, TunerError) and not _passes(plain, spec, length):
            return ""  # the model itself cannot be traced: nothing is known of the method
        said = _said(error, spec, body)
        return said if isinstance(error, TunerError) else f"{_method(spec)} cannot be run: {said}"
    return ""


def _passes(body: PreTrainedModel, spec: RunSpec, length: int) -> bool:
    try:
        _trace(body, spec, length)
    except Exception:  # of any class: the outline cannot judge this model
        return False
    return True


def _trace(model: nn.Module, spec: RunSpec, length: int) -> None:
    from trainers.memory.trace import TraceSettings, trace

    rows = BatchShapes(steps=((BatchShape(rows=2, length=length),),), eval_length=length)
    with gc_frozen(), quiet(), _silent("torch._subclasses.fake_tensor"):
        trace(model, spec, TraceSettings(rows, "fp32"))


@contextlib.contextmanager
def _silent(logger: str) -> Iterator[None]:
    """Silence a logger: torch's prints a traceback of an error that is one line here."""
    log = logging.getLogger(logger)
    before, log.disabled = log.disabled, True
    try:
        yield
    finally:
        log.disabled = before


def _method(spec: RunSpec) -> str:
    return f"method: {spec.method.kind} on {spec.model.name}"


def _said(error: Exception, spec: RunSpec, body: PreTrainedModel) -> str:
    """Return an error in one line, with the model by its name in the study."""
    if not isinstance(error, TunerError):
        lines = str(error).strip().splitlines() or [""]
        said = f"{type(error).__name__}: {lines[0]}"
    else:
        said = str(error)
    return said.replace(type(body).__name__, spec.model.name)


def _virtual_tokens(model: nn.Module) -> int:
    configs: Any = getattr(model, "peft_config", {})
    return int(
        max((getattr(c, "num_virtual_tokens", 0) or 0 for c in configs.values()), default=0)
    )


def _given(method: Method) -> Any:
    """Return the targets of a method, under its own name for them or peft's."""
    own = getattr(method, "targets", None)
    return own or getattr(method, "config", {}).get("target_modules")


def _unfit(method: Method, body: PreTrainedModel, model: nn.Module) -> dict[str, UnknownNames]:
    """Return a method's names that match no part of the model, by its field."""
    found = {}
    if targets := unknown_targets(_given(method), body):
        known = tuple(target_names(body.base_model))
        found[getattr(method, "TARGETS", "")] = UnknownNames(tuple(targets), known)
    options = {k: v for k, v in getattr(method, "config", {}).items() if k != "target_modules"}
    tuned: Any = getattr(model, "base_model", None)
    adapted = [
        *(getattr(tuned, "targeted_module_names", None) or ()),
        *(getattr(tuned, "targeted_parameter_names", None) or ()),
    ]
    configs: Any = getattr(model, "peft_config", {})
    excludable = [name for config in configs.values() for name in adapted_modules(body, config)]
    for option, (names, near) in unknown_option_names(options, body, adapted, excludable).items():
        found[f"config.{option}"] = UnknownNames(tuple(names), tuple(near))
    return found


def _out_of_range(method: Method, body: PreTrainedModel) -> str:
    """Refuse numbers of layers and tokens that the model does not have."""
    return _layers_out_of_range(method, body) or _tokens_out_of_range(method, body)


def _tokens_out_of_range(method: Method, body: PreTrainedModel) -> str:
    embeddings: Any = body.get_input_embeddings()
    size = int(getattr(embeddings, "num_embeddings", 0))
    for option in ("trainable_token_indices", "token_indices"):
        asked = getattr(method, "config", {}).get(option) or ()
        lists = asked.values() if isinstance(asked, dict) else [asked]
        tokens = [n for one in lists if isinstance(one, list | tuple) for n in one]
        beyond = [n for n in tokens if size and isinstance(n, int) and not 0 <= n < size]
        if beyond:
            return (
                f"method.config.{option}: got {beyond[0]}; the model's vocabulary has {size} "
                f"tokens; allowed: 0 to {size - 1}"
            )
    return ""


def _layers_out_of_range(method: Method, body: PreTrainedModel) -> str:
    """Refuse numbers of layers that the model does not have; peft ignores them."""
    config: Any = body.config
    layers: int | None = getattr(config.get_text_config(), "num_hidden_layers", None)
    if layers is None:
        return ""
    asked = getattr(method, "config", {}).get("layers_to_transform")
    asked = [asked] if isinstance(asked, int) else asked or ()
    beyond = [number for number in asked if not 0 <= number < layers]
    if not beyond:
        return ""
    return (
        f"method.config.layers_to_transform: got {beyond[0]}; the model has {layers} layers; "
        f"allowed: 0 to {layers - 1}"
    )
