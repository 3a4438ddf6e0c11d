"""Search spaces: parsing, bounds, suggestions."""

from __future__ import annotations

import warnings
from typing import Any

import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainers.errors import ConfigError
from tuner.config.spaces import parse_dimension, suggest

SPACE = {
    "train.learning_rate": parse_dimension({"float": [1e-5, 1e-2], "log": True}),
    "train.warmup": parse_dimension({"float": [0.0, 0.3], "step": 0.1}),
    "train.epochs": parse_dimension({"int": [2, 5]}),
    "method.rank": parse_dimension({"choice": [4, 8, 16]}),
}


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_every_suggestion_lies_within_its_bounds(seed: int) -> None:
    """Whatever the sampler's seed."""
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
    point: dict[str, Any] = dict(suggest(study.ask(), SPACE))
    assert 1e-5 <= point["train.learning_rate"] <= 1e-2
    assert round(point["train.warmup"] / 0.1, 6) in (0, 1, 2, 3)
    assert point["train.epochs"] in (2, 3, 4, 5)
    assert point["method.rank"] in (4, 8, 16)


def test_the_order_of_a_spaces_names_changes_nothing() -> None:
    """A study whose YAML lists the same fields in another order draws the same points."""

    def points(names: list[str]) -> list[dict[str, Any]]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=3))
        return [dict(suggest(study.ask(), {name: SPACE[name] for name in names})) for _ in "abc"]

    assert points(list(SPACE)) == points(list(reversed(SPACE)))


def test_a_grid_holds_both_ends() -> None:
    """Steps of a float range are counted despite rounding."""
    assert SPACE["train.warmup"].grid() == pytest.approx([0.0, 0.1, 0.2, 0.3])
    assert SPACE["train.epochs"].grid() == [2, 3, 4, 5]
    assert SPACE["train.learning_rate"].grid() is None


@pytest.mark.parametrize(
    ("written", "says"),
    [
        ({"float": [1e-3, 1e-5]}, "lower end must be below"),
        ({"float": [0.0, 1.0], "log": True}, "log needs a lower end above 0"),
        ({"int": [1, 9], "log": True, "step": 2}, "exclude each other"),
        ({"int": [1, 3], "step": 5}, "wider than the range"),
        ({"choice": [4, 4]}, "values must differ"),
        ({"choice": [["query"], ["key"]]}, "give each list or mapping an arm of its own"),
        ({"range": [1, 2]}, "one of float, int, choice"),
        ({"float": [1, 2], "int": [1, 2]}, "one of float, int, choice"),
        (3, "one of float, int, choice"),
    ],
)
def test_an_impossible_dimension_is_refused_in_words(written: object, says: str) -> None:
    """Each fault names what is wrong and what was got."""
    with pytest.raises((ConfigError, ValueError), match=says):
        parse_dimension(written)
