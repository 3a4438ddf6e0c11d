"""Pictures show what there is, stand together in a page, and come out the same each time."""

from __future__ import annotations

import io
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from matplotlib.image import imread

from tests.tuner.report.comparisons import (
    ARMS,
    MODEL,
    SEEDS,
    TASKS,
    make_comparison,
    make_empty,
    ranks_of,
    with_frames,
)
from tuner.report.plots import Picture, draw
from tuner.report.plots.rank_diagram import critical_groups
from tuner.report.plots.score_and_memory import pareto_steps
from tuner.report.plots.subject import INK, Look, arm_looks

KINDS = ("differences", "seeds", "classes", "search", "tradeoff", "curves", "budget")
ROOT = Path(__file__).parents[4]
RANKS = dict(zip(ARMS, (1.5, 2.2, 2.9, 3.6, 4.8), strict=True))


@pytest.fixture(scope="module")
def pictures() -> dict[str, Picture]:
    """Draw all kinds of pictures."""
    return draw(make_comparison(ranks=ranks_of(RANKS, 1.4)))


def _texts(picture: Picture) -> list[str]:
    root = ET.fromstring(picture.svg)
    return ["".join(element.itertext()) for element in root.iter() if element.tag.endswith("text")]


def test_every_task_and_model_has_its_pictures_and_the_ranks_one(
    pictures: dict[str, Picture],
) -> None:
    """Seven kinds a task, one for all tasks; names fit for files, in the order of a page."""
    places = [f"{kind}-{task}-tiny-bert" for task in ("restaurant-co", "toy") for kind in KINDS]
    assert list(pictures) == [*places, "ranks-tiny-bert"]
    assert [(p.task, p.model) for p in pictures.values()] == [
        *((task, MODEL) for task in TASKS for _ in KINDS),
        (None, MODEL),
    ]


def test_the_bytes_are_the_same_each_time(pictures: dict[str, Picture]) -> None:
    """A second drawing gives equal SVGs and PNGs."""
    again = draw(make_comparison(ranks=ranks_of(RANKS, 1.4)))
    assert {name: p.svg for name, p in again.items()} == {n: p.svg for n, p in pictures.items()}
    name = "tradeoff-toy-tiny-bert"
    assert again[name].png == pictures[name].png
    assert again[name].png.startswith(b"\x89PNG")


def test_an_svg_stands_in_any_page(pictures: dict[str, Picture]) -> None:
    """Ids are its own and resolve, text takes the page's colour, nothing is fetched or dated."""
    seen: set[str] = set()
    for name, picture in pictures.items():
        root = ET.fromstring(picture.svg)
        ids = {element.get("id") for element in root.iter() if element.get("id")}
        assert all(i == name or i.startswith(f"{name}-") for i in ids if i)
        assert not ids & seen
        seen |= {i for i in ids if i}
        used = re.findall(r'(?:href="#|url\(#)([^")]+)', picture.svg)
        assert set(used) <= ids
        assert "currentColor" in picture.svg
        assert "#010203" not in picture.svg
        assert "<style" not in picture.svg
        assert "<metadata" not in picture.svg
        assert not re.search(r'(?:href|src)="(?!#)', picture.svg)
        assert root.get("aria-label") == picture.caption


def test_names_are_drawn_as_they_are(pictures: dict[str, Picture]) -> None:
    """Neither a dollar sign nor a tag in a name means anything."""
    for kind in ("seeds", "curves", "budget"):
        texts = _texts(pictures[f"{kind}-restaurant-co-tiny-bert"])
        assert "a $x^2$ [b]" in texts
        assert any(text.startswith("<script>") for text in texts)
    assert all("<script>" not in picture.svg for picture in pictures.values())


@pytest.mark.filterwarnings("error")
def test_odd_names_can_be_drawn() -> None:
    """Underscores first, other scripts, quotes, control characters, long names, equal slugs."""
    odd = ["_hidden", "模型 😀", 'id="x" url(#x)', "a\x00b\nc", "x" * 200]
    whole = make_comparison()
    names = dict(zip(ARMS, odd, strict=True))
    tasks = {"toy": "restaurant CO"}
    frames = {
        name: frame.replace(
            {column: names for column in ("arm", "arm_a", "arm_b") if column in frame}
            | {"task": tasks}
        )
        for name, frame in whole.frames.items()
        if "task" in frame or "arm" in frame
    }
    pictures = draw(with_frames(whole, **frames))
    assert "seeds-restaurant-co-tiny-bert-2" in pictures
    for picture in pictures.values():
        ET.fromstring(picture.svg)
    texts = _texts(pictures["budget-restaurant-co-tiny-bert"])
    assert {"_hidden", "模型 😀", 'id="x" url(#x)', "a b c"} <= set(texts)
    assert pictures["budget-restaurant-co-tiny-bert"].png


def test_a_colour_belongs_to_a_method_and_a_marker_to_an_arm(
    pictures: dict[str, Picture],
) -> None:
    """`full` has the colour of text, lora its own, whatever arms there are; others a free one."""
    blue, vermilion = "#0072b2", "#d55e00"
    others = {name: one for name, one in pictures.items() if not name.startswith("differences")}
    assert all(blue in picture.svg for picture in others.values())
    whole = make_comparison()
    looks = arm_looks(whole)
    assert len({(look.marker, look.dashes) for look in looks.values()}) == len(ARMS)
    shades = {arm: look.shade for arm, look in looks.items()}
    assert shades["full"] == INK
    assert (shades["lora"], shades["bottleneck"]) == (blue, vermilion)
    assert len(set(shades.values())) == len(ARMS)
    cells = whole.frames["cells"]
    two = cells[cells["arm"] != "bottleneck"].replace({"method": {"full": "lora"}})
    changed = arm_looks(with_frames(whole, cells=two))
    assert changed["lora"].shade == changed["full"].shade == blue


def test_nothing_is_drawn_of_nothing() -> None:
    """No run, no picture."""
    assert draw(make_empty()) == {}


@pytest.mark.parametrize(
    ("kind", "frame"),
    [
        *(("curves", "curves"), ("budget", "budget"), ("tradeoff", "tradeoff"), ("seeds", "runs")),
        *(("differences", "pairs"), ("classes", "confusion"), ("search", "searched")),
    ],
)
def test_a_picture_without_data_is_left_out_alone(kind: str, frame: str) -> None:
    """A frame that is empty takes its pictures away, and no other."""
    whole = make_comparison()
    drawn = draw(with_frames(whole, **{frame: whole.frames[frame].iloc[:0]}))
    assert {name.partition("-")[0] for name in drawn} == set(KINDS) - {kind}


def test_one_seed_one_trial_one_step_and_one_arm_are_no_picture() -> None:
    """What has no second value to compare with is left out."""
    whole = make_comparison()
    frames = whole.frames
    few = with_frames(
        whole,
        runs=frames["runs"][frames["runs"]["init_seed"] == SEEDS[0]],
        budget=frames["budget"][frames["budget"]["trials"] == 1],
        curves=frames["curves"][frames["curves"]["step"] == 20],
        tradeoff=frames["tradeoff"][frames["tradeoff"]["arm"] == "full"],
        **{name: frames[name].iloc[:0] for name in ("pairs", "confusion", "searched")},
    )
    assert draw(few) == {}


def test_the_lines_of_seeds_join_the_runs_of_the_records(pictures: dict[str, Picture]) -> None:
    """Every seed has a label, every run a dot, every seed a line."""
    picture = pictures["seeds-restaurant-co-tiny-bert"]
    assert {str(seed) for seed in SEEDS} <= set(_texts(picture))
    lines = re.findall(r"stroke-opacity: 0.35", picture.svg)
    assert len(lines) == len(SEEDS)
    runs = make_comparison().frames["runs"]
    assert picture.svg.count("<use ") >= (runs["task"] == TASKS[0]).sum()


def _places(picture: Picture, look: Look) -> set[tuple[float, float]]:
    """Return where the markers of an arm stand in the SVG."""
    colour = "currentColor" if look.shade == INK else look.shade
    uses = re.findall(r'<use [^>]*?x="([\d.]+)" y="([\d.]+)" style="([^"]*)"', picture.svg)
    dots = [(x, y) for x, y, style in uses if f"fill: {colour}" in style and "0.6" not in style]
    return {(float(x), float(y)) for x, y in dots}  # the ticks of axes are 0.6 points wide


@pytest.mark.parametrize("arms", [2, 5])
def test_dots_of_equal_scores_can_be_told_apart(arms: int) -> None:
    """Five runs that collapsed to one score stand side by side, as far from the next arm."""
    whole = make_comparison()
    runs = whole.frames["runs"][whole.frames["runs"]["arm"].isin(ARMS[-arms:])].copy()
    lora = (runs["arm"] == "lora") & (runs["task"] == TASKS[0])
    runs.loc[lora, "test/macro_f1"] = 0.65
    drawn = draw(with_frames(whole, runs=runs))["seeds-restaurant-co-tiny-bert"]
    looks = arm_looks(whole)
    dots = _places(drawn, looks["lora"])
    assert len(dots) == lora.sum() == 5
    assert len({y for _, y in dots}) == 1
    xs = sorted(x for x, _ in dots)
    assert min(np.diff(xs)) >= 5
    others = {x for arm in ARMS[-arms:] if arm != "lora" for x, _ in _places(drawn, looks[arm])}
    assert min(abs(x - other) for x in xs for other in others) > 5


def test_arms_of_equal_rank_can_be_told_apart() -> None:
    """Each has a line and a marker of its own in the critical-difference diagram."""
    tied = dict.fromkeys(ARMS, 3.0)
    whole = make_comparison(ranks=ranks_of(tied, 1.4))
    picture = draw(whole)["ranks-tiny-bert"]
    lines = re.findall(r'd="M ([\d.]+) [\d.]+ \nL ([\d.]+) [\d.]+ \nL [\d.]+ [\d.]+', picture.svg)
    starts = sorted(float(first) for first, second in lines if first == second)
    assert len(starts) == len(ARMS)
    assert min(np.diff(starts)) > 2
    markers = [_places(picture, look) for look in arm_looks(whole).values()]
    assert all(len(found) == 1 for found in markers)
    assert len(set.union(*markers)) == len(ARMS)


@pytest.mark.parametrize(
    ("ranks", "groups"),
    [
        ([1.0, 2.0, 3.0], [(0, 1), (1, 2)]),
        ([1.0, 1.2, 1.9, 4.0], [(0, 2)]),
        ([1.0, 3.0, 5.0], []),
    ],
)
def test_bars_join_arms_within_the_critical_difference(
    ranks: list[float], groups: list[tuple[int, int]]
) -> None:
    """Each bar is as long as can be, and none lies within another."""
    assert critical_groups(ranks, 1.5) == groups
    for first, last in groups:
        assert np.ptp(ranks[first : last + 1]) <= 1.5


def test_a_loss_is_drawn_in_nats_and_lower_is_better() -> None:
    """Neither scaled to points nor joined as if more were better."""
    whole = make_comparison(metric="loss")
    runs = whole.frames["runs"].rename(columns={"test/macro_f1": "test/loss"})
    drawn = draw(with_frames(whole, runs=runs))
    for kind, split in (("seeds", "test"), ("tradeoff", "test"), ("budget", "validation")):
        picture = drawn[f"{kind}-toy-{MODEL}"]
        assert f"{split} loss (nats)" in _texts(picture)
        assert "points" not in picture.svg
    assert "lower is better" in drawn[f"tradeoff-toy-{MODEL}"].caption
    assert "line is lower" in drawn[f"budget-toy-{MODEL}"].caption
    rows = whole.frames["tradeoff"][whole.frames["tradeoff"]["task"] == "toy"].to_dict("records")
    joined = pareto_steps(rows, higher=False)
    costs = [(row["peak_memory_bytes"], row["score"]) for row in joined]
    assert costs == sorted(costs)
    assert [score for _, score in costs] == sorted((s for _, s in costs), reverse=True)
    for row in rows:
        beaten = [
            other
            for other in rows
            if other["peak_memory_bytes"] <= row["peak_memory_bytes"]
            and other["score"] <= row["score"]
            and other is not row
        ]
        assert (row in joined) == (not beaten)


def _edges(picture: Picture) -> np.ndarray:
    pixels = imread(io.BytesIO(picture.png))[..., :3]
    return np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])


@pytest.mark.parametrize("metric", ["macro_f1", "loss"])
def test_nothing_is_cut_off_where_numbers_are_long(metric: str) -> None:
    """Titles of axes stay in the picture beside numbers with four digits."""
    whole = make_comparison(metric=metric)
    close = {
        table: whole.frames[table].assign(
            **{
                name: 0.2 + 0.02 * whole.frames[table][name].rank(pct=True)
                for name in names.split()
                if name in whole.frames[table]
            }
        )
        for table, names in {"budget": "expected", "curves": "mean low high"}.items()
    }
    runs = whole.frames["runs"].rename(columns={"test/macro_f1": f"test/{metric}"})
    for picture in draw(with_frames(whole, runs=runs, **close)).values():
        assert (_edges(picture) == 1).all(), picture.name


def test_drawing_leaves_matplotlibs_settings_alone() -> None:
    """The user's own settings neither change nor matter."""
    whole = make_comparison(ranks=ranks_of(RANKS, 1.4))
    before = draw(whole)["ranks-tiny-bert"]
    with matplotlib.rc_context({"font.size": 30.0, "lines.linewidth": 9.0}):
        settings = dict(matplotlib.rcParams)
        assert draw(whole)["ranks-tiny-bert"].svg == before.svg
        assert dict(matplotlib.rcParams) == settings


def test_importing_the_door_is_light() -> None:
    """Neither matplotlib nor pandas is loaded before something is drawn."""
    code = "import sys, tuner.report.plots; print({'matplotlib', 'pandas'} & set(sys.modules))"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
