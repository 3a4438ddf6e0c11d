"""What there is to be had: the machine's free memory, or less in a control group."""

from __future__ import annotations

from pathlib import Path

import pytest

from trainers.measure.available import available_bytes

LIMIT, USED, CACHE = 900_000, 500_000, 100_000  # far below any machine's free memory


def system(root: Path, line: str, group: str, files: dict[str, str]) -> Path:
    """Write the files of a process's control group as Linux shows them."""
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text(line + "\n")
    folder = root / "sys/fs/cgroup" / group
    folder.mkdir(parents=True)
    for name, content in files.items():
        (folder / name).write_text(content + "\n")
    return root


def version_2(limit: str) -> dict[str, str]:
    """Return the files of a group under version 2."""
    stat = f"anon {USED - CACHE}\nfile {CACHE}\ninactive_file {CACHE}"
    return {"memory.max": limit, "memory.current": str(USED), "memory.stat": stat}


def version_1(limit: str) -> dict[str, str]:
    """Return the files of a group under version 1, which counts the groups below as total."""
    stat = f"cache 7\ninactive_file 7\ntotal_inactive_file {CACHE}"
    names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "memory.stat")
    return dict(zip(names, (limit, str(USED), stat), strict=True))


@pytest.mark.parametrize(
    ("line", "group"),
    [("0::/jobs/one", "jobs/one"), ("0::/hidden/from/a/container", ".")],
)
def test_a_group_of_version_2_has_its_limit_less_what_it_holds(
    tmp_path: Path, line: str, group: str
) -> None:
    """Pages of files come back at need; a container shows its own group as the root."""
    root = system(tmp_path, line, group, version_2(str(LIMIT)))
    assert available_bytes(root) == LIMIT - USED + CACHE


@pytest.mark.parametrize(
    ("line", "group"),
    [
        ("4:memory:/jobs/one\n3:cpuset:/jobs\n0::/", "memory/jobs/one"),
        ("4:memory:/hidden/from/a/container", "memory"),
    ],
)
def test_a_group_of_version_1_has_it_too(tmp_path: Path, line: str, group: str) -> None:
    """Among the lines of other controllers, which are passed over."""
    root = system(tmp_path, line, group, version_1(str(LIMIT)))
    assert available_bytes(root) == LIMIT - USED + CACHE


def test_a_group_that_holds_more_than_its_limit_has_nothing_left(tmp_path: Path) -> None:
    """As when the limit was lowered a moment ago."""
    assert available_bytes(system(tmp_path, "0::/", ".", version_2("300000"))) == 0


def test_a_group_without_a_limit_and_a_system_without_groups_have_the_machines(
    tmp_path: Path,
) -> None:
    """No group's figure is taken for the machine's."""
    no_limit = system(tmp_path / "a", "0::/", ".", version_2("max"))
    huge = system(tmp_path / "b", "4:memory:/", "memory", version_1(str(2**63 - 4096)))
    for root in (no_limit, huge, tmp_path / "none"):
        assert available_bytes(root) > 10 * LIMIT
