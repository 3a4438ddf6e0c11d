"""Build a tokenizer in memory that splits any text, for the tiny models."""

from __future__ import annotations

import string
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

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
class Dialect:
    """Special tokens of an architecture, and how it joins texts."""

    special: dict[str, str]
    """Role, as transformers names it, to token. Their order is the order of their ids."""
    single: str
    pair: str
    inputs: tuple[str, ...] = ("input_ids", "attention_mask")


DIALECTS = {
    "bert": Dialect(
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
    "roberta": Dialect(
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
    "llama": Dialect(
        {"unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>"},
        single="<s> $A",
        pair="<s> $A $B",
    ),
}


def vocabulary(dialect: Dialect) -> dict[str, int]:
    """Number the special tokens, then the characters, then the words."""
    characters = string.ascii_lowercase + string.digits + string.punctuation
    tokens = [
        *dialect.special.values(),
        *characters,
        *(f"##{c}" for c in characters),
        *_WORDS.split(),
    ]
    return {token: index for index, token in enumerate(dict.fromkeys(tokens))}


def build(dialect: Dialect) -> PreTrainedTokenizerBase:
    """Make a WordPiece tokenizer; a word it does not know falls into its characters."""
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
