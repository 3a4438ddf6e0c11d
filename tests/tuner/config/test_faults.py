"""All that is wrong with a study is said at once: a line each, with its key, nothing twice."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tests.commands import refused
from tests.specs import toy_tree
from trainers.errors import ConfigError, SeveralFaults
from tuner.config.load import load_study, parse_study

_RATE = "train.learning_rate"


def _arms(**arms: Any) -> dict[str, Any]:
    return {"arms": {name: {"method": "full"} | arm for name, arm in arms.items()}}


def _arm(**fields: Any) -> dict[str, Any]:
    return _arms(a=fields)


CASES: dict[str, tuple[dict[str, Any], list[str]]] = {
    "fields of one task": (
        {"tasks": [{"kind": "toy", "rows": "a", "classes": 0, "rwos": 3}]},
        [r"tasks\.0\.rows: .*'a'", r"tasks\.0\.classes: .*0", r"tasks\.0\.rwos: no such field"],
    ),
    "fields of a method that do not go together": (
        _arm(method={"kind": "ia3", "targets": ["key"], "feed_forward": ["out"]}),
        [r"^study: arms\.a\.method\.feed_forward: got 'out', .*among targets; targets: key$"],
    ),
    "items of a list": (
        {"confirm": {"seeds": [-1, "x", 3]}},
        [r"confirm\.seeds\.0: .*-1", r"confirm\.seeds\.1: .*'x'"],
    ),
    "an unknown key beside wrong values": (
        {"train": {"epochs": 0, "epoch": 1, "learning_rate": "high"}, "nmae": 1},
        [
            r"train\.epochs: ",
            r"train\.learning_rate: ",
            r"train\.epoch: no such",
            r"nmae: no such",
        ],
    ),
    "a key that is missing under another name": (
        {"search": {"objectives": [{"metrc": "loss"}]}},
        [r"search\.objectives\.0\.metrc: no such field; known: direction, metric"],
    ),
    "three bad arms": (
        _arms(
            a={"method": "haed"},
            b={"train": {"epochs": -1, "lr": 1}},
            c={"space": {_RATE: {"float": [1, 0]}}},
        ),
        [
            r"arms\.a\.method: no such name 'haed'",
            r"arms\.b\.train\.epochs: .*got -1",
            r"arms\.b\.train\.lr: no such field",
            r"arms\.c\.space\.train\.learning_rate: the lower end",
        ],
    ),
    "both ends of a range, and others": (
        _arm(
            method={"kind": "lora", "rank": 4},
            space={
                "train.batch_size": {"int": [-8, 0]},
                "method.rank": {"choice": [0, 8, "two"]},
                "method.rnk": {"int": [1, 2]},
                "train.epochs": {"int": [3, 1]},
                "seeds.init": {"int": [1, 2]},
            },
        ),
        [
            r"space\.train\.epochs: the lower end",
            r"space\.seeds\.init: a space may vary",
            r"space\.train\.batch_size: .*-8",
            r"space\.train\.batch_size: .*got 0",
            r"space\.method\.rank: .*got 0",
            r"space\.method\.rank: .*'two'",
            r"space\.method\.rnk: no such field",
        ],
    ),
    "a range below a field that has no fields": (
        _arm(method="lora", space={"method.rank.of": {"choice": [1]}}),
        [r"arms\.a\.space\.method\.rank\.of: "],
    ),
    "a method and the settings of one arm": (
        _arm(method="haed", train={"epochs": 0}, space={_RATE: {"float": [0, 1]}}, ranks=0),
        [
            r"a\.method: ",
            r"a\.train\.epochs: ",
            r"a\.space\.train\.learning_rate: ",
            r"a\.ranks: ",
        ],
    ),
    "one line for a field that may have several kinds of value": (
        _arm(method={"kind": "lora", "targets": [1]})
        | {"search": {"pruner": {"kind": "median", "n_warmup_steps": [1]}, "trials": 0}},
        [
            r"search\.trials: ",
            r"search\.pruner\.n_warmup_steps: got \[1\]",
            r"targets\.0: .*got 1",
        ],
    ),
    "unknown options of a pruner": (
        {"search": {"pruner": {"kind": "median", "start": 1, "end": 2}}},
        [r"search\.pruner\.start: no such field", r"search\.pruner\.end: no such field"],
    ),
    "nothing of a list whose items are all at fault": (
        {"tasks": ["tyo"], "models": ["tiny-bretagne"]},
        [r"tasks\.0: no such name 'tyo'", r"models\.0: no such name 'tiny-bretagne'"],
    ),
    "what does not go together": (
        {"confirm": {"seeds": [7, 1]}, "search": {"seeds": [7], "pruner": "wilcoxon"}, "ranks": 2},
        [
            r"^study: ranks: got 2",
            r"confirm\.seeds: search has used \[7\]",
            r"search\.pruner: wil",
        ],
    ),
    "what does not go together, beside a bad arm, task and name": (
        _arms(
            a={"method": "haed"},
            b={"method": "prefix", "train": {"gradient_checkpointing": True}},
            c={"space": {_RATE: {"float": [1e-4, 1e-2]}}},
        )
        | {"confirm": {"seeds": [7]}, "tasks": ["toy", "tyo"], "name": "a/b"},
        [
            "name: ",
            r"tasks\.1: ",
            r"arms\.a\.method: ",
            r"confirm\.seeds: search has used",
            r"arms\.b\.train\.gradient_checkpointing: true does not work with prefix",
        ],
    ),
    "two of one name beside an unknown one": (
        {"tasks": ["toy", "toy", "tyo"]},
        [r"tasks\.2: no such name", r"tasks: duplicate name 'toy'"],
    ),
    "nothing that a setting at fault may decide": (
        {"train": {"gradient_checkpointing": "yes", "epochs": 0}} | _arm(method="prefix"),
        [r"train\.epochs: ", r"train\.gradient_checkpointing: "],
    ),
    "a patience that no training is long enough for": (
        {"train": {"epochs": 3, "early_stopping": 3}},
        [r"y: train\.early_stopping: got 3; it can stop no training, .* has 3 epochs; allowed:"],
    ),
    "a patience that one arm is too short for, and one that is not compared": (
        _arms(
            a={"train": {"epochs": 1}},
            b={"train": {"early_stopping": 5}},
            c={"train": {"keep": "last", "epochs": 4}},
            d={
                "space": {
                    "train.early_stopping": {"choice": [None, 4, 7]},
                    "train.epochs": {"int": [2, 4]},
                }
            },
        )
        | {"train": {"epochs": 3, "early_stopping": 2}},
        [
            r"train\.early_stopping: got 2; it can stop no training of arm a, which has 1 epoch;",
            r"arms\.b\.train\.early_stopping: got 5; it can stop no training, which has 3 epochs",
            r"train\.early_stopping: got 2; .* of arm c: keep: last compares no epochs",
            r"arms\.d\.space\.train\.early_stopping: got 4; .* which has 4 epochs",
        ],
    ),
    "a fault of every cell once": (
        {
            "tasks": ["toy", {"kind": "toy", "name": "other"}],
            "models": ["tiny-bert", "tiny-roberta"],
            "train": {"gradient_checkpointing": True},
        }
        | _arm(method="prefix", space={_RATE: {"float": [1e-4, 1e-2]}}),
        [r"^study: train\.gradient_checkpointing: true does not work with prefix"],
    ),
}


@pytest.mark.parametrize("what", CASES)
def test_all_faults_are_said_a_line_each(what: str) -> None:
    """Of fields, keys, arms, ends of ranges and their like; none twice, none that only follows."""
    changes, says = CASES[what]
    with pytest.raises(SeveralFaults) as caught:
        parse_study(toy_tree(**changes))
    lines = str(caught.value).splitlines()
    for said in says:
        assert [line for line in lines if re.search(said, line)], (said, lines)
    assert len(lines) == len(says), lines
    assert all(line.startswith("study: ") for line in lines)


def test_a_patience_that_can_stop_some_training_is_taken() -> None:
    """A range is refused only where no point of it can act; a learning arm may have none."""
    space = {"train.early_stopping": {"int": [2, 9]}, "train.epochs": {"int": [1, 3]}}
    both = {"train.keep": {"choice": ["last", "best"]}}
    arms = _arms(a={"space": space}, b={"space": both}, c={"train": {"early_stopping": None}})
    study = parse_study(toy_tree(train={"epochs": 3, "early_stopping": 2}, **arms))
    assert set(study.arms) == {"a", "b", "c"}


STUDY = """\
name: many
tasks: [toy]
models: [tiny-bert]
common: &common
  epochs: 0
train:
  <<: *common
  batch_size: 0
arms:
  a:
    method: {kind: lora, rank: 0}
  b:
    method: full
    space:
      train.learning_rate:
        float:
          - 1
          - x
confirm:
  seeds:
    - 1
    - -2
"""


@pytest.mark.parametrize("command", ["validate", "run-study"])
def test_each_line_names_the_line_of_the_file(command: str, tmp_path: Path) -> None:
    """In the file's order; what is merged from elsewhere is below the key that it is put under."""
    (tmp_path / "study.yaml").write_text(STUDY)
    done = refused(command, "study.yaml", cwd=tmp_path)
    assert done.returncode == 2
    found = re.findall(r"^tuner: study\.yaml: line (\d+): ([\w.]+): ", done.stderr, re.MULTILINE)
    assert found == [
        ("4", "common"),
        ("6", "train.epochs"),
        ("8", "train.batch_size"),
        ("11", "arms.a.method.rank"),
        ("18", "arms.b.space.train.learning_rate.float.1"),
        ("22", "confirm.seeds.1"),
    ]
    assert done.stderr.count("\n") == len(found)
    assert list(tmp_path.iterdir()) == [tmp_path / "study.yaml"]


def test_all_doubtful_values_of_a_file_are_said(tmp_path: Path) -> None:
    """Each with its line and key."""
    (tmp_path / "study.yaml").write_text("name: x\ntrain:\n  epochs: 010\n  keep: [no, 1_0]\n")
    with pytest.raises(ConfigError) as caught:
        load_study(tmp_path / "study.yaml")
    found = re.findall(r"line (\d): ([\w.]+): got (\w+),", str(caught.value))
    assert found == [
        ("3", "train.epochs", "010"),
        ("4", "train.keep.0", "no"),
        ("4", "train.keep.1", "1_0"),
    ]
