"""The table in the terminal fits it."""

from __future__ import annotations

import pytest
from rich.console import Console

from tuner.cli.outcome_text import fitting_table

SCORE = "52.43 ± 10.21"
MODEL = "microsoft/MiniLM-L12-H384-uncased"
ARM = "lora-r16-alpha32-all-linear-modules-and-the-head"
MORE = ("trained parameters", "peak memory", "seconds")
ROWS = [
    ["arm", "n", "macro-F1", "accuracy", "macro-F1, unseen rows", *MORE],
    ["lora", "2 of 5", SCORE, SCORE, "42.43 ± 10.21", "1.2 M", "1.1 GiB", "3.4"],
]


@pytest.mark.parametrize(
    ("width", "gone"), [(140, set()), (80, {"trained parameters"}), (55, {"accuracy"})]
)
def test_no_number_or_word_of_the_table_wraps(width: int, gone: set[str]) -> None:
    """Columns that matter less are left out for it, and named."""
    console = Console(width=width)
    table, left_out = fitting_table(console, ROWS)
    with console.capture() as shown:
        console.print(table)
    text = shown.get()
    assert gone <= set(left_out)
    assert bool(left_out) == bool(gone)
    for number in ("2 of 5", SCORE, "42.43 ± 10.21"):
        assert number in text
    kept = [title for title in ROWS[0] if title not in left_out]
    assert all(word in text.split() for title in kept for word in title.split())


@pytest.mark.parametrize("width", [80, 100])
def test_long_names_wrap_and_hide_no_column(width: int) -> None:
    """Several models, arms with long names: each number stands beside its row's name."""
    rows = [["model", *ROWS[0]], [MODEL, *ROWS[1]], [MODEL, ARM, *ROWS[1][1:]]]
    console = Console(width=width)
    table, _ = fitting_table(console, rows)
    with console.capture() as captured:
        console.print(table)
    lines = captured.get().splitlines()
    assert max(map(len, lines)) <= width
    text = "\n".join(lines)
    assert text.count("2 of 5") == text.count("42.43 ± 10.21") == 2
    heads = text.partition("─")[0].split()
    assert {"model", "arm", "n"} <= set(heads)
    first = next(line for line in lines if "2 of 5" in line)
    assert first.strip().startswith(MODEL[:10])
