"""An outline tells what cannot be trained, on small models of many architectures."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Literal, NoReturn

import pytest
import transformers

from trainers.contract import RunSpec
from trainers.memory.outlines import outline_runs
from trainers.methods.full import Full

SIZES: dict[str, Any] = {
    "vocab_size": 120,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "max_position_embeddings": 64,
}
SMALL: dict[str, dict[str, Any]] = {
    "Bert": SIZES,
    "DistilBert": {"vocab_size": 120, "dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 64},
    "DebertaV2": SIZES | {"relative_attention": True, "position_buckets": 16},
    "ModernBert": SIZES | {"pad_token_id": 0, "cls_token_id": 1, "sep_token_id": 2},
    "GPT2": {"vocab_size": 120, "n_embd": 32, "n_layer": 2, "n_head": 4, "pad_token_id": 0},
    "Llama": SIZES,
    "Mixtral": SIZES | {"num_key_value_heads": 2, "num_local_experts": 4},
    "T5": {"vocab_size": 120, "d_model": 32, "d_kv": 8, "d_ff": 64, "num_layers": 2}
    | {"num_heads": 4, "decoder_start_token_id": 0, "pad_token_id": 0, "eos_token_id": 1},
}
METHODS = ("full", "lora", "bottleneck", "head", "ia3", "prompt", "prefix", "p_tuning")
FAULTS = {
    "Bert": {},
    "DistilBert": {
        "ia3": r"^method\.targets: peft has no default for small; name some of q_lin, v_lin",
        "prompt": "token_dim",
        "prefix": "token_dim",
        "p_tuning": "token_dim",
    },
    "DebertaV2": {"prefix": "does not support past key values"},
    "ModernBert": {
        "bottleneck": "does not fit the layers of small",
        "ia3": r"^method\.targets: ",
        "prefix": "does not support past key values",
    },
    "GPT2": {"bottleneck": "does not fit the layers"},
    "Llama": {},
    "Mixtral": {"lora": r"^method\.targets: peft has no default for small; .* q_proj, v_proj"},
    "T5": {
        "bottleneck": "does not fit the layers",
        "prompt": "^method: prompt on small cannot be run: ",
        "prefix": "^method: prefix on small cannot be run: ",
        "p_tuning": "^method: p_tuning on small cannot be run: ",
    },
}
"""What fails in training, by architecture and method; nothing else does."""


def spec(folder: Path, method: str, **train: Any) -> RunSpec:
    """Return a run of a model that is a config alone."""
    tree = {
        "task": "toy",
        "model": {"kind": "hub", "id": str(folder), "name": "small"},
        "method": method,
        "seeds": {"init": 0, "order": 0},
        "train": {"max_length": 16, "precision": "fp32"} | train,
    }
    return RunSpec.model_validate(tree)


def saved(architecture: str, folder: Path) -> Path:
    """Write a small config of an architecture."""
    make = getattr(transformers, f"{architecture}Config")
    make(**SMALL[architecture]).save_pretrained(folder)
    return folder


@pytest.mark.parametrize("architecture", SMALL)
def test_what_cannot_be_trained_is_told_and_nothing_else(
    architecture: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Method by method, in one line, with nothing else printed."""
    folder = saved(architecture, tmp_path)
    attention = "eager" if architecture == "DebertaV2" else "sdpa"
    found = outline_runs([spec(folder, method, attention=attention) for method in METHODS])
    faults = {method: o.fault for method, o in zip(METHODS, found, strict=True) if o.fault}
    assert faults.keys() == FAULTS[architecture].keys()
    for method, words in FAULTS[architecture].items():
        assert re.search(words, faults[method]), faults[method]
        assert "\n" not in faults[method]
    assert capfd.readouterr() == ("", "")


def test_attention_that_a_model_does_not_have_is_told(tmp_path: Path) -> None:
    """DeBERTa under sdpa, with what to set."""
    (found,) = outline_runs([spec(saved("DebertaV2", tmp_path), "full")])
    assert "set train.attention: eager" in found.fault


def test_a_model_may_have_any_number_of_positions(tmp_path: Path) -> None:
    """XLNet says -1, and no size below 1 is meant."""
    config = transformers.XLNetConfig(vocab_size=99, d_model=32, n_layer=1, n_head=4, d_inner=32)
    config.save_pretrained(tmp_path)
    (found,) = outline_runs([spec(tmp_path, "full", attention="eager")])
    assert (found.fault, found.positions) == ("", None)


class Divides(Full):
    """A method with a bug."""

    kind: Literal["divides"] = "divides"  # type: ignore[assignment]  # of another plug-in

    def apply(self, model: Any) -> NoReturn:
        """Divide by zero."""
        raise ZeroDivisionError(f"division by zero in {type(model).__name__}")


def test_an_error_of_no_user_names_method_and_model_first(tmp_path: Path) -> None:
    """Its kind and its first line follow, with the model under the study's name for it."""
    broken = spec(saved("Bert", tmp_path), "full").model_copy(update={"method": Divides()})
    (found,) = outline_runs([broken])
    said = "method: divides on small cannot be built: ZeroDivisionError: division by zero in small"
    assert found.fault == said
