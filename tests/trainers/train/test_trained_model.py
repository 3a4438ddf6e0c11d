"""Kept models: what their folder holds, and that they classify as they should."""

from __future__ import annotations

import logging
import random
import shutil
from pathlib import Path
from typing import Any

import mlflow
import numpy
import pandas
import pytest
import torch
from tokenizers.processors import TemplateProcessing
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    DistilBertConfig,
    DistilBertForSequenceClassification,
    TextClassificationPipeline,
    pipeline,
    set_seed,
)

from tests.specs import toy_spec
from trainers.data.encode import tokenizer_fingerprint
from trainers.errors import InputError
from trainers.models.tiny import Tiny
from trainers.train.trained_model import TextClassifier, load_trained, save_trained

LABELS = ("neg", "neu", "C++ / C#")
TEXTS = ["good food", "the bad place", "it was a great film, really", "no " * 200, "love"]
_LENGTH = 16


def _keep(folder: Path, **changes: Any) -> Path:
    """Keep a model of drawn weights, none of them those that loading would draw."""
    spec = toy_spec(train={"max_length": _LENGTH}, **changes)
    torch.manual_seed(9)
    model = spec.method.apply(spec.model.model(LABELS, "sdpa"))
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(0.1 * torch.randn_like(parameter))
    tokenizer = spec.model.tokenizer()
    tokenizer(TEXTS, truncation=True, max_length=_LENGTH, padding=True)  # leaves its settings
    save_trained(spec, model, folder, labels=LABELS, tokenizer=tokenizer)
    return folder


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> TextClassifier:
    """A kept model, loaded."""
    return load_trained(_keep(tmp_path_factory.mktemp("kept"), method="full"))


@pytest.mark.parametrize("model", ["tiny-bert", "tiny-roberta", "tiny-llama"])
def test_transformers_read_the_folder_of_a_fully_trained_model(tmp_path: Path, model: str) -> None:
    """Tokenizer, class names and length too: a pipeline gives what `predict` gives."""
    folder = _keep(tmp_path, method="full", model=model)
    kept = load_trained(folder)
    weights = folder / "weights"
    tokenizer = AutoTokenizer.from_pretrained(weights)
    assert tokenizer_fingerprint(tokenizer) == tokenizer_fingerprint(kept.spec.model.tokenizer())
    assert len(tokenizer("no " * 200, truncation=True)["input_ids"]) == _LENGTH
    read = AutoModelForSequenceClassification.from_pretrained(weights)
    assert tuple(read.config.id2label.values()) == LABELS
    assert read.config.architectures == [type(read).__name__]
    pipe: TextClassificationPipeline = pipeline("text-classification", model=str(weights))
    answers = pipe(TEXTS, truncation=True, top_k=None)
    predicted = kept.predict(TEXTS)
    for label in LABELS:
        scores = [next(a["score"] for a in row if a["label"] == label) for row in answers]
        assert scores == pytest.approx(predicted[f"probability/{label}"].tolist(), abs=1e-6)
    assert [row[0]["label"] for row in answers] == predicted["label"].tolist()


def test_a_pipeline_must_be_told_the_task_of_a_folder(tmp_path: Path) -> None:
    """As docs/kept-models.md says: transformers asks the Hub for it, and no file can tell it."""
    weights = _keep(tmp_path, method="full") / "weights"
    (weights / "README.md").write_text("---\npipeline_tag: text-classification\n---\n")
    with pytest.raises(RuntimeError, match="task"):
        pipeline(model=str(weights))  # type: ignore[call-overload]
    assert pipeline("text-classification", model=str(weights))("good food")


def test_a_pipeline_takes_pairs_as_predict_does(tmp_path: Path) -> None:
    """The second text is the pipeline's text_pair."""
    folder = _keep(tmp_path, method="full", task={"kind": "toy", "pair": True})
    pipe: Any = pipeline("text-classification", model=str(folder / "weights"))
    rows = [
        {"text": "good food", "text_pair": "a bad place " * 9},
        {"text": "a", "text_pair": "b"},
    ]
    answers = pipe(rows, truncation=True)
    predicted = load_trained(folder).predict(rows)
    assert [answer["label"] for answer in answers] == predicted["label"].tolist()
    assert [answer["score"] for answer in answers] == pytest.approx(
        predicted.drop(columns="label").max(axis=1).tolist(), abs=1e-6
    )


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")  # peft's
def test_peft_reads_the_folder_of_its_own_methods(tmp_path: Path) -> None:
    """Adapter and head, over the base model, give what `predict` gives."""
    from peft import PeftModel

    folder = _keep(tmp_path, method="lora")
    kept = load_trained(folder)
    base = kept.spec.model.model(LABELS, "sdpa")
    model = PeftModel.from_pretrained(base, folder / "weights").eval()
    tokenizer = AutoTokenizer.from_pretrained(folder / "weights")
    with torch.no_grad():
        logits = model(**tokenizer(["good food"], return_tensors="pt")).logits
    expected = kept.predict("good food").drop(columns="label").to_numpy()
    assert logits.softmax(-1).numpy() == pytest.approx(expected, abs=1e-6)


def test_a_fully_trained_model_needs_no_base(tmp_path: Path) -> None:
    """Its folder holds all: the model that it came from may be moved or deleted."""
    base = _keep(tmp_path / "base", method="full") / "weights"
    spec_model = {"kind": "hub", "id": str(base)}
    folder = _keep(tmp_path / "kept", method="full", model=spec_model)
    before = load_trained(folder).predict(TEXTS)
    shutil.rmtree(base)
    pandas.testing.assert_frame_equal(load_trained(folder).predict(TEXTS), before)


def test_a_base_beside_the_study_is_found_from_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An adapter's folder says where the run looked for its base model."""
    study, elsewhere = tmp_path / "study", tmp_path / "elsewhere"
    _keep(study / "base", method="full")
    elsewhere.mkdir()
    monkeypatch.chdir(study)
    folder = _keep(tmp_path / "kept", method="head", model={"kind": "hub", "id": "base/weights"})
    monkeypatch.chdir(elsewhere)
    assert len(load_trained(folder).predict(TEXTS)) == len(TEXTS)


@pytest.mark.parametrize("method", ["full", "lora", "head"])
def test_a_folder_of_version_0_1_is_read(tmp_path: Path, method: str) -> None:
    """It holds no tokenizer, which the model's source gives, and no places."""
    folder = _keep(tmp_path, method=method)
    before = load_trained(folder).predict(TEXTS)
    for path in (*(folder / "weights").glob("tokenizer*"), folder / "folders.json"):
        path.unlink()
    pandas.testing.assert_frame_equal(load_trained(folder).predict(TEXTS), before)


@pytest.mark.parametrize("method", ["full", "lora"])
def test_a_model_is_given_what_it_takes(tmp_path: Path, method: str) -> None:
    """DistilBERT takes no token types, which its tokenizer makes."""
    base = tmp_path / "base"
    tokenizer = Tiny().tokenizer()
    config = DistilBertConfig(
        vocab_size=len(tokenizer), dim=32, n_layers=1, n_heads=2, hidden_dim=64, pad_token_id=0
    )
    DistilBertForSequenceClassification(config).save_pretrained(base)
    tokenizer.save_pretrained(base)
    model = {"kind": "hub", "id": str(base)}
    kept = load_trained(_keep(tmp_path / "kept", method=method, model=model))
    assert "token_type_ids" in kept.tokenizer("a")
    assert len(kept.predict(TEXTS)) == len(TEXTS)


def test_loading_leaves_the_callers_random_numbers_alone(tmp_path: Path) -> None:
    """What a script draws does not depend on how many models it has loaded before."""
    folder = _keep(tmp_path, method="head")

    def draw() -> list[float]:
        return [random.random(), float(numpy.random.rand()), float(torch.rand(()))]

    set_seed(5)
    expected = draw()
    set_seed(5)
    load_trained(folder)
    assert draw() == expected


def test_rows_come_back_in_their_order_whatever_batches_they_are_in(
    classifier: TextClassifier,
) -> None:
    """Batches hold rows of like length; each row is classified as if it were alone."""
    texts = [
        " ".join(["good", "bad", "film", "no"][: 1 + n % 4]) + " x" * (n % 7) for n in range(150)
    ]
    together = classifier.predict(texts).drop(columns="label")
    for place in (0, 1, 63, 64, 149):
        alone = classifier.predict(texts[place]).drop(columns="label")
        assert together.iloc[place].tolist() == pytest.approx(alone.iloc[0].tolist(), abs=1e-6)


def test_the_answer_stands_beside_its_row(classifier: TextClassifier) -> None:
    """After a filter too, `frame["pred"] = predict(frame)["label"]` sets each row's own label."""
    frame = pandas.DataFrame({"id": range(5), "text": TEXTS})[::2]
    answer = classifier.predict(frame)
    assert list(answer.columns) == ["label", *(f"probability/{label}" for label in LABELS)]
    assert answer.index.tolist() == [0, 2, 4]
    assert answer["label"].tolist() == classifier.predict(TEXTS)["label"].tolist()[::2]


def test_no_rows_give_a_frame_of_the_same_columns(classifier: TextClassifier) -> None:
    """Numbers are numbers in it too."""
    empty = classifier.predict([])
    assert list(empty.columns) == list(classifier.predict("a").columns)
    assert len(empty) == 0
    assert set(empty.dtypes[1:].map(str)) == {"float64"}


def test_rows_that_are_cut_are_said_once(
    classifier: TextClassifier, caplog: pytest.LogCaptureFixture
) -> None:
    """One line says how many, of how many, and how long the longest is."""
    with caplog.at_level(logging.WARNING):
        classifier.predict(TEXTS)
        classifier.predict(TEXTS[:2])
    assert [record.getMessage() for record in caplog.records] == [
        "max_length: 16 cuts 1 of 5 rows to classify; the longest has 202 tokens"
    ]


def test_a_text_without_tokens_is_refused(tmp_path: Path) -> None:
    """A tokenizer that adds nothing makes nothing of an empty text."""
    kept = load_trained(_keep(tmp_path, method="head", model="tiny-llama"))
    tokenizer: Any = kept.tokenizer
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(single="$A", pair="$A $B")
    with pytest.raises(InputError, match="row 2: '' has no tokens; allowed: a text"):
        kept.predict(["a", ""])


def test_mlflow_opens_a_model_by_the_name_that_version_0_1_gave_it(tmp_path: Path) -> None:
    """Kept models name the module `trainers.saved`: it does not move with the code behind it."""
    _keep(tmp_path / "data", method="head")
    flavor = "{loader_module: trainers.saved, data: data, python_version: 3.11.7}"
    (tmp_path / "MLmodel").write_text(f"flavors: {{python_function: {flavor}}}\n")
    opened = mlflow.pyfunc.load_model(str(tmp_path)).predict(TEXTS)
    assert opened.equals(load_trained(tmp_path / "data").predict(TEXTS))
