"""`tuner memory --fits`: which configurations fit, best first, and what was left out."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from tests.tuner.forecast.memory.commands import predict
from trainers.errors import ConfigError
from tuner.cli.memory_text import fits_lines
from tuner.forecast.memory import RunOptions, find_fitting, need_of


def test_what_fits_is_listed_best_first_with_its_command(config: Path) -> None:
    """Full fine-tuning in smaller micro-batches comes before the adapters."""
    wanted = RunOptions(str(config), batch_size=64, length=64)
    whole = need_of(wanted)
    cap = whole.framework_bytes + whole.predicted_peak_bytes // 3
    found = find_fitting(wanted, cap, methods=("full", "lora")).found
    assert found[0][0].method == "full"
    assert all(need.whole_bytes <= cap for _, need in found)
    first = found[0][0]
    assert first.batch_size * first.accumulation == 64
    assert "--method full" in first.command()
    words = ("--model", str(config), "--batch-size", "64", "--method", "full")
    text = predict(*words, "--fits", str(cap))
    assert "tuner memory --model" in text


def test_a_method_that_does_not_fit_the_model_is_left_out_by_name(tmp_path: Path) -> None:
    """The others are listed; commands can be pasted although the path has a space."""
    folder = tmp_path / "my models"
    folder.mkdir()
    path = folder / "config.json"
    tree = {"model_type": "gpt2", "n_embd": 32, "n_layer": 1, "n_head": 2, "vocab_size": 50}
    path.write_text(json.dumps(tree))
    fitted = find_fitting(RunOptions(str(path), batch_size=4, length=16), 10**9)
    assert {chosen.method for chosen, _ in fitted.found} == {"full", "lora", "head"}
    assert list(fitted.left_out) == ["bottleneck"]
    assert "GPT2" in fitted.left_out["bottleneck"]
    words = shlex.split(fitted.found[0][0].command())
    assert words[0] == "tuner"
    assert json.loads(predict(*words[2:], "--json"))["trainable_parameters"]
    assert any(line.startswith("left out: bottleneck: ") for line in fits_lines(fitted, 10**9))


def test_checkpointing_that_saves_nothing_is_not_listed(config: Path) -> None:
    """Under a head alone nothing is kept for backward that could be computed again."""
    found = find_fitting(RunOptions(str(config), batch_size=64, length=256), 10**9).found
    ways = [(chosen.method, chosen.checkpointing) for chosen, _ in found]
    assert ("full", True) in ways
    assert ("head", False) in ways
    assert ("head", True) not in ways


def test_an_odd_batch_is_divided_down_to_one_row(config: Path) -> None:
    """Nine rows become three, then one."""
    wanted = RunOptions(str(config), batch_size=9, length=256)
    cap = need_of(wanted.but(batch_size=1, accumulation=9)).whole_bytes
    (chosen, _), *_ = find_fitting(wanted, cap, methods=("full",)).found
    assert (chosen.batch_size, chosen.accumulation) == (1, 9)


@pytest.mark.parametrize(("batch", "rows"), [(64, 64), (64, 32), (64, 8), (64, 1), (24, 8)])
def test_the_largest_micro_batch_is_found_in_few_predictions(
    config: Path, batch: int, rows: int
) -> None:
    """The first prediction says where to look."""
    wanted = RunOptions(str(config), batch_size=batch, length=64)
    cap = need_of(wanted.but(batch_size=rows, accumulation=batch // rows)).whole_bytes
    tried: list[RunOptions] = []
    found = find_fitting(wanted, cap, methods=("full",), watch=tried.append).found
    plain = next(chosen for chosen, _ in found if not chosen.checkpointing)
    assert (plain.batch_size, plain.accumulation) == (rows, batch // rows)
    assert len([one for one in tried if not one.checkpointing]) <= 4


def test_a_method_that_is_named_is_tried_alone(config: Path) -> None:
    """Others are named by the output."""
    options = ("--model", str(config), "--batch-size", "8", "--length", "16", "--fits", "1GB")
    rows = json.loads(predict(*options, "--method", "ia3", "--json"))["fits"]
    assert {row["method"] for row in rows} == {"ia3"}
    assert "name one with --method" in predict(*options, "--method", "ia3")
    with pytest.raises(ConfigError, match=r"^--method: .*no such name 'lorra'"):
        find_fitting(RunOptions(str(config)), 10**9, methods=["lorra"])


def test_a_way_that_is_wanted_is_tried_alone(config: Path) -> None:
    """Checkpointing, a stage; DeepSpeed's stages only with an optimizer that it takes."""
    wanted = RunOptions(str(config), batch_size=4, length=16, ranks=2)
    found = find_fitting(wanted.but(checkpointing=True, stage=2), 10**9, methods=["full"]).found
    assert [(one.checkpointing, one.stage) for one, _ in found] == [(True, 2)]
    found = find_fitting(wanted.but(optimizer="adafactor"), 10**9, methods=["full"]).found
    assert {one.stage for one, _ in found} == {None}


def test_a_method_that_bears_no_checkpointing_is_listed_without(config: Path) -> None:
    """Prefix tuning; asked for on its own it is refused in the options' words."""
    wanted = RunOptions(str(config), method="prefix", batch_size=8, length=16)
    ways = [
        chosen.checkpointing for chosen, _ in find_fitting(wanted, 10**9, methods=["prefix"]).found
    ]
    assert ways == [False]
    with pytest.raises(ConfigError, match=r"^--checkpointing: does not work with prefix tuning$"):
        need_of(wanted.but(checkpointing=True))


def test_a_method_of_which_nothing_fits_is_said(config: Path) -> None:
    """It is not missing in silence."""
    wanted = RunOptions(str(config), batch_size=64, length=256)
    cap = need_of(wanted.but(method="head", batch_size=1, accumulation=64)).whole_bytes
    fitted = find_fitting(wanted, cap, methods=("full", "head"))
    assert {chosen.method for chosen, _ in fitted.found} == {"head"}
    assert fitted.left_out == {"full": "does not fit, not even one row at a time"}


def test_ranks_without_deepspeed_are_data_parallel(config: Path) -> None:
    """Each holds everything, and the buckets that gradients are sent in."""
    alone = need_of(RunOptions(str(config), length=16))
    several = need_of(RunOptions(str(config), length=16, ranks=4))
    assert several.name.endswith("data parallel on 4 ranks")
    assert several.categories["temporaries"] > alone.categories["temporaries"]
