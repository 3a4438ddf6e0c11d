"""Golden losses: a refactor leaves them as they are.

Write them anew with `python -m tests.test_golden`, and say in the commit why they changed.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import pytest

from tests.specs import toy_spec, workspace
from trainers.contract import RunEvent
from trainers.train import train

GOLDEN = Path(__file__).parent / "golden" / "losses.json"
METHODS = ("full", "head", "bitfit", "lora", "ia3", "pfeiffer", "houlsby", "parallel", "prefix")


def losses(method: str, folder: Path) -> list[float]:
    """Train the tiny BERT for two epochs and return the loss of every step."""
    events: list[RunEvent] = []
    train(toy_spec(method=method), events.append, workspace(folder))
    return [e.metrics["train/loss"] for e in events if "train/loss" in e.metrics]


@pytest.mark.parametrize("method", METHODS)
def test_losses_are_the_golden_ones(method: str, tmp_path: Path) -> None:
    """Within what another CPU's rounding may do."""
    golden = json.loads(GOLDEN.read_text())[method]
    assert losses(method, tmp_path) == pytest.approx(golden, abs=2e-4)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        made = {m: [round(x, 6) for x in losses(m, Path(scratch) / m)] for m in METHODS}
    GOLDEN.write_text(json.dumps(made, indent=2) + "\n")
