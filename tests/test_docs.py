"""What the documents name is there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
_TEST = re.compile(r"`(tests/[\w/]+\.py)(?:::(\w+))?`")


def test_every_case_is_held_by_a_test_that_is_there() -> None:
    """docs/cases.md names a test in each of its rows, and each of them exists."""
    rows = [
        line
        for line in (ROOT / "docs" / "cases.md").read_text(encoding="utf-8").splitlines()
        if line.startswith("| ") and "what is promised" not in line and "when tried" not in line
    ]
    assert len(rows) > 100
    for row in rows:
        named = _TEST.findall(row)
        assert named, row
        for path, name in named:
            text = (ROOT / path).read_text(encoding="utf-8")
            assert not name or f"def {name}(" in text, f"{path}::{name}"
