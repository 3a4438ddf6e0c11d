"""Joined tasks keep their rows and classes apart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from trainers.data import load_task
from trainers.tasks.joined import Joined
from trainers.tasks.toy import Toy

SMALL = {"kind": "toy", "name": "small", "rows": 24, "classes": 2}
FEW = {"kind": "toy", "name": "few", "rows": 90, "few_shot": {"rule": "balanced", "count": 12}}


def joined(*tasks: Any) -> Joined:
    """Join tasks."""
    return Joined.model_validate({"tasks": tasks})


def test_classes_and_ids_carry_the_tasks_name(tmp_path: Path) -> None:
    """`animal` of both tasks stays two classes, and ids do not collide."""
    data = load_task(joined(SMALL, FEW), tmp_path, 2022)
    assert data.labels[:3] == ("small/animal", "small/colour", "few/animal")
    assert len(data.labels) == 5
    assert all(row.label.partition("/")[0] == row.id.partition("/")[0] for row in data.test)


def test_each_member_is_drawn_by_its_own_settings(tmp_path: Path) -> None:
    """A few-shot member stays few-shot, and draws the rows it draws alone."""
    data = load_task(joined(SMALL, FEW), tmp_path, 7)
    alone = load_task(Toy.model_validate(FEW), tmp_path, 7)
    few = [row for row in data.train if row.id.startswith("few/")]
    assert [row.text for row in few] == [row.text for row in alone.train]
    assert len(data.train) == 24 + 12
    assert len(data.validation) == 12 + 12


def test_members_of_one_name_are_refused() -> None:
    """Their classes would be the same."""
    with pytest.raises(ValidationError, match="allowed: members of different names"):
        joined(SMALL, SMALL)


def test_shared_files_are_listed_once() -> None:
    """Two tasks of one corpus download it once."""
    files = joined("restaurant_sup", "restaurant_fs", "acl_sup").sources()
    assert len(files) == len(set(files)) == 6
