"""Loading a study: its fields, and one line for each invalid value."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.specs import toy_study, toy_tree
from trainers.errors import ConfigError, TunerError
from tuner.config.load import dump_study, load_study, parse_study

RATE = {"float": [1e-4, 1e-2], "log": True}


def test_a_study_round_trips_through_its_own_yaml() -> None:
    """What is stored with a study's runs gives the same study again."""
    study = toy_study()
    assert parse_study(yaml.safe_load(dump_study(study))) == study


def test_a_default_that_a_space_varies_is_not_set_in_the_studys_own_yaml() -> None:
    """Else the stored study would be refused, as if somebody had set the field besides."""
    space = {"method.rank": {"choice": [4, 8]}, "train.learning_rate": RATE}
    study = toy_study(arms={"lora": {"method": {"kind": "lora", "alpha": 8}, "space": space}})
    tree = yaml.safe_load(dump_study(study))
    assert "rank" not in tree["arms"]["lora"]["method"]
    assert tree["arms"]["lora"]["method"]["alpha"] == 8
    assert parse_study(tree) == study


def test_numbers_may_be_written_as_people_write_them(tmp_path: Path) -> None:
    """YAML 1.1 takes 1e-4 for text; a study does not."""
    path = tmp_path / "study.yaml"
    text = yaml.safe_dump(toy_tree()).replace("0.0001", "1e-4").replace("0.003", "3e-3")
    assert "1e-4" in text
    path.write_text(text)
    study = load_study(path)
    assert study.train.learning_rate == 3e-3
    assert study.arms["full"].space["train.learning_rate"].ends() == (1e-4, 1e-2)


def _changed(dotted: str, value: Any) -> dict[str, Any]:
    tree = yaml.safe_load(yaml.safe_dump(toy_tree()))
    *parents, leaf = dotted.split("/")
    place = tree
    for parent in parents:
        place = place[parent]
    if value is None:
        del place[leaf]
    else:
        place[leaf] = value
    return tree


BAD = [
    ("nmae", "x", r"study: nmae: no such field; known: arms, confirm, deepspeed"),
    ("name", None, r"study: name: field required"),
    ("name", "../up", r"study: name: got '../up'; allowed: letters"),
    ("tasks", ["tyo"], r"study: tasks\.0: no such name 'tyo'; known tasks: .*toy"),
    ("tasks", [], r"study: tasks: .*at least 1 item"),
    ("tasks", ["toy", "toy"], r"tasks: duplicate name 'toy'"),
    ("tasks", [{"rows": 3}], r"tasks\.0\.kind: missing; known: .*toy"),
    ("models", ["bart"], r"models\.0: no such name 'bart'; known models: .*minilm"),
    ("train", {"epochs": 0}, r"train\.epochs: input should be greater than or equal to 1, got 0"),
    ("train", {"epoch": 1}, r"train\.epoch: no such field; known: .*epochs"),
    ("metric", "f2", r"study: metric: no such metric, got 'f2'; known: accuracy, macro_f1"),
    ("search", {"objectives": ["memory/bytes"]}, r"objectives\.0\.metric: no such metric"),
    ("search", {"trials": 0}, r"search\.trials: .*got 0"),
    ("search", {"sampler": "tpee"}, r"search\.sampler: no such kind 'tpee'; known: cmaes"),
    (
        "search",
        {"pruner": {"kind": "median", "startup": 3}},
        r"search\.pruner\.startup: no such field; known: .*n_startup_trials",
    ),
    (
        "search",
        {"pruner": "wilcoxon"},
        r"search\.pruner: wilcoxon can stop no trial: 1 search\.seeds make at most 0 pairs before "
        r"the last seed, and p_threshold is 0\.1; allowed: 5 search\.seeds at least",
    ),
    (
        "search",
        {"seeds": [7, 8, 9, 10], "pruner": "wilcoxon"},
        r"4 search\.seeds make at most 3 pairs before the last seed, whose smallest p is 0\.125, "
        r"and p_threshold is 0\.1; allowed: 5 search\.seeds at least or p_threshold above 0\.125",
    ),
    (
        "search",
        {"seeds": [7, 8, 9, 10], "pruner": {"kind": "wilcoxon", "n_startup_steps": 4}},
        r"allowed: 5 search\.seeds at least$",
    ),
    (
        "search",
        {"seeds": [7, 8, 9, 10], "pruner": {"kind": "wilcoxon", "p_threshold": 0.01}},
        r"allowed: 8 search\.seeds at least or p_threshold above 0\.125$",
    ),
    (
        "search",
        {"pruner": {"kind": "median", "n_warmup_steps": 2}},
        r"search\.pruner: median can stop no trial: it first looks after epoch 2, and a training "
        r"has 2 epochs; allowed: more epochs than 2, or a lower n_warmup_steps",
    ),
    (
        "search",
        {"pruner": {"kind": "hyperband", "min_resource": 3}},
        r"hyperband can stop no trial: it first looks after epoch 3, .*a lower min_resource",
    ),
    (
        "search",
        {"pruner": {"kind": "successive_halving", "min_early_stopping_rate": 1}},
        r"successive_halving can stop no trial: it first looks after epoch 4",
    ),
    (
        "search",
        {"trials": 3, "pruner": {"kind": "median", "n_startup_trials": 3}},
        r"search\.pruner: median can stop no trial: it waits for 3 finished trials, and "
        r"search\.trials is 3; allowed: n_startup_trials below search\.trials",
    ),
    ("search", {"seeds": [7, 8], "pruner": "median"}, r"with several seeds it is wilcoxon"),
    ("search", {"objectives": ["macro_f1", "memory/train/peak_bytes"]}, r"it must be none"),
    (
        "search",
        {
            "objectives": ["macro_f1", "memory/train/peak_bytes"],
            "sampler": "cmaes",
            "pruner": "none",
        },
        r"study: search\.sampler: got cmaes, which takes one objective; allowed with several: gp, "
        r"grid, qmc, random, tpe$",
    ),
    ("search", {"sampler": "grid", "pruner": "none"}, r"the grid sampler needs a step"),
    ("confirm", {"seeds": [7]}, r"confirm\.seeds: search has used \[7\]"),
    ("confirm", {"seeds": [1, 1]}, r"confirm\.seeds: seeds must differ, got \[1, 1\]"),
    ("confirm", {"seeds": []}, r"confirm\.seeds: at least one seed"),
    ("confirm", {"seeds": [-1]}, r"confirm\.seeds\.0: expected a whole number from 0 .*, got -1"),
    (
        "executor",
        {"kind": "slurm"},
        r"executor: no such kind 'slurm'; known executors: inprocess, process, ray$",
    ),
    (
        "executor",
        {"address": "auto"},
        r"executor\.address: got kind process; only the executor ray has",
    ),
    ("executor", "rayy", r"executor: no such name 'rayy'; .*; did you mean ray\?"),
    (
        "executor",
        {"kind": "ray", "address": "http://x:1"},
        r"address: got 'http://x:1'; all",
    ),
    ("executor", {"kind": "ray", "address": "host:99999"}, r"host:99999'; allowed: null, auto, "),
    ("executor", {"kind": "ray", "address": "ray://ada:pw@host:1"}, r"got 'ray://ada:\*\*\*@host"),
    ("ranks", True, r"ranks: .*valid integer, got true"),
    ("executor", {"kind": "ray", "gpus_per_run": 1.5}, r"executor\.gpus_per_run: got 1\.5"),
    (
        "executor",
        {"kind": "inprocess", "workers": 2},
        r"executor\.workers: got 2; allowed: 1 with the",
    ),
    ("arms", {}, r"arms: .*at least 1 item"),
    ("arms/head/method", "haed", r"arms\.head\.method: no such name 'haed'; known methods: "),
    (
        "arms/head/method",
        {"kind": "lora", "rnk": 3},
        r"arms\.head\.method\.rnk: no such field; known: .*rank",
    ),
    ("arms/head/method", {"kind": "lora", "rank": 0}, r"arms\.head\.method\.rank: .*got 0"),
    ("arms/head/train", {"epochs": -1}, r"arms\.head\.train\.epochs: .*got -1"),
    ("arms/full/space", {"seeds.init": RATE}, r"space\.seeds\.init: a space may vary train\.\*"),
    (
        "arms/full/space",
        {"train.learning_rat": RATE},
        r"arms\.full\.space\.train\.learning_rat: no such field; known: .*learning_rate",
    ),
    (
        "arms/full/space",
        {"train.adam_beta1": {"float": [0.5, 1.5]}},
        r"arms\.full\.space\.train\.adam_beta1: input should be less than 1, got 1\.5",
    ),
    (
        "arms/full/space",
        {"train.learning_rate": RATE, "train.batch_size": {"choice": [0, 8]}},
        r"study: arms\.full\.space\.train\.batch_size: input should be .*, got 0",
    ),
    (
        "arms/full/space",
        {"train.learning_rate": {"float": [1e-2, 1e-4]}},
        r"arms\.full\.space\.train\.learning_rate: the lower end must be below",
    ),
    (
        "arms/head",
        {"method": "prefix", "train": {"gradient_checkpointing": True}},
        r"study: arms\.head\.train\.gradient_checkpointing: true does not work with prefix "
        r"tuning; allowed: false",
    ),
    (
        "arms/head",
        {
            "method": {"kind": "peft_any", "type": "prefix_tuning"},
            "train": {"gradient_checkpointing": True},
        },
        r"gradient_checkpointing: true does not work with peft_any tuning; allowed: false",
    ),
    (
        "arms/full",
        {
            "method": "full",
            "train": {"learning_rate": 1e-3},
            "space": {"train.learning_rate": RATE},
        },
        r"study: arms\.full\.train\.learning_rate: got 0\.001, but space\.train\.learning_rate "
        r"varies it; leave one of the two out$",
    ),
    (
        "arms/head",
        {"method": {"kind": "lora", "rank": 8}, "space": {"method.rank": {"choice": [4, 8]}}},
        r"study: arms\.head\.method\.rank: got 8, but space\.method\.rank varies it; leave one",
    ),
    (
        "arms/head",
        {
            "method": {"kind": "peft_any", "type": "loha", "config": {"r": 4}},
            "space": {"method.config.r": {"choice": [4, 8]}},
        },
        r"arms\.head\.method\.config\.r: got 4, but space\.method\.config\.r varies it; leave",
    ),
    ("max_failures", "many", r"max_failures: .*valid integer.*got 'many'"),
    ("save", "all", r"save: .*'none', 'best' or 'confirm', got 'all'"),
]


@pytest.mark.parametrize(("place", "value", "says"), BAD, ids=[f"{p}-{v}" for p, v, _ in BAD])
def test_a_fault_is_named_in_one_line(place: str, value: Any, says: str) -> None:
    """Dotted key, what was got, what is allowed."""
    with pytest.raises(ConfigError, match=says) as caught:
        parse_study(_changed(place, value))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"name: [", r"study.yaml: line \d+: "),
        (b"name: a\nname: b\n", "line 2: duplicate key 'name'"),
        (b"\xff\xfe\x00", "not UTF-8 at byte 0"),
        (b"", "expected a mapping"),
        (b"- 1\n- 2\n", "expected a mapping"),
        (b"!!python/object/apply:os.system [ls]", "could not determine a constructor"),
    ],
)
def test_a_file_that_is_no_study_is_named_with_its_line(
    tmp_path: Path, content: bytes, says: str
) -> None:
    """Broken YAML, doubled keys, other encodings, other documents, code."""
    path = tmp_path / "study.yaml"
    path.write_bytes(content)
    with pytest.raises(TunerError, match=says) as caught:
        load_study(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_and_an_unknown_name_are_told_apart() -> None:
    """A name lists the shipped studies; a path is said to be missing."""
    with pytest.raises(ConfigError, match=r"known studies: .*quickstart"):
        load_study("quikstart")
    with pytest.raises(ConfigError, match=r"nowhere/study\.yaml: no such file"):
        load_study("nowhere/study.yaml")
