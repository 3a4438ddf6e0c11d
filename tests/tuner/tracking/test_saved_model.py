"""A kept model as MLflow's own commands call it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import mlflow
import pandas
import pytest

from tests.specs import toy_spec
from tests.tuner.tracking.projections import desk, make_group
from trainers.train import load_trained, save_trained
from tuner.store.location import Store
from tuner.tracking import locate_store
from tuner.tracking.mlflow_store import MlflowStore
from tuner.tracking.projection import Projection

LABELS = ("neg", "pos")
TEXTS = ["good food", "bad place"]
FRAME = pandas.DataFrame({"id": [1, 2], "label": ["pos", "neg"], "body": TEXTS})


@pytest.fixture
def model(store: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Keep a model whose task calls its text `body`; return its address."""
    task = {"kind": "text_file", "train": "a.csv", "test": "b.csv", "text": "body"}
    spec = toy_spec(task=task, method="head")
    classifier = spec.method.apply(spec.model.model(LABELS, "sdpa"))
    with desk(store) as table:
        attempt = table.do()
        folder = table.folder(attempt) / "model"
        save_trained(spec, classifier, folder, labels=LABELS, tokenizer=spec.model.tokenizer())
        table.runs.keep(attempt, make_group())
        Projection(table.journal, Store(store), MlflowStore(store), table.projected).step()
        run = table.found()["full · trial 0 · seed 7"]
    monkeypatch.setenv("MLFLOW_TRACKING_URI", locate_store(store).tracking_uri)
    monkeypatch.setenv("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    return f"runs:/{run.info.run_id}/model"


def test_mlflows_prediction_takes_every_form_of_its_own(model: str, tmp_path: Path) -> None:
    """Split and records with other columns, inputs alone and by name, and CSV."""
    folder = Path(mlflow.artifacts.download_artifacts(model))
    expected = load_trained(folder / "data").predict(TEXTS).to_dict("records")
    forms: list[dict[str, Any]] = [
        {"dataframe_split": FRAME.to_dict("split")},
        {"dataframe_records": FRAME.to_dict("records")},
        {"inputs": TEXTS},
        {"inputs": {"body": TEXTS}},
        {"instances": [{"text": text} for text in TEXTS]},
    ]
    given = {"json": [json.dumps(form) for form in forms], "csv": [FRAME.to_csv(index=False)]}
    for content_type, contents in given.items():
        for content in contents:
            path, answer = tmp_path / "given", tmp_path / "answer"
            path.write_text(content)
            mlflow.models.predict(
                model,
                input_path=str(path),
                output_path=str(answer),
                content_type=content_type,
                env_manager="local",
            )
            rows = json.loads(answer.read_text())["predictions"]
            assert [row["label"] for row in rows] == [row["label"] for row in expected], content
            assert rows[0] == pytest.approx(expected[0]), content


def test_a_gap_is_refused_in_our_words(model: str) -> None:
    """MLflow holds the call against no signature of its own, and lets the message through."""
    loaded = mlflow.pyfunc.load_model(model)
    with pytest.raises(ValueError, match=r"^texts to classify: row 2: body: got nan; allowed: a"):
        loaded.predict(FRAME.assign(body=["a", None]))
    assert len(loaded.predict("one text")) == 1
