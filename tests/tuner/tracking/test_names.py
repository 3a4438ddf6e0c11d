"""Names in the store: whatever a class is called, its metric is its own and can be told back."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tuner.tracking.names import cut_names, entity_name, true_metrics, true_name

_NAMES = st.text(min_size=1) | st.text("_xu-2b5f./ +", min_size=1)


@settings(deadline=None)  # MLflow is imported in the first
@given(_NAMES)
@example("f1/_x2b")
@example("f1/_u12+")
@example("f1/_u-")
@example("f1/")
@example("f1//..")
@example("..a")
@example("f1/_x5fx2b")
@example("f1/🎉 \N{EN DASH} party")
def test_a_name_comes_back_as_it_was_and_mlflow_takes_it(name: str) -> None:
    """So no two names share a metric; a name that is cut is kept whole in a fact."""
    from mlflow.utils.validation import _validate_metric_name

    stored = entity_name(name)
    _validate_metric_name(stored)  # type: ignore[no-untyped-call]  # mlflow's
    assert len(stored) <= 250
    assert true_metrics({stored: 1.0}, cut_names([name])) == {name: 1.0}


@settings(deadline=None)
@given(st.lists(st.text("_xu2bf+/.-é", min_size=1), min_size=2, unique=True))
def test_names_do_not_share_a_metric(names: list[str]) -> None:
    """Long ones neither: what was cut is told apart by its mark."""
    long = [name.ljust(400, "+") + name for name in names]
    assert len({*map(entity_name, names), *map(entity_name, long)}) == 2 * len(names)


@pytest.mark.parametrize(
    ("name", "stored"),
    [
        ("validation/macro_f1", "validation/macro_f1"),
        ("f1/A & B", "f1/A _x26 B"),
        ("f1/C++ / C#", "f1/C_x2b_x2b / C_x23"),
        ("f1/_x2b", "f1/_x5fx2b"),
        ("f1/..", "f1/_x2e_x2e"),
        ("f1/日本", "f1/日本"),
        ("f1/a\N{EN DASH}b", "f1/a_u2013-b"),
    ],
)
def test_names_stay_readable_in_mlflow(name: str, stored: str) -> None:
    """What MLflow takes is left as it is."""
    assert entity_name(name) == stored
    assert true_name(stored) == name


def test_a_name_that_looks_like_a_cut_one_is_another() -> None:
    """A class may even be called what another one's metric is stored as."""
    name = "f1/" + "x" * 300
    stored = entity_name(name)
    assert len(stored) == 250
    assert entity_name(stored) != stored
    found = true_metrics({stored: 1.0, entity_name(stored): 2.0}, cut_names([name, stored]))
    assert found == {name: 1.0, stored: 2.0}


@pytest.mark.parametrize(
    ("stored", "name"),
    [
        ("f1/A _x26 B", "f1/A & B"),
        ("f1/a_x2013b", "f1/a\N{EN DASH}b"),
        ("f1/_x1f600", "f1/😀"),
        ("f1/_x2f", "f1/"),
        ("f1/my_x", "f1/my_x"),
        ("f1/_xzz", "f1/_xzz"),
    ],
)
def test_names_of_earlier_versions_are_read(stored: str, name: str) -> None:
    """They wrote every character as `_x` and its hex digits, without an end."""
    assert true_name(stored) == name
