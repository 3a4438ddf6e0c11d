"""Confirm seeds that are added to a study after it has ended."""

from __future__ import annotations

import pytest

from tests.specs import toy_study, toy_tree
from trainers.contract import Seeds
from trainers.errors import ConfigError
from tuner.config import add_seeds, dump_definition, parse_study, plan, with_added_seeds


def _inits(study: object) -> list[int]:
    return [seeds.init for seeds in study.confirm.seeds]  # type: ignore[attr-defined]


def test_added_seeds_are_the_smallest_that_the_study_does_not_use() -> None:
    """The search has 3 and 5: they are passed over; the same call gives the same seeds."""
    study = toy_study(search={"trials": 2, "seeds": [3, 5], "pruner": "none", "finalists": "none"})
    more = add_seeds(study, 3)
    assert _inits(more) == [1, 2, 4, 6, 7]
    assert more.confirm.added == 3
    assert more == add_seeds(study, 3)
    assert add_seeds(add_seeds(study, 1), 2) == more


def test_the_search_does_not_depend_on_added_seeds() -> None:
    """The cells keep their fingerprints, and so their searches and chosen configurations."""
    study = toy_study()
    before, after = plan(study), plan(add_seeds(study, 9))
    assert [cell.fingerprint() for cell in before] == [cell.fingerprint() for cell in after]


def test_a_seed_that_all_runs_share_stays() -> None:
    """Runs under one order of the rows are compared under it afterwards too."""
    seeds = [{"init": 1, "order": 0, "data": 4}, {"init": 2, "order": 0, "data": 4}]
    more = add_seeds(toy_study(confirm={"seeds": seeds}), 2)
    assert more.confirm.seeds[2:] == (
        Seeds(init=3, order=0, data=4),
        Seeds(init=4, order=0, data=4),
    )
    alone = add_seeds(toy_study(confirm={"seeds": [1]}), 1)
    assert alone.confirm.seeds[1:] == (Seeds(init=2, order=2),)


def test_seeds_that_draw_rows_are_refused() -> None:
    """A further draw of rows would be another search."""
    seeds = [{"init": 1, "order": 1, "data": 1}, {"init": 2, "order": 2, "data": 2}]
    with pytest.raises(ConfigError, match=r"got several draws .*\[1, 2\].*allowed"):
        add_seeds(toy_study(confirm={"seeds": seeds}), 1)


def test_a_store_gives_the_largest_set_back_to_the_study_with_the_same_first_seeds() -> None:
    """Whatever was opened last; a file with other seeds is a definition of its own."""
    study = toy_study()
    one, three = add_seeds(study, 1), add_seeds(study, 3)
    kept = [dump_definition(plan(each)) for each in (three, one, study)]
    assert with_added_seeds(study, kept) == three
    assert with_added_seeds(three, kept) == three
    assert with_added_seeds(study, []) == study
    for other in (
        toy_study(confirm={"seeds": [1, 2, 9]}),
        toy_study(search={"trials": 2, "seeds": [8], "pruner": "none"}),
        toy_study(search={"trials": 2, "seeds": [7], "pruner": "none", "finalists": {"count": 2}}),
    ):
        assert with_added_seeds(other, kept) == other


def test_a_study_cannot_say_that_all_its_seeds_were_added() -> None:
    """The number is part of the resolved YAML, which a user may run."""
    with pytest.raises(ConfigError, match=r"confirm\.added: got 2; allowed: fewer than the 2"):
        parse_study(toy_tree(confirm={"seeds": [1, 2], "added": 2}))


def test_the_finalists_keep_their_seeds() -> None:
    """They are the first that nothing else used; added seeds pass them over."""
    search = {"trials": 2, "seeds": [7], "pruner": "none", "finalists": {"count": 2}}
    more = add_seeds(toy_study(search=search), 5)
    assert [seeds.init for seeds in more.finalist_seeds()] == [8, 9, 10]
    assert _inits(more) == [1, 2, 3, 4, 5, 6, 11]
