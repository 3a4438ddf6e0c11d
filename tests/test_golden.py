"""Golden losses: a refactor leaves them as they are.

`python -m tests.test_golden` enters the methods that have none yet, and leaves the others.
`python -m tests.test_golden NAME...` enters these anew: say in the commit why they changed.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

import pytest

from tests.specs import toy_spec, workspace
from trainers.contract import RunEvent
from trainers.interfaces import Method
from trainers.plugins import named
from trainers.train import train

GOLDEN = Path(__file__).parent / "golden" / "losses.json"
METHODS = sorted(named(Method, "trainers.methods"))  # type: ignore[type-abstract]  # a base


def losses(method: str, folder: Path) -> list[float]:
    """Train the tiny BERT for two epochs and return the loss of every step."""
    events: list[RunEvent] = []
    train(toy_spec(method=method), events.append, workspace(folder))
    return [e.metrics["train/loss"] for e in events if "train/loss" in e.metrics]


def test_the_golden_losses_are_those_of_the_methods_there_are() -> None:
    """A new method enters its losses; one that is gone leaves none behind."""
    golden = json.loads(GOLDEN.read_text())
    assert sorted(golden) == METHODS, "run `python -m tests.test_golden`"


@pytest.mark.parametrize("method", METHODS)
def test_losses_are_the_golden_ones(method: str, tmp_path: Path) -> None:
    """Within what another CPU's rounding may do."""
    golden = json.loads(GOLDEN.read_text())[method]
    assert losses(method, tmp_path) == pytest.approx(golden, abs=2e-4)


def _enter(names: list[str]) -> None:
    kept = json.loads(GOLDEN.read_text())
    wanted = names or [method for method in METHODS if method not in kept]
    with tempfile.TemporaryDirectory() as scratch:
        made = {m: [round(x, 6) for x in losses(m, Path(scratch) / m)] for m in wanted}
    golden = {method: (kept | made)[method] for method in METHODS}
    GOLDEN.write_text(json.dumps(golden, indent=2) + "\n")


if __name__ == "__main__":
    _enter(sys.argv[1:])
