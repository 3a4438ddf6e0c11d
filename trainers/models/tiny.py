"""Make a very small model with random weights, offline: for tests and first tries."""

from __future__ import annotations

import string
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from trainers.interfaces import ModelSource
from trainers.models._outline import from_config

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

MAX_LENGTH = 512

_WORDS = """
the of and to in a is that it was for on with as be at by this had not are but from or have an
they which one you were her all she there would their we him been has when who will more no if
out so said what up its about into than them can only other new some could time these two may
then do first any my now such like our over man me even most made after also did many before must
through back years where much your way well down should because each just those people how too
little state good very make world still own see men work long get here between both life being
under never day same another know while last might us great old year off come since against go
came right used take three food service place price bad best worst nice poor love hate really
game team market company film music phone computer government
"""


@dataclass(frozen=True)
class TokenFormat:
    """Special tokens of an architecture, and how it joins texts."""

    special: dict[str, str]
    """Role, as transformers names it, to token. Their order is the order of their ids."""
    single: str
    pair: str
    inputs: tuple[str, ...] = ("input_ids", "attention_mask")


TOKEN_FORMATS = {
    "bert": TokenFormat(
        {
            "pad_token": "[PAD]",
            "unk_token": "[UNK]",
            "cls_token": "[CLS]",
            "sep_token": "[SEP]",
            "mask_token": "[MASK]",
        },
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        inputs=("input_ids", "token_type_ids", "attention_mask"),
    ),
    "roberta": TokenFormat(
        {
            "bos_token": "<s>",
            "pad_token": "<pad>",
            "eos_token": "</s>",
            "unk_token": "<unk>",
            "mask_token": "<mask>",
        },
        single="<s> $A </s>",
        pair="<s> $A </s> </s> $B </s>",
    ),
    # Llama has no pad token of its own, and a classifier's text does not end in eos.
    "llama": TokenFormat(
        {"unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>"},
        single="<s> $A",
        pair="<s> $A $B",
    ),
}
_SIZE = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    # At the usual 0.02 a body this narrow gives every text the same features.
    "initializer_range": 0.2,
}


class Tiny(ModelSource):
    """Two layers, 32 wide. The body is the same for every run seed, like a pretrained one."""

    NAMED: ClassVar = {
        f"tiny-{architecture}": {"architecture": architecture}
        for architecture in ("bert", "roberta", "llama")
    }

    kind: Literal["tiny"] = "tiny"
    """File name of the plug-in."""
    architecture: Literal["bert", "roberta", "llama"] = "bert"
    """Architecture: two encoders and a decoder."""
    dropout: float | None = Field(default=None, ge=0, lt=1)
    """Dropout everywhere; None: the architecture's default."""
    weights_seed: int = Field(default=0, ge=0, lt=2**32)
    """Draws the body's weights. The head's come from the run's own seed."""

    def tokenizer(self) -> PreTrainedTokenizerBase:
        """Build a tokenizer for any text; Llama pads with its end-of-text token."""
        tokenizer = build_tokenizer(TOKEN_FORMATS[self.architecture])
        if tokenizer.pad_token is None:
            tokenizer.pad_token = tokenizer.eos_token
        return tokenizer

    def model(self, labels: tuple[str, ...], attention: str) -> PreTrainedModel:
        """Draw the body from `weights_seed`, then the head from the caller's generator."""
        import torch

        # Weights are drawn on the CPU, without use of other devices' generators.
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(self.weights_seed)
            pretrained = self.outline(labels, attention)
        model = self.outline(labels, attention)
        model.base_model.load_state_dict(pretrained.base_model.state_dict())
        return model

    def outline(self, labels: tuple[str, ...], attention: str) -> PreTrainedModel:
        """Build the classifier from its config."""
        return from_config(self._config(labels), attention)

    def _config(self, labels: tuple[str, ...]) -> PreTrainedConfig:
        from transformers import BertConfig, LlamaConfig, RobertaConfig

        dialect = TOKEN_FORMATS[self.architecture]
        ids = vocabulary(dialect)
        padding = "pad_token" if "pad_token" in dialect.special else "eos_token"
        shared: dict[str, Any] = {
            **_SIZE,
            "vocab_size": len(ids),
            "id2label": dict(enumerate(labels)),
            "label2id": {label: index for index, label in enumerate(labels)},
            "pad_token_id": ids[dialect.special[padding]],
        }
        if self.architecture == "llama":
            if self.dropout is not None:
                shared["attention_dropout"] = self.dropout
            return LlamaConfig(
                **shared,
                num_key_value_heads=2,
                max_position_embeddings=MAX_LENGTH,
                bos_token_id=ids["<s>"],
                eos_token_id=ids["</s>"],
            )
        if self.dropout is not None:
            names = ("hidden_dropout_prob", "attention_probs_dropout_prob")
            shared |= dict.fromkeys(names, self.dropout)
        if self.architecture == "roberta":
            # RoBERTa counts positions from the pad token's id on.
            positions = MAX_LENGTH + shared["pad_token_id"] + 1
            return RobertaConfig(**shared, max_position_embeddings=positions, type_vocab_size=1)
        return BertConfig(**shared, max_position_embeddings=MAX_LENGTH)


def vocabulary(dialect: TokenFormat) -> dict[str, int]:
    """Number the special tokens, then the characters, then the words."""
    characters = string.ascii_lowercase + string.digits + string.punctuation
    tokens = [
        *dialect.special.values(),
        *characters,
        *(f"##{c}" for c in characters),
        *_WORDS.split(),
    ]
    return {token: index for index, token in enumerate(dict.fromkeys(tokens))}


def build_tokenizer(dialect: TokenFormat) -> PreTrainedTokenizerBase:
    """Make a WordPiece tokenizer; it splits an unknown word into its characters."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    ids = vocabulary(dialect)
    backend = Tokenizer(models.WordPiece(ids, unk_token=dialect.special["unk_token"]))
    backend.normalizer = normalizers.BertNormalizer(lowercase=True)
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    backend.post_processor = processors.TemplateProcessing(
        single=dialect.single,
        pair=dialect.pair,
        special_tokens=[(token, ids[token]) for token in dialect.special.values()],
    )
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]  # transformers
        tokenizer_object=backend,
        model_max_length=MAX_LENGTH,
        padding_side="right",
        model_input_names=list(dialect.inputs),
        **dialect.special,
    )
