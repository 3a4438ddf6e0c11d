"""Public bug reports of this trade, tried on the program; docs/cases.md names each of them."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from tests.specs import QUICK, toy_spec, toy_tree, workspace
from trainers.data import load_task
from trainers.data.class_names import alike
from trainers.errors import CannotBuild, DataError
from trainers.interfaces import Corpus
from trainers.models import quiet
from trainers.models.tiny import Tiny
from trainers.tasks.text_file import TextFile
from trainers.tasks.toy import Toy
from trainers.train import train
from tuner.config import parse_study
from tuner.report import build_report
from tuner.study.run import run_study

LABELS = ("no", "yes")


def _read(folder: Path, content: str, name: str = "rows.csv", **fields: Any) -> Corpus:
    """Read one file as the train and the test split of a task."""
    (folder / name).write_bytes(content.encode())
    return TextFile(name="t", train=name, test=name, **fields).read(folder)


def test_true_and_false_stay_words(tmp_path: Path) -> None:
    """Classes called True and False are these words, not what a reader makes of them."""
    corpus = _read(tmp_path, "text,label\na,True\nb,False\n")
    assert corpus.labels == ("False", "True")


def test_a_full_stop_at_the_end_of_a_class_is_a_second_spelling() -> None:
    """The test file of Adult writes each class with a full stop that its training file has not."""
    found = alike(["<=50K", "<=50K.", ">50K", ">50K."])
    assert [pair.names for pair in found] == [("<=50K", "<=50K."), (">50K", ">50K.")]
    assert {pair.differ_by for pair in found} == {"a sign at the end"}
    assert not alike(["C", "C++", "C#", "...", "!"])


def test_a_semicolon_in_a_quoted_cell_of_a_spreadsheet_is_text(tmp_path: Path) -> None:
    """Cells with the delimiter, line ends and doubled quotes are what Excel writes."""
    content = 'Type;Example\r\nc#;"hi i am not working;\r\n"" i dont see why """\r\nf#;fine\r\n'
    corpus = _read(tmp_path, content, text="Example", label="Type", delimiter=";")
    assert corpus.train[0].text == 'hi i am not working;\r\n" i dont see why "'
    assert corpus.labels == ("c#", "f#")


def test_quotes_that_are_escaped_by_a_backslash_are_blamed_by_their_line(tmp_path: Path) -> None:
    r"""A database's dump writes \" inside a quoted cell, which CSV does not know."""
    with pytest.raises(DataError, match=r"line 3.*\\\\\""):
        _read(tmp_path, 'text,label\nfine,a\n"\\"A freelance developer, me.\\"",b\n')


def test_columns_are_never_guessed_from_their_places(tmp_path: Path) -> None:
    """A file without the named column is refused, not read by its first two columns."""
    with pytest.raises(DataError, match=r"no column 'label'.*target"):
        _read(tmp_path, "text,target\na,0\nb,1\n")


def test_a_decoder_without_a_pad_token_is_padded_and_classified(tmp_path: Path) -> None:
    """The tokenizer's end token stands in, and the model's config knows of it."""
    with quiet():
        Tiny(architecture="llama").model(LABELS, "sdpa").save_pretrained(tmp_path / "model")
        Tiny(architecture="llama").tokenizer().save_pretrained(tmp_path / "model")
    for name in ("config.json", "tokenizer_config.json"):
        path = tmp_path / "model" / name
        tree = json.loads(path.read_text())
        tree.pop("pad_token_id", None), tree.pop("pad_token", None)
        path.write_text(json.dumps(tree))
    source = {"kind": "hub", "id": str(tmp_path / "model")}
    spec = toy_spec(model=source, train={"epochs": 1})
    assert "macro_f1" in train(spec, lambda _: None, workspace(tmp_path)).validation


def test_segments_that_the_model_does_not_know_are_left_out(tmp_path: Path) -> None:
    """RoBERTa has one segment; a tokenizer that numbers two must not end in an index error."""
    with quiet():
        Tiny(architecture="roberta").model(LABELS, "sdpa").save_pretrained(tmp_path / "model")
        Tiny().tokenizer().save_pretrained(tmp_path / "model")
    (tmp_path / "data").mkdir()
    rows = [f"text {n},pair {n},{'ab'[n % 2]}" for n in range(16)]
    (tmp_path / "data" / "p.csv").write_text("\n".join(["text,other,label", *rows]))
    task = {"kind": "text_file", "name": "p", "train": "p.csv", "test": "p.csv"}
    spec = toy_spec(
        task={**task, "text_pair": "other"},
        model={"kind": "hub", "id": str(tmp_path / "model")},
        train={"epochs": 1},
    )
    assert "macro_f1" in train(spec, lambda _: None, workspace(tmp_path)).validation


def test_a_token_that_the_model_does_not_know_is_said(tmp_path: Path) -> None:
    """A tokenizer with added tokens and a model that was not resized: no index error."""
    with quiet():
        Tiny().model(LABELS, "sdpa").save_pretrained(tmp_path / "model")
        tokenizer = Tiny().tokenizer()
        tokenizer.add_tokens(["red"])
        tokenizer.save_pretrained(tmp_path / "model")
    spec = toy_spec(model={"kind": "hub", "id": str(tmp_path / "model")})
    with pytest.raises(CannotBuild, match=r"token \d+; the model has 0 to \d+"):
        train(spec, lambda _: None, workspace(tmp_path))


def test_a_warm_up_that_never_ends_is_said_first(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A training of fewer steps than its warm-up never trains at the rate that was asked for."""
    rows = len(load_task(Toy(), tmp_path, 2022).train)
    steps = 2 * math.ceil(rows / 32)
    tree = toy_tree(train=QUICK | {"warmup": 500}, arms={"head": {"method": "head"}})
    place = tmp_path / "store"
    run_study(parse_study(tree), store=place, data_dir=tmp_path, tracking="none")
    said = f"train.warmup: got 500 steps; a training has {steps}"
    assert said in caplog.text
    report = build_report("toy-study", store=tmp_path / "store")
    assert any(said in warning for warning in report.comparison.warnings)


def test_scores_do_not_depend_on_the_rows_of_an_evaluation_batch(tmp_path: Path) -> None:
    """A macro mean is taken over the whole split, not over batches."""
    scores = [
        train(
            toy_spec(read_test=True, train={"epochs": 1, "eval_batch_size": size}),
            lambda _: None,
            workspace(tmp_path / str(size)),
        ).test
        for size in (1, 64)
    ]
    assert scores[0] is not None
    assert scores[0] == pytest.approx(scores[1], abs=1e-6)


def test_names_may_hold_quotation_marks_and_signs_of_a_query(tmp_path: Path) -> None:
    """An arm and a task with quotes in their names are run, found and reported like others."""
    name = """o'brien" AND name = '%' \\"""
    tree = toy_tree(tasks=[{"kind": "toy", "name": name}], arms={name: {"method": "head"}})
    assert run_study(parse_study(tree), store=tmp_path / "store", data_dir=tmp_path).failures == ()
    report = build_report("toy-study", store=tmp_path / "store")
    assert set(report.cells["arm"]) == set(report.cells["task"]) == {name}
