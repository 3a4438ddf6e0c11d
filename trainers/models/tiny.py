"""Make a very small model with random weights, offline: for tests and first tries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from trainers.interfaces import ModelSource
from trainers.models import _tiny_tokenizer as tiny_tokenizer
from trainers.models._outline import from_config

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

_SIZE = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    # At the usual 0.02 a body this narrow gives every text the same features.
    "initializer_range": 0.2,
}


class Tiny(ModelSource):
    """Two layers, 32 wide. The body is the same for every run seed, as a pretrained one is."""

    NAMED: ClassVar = {
        f"tiny-{architecture}": {"architecture": architecture}
        for architecture in ("bert", "roberta", "llama")
    }

    kind: Literal["tiny"] = "tiny"
    """File name of the plug-in."""
    architecture: Literal["bert", "roberta", "llama"] = "bert"
    """Architecture: two encoders and a decoder."""
    dropout: float | None = Field(default=None, ge=0, lt=1)
    """Dropout everywhere; None: what the architecture has by default."""
    weights_seed: int = Field(default=0, ge=0, lt=2**32)
    """Draws the body's weights. The head's come from the run's own seed."""

    def tokenizer(self) -> PreTrainedTokenizerBase:
        """Build a tokenizer for any text; Llama pads with its end-of-text token."""
        tokenizer = tiny_tokenizer.build(tiny_tokenizer.DIALECTS[self.architecture])
        if tokenizer.pad_token is None:
            tokenizer.pad_token = tokenizer.eos_token
        return tokenizer

    def model(self, labels: tuple[str, ...], attention: str) -> PreTrainedModel:
        """Draw the body from `weights_seed`, then the head from the caller's generator."""
        import torch

        # Weights are drawn on the CPU: other devices' generators are left alone.
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(self.weights_seed)
            pretrained = self.outline(labels, attention)
        model = self.outline(labels, attention)
        model.base_model.load_state_dict(pretrained.base_model.state_dict())
        return model

    def outline(self, labels: tuple[str, ...], attention: str) -> PreTrainedModel:
        """Build the classifier as its config says."""
        return from_config(self._config(labels), attention)

    def _config(self, labels: tuple[str, ...]) -> PreTrainedConfig:
        from transformers import BertConfig, LlamaConfig, RobertaConfig

        dialect = tiny_tokenizer.DIALECTS[self.architecture]
        ids = tiny_tokenizer.vocabulary(dialect)
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
                max_position_embeddings=tiny_tokenizer.MAX_LENGTH,
                bos_token_id=ids["<s>"],
                eos_token_id=ids["</s>"],
            )
        if self.dropout is not None:
            names = ("hidden_dropout_prob", "attention_probs_dropout_prob")
            shared |= dict.fromkeys(names, self.dropout)
        if self.architecture == "roberta":
            # RoBERTa counts positions from the pad token's id on.
            positions = tiny_tokenizer.MAX_LENGTH + shared["pad_token_id"] + 1
            return RobertaConfig(**shared, max_position_embeddings=positions, type_vocab_size=1)
        return BertConfig(**shared, max_position_embeddings=tiny_tokenizer.MAX_LENGTH)
