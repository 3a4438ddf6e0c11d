"""YAML as people mean it: nothing is turned into a number or a truth value that was not one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.specs import toy_study, toy_tree
from trainers.errors import ConfigError
from tuner.config.load import dump_study, load_study, parse_study
from tuner.config.yaml_text import read_yaml, write_yaml


def read(folder: Path, text: str) -> Any:
    """Read a text as a file."""
    path = folder / "study.yaml"
    path.write_text(text)
    return read_yaml(path)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("8", 8),
        ("+5", 5),
        ("-0", 0),
        ("0", 0),
        ("1e-5", 1e-5),
        ("1E3", 1000.0),
        (".5", 0.5),
        ("1.", 1.0),
        ("true", True),
        ("FALSE", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("2024-01-01", "2024-01-01"),
        ("2024-01-01 10:00:00", "2024-01-01 10:00:00"),
        ("y", "y"),
        ("10.0.0.1:6379", "10.0.0.1:6379"),
        ("1e5x", "1e5x"),
        ("1abc", "1abc"),
        ("_1", "_1"),
        ("'010'", "010"),
        ('"yes"', "yes"),
        ("=", "="),
    ],
)
def test_scalars_are_those_of_version_1_2(text: str, value: Any, tmp_path: Path) -> None:
    """Dates are words; numbers are what looks like one to anybody."""
    found = read(tmp_path, f"key: {text}")["key"]
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    "text",
    ["010", "-08", "00", "0o10", "0x1F", "0b11", "1_0", "1_000.5", "2:08", "10:30:00", "1:30.5"],
)
def test_a_number_to_some_readers_is_refused(text: str, tmp_path: Path) -> None:
    """It is named as it was written, with its key, its line and both ways out."""
    says = rf"line 2: train\.epochs: got {text}, .*plain decimal digits.* in quotes: '{text}'"
    with pytest.raises(ConfigError, match=says):
        read(tmp_path, f"train:\n  epochs: {text}")


@pytest.mark.parametrize("text", ["yes", "no", "On", "OFF", "Yes"])
def test_a_truth_value_to_some_readers_is_refused(text: str, tmp_path: Path) -> None:
    """In lists too, each way out said, as a number may be wanted; in quotes it is the word."""
    says = (
        rf"line 1: a\.1: got {text}, .*; write a number in digits, a truth value as true or "
        rf"false, or a text in quotes: '{text}'$"
    )
    with pytest.raises(ConfigError, match=says):
        read(tmp_path, f"a: [x, {text}]")
    assert read(tmp_path, f"a: [x, '{text}']") == {"a": ["x", text]}


def test_a_tag_says_that_a_number_is_a_text(tmp_path: Path) -> None:
    """It is as plain as quotes, and is named where a number is wanted."""
    assert read(tmp_path, "a: !!str 010") == {"a": "010"}
    with pytest.raises(ConfigError, match=r"got '1'; write a number without .* the tag !!str"):
        parse_study(toy_tree(train=read(tmp_path, "epochs: !!str 1")))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("0,001", r"line 2: rate: got 0,001: .*; write 0\.001 with a point$"),
        ("1,000", r"write 1\.000 with a point, or 1000 without a separator$"),
        ("-1,5e-3", r"got -1,5e-3: .*; write -1\.5e-3 with a point$"),
    ],
)
def test_a_comma_in_a_number_is_not_taken_for_two_entries(
    text: str, says: str, tmp_path: Path
) -> None:
    """Between braces YAML makes a key of the digits behind it."""
    with pytest.raises(ConfigError, match=says):
        read(tmp_path, f"name: x\ntrain: {{rate: {text}, epochs: 1}}")
    assert read(tmp_path, "{1: 2, 3: 4}") == {"1": 2, "3": 4}


def test_keys_are_texts_as_they_are_written(tmp_path: Path) -> None:
    """An arm may be called `no`, 1 or 010, and is called so in messages."""
    text = yaml.safe_dump(toy_tree())
    arms = "".join(f"  {name}: {{method: head}}\n" for name in ("no", "1", "010", "2:08", "~"))
    (tmp_path / "study.yaml").write_text(text.replace("arms:\n", f"arms:\n{arms}"))
    study = load_study(tmp_path / "study.yaml")
    assert {"no", "1", "010", "2:08", "~"} <= set(study.arms)
    assert parse_study(yaml.safe_load(dump_study(study))) == study
    (tmp_path / "study.yaml").write_text(text.replace("arms:\n", "arms:\n  no: {method: x}\n"))
    with pytest.raises(ConfigError, match=r"arms\.no\.method: no such name 'x'"):
        load_study(tmp_path / "study.yaml")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a: 1\na: 2", "line 2: duplicate key 'a'"),
        ("no: 1\n'no': 2", "line 2: duplicate key 'no'"),
        ("? [a]\n: b", "line 1: a key must be a text"),
        ("a:\n\tb: 1", r"line 2: found character '\\t' that cannot start any token"),
        ("a: &x [*x]", r"line 1: a\.0: an alias contains itself"),
        ("a: !!bool maybe", "line 1: this cannot be read as bool"),
        (f"a: {'9' * 5000}", "line 1: this cannot be read as int"),
        ("a: !!python/name:os.system x", "could not determine a constructor"),
        ("a: 1\n---\nb: 2", "but found another document"),
        ("a: *x", "line 1: found undefined alias"),
        ("a: [1", "line 1: "),
        ("a: b: c", "line 1: mapping values are not allowed here"),
        ("<<: 3", "expected a mapping or list of mappings for merging"),
        ("\x00", "unacceptable character"),
    ],
)
def test_what_cannot_be_read_is_said_in_one_line(text: str, says: str, tmp_path: Path) -> None:
    """The file, the line, the reason."""
    with pytest.raises(ConfigError, match=rf"study\.yaml: .*{says}") as caught:
        read(tmp_path, text)
    assert "\n" not in str(caught.value)


def test_aliases_and_merge_keys_work(tmp_path: Path) -> None:
    """Own keys win over merged ones; aliases of aliases of aliases do not fill the memory."""
    text = "a: &a {x: 1, y: 2}\nb: &b {<<: *a, y: 3}\nc: {<<: [*b], z: *a}"
    found = read(tmp_path, text)
    assert found["b"] == {"x": 1, "y": 3}
    assert found["c"] == {"x": 1, "y": 3, "z": {"x": 1, "y": 2}}
    many = "a0: &a0 [1, 1]\n"
    many += "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 9))
    with pytest.raises(ConfigError, match="its aliases expand to more values than a study"):
        read(tmp_path, many)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"train": {"epochs": True}}, r"train\.epochs: .*valid integer, got true"),
        ({"train": {"epochs": "8"}}, r"train\.epochs: .*valid integer, got '8'; .*without quotes"),
        ({"train": {"learning_rate": "1e-5"}}, r"learning_rate: .*valid number, got '1e-5'"),
        ({"train": {"learning_rate": True}}, r"learning_rate: .*valid number, got true"),
        ({"train": {"gradient_checkpointing": 1}}, r"checkpointing: .*true or false, got 1"),
        ({"train": {"gradient_checkpointing": "no"}}, r"checkpointing: .*true or false, got 'no'"),
        ({"search": {"trials": True}}, r"search\.trials: .*valid integer, got true"),
        ({"confirm": {"seeds": [True]}}, r"confirm\.seeds\.0: expected a whole .*, got true"),
        ({"timeout_seconds": True}, r"timeout_seconds: .*valid number, got true"),
        ({"name": 2024}, r"name: .*valid string, got 2024; put it in quotes"),
        ({"metric": True}, r"metric: .*valid string, got true; put it in quotes"),
        ({"train": {"epochs": None}}, r"valid integer, got null, which an empty value is too$"),
        ({"train": {"learning_rate": "0,001"}}, r"got '0,001'; a decimal has a point"),
        ({"train": {"learning_rate": "1e-3_0"}}, r"valid number, got '1e-3_0'$"),
        ({"name": None}, r"name: .*string, got null, .*; put a text in quotes"),
        ({"confirm": {"seeds": 7}}, r"confirm\.seeds: .* a list, got 7; such as \[7\]"),
        ({"confirm": {"seeds": ["7"]}}, r"confirm\.seeds\.0: expected a whole .*, got '7'"),
        ({"search": {"pruner": None}}, r"search\.pruner: .*, got null; to do without, write none"),
        ({"search": {"sampler": 5}}, r"search\.sampler: expected a name or a mapping .*, got 5"),
        ({"train": 3}, r"train: input should be a mapping, `key: value`, got 3"),
        ({"memory_cap": True}, r"memory_cap: .*; got true"),
        ({"models": [2024]}, r"models\.0: .*got 2024; put a name in quotes"),
        ({"tasks": [{"kind": 3}]}, r"tasks\.0\.kind: got 3; known: "),
        ({"tasks": [{"kind": "toy", "rows": "64"}]}, r"tasks\.0\.rows: .*valid integer, got '64'"),
        (
            {"arms": {"a": {"method": {"kind": "lora", "targets": [1]}}}},
            r"arms\.a\.method\.targets\.0: .*got 1; put it in quotes",
        ),
        (
            {"arms": {"a": {"method": "full", "space": {"train.epochs": {"int": [1, "2"]}}}}},
            r"space\.train\.epochs\.int\.1: .*valid integer, got '2'",
        ),
        (
            {"arms": {"a": {"method": "full", "space": {"train.epochs": {"choice": [True, 2]}}}}},
            r"arms\.a\.space\.train\.epochs: .*valid integer, got true",
        ),
    ],
)
def test_a_value_of_another_kind_is_refused_and_not_converted(
    changes: dict[str, Any], says: str
) -> None:
    """A text is no number, a truth value no count; what is a name in quotes is told so."""
    with pytest.raises(ConfigError, match=says) as caught:
        parse_study(toy_tree(**changes))
    assert "\n" not in str(caught.value)


def test_a_whole_number_may_be_written_with_a_point() -> None:
    """`8.0` and `1e1` are no other numbers."""
    assert toy_study(train={"epochs": 8.0, "batch_size": 1e1}).train.batch_size == 10


_TEXTS = st.text(st.characters(exclude_categories=("C", "Z"), include_characters=" \n\t"))
_TREES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | _TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_TEXTS, inner, max_size=4),
    max_leaves=12,
)


@settings(deadline=None)
@given(_TREES)
def test_what_is_written_is_read_again(
    tmp_path_factory: pytest.TempPathFactory, tree: Any
) -> None:
    """By this reader, and by those of version 1.1."""
    text = write_yaml(tree)
    assert yaml.safe_load(text) == tree
    path = tmp_path_factory.mktemp("yaml") / "study.yaml"
    path.write_text(text, encoding="utf-8")
    assert read_yaml(path) == tree
