"""Find which runs are independent of each other, by the seeds that they share."""

from __future__ import annotations

from collections.abc import Hashable, Sequence


def independent_groups(seeds: Sequence[Sequence[Hashable]]) -> list[list[int]]:
    """Part runs into groups that have no seed in common, each as small as can be.

    Runs with a common seed have a common part of their scores. To count them as independent,
    in a test or an interval, would promise more than they hold: of runs of two init seeds and
    four order seeds each, crossed, there are not eight. What all runs share is no matter: the
    comparison is then one under that seed.

    Args:
        seeds: For each run, the seed of each source, such as init, order, data.

    Returns:
        Places of the runs, ascending; the groups by their first run.
    """
    columns = list(zip(*seeds, strict=True))
    varied = [column for column in columns if len(set(column)) > 1]
    group_of = list(range(len(seeds)))
    for column in varied:
        first: dict[Hashable, int] = {}
        for place, seed in enumerate(column):
            old, new = group_of[place], group_of[first.setdefault(seed, place)]
            group_of = [new if group == old else group for group in group_of]
    return [
        [place for place, group in enumerate(group_of) if group == wanted]
        for wanted in dict.fromkeys(group_of)
    ]
