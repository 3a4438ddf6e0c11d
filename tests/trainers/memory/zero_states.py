"""Train a small model under DeepSpeed on two gloo ranks and print what the engine holds.

Called as a script with a list of cells in JSON; prints a line of JSON for each.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import time
from typing import Any

os.environ["DS_ACCELERATOR"] = "cpu"
RANKS = 2
_SMALL = 1000  # elements: buckets that do not count beside the states


def held_bytes() -> int:
    """Return the bytes of all floating tensors that are alive, each storage once."""
    import torch

    gc.collect()
    storages = {}
    for found in gc.get_objects():
        if isinstance(found, torch.Tensor) and found.is_floating_point():
            storage = found.untyped_storage()
            storages[storage.data_ptr()] = storage.nbytes()
    return sum(storages.values())


def held_for_good() -> int:
    """Return the bytes that stay: gloo's threads let go of what they have reduced a bit later."""
    looks = []
    for _ in range(3):
        looks.append(held_bytes())
        time.sleep(0.1)
    return min(looks)


def model(method: str) -> Any:
    """Return a BERT of a million weights, its method applied."""
    from transformers import BertConfig, BertForSequenceClassification

    from tests.specs import toy_spec

    config = BertConfig(
        hidden_size=128,
        num_hidden_layers=4,
        num_attention_heads=4,
        intermediate_size=512,
        vocab_size=2000,
    )
    return toy_spec(method=method).method.apply(BertForSequenceClassification(config))


def config(cell: dict[str, Any]) -> dict[str, Any]:
    """Return the DeepSpeed config of a cell."""
    zero = {
        "stage": cell["stage"],
        "reduce_bucket_size": _SMALL,
        "allgather_bucket_size": _SMALL,
        "overlap_comm": False,
        "stage3_param_persistence_threshold": 0,
        "stage3_prefetch_bucket_size": 0,
        "stage3_max_live_parameters": 0,
        "stage3_max_reuse_distance": 0,
    }
    if cell["offload"]:
        zero["offload_optimizer"] = {"device": "cpu", "pin_memory": False}
        if cell["stage"] == 3:
            zero["offload_param"] = {"device": "cpu", "pin_memory": False}
    return {
        "zero_force_ds_cpu_optimizer": False,
        "zero_optimization": zero,
        "train_micro_batch_size_per_gpu": 2,
        "bf16": {"enabled": cell["precision"] == "bf16"},
        "optimizer": {"type": "AdamW", "params": {"lr": 1e-4, "torch_adam": True}},
        "gradient_clipping": 1.0,
    }


def measure(cell: dict[str, Any]) -> dict[str, Any]:
    """Do two steps; return what is held before the second."""
    import deepspeed
    import torch

    before = held_bytes()
    built = model(cell["method"])
    trained = [p for p in built.parameters() if p.requires_grad]
    counts = {"total": sum(p.numel() for p in built.parameters())}
    sizes = [p.numel() for p in trained]
    engine, *_ = deepspeed.initialize(model=built, model_parameters=trained, config=config(cell))
    tokens = torch.ones(2, 8, dtype=torch.int64)
    labels = torch.zeros(2, dtype=torch.int64)
    held = 0
    for step in range(2):
        loss = engine(input_ids=tokens, attention_mask=tokens, labels=labels).loss
        engine.backward(loss)
        del loss
        if step:
            held = held_for_good() - before
        engine.step()
    engine.destroy()
    return {**cell, **counts, "trained": sum(sizes), "sizes": sizes, "held_bytes": held}


def work(rank: int, cells: list[dict[str, Any]], port: int) -> None:
    """Do every cell as one of the ranks; the first prints."""
    import deepspeed
    import torch

    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(RANKS)}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    torch.set_num_threads(1)
    deepspeed.ops.__compatible_ops__ = {}  # or an op is compiled, a minute long
    deepspeed.init_distributed("gloo")
    gc.freeze()  # nothing is looked for among the million objects that have been loaded
    for cell in cells:
        found = measure(cell)
        if rank == 0:
            print("CELL", json.dumps(found), flush=True)


if __name__ == "__main__":
    import socket

    import torch.multiprocessing

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        chosen = free.getsockname()[1]
    torch.multiprocessing.spawn(work, (json.loads(sys.argv[1]), chosen), nprocs=RANKS)
