"""The stages of ZeRO: the arithmetic, and DeepSpeed's own running engine."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.specs import toy_spec
from trainers.errors import ConfigError
from trainers.memory import predict_memory
from trainers.memory.sharding import Sharding, Weights, rank_share, state_bytes

_GB = 1e9


@pytest.mark.parametrize(("stage", "gigabytes"), [(0, 48), (1, 27), (2, 16.5), (3, 6)])
def test_three_billion_weights_on_eight_ranks(stage: int, gigabytes: float) -> None:
    """The states of full fine-tuning in float32, as worked out by hand."""
    found = state_bytes(
        3e9, precision="fp32", optimizer="adamw", sharding=Sharding(ranks=8, stage=stage)
    )
    assert found.total == gigabytes * _GB


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("--parameters", {"parameters": -1.0}),
        ("--precision", {"precision": "int8"}),
        ("--optimizer", {"optimizer": "lion"}),
    ],
)
def test_what_cannot_be_counted_is_said(field: str, values: dict[str, object]) -> None:
    """One line names the option and what it may be."""
    given = {"parameters": 3e9, "precision": "fp32", "optimizer": "adamw"} | values
    with pytest.raises(ConfigError, match=f"^{field}: "):
        state_bytes(given.pop("parameters"), **given)  # type: ignore[arg-type]  # that is the test


def test_a_deepspeed_run_divides_its_states() -> None:
    """The prediction of one rank has its part of each state alone."""
    zero = {stage: {"zero_optimization": {"stage": stage}} for stage in range(4)}
    found = {
        stage: predict_memory(toy_spec(ranks=4, deepspeed=content), labels=3).categories
        for stage, content in zero.items()
    }
    whole = 4 * predict_memory(toy_spec(), labels=3).trainable_parameters
    assert found[0].optimizer == 2 * whole
    assert found[1].optimizer == pytest.approx(3 * whole / 4, abs=4)
    assert found[2].parameters == whole
    assert found[3].parameters == pytest.approx(whole / 4, abs=4)


def test_offloaded_states_are_not_on_the_device() -> None:
    """What is kept in host memory counts only where the ranks compute there."""
    zero = {"stage": 2, "offload_optimizer": {"device": "cpu"}}
    spec = toy_spec(ranks=2, deepspeed={"zero_optimization": zero})
    device, host = (predict_memory(spec, labels=3, device=d) for d in ("cuda", "cpu"))
    assert device.categories.optimizer == 0
    # Weights, moments and gradients in float32, a half of each; the CPU is the host.
    assert host.categories.optimizer == 8 * host.trainable_parameters


def test_a_bucket_that_is_left_to_transformers_is_the_hidden_size_squared() -> None:
    """It is made in full, twice where reducing overlaps; the largest gradient is beside it."""
    weights = Weights(total=10**9, sizes=[9 * 10**5, 10**5], hidden=1000, width=2)

    def reduced(**zero: object) -> int:
        spec = toy_spec(ranks=2, deepspeed={"zero_optimization": {"stage": 2, **zero}})
        return rank_share(Sharding.of(spec, on_cpu=False), weights).reduced

    assert reduced(reduce_bucket_size="auto") == 2 * (1000**2 + 9 * 10**5)
    assert reduced(reduce_bucket_size=10**7) == 2 * (10**7 + 9 * 10**5)
    assert reduced(reduce_bucket_size=1e7, overlap_comm=True) == 2 * (2 * 10**7 + 9 * 10**5)
    assert reduced() == 2 * (500_000_000 + 9 * 10**5)


def test_stage_one_keeps_gradients_that_no_bucket_takes() -> None:
    """And all of them where it reduces after the backward pass: no overlap, or accumulated."""
    weights = Weights(total=10**9, sizes=[600, 400], hidden=20, width=4)

    def share(accumulated: int = 1, **zero: object) -> float:
        train = {"gradient_accumulation": accumulated}
        config = {"zero_optimization": {"stage": 1, "overlap_comm": True, **zero}}
        spec = toy_spec(ranks=2, train=train, deepspeed=config)
        return rank_share(Sharding.of(spec, on_cpu=False), weights).shares["gradients"]

    assert share(reduce_bucket_size=1000) == 0.5
    assert share(reduce_bucket_size=500) == pytest.approx(0.6 + 0.4 / 2)
    assert share(reduce_bucket_size="auto") == pytest.approx(0.6 + 0.4 / 2)
    assert share(reduce_bucket_size=1000, overlap_comm=False) == 1
    assert share(2, reduce_bucket_size=1000) == 1
    assert share(2, reduce_bucket_size=1000, offload_optimizer={"device": "cpu"}) == 1


_CELLS = [
    {"stage": stage, "precision": precision, "method": method, "offload": offload}
    for precision, method in (("fp32", "full"), ("bf16", "full"), ("fp32", "lora"))
    for stage, offload in itertools.product((0, 1, 2, 3), (False, True))
    if (stage, precision) != (0, "bf16") and (stage or not offload)
]
_FEW = [_CELLS[n] for n in (1, 4, 5, 9, 18)]


def test_the_few_cells_have_every_kind_of_value() -> None:
    """Whichever setting is gone from the formulas, one of the few would miss it."""
    for name in ("stage", "precision", "method", "offload"):
        kinds = {cell[name] for cell in _CELLS} - ({0} if name == "stage" else set())
        assert {cell[name] for cell in _FEW} == kinds


@pytest.mark.deepspeed
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "cells",
    [pytest.param(_FEW, id="few"), pytest.param(_CELLS, id="all", marks=pytest.mark.slow)],
)
def test_the_engine_holds_what_the_formulas_say(cells: list[dict[str, object]]) -> None:
    """On two CPU ranks, within 2%, in every stage, for full fine-tuning and for LoRA."""
    script = Path(__file__).with_name("zero_states.py")
    done = subprocess.run(
        [sys.executable, str(script), json.dumps(cells)],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[3],
    )
    lines = [line.removeprefix("CELL ") for line in done.stdout.splitlines() if "CELL" in line]
    assert len(lines) == len(cells), done.stderr[-2000:]
    for line in lines:
        cell = json.loads(line[line.index("{") :])
        sharding = Sharding(
            ranks=2,
            stage=cell["stage"],
            offload_optimizer=cell["offload"],
            offload_parameters=cell["offload"],
            on_cpu=True,
            engine=True,
            reduces_at_once=True,  # by the time that is looked at, gradients have left
        )
        width = 2 if cell["precision"] == "bf16" else 4
        weights = Weights(cell["total"], cell["sizes"], hidden=128, width=width)
        rank = rank_share(sharding, weights)
        formula = (
            cell["total"] * width * rank.shares["parameters"]
            + cell["trained"] * width * rank.shares["gradients"]
            + rank.optimizer
            + rank.passed
        )
        assert cell["held_bytes"] == pytest.approx(formula, rel=0.02), cell
