"""Default spaces: every method's own ranges, under one word or for a list of methods."""

from __future__ import annotations

from typing import Any

import pytest

from tests.specs import toy_tree
from trainers.errors import ConfigError
from trainers.interfaces import Method
from trainers.plugins import kinds, plugin_class
from tuner.config import StudyConfig, load_study, parse_study, read_definition
from tuner.config.load import dump_study

METHODS = sorted(set(kinds(Method, "trainers.methods")) - {"peft_any"})


def study(arms: object) -> StudyConfig:
    """Return a study with these arms."""
    return parse_study(toy_tree(arms=arms))


@pytest.mark.parametrize("method", METHODS)
def test_every_method_has_a_space_whose_ends_are_valid(method: str) -> None:
    """The word stands for the ranges in the method's file; both ends of each are tried."""
    (arm,) = study({"a": {"method": method, "space": "default"}}).arms.values()
    assert set(arm.space) == set(plugin_class(Method, "trainers.methods", method).SPACE)
    assert "train.learning_rate" in arm.space


def test_a_list_of_methods_is_an_arm_each_with_its_own_space() -> None:
    """Named variants too; the study is kept with its ranges, and read back as it was."""
    config = study(["full", "lora", "dora"])
    assert list(config.arms) == ["full", "lora", "dora"]
    assert all(arm.space for arm in config.arms.values())
    written = study({n: {"method": n, "space": "default"} for n in ("full", "lora", "dora")})
    assert config == written
    read = read_definition(dump_study(config))
    assert read is not None
    assert read.config.arms == config.arms


def test_a_field_that_the_arm_sets_is_not_searched() -> None:
    """A rank, or a learning rate."""
    arms = {
        "rank": {"method": {"kind": "lora", "rank": 8}, "space": "default"},
        "rate": {"method": "lora", "train": {"learning_rate": 1e-3}, "space": "default"},
    }
    spaces = {name: set(arm.space) for name, arm in study(arms).arms.items()}
    assert spaces == {"rank": {"train.learning_rate"}, "rate": {"method.rank"}}


@pytest.mark.parametrize(
    ("arms", "said"),
    [
        ({"a": {"method": "lora", "space": "defaults"}}, "expected a mapping .* or default"),
        ({"a": {"method": "lorra", "space": "default"}}, "arms.a.method: .*lorra"),
        (["full", "lorra"], "arms.lorra.method: "),
        (["full", "full"], "arms: duplicate name 'full'"),
        (["full", 3], "arms: expected names of methods, got 3"),
        (["full", {"method": "lora"}], "arms: expected names of methods, got "),
        ([], "arms: "),
        ("full", "arms: "),
        (["peft_any"], "arms.peft_any"),
    ],
)
def test_wrong_arms_are_refused_in_one_line(arms: Any, said: str) -> None:
    """Each names its key, what was got and what is allowed."""
    with pytest.raises(ConfigError, match=said) as raised:
        study(arms)
    assert len(str(raised.value).splitlines()) == 1, str(raised.value)


def test_a_file_may_list_its_arms(tmp_path: Any) -> None:
    """As a user would write it."""
    path = tmp_path / "s.yaml"
    path.write_text("name: s\ntasks: [toy]\nmodels: [tiny-bert]\narms: [full, lora]\n")
    assert list(load_study(str(path)).arms) == ["full", "lora"]
