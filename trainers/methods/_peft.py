"""Wrap a classifier with any peft type, and keep the result in peft's own format."""

from __future__ import annotations

import copy
import re
import warnings
from dataclasses import fields
from typing import TYPE_CHECKING, Any, ClassVar

from trainers.errors import ConfigError, ModelError, known
from trainers.interfaces import Method
from trainers.methods._parameters import check_fit, count_parameters, head_names
from trainers.methods._peft_options import check_options
from trainers.methods._prompt import adapt_prompt
from trainers.methods._targets import (
    query_value,
    target_names,
    unknown_targets,
    unknown_targets_message,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from peft import PeftConfig, PeftModel
    from torch import nn
    from transformers import PreTrainedModel

_ADAPTER_FILE = "adapter_model.safetensors"


class PeftMethod(Method):
    """A method that peft implements, kept in peft's own format with the head."""

    TARGETS: ClassVar = "targets"
    """The field that names the modules to adapt."""

    def save(self, model: nn.Module, folder: Path) -> None:
        """Write `adapter_config.json` and `adapter_model.safetensors`."""
        # By default peft asks the Hub whether embeddings were resized.
        model.save_pretrained(str(folder), save_embedding_layers=False)  # type: ignore[operator]
        # An empty model card.
        (folder / "README.md").unlink(missing_ok=True)

    def load(self, model: nn.Module, folder: Path) -> None:
        """Read what `save` wrote into a freshly wrapped model.

        Raises:
            ModelError: The file is missing, or has other tensors than this method's.
        """
        from peft import PrefixEncoder, get_peft_model_state_dict, set_peft_model_state_dict
        from safetensors.torch import load_file

        path = folder / _ADAPTER_FILE
        if not path.is_file():
            raise ModelError(f"{path}: no such file; expected weights saved by the same method")
        stored = load_file(path)
        check_fit(path, stored, get_peft_model_state_dict(model, save_embedding_layers=False))
        configs: Any = model.peft_config
        config = configs["default"]
        if config.is_prompt_learning:
            # The file has the finished prompt, not the network that made it.
            config.inference_mode = True
            if getattr(config, "prefix_projection", False):
                encoders: Any = model.prompt_encoder
                make: Any = PrefixEncoder
                encoders["default"] = make(config)  # as large as the prompt only
        set_peft_model_state_dict(model, stored)


def wrap(
    model: PreTrainedModel,
    peft_type: str,
    settings: Mapping[str, Any],
    *,
    targets: str = PeftMethod.TARGETS,
) -> PeftModel:
    """Freeze the body, add the adapter and keep the head trainable.

    Adapter weights are float32 whatever the type of the base.

    Args:
        model: The classifier; changed in place.
        peft_type: A name of `peft.PeftType`, in any case.
        settings: Fields of that type's config.
        targets: The method's field that names the modules to adapt.

    Raises:
        ConfigError: Unknown type or field; peft refuses the settings or the architecture, or
            does not train the head.
    """
    from peft import get_peft_model

    config = _config(model, peft_type, settings)
    parts = target_names(model.base_model)  # before peft adds its own
    try:
        with warnings.catch_warnings():
            # peft 0.21 uses a name of transformers 5 that is deprecated.
            warnings.filterwarnings("ignore", "`is_gradient_checkpointing`", FutureWarning)
            wrapped = get_peft_model(model, config)
    except (ValueError, TypeError, KeyError, NotImplementedError, AttributeError) as error:
        raise ConfigError(_refusal(error, model, config, parts, key=targets)) from error
    if count_parameters(wrapped).head == 0:
        raise ConfigError(
            f"method: peft type {peft_type.upper()} leaves the new head frozen at random values; "
            "allowed: a type whose config has modules_to_save"
        )
    if config.is_prompt_learning:
        adapt_prompt(wrapped)
    return wrapped


def _config(model: PreTrainedModel, peft_type: str, settings: Mapping[str, Any]) -> PeftConfig:
    from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING, PEFT_TYPE_TO_TUNER_MAPPING

    types = {member.name: member for member in PEFT_TYPE_TO_CONFIG_MAPPING}
    name = peft_type.upper()
    if name not in types:
        raise ConfigError(f"method.type: no such type {peft_type!r}; known: {known(types, 60)}")
    config_class = PEFT_TYPE_TO_CONFIG_MAPPING[types[name]]
    allowed = {field.name for field in fields(config_class) if field.init}
    check_options(name, settings, config_class)
    tuner = PEFT_TYPE_TO_TUNER_MAPPING[types[name]]
    own = copy.deepcopy(settings)  # peft appends to the lists of its arguments
    values = {"task_type": "SEQ_CLS", **_defaults(model, tuner, allowed), **own}
    try:
        return config_class(**values)
    except (ValueError, TypeError) as error:
        raise ConfigError(
            f"method.config: peft refuses it for {name}: {_first_line(error)}"
        ) from error


def _defaults(model: PreTrainedModel, tuner: type, allowed: set[str]) -> dict[str, Any]:
    """Return the options that peft lacks for this architecture."""
    found: dict[str, Any] = {}
    # peft keeps `classifier` and `score` trainable by itself.
    heads = [head for head in head_names(model) if head not in ("classifier", "score")]
    if heads and "modules_to_save" in allowed:
        found["modules_to_save"] = heads
    mapping = getattr(tuner, "target_module_mapping", None) or {}
    # Where peft's own choice is query and value, use the same for other architectures.
    if model.config.model_type not in mapping and mapping.get("llama") == ["q_proj", "v_proj"]:
        found["target_modules"] = query_value(model.base_model)
    return found


def _refusal(
    error: Exception,
    model: PreTrainedModel,
    config: PeftConfig,
    parts: Sequence[str],
    *,
    key: str,
) -> str:
    """Return the error for a model that peft refuses; about its targets, where none exists."""
    asked = getattr(config, "target_modules", None) or ()
    name = type(model).__name__
    unfit = unknown_targets(asked, model)
    if unfit and len(unfit) == len(asked):
        return unknown_targets_message(key, unfit, name, parts)
    has = ", ".join(parts)
    if not asked and re.search("target_modules|modules were targeted", str(error)):
        return f"method.{key}: peft has no default for {name}; name some of {has}"
    shown = asked if isinstance(asked, str) else ", ".join(sorted(asked))
    blamed = asked and re.search("target|module|layer", str(error), re.IGNORECASE)
    got = f"; got targets {shown}; this model has {has}" if blamed else ""
    return (
        f"method: peft type {getattr(config.peft_type, 'value', '')} cannot wrap {name}: "
        f"{_first_line(error)}{got}"
    )


def _first_line(error: Exception) -> str:
    """Return the first sentence: the rest of peft's messages is for its developers."""
    return str(error).strip().partition("\n")[0].partition(". ")[0].rstrip(".")
