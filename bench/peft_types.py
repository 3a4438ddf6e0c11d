"""Try every peft type on the tiny models and print a Markdown table of what works.

Run it from the repository root: `python bench/peft_types.py > docs/peft-types.md`.
"""

from __future__ import annotations

import importlib.metadata
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

import torch
from peft import PeftType

from trainers.contract import RunSpec
from trainers.errors import TunerError
from trainers.memory import predict_memory
from trainers.methods import count_parameters
from trainers.methods.peft_any import PeftAny
from trainers.models.tiny import Tiny

ARCHITECTURES = ("bert", "roberta", "llama")
LABELS = ("negative", "positive")
TEXTS = ("good food and a nice place", "bad", "the worst service", "love this film")
# Types without a usable default, and types whose default is too large for a body 32 wide.
SETTINGS: dict[str, dict[str, Any]] = {
    "ADALORA": {"total_step": 10},
    "C3A": {"block_size": 8},
    "CARTRIDGE": {"num_virtual_tokens": 4},
    "CPT": {"num_virtual_tokens": 4},
    "FOURIERFT": {"n_frequency": 64},
    "MISS": {"r": 4},
    "MULTITASK_PROMPT_TUNING": {"num_virtual_tokens": 4},
    "PREFIX_TUNING": {"num_virtual_tokens": 4},
    "PROMPT_TUNING": {"num_virtual_tokens": 4},
    "PSOFT": {"r": 4},
    "P_TUNING": {"num_virtual_tokens": 4},
    "ROAD": {"group_size": 16},
    "SHIRA": {"r": 2},
    "TRAINABLE_TOKENS": {"token_indices": [5, 6]},
    "VBLORA": {"vector_length": 16},
    "WAVEFT": {"n_frequency": 64},
}

HEADER = """# Which peft types work

`peft_any` takes any type of peft by name. This table was printed by

    python bench/peft_types.py > docs/peft-types.md

with peft {peft}, transformers {transformers} and torch {torch}. Each type was tried with its
default config, save for the fields shown, which have no default or one too large for a model
32 wide, on the tiny BERT, RoBERTa and Llama: wrap the classifier, take one training step, save,
load into a model built under another seed.
"ok" means that the adapter and the head got gradients, and that the logits after loading are
bit-equal to those before; the number is how many parameters were trained beside the head.
Anything else is the first line of what went wrong. "traced": memory can be predicted, on BERT.

`lora`, `ia3`, `prompt`, `prefix` and `p_tuning` have files of their own with checked fields, and
`full`, `head`, `bitfit` and `bottleneck` are no types of peft. Refused, with the reason, are types
that a run cannot train as what they are called, such as ADALORA, whose budget nothing here moves;
options that would change nothing in a run, or that the run or peft sets, such as LORA's
`eva_config` or `fan_in_fan_out`; options without the one that they need, such as OFT's `eps`
without `coft`; starts of LORA that need rows of the data, a quantised model or draws that a kept
model could not repeat: eva, corda, loftq, lora_ga, pissa_niter. Its starts gaussian, orthogonal,
olora and pissa work. A test gives every option of every type another value and sees what changes.
"""


def main() -> None:
    """Print the document; progress goes to standard error."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    versions = {name: importlib.metadata.version(name) for name in ("peft", "transformers")}
    print(HEADER.format(**versions, torch=torch.__version__.partition("+")[0]))
    print("| type | config | BERT | RoBERTa | Llama | traced |\n|---|---|---|---|---|---|")
    works = 0
    for kind in sorted(member.name for member in PeftType):
        print(kind, file=sys.stderr)
        outcomes = [outcome(kind, architecture) for architecture in ARCHITECTURES]
        works += all(text.startswith("ok") for text in outcomes)
        if len(set(outcomes)) == 1 and not outcomes[0].startswith("ok"):
            outcomes = [outcomes[0], "same", "same"]
        fields = ", ".join(f"`{key}: {value}`" for key, value in SETTINGS.get(kind, {}).items())
        print(f"| {kind} | {fields} | {' | '.join(outcomes)} | {traced(kind)} |")
    print(f"\n{works} of {len(PeftType)} types work on all three.")


def outcome(kind: str, architecture: Any) -> str:
    """Return "ok" with the adapter's size, or the error in one line."""
    try:
        return attempt(
            PeftAny(type=kind, config=SETTINGS.get(kind, {})), Tiny(architecture=architecture)
        )
    except Exception as error:  # any exception of a type is its row in the table
        text = str(error).strip().partition("\n")[0].partition(". ")[0]
        text = text.partition("cannot wrap ")[2].partition(": ")[2] or text
        text = text.partition("method: ")[2] or text
        text = text.partition("; got targets")[0]
        return f"{type(error).__name__}: {text[:140]}".replace("|", "\\|")


def traced(kind: str) -> str:
    """Return whether a run's memory can be predicted, in words."""
    method = {"kind": "peft_any", "type": kind, "config": SETTINGS.get(kind, {})}
    seeds = {"init": 0, "order": 0}
    tree = {"task": "toy", "model": "tiny-bert", "method": method, "seeds": seeds}
    try:
        predict_memory(RunSpec.model_validate(tree), labels=2)
    except (TunerError, ValueError):  # the other columns have the reason
        return ""
    return "yes"


def attempt(method: PeftAny, source: Tiny) -> str:
    """Train one step, save and reload.

    Raises:
        RuntimeError: The type trained nothing, or did not come back as it was saved.
    """
    torch.manual_seed(1)
    model = method.apply(source.model(LABELS, "sdpa"))
    counts = count_parameters(model)
    batch = dict(source.tokenizer()(list(TEXTS), padding=True, return_tensors="pt"))
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-2)
    model.train()
    model(**batch, labels=torch.tensor([1, 0, 0, 1])).loss.backward()
    without = [name for name, p in model.named_parameters() if p.requires_grad and p.grad is None]
    optimizer.step()
    if counts.trained == counts.head:
        raise RuntimeError("trains the head only")
    before = _logits(model, batch)
    with tempfile.TemporaryDirectory() as folder:
        method.save(model, Path(folder))
        torch.manual_seed(2)
        other = method.apply(source.model(LABELS, "sdpa"))
        method.load(other, Path(folder))
    if not torch.equal(_logits(other, batch), before):
        raise RuntimeError("other logits after loading")
    if without:
        raise RuntimeError(f"no gradient reaches {without[0].rpartition('base_model.')[2]}")
    return f"ok, {counts.trained - counts.head:,}"


def _logits(model: torch.nn.Module, batch: dict[str, Any]) -> torch.Tensor:
    model.eval()
    with torch.no_grad():
        logits: torch.Tensor = model(**batch).logits
    return logits


if __name__ == "__main__":
    main()
