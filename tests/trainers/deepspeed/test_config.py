"""A DeepSpeed config is checked before anything starts."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from tests.specs import toy_spec, toy_tree
from trainers.errors import ConfigError
from tuner.config import ds_configs, parse_study

ZERO2: dict[str, Any] = {"zero_optimization": {"stage": 2}, "bf16": {"enabled": "auto"}}
ADAMW = {"type": "AdamW", "params": {"lr": "auto", "torch_adam": True}}
BAD: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    ({"train_batch_size": 32}, {}, r"train_batch_size: got 32; allowed: auto, 64"),
    ({"train_micro_batch_size_per_gpu": 4}, {}, r"per_gpu: got 4; allowed: auto, 32"),
    ({"gradient_accumulation_steps": 2}, {}, r"accumulation_steps: got 2; allowed: auto, 1"),
    ({"gradient_clipping": 0.5}, {}, r"gradient_clipping: got 0\.5; allowed: auto, 1\.0"),
    ({"bf16": {"enabled": True}}, {"precision": "auto"}, r"bf16\.enabled: got true; .*auto"),
    ({"bf16": {"enabled": True}}, {"precision": "fp32"}, r"bf16\.enabled: got true; .*fp32"),
    ({"bf16": {}}, {"precision": "bf16"}, r"bf16\.enabled: missing; allowed: auto, true"),
    ({"fp16": {"enabled": True}}, {"precision": "bf16"}, r"fp16\.enabled: got true; .*bf16"),
    ({"optimizer": {"type": "Lamb"}}, {}, r"optimizer\.type: got 'Lamb'; allowed: AdamW"),
    ({}, {"optimizer": "adafactor"}, r"train\.optimizer: got adafactor; allowed.*: adamw.*, sgd"),
    ({"optimizer": {"type": "AdamW", "params": {"lr": 1.0}}}, {}, r"params\.lr: got 1\.0"),
    (
        {"optimizer": {"type": "AdamW", "params": {"adam_w_mode": False}}},
        {},
        r"optimizer\.params\.adam_w_mode: got false; allowed: true",
    ),
    (
        {"optimizer": {"type": "SGD", "params": {"momentum": 0.9}}},
        {"optimizer": "sgd"},
        r"optimizer\.params\.momentum: got 0\.9; allowed: 0\.0",
    ),
    (
        {"torch_autocast": {"enabled": True}},
        {"precision": "fp32"},
        r"torch_autocast\.enabled: got true; allowed: false; train\.precision decides it",
    ),
    ({"data_types": {"grad_accum_dtype": "bf16"}}, {}, r"data_types: not allowed; train\.prec"),
    ({"gradient_allreduce_op": "sum"}, {}, r"allreduce_op: got 'sum'; allowed: mean"),
    ({"managed_gradient_accumulation": False}, {}, r"accumulation: got false; allowed: true"),
    *(
        (
            {section: {"enabled": "auto", key: True}},
            {"precision": section},
            rf"{section}\.{key}: got true; allowed: not given; train\.pre",
        )
        for section, key in (
            ("bf16", "bf16_optimizer_states"),
            ("bf16", "bf16_master_weights_and_grads"),
            ("fp16", "auto_cast"),
        )
    ),
    (
        {"zero_optimization": {"stage": 3, "zero_quantized_gradients": True}},
        {},
        r"zero_quantized_gradients: got true; allowed: not given",
    ),
    (
        {"zero_optimization": {"stage": 2, "zenflow": {"topk_ratio": 0.1}}},
        {},
        r"zenflow: got \{'topk_ratio': 0\.1\}; allowed: not given",
    ),
    (
        {"communication_data_type": "fp16"},
        {},
        r"communication_data_type: got 'fp16'; allowed: fp32",
    ),
    (
        {"optimizer": ADAMW},
        {"weight_decay": 0.1},
        r"train\.weight_decay: got 0\.1; allowed: 0 where deepspeed\.optimizer is given",
    ),
    ({"data_types": {"grad_accum_dtype": ["bf16"]}}, {}, r"data_types: not allowed"),
    ({"data_types": ["bf16"]}, {}, r"data_types: not allowed"),
    ({"optimizer": {"type": "AdamW", "params": [1]}}, {}, r"params: got \[1\]; allowed: a map"),
    ({"amp": {"enabled": True}}, {}, r"deepspeed\.amp: not allowed; it trains by another rule"),
    ({"scheduler": {"type": "WarmupLR"}}, {}, r"scheduler: not allowed; train\.schedule"),
    ({"tensor_parallel": {"autotp_size": 2}}, {}, r"tensor_parallel: not allowed; each rank"),
    ({"zero_optimization": {"stage": 4}}, {}, r"stage: got 4; allowed: 0, 1, 2, 3"),
    ({"zero_optimization": {}}, {}, r"stage: missing; allowed: 0, 1, 2, 3"),
    ({"zero_optimization": {"stag": 2}}, {}, r"3; zero_optimization has stag"),
    (
        {"zero_optimization": {"stage": 2, "offload_optimizer": {"device": "cpu"}}},
        {"optimizer": "sgd"},
        r"zero_force_ds_cpu_optimizer: got true; allowed: false, with sgd",
    ),
    (
        {"zero_optimization": {"stage": 2, "offload_optimizer": {"device": "nvme"}}},
        {},
        r"offload_optimizer\.device: got 'nvme'; allowed: cpu, none",
    ),
    (
        {"zero_optimization": {"stage": 3, "offload_param": {"device": "nvme"}}},
        {},
        r"offload_param\.device: got 'nvme'; allowed: cpu, none",
    ),
    (
        {"zero_optimization": {"stage": 3, "offload_param": {"device": "tpu"}}},
        {},
        r"offload_param\.device: got 'tpu'; allowed: cpu, none",
    ),
    (
        {"zero_optimization": {"stage": 1, "offload_param": {"device": "cpu"}}},
        {},
        r"zero_optimization\.offload_param: got stage 1; allowed: with stage 3",
    ),
    (
        {"zero_optimization": {"stage": 0, "offload_optimizer": {"device": "cpu"}}},
        {},
        r"zero_optimization\.offload_optimizer: got stage 0; allowed: with stage 1, 2, 3",
    ),
    (
        {"zero_optimization": {"stage": 3, "zero_hpz_partition_size": 3}},
        {},
        r"zero_hpz_partition_size: got 3; allowed: a divisor of ranks, which are 2",
    ),
]


@pytest.mark.parametrize(("config", "train", "says"), BAD, ids=[says for *_, says in BAD])
def test_a_contradiction_is_one_line_with_key_and_what_is_allowed(
    config: dict[str, Any], train: dict[str, Any], says: str
) -> None:
    """In the spec, and so in `tuner validate`, before anything starts."""
    with pytest.raises(ValidationError, match=says):
        toy_spec(deepspeed=ZERO2 | config, ranks=2, train=train)


@pytest.mark.parametrize("name", sorted(ds_configs()))
@pytest.mark.parametrize("precision", ["auto", "fp32", "bf16", "fp16"])
def test_presets_agree_with_every_precision_and_batch(name: str, precision: str) -> None:
    """`auto` stands wherever a run decides."""
    train = {"precision": precision, "batch_size": 7, "gradient_accumulation": 3}
    assert toy_spec(deepspeed=ds_configs()[name], ranks=3, train=train | {"optimizer": "sgd"})


def test_the_same_said_twice_is_good() -> None:
    """A config that names numbers is good while they are the run's."""
    same = {"train_batch_size": 64, "optimizer": ADAMW, "gradient_clipping": 1}
    assert toy_spec(deepspeed=ZERO2 | same, ranks=2).digest() != toy_spec().digest()


def test_what_a_config_leaves_out_is_the_runs_own() -> None:
    """DeepSpeed would ask for the batch, and would not clip the gradients."""
    short, preset = {"zero_optimization": {"stage": 0}}, ds_configs()["zero0"]
    for precision in ("auto", "bf16"):
        train = {"precision": precision}
        completed = toy_spec(deepspeed=short, ranks=2, train=train)
        assert completed.digest() == toy_spec(deepspeed=preset, ranks=2, train=train).digest()


@pytest.mark.parametrize(
    ("given", "train", "filled"),
    [
        ({"type": "AdamW"}, {}, {"lr", "betas", "eps", "weight_decay"}),
        ({"type": "AdamW", "params": None}, {}, {"lr", "betas", "eps", "weight_decay"}),
        (ADAMW, {}, {"lr", "betas", "eps", "weight_decay"}),
        ({"type": "SGD", "params": {"lr": None}}, {"optimizer": "sgd"}, {"lr", "weight_decay"}),
    ],
)
def test_what_an_optimizer_is_not_told_is_the_runs_own(
    given: dict[str, Any], train: dict[str, Any], filled: set[str]
) -> None:
    """Its own defaults are others: a rate of 0.001, for one."""
    spec = toy_spec(deepspeed=ZERO2 | {"optimizer": given}, ranks=2, train=train)
    assert spec.deepspeed is not None
    params = spec.deepspeed["optimizer"]["params"]
    assert {name for name, value in params.items() if value == "auto"} == filled


def test_null_says_nothing() -> None:
    """DeepSpeed would take its own default, and clip nothing."""
    null = dict.fromkeys(["gradient_clipping", "optimizer", "scheduler", "gradient_allreduce_op"])
    types = {"data_types": {"grad_accum_dtype": None}}
    spec = toy_spec(deepspeed=ZERO2 | null | types, ranks=2)
    assert spec.deepspeed is not None
    assert spec.deepspeed["gradient_clipping"] == "auto"


def test_a_study_names_the_arm_and_the_end_of_the_range(tmp_path: Any) -> None:
    """A searched batch size contradicts a file that fixes it; `none` turns DeepSpeed off."""
    path = tmp_path / "mine.json"
    path.write_text('{"zero_optimization": {"stage": 1}, "train_micro_batch_size_per_gpu": 32}')
    space = {"train.batch_size": {"choice": [32, 16]}}
    arms = {"full": {"method": "full", "space": space}, "head": {"method": "head"}}
    tree = toy_tree(deepspeed=str(path), ranks=2, executor={"kind": "process"}, arms=arms)
    with pytest.raises(ConfigError, match=r"arms\.full\.space\.train\.batch_size: .*got 32") as no:
        parse_study(tree)
    assert "\n" not in str(no.value)
    arms["full"]["deepspeed"] = "none"
    assert parse_study(tree).deepspeed_of("full") == {}


@pytest.mark.parametrize(
    ("value", "says"),
    [("zero9", "no such preset 'zero9'; known: none, zero0"), ("a/b.json", "a/b.json: no such")],
)
def test_a_config_that_is_not_there_is_named(value: str, says: str) -> None:
    """One line, at the key `deepspeed`."""
    with pytest.raises(ConfigError, match=says):
        parse_study(toy_tree(deepspeed=value, executor={"kind": "process"}))


def test_inprocess_refuses_ranks_and_deepspeed() -> None:
    """They need processes of their own."""
    says = r"study: ranks: got 2; allowed: 1 with the executor inprocess"
    with pytest.raises(ConfigError, match=says):
        parse_study(toy_tree(ranks=2))
    with pytest.raises(ConfigError, match=r"study: deepspeed: it needs processes"):
        parse_study(toy_tree(deepspeed="zero1"))
