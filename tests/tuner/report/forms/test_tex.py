"""The LaTeX compiles, whatever names hold, and marks the best."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.tuner.report.records import make_runs, report_of
from tuner.report import Report

NAMES = ("100% & <b>$x^2$</b>_{#}~|\\textbf{a}", "full", 'ünï "cödé" – 火')  # noqa: RUF001

needs_latex = pytest.mark.skipif(
    not shutil.which("pdflatex"), reason="no pdflatex: install texlive"
)


@pytest.fixture
def made() -> Report:
    """Return three arms on seven seeds; the last is far behind, the first two are close."""
    close = [0.8, 0.81, 0.79, 0.83, 0.8, 0.82, 0.815]
    scores = {
        NAMES[0]: close,
        NAMES[1]: [value + 0.001 * (-1) ** n for n, value in enumerate(close)],
        NAMES[2]: [0.1 + n / 77 for n in range(7)],
    }
    return report_of(make_runs(scores, task="a_task & more"), baseline=NAMES[1])


def test_the_best_is_bold_and_those_not_separable_from_it_are_underlined(made: Report) -> None:
    """The one that is worse for sure is neither."""
    text = made.text("tex")
    table = "".join(line for line in text.splitlines(True) if not line.strip().startswith("%"))
    assert table.count("\\textbf{") == 1
    assert table.count("\\underline{") == 1
    (last,) = [line for line in table.splitlines() if "cödé" in line and line.endswith("\\\\")]
    assert "\\underline" not in last
    assert "\\textbf" not in last
    assert "\\toprule" in text
    assert "MLflow run of full: parent-of-full-confirm-None" in text


def _compile(made: Report, tmp_path: Path) -> str:
    """Set it in a plain article with booktabs; pdflatex stops at the first error."""
    document = (
        "\\documentclass{article}\\usepackage[T1]{fontenc}\\usepackage{booktabs}\\usepackage{graphicx}\n"
        "\\begin{document}\n\\input{report}\n\\end{document}\n"
    )
    (tmp_path / "report.tex").write_text(made.text("tex"))
    (tmp_path / "main.tex").write_text(document)
    command = ["pdflatex", "-halt-on-error", "-interaction=nonstopmode", "main.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:]
    assert (tmp_path / "main.pdf").stat().st_size > 10_000
    return done.stdout


@needs_latex
def test_it_compiles(made: Report, tmp_path: Path) -> None:
    """Whatever the names hold."""
    _compile(made, tmp_path)


@needs_latex
def test_several_tasks_compile_and_their_tables_have_labels(tmp_path: Path) -> None:
    """The table of arms by tasks is shrunk to the page; each label is there once."""
    tasks = ("restaurant", "acl", "agnews", "restaurant_fs", "acl_fs", "agnews_fs")
    records = [
        run
        for number, task in enumerate(tasks)
        for run in make_runs({"full": [0.8, 0.7], "lora": [0.6, 0.5 + number / 50]}, task=task)
    ]
    made = report_of(records, baseline="full")
    labels = re.findall(r"\\label\{(.*?)\}", made.text("tex"))
    assert len(labels) == len(set(labels)) == made.text("tex").count("\\caption{")
    assert {"tab:acl-tiny-arms", "tab:restaurant-fs-tiny-arms"} <= set(labels)
    assert "Overfull" not in _compile(made, tmp_path)


@needs_latex
def test_a_table_with_unseen_rows_fits_the_page(tmp_path: Path) -> None:
    """The widest there is, with names of usual length; its extra column is explained."""
    seen = {"facts": {"rows.test_seen_in_train": "52"}}
    records = [
        run.model_copy(update={"metrics": run.metrics | {"test/unseen/macro_f1": 0.3 - 0.2 * n}})
        for arm in ("full", "bottleneck")
        for n, run in enumerate(make_runs({arm: [0.8, 0.1]}, task="acl_sup", **seen))
    ]
    made = report_of(records)
    assert "Unseen rows: macro-F1 without the test rows that train has." in made.text("tex")
    assert "Overfull" not in _compile(made, tmp_path)
