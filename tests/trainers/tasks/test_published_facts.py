"""The shipped tasks have the sizes, splits and floors that were measured on their sources."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from tests.task_contract import require_data_dir
from trainers.data import TaskData, leaked_test_rows, load_task
from trainers.interfaces import Example, Task
from trainers.plugins import resolve
from trainers.train import score

SIZES = {
    "restaurant_sup": (3452, 150, 1120),
    "restaurant_fs": (32, 32, 1120),
    "acl_sup": (1688, 114, 139),
    "acl_fs": (48, 48, 139),
    "agnews_sup": (6840 - 684, 684, 760),
    "agnews_fs": (32, 32, 760),
}
MAJORITY = {
    "restaurant_sup": (0.650, 0.263),
    "acl_sup": (0.511, 0.113),
    "agnews_sup": (0.233, 0.095),
}

PINNED_RESTAURANT_IDS = ["464_1", "599_0", "309_0"]
PINNED_AGNEWS_ROWS = [2967, 2154, 2944, 2238]


@pytest.fixture(scope="module")
def folder() -> Path:
    """Give the pinned files."""
    return require_data_dir()


def load(name: str | dict[str, str], folder: Path) -> TaskData:
    """Load a task at the usual seed."""
    return load_task(resolve(Task, "trainers.tasks", name), folder, 2022)


def counts(rows: tuple[Example, ...], labels: tuple[str, ...]) -> list[int]:
    """Count the rows of each class."""
    counter = Counter(row.label for row in rows)
    return [counter[label] for label in labels]


@pytest.mark.parametrize("name", SIZES)
def test_splits_have_the_published_sizes(name: str, folder: Path) -> None:
    """Train, validation and test have as many rows as their sources say."""
    data = load(name, folder)
    assert (len(data.train), len(data.validation), len(data.test)) == SIZES[name]


def test_labels_stand_in_the_published_order(folder: Path) -> None:
    """Class numbers mean the same as in the published tables."""
    acl = ("Background", "Uses", "CompareOrContrast", "Motivation", "Extends", "Future")
    assert load("restaurant_sup", folder).labels == ("positive", "neutral", "negative")
    assert load("acl_sup", folder).labels == acl
    assert load("agnews_sup", folder).labels == ("World", "Sports", "Business", "Sci/Tech")


@pytest.mark.parametrize("name", MAJORITY)
def test_the_majority_class_scores_as_published(name: str, folder: Path) -> None:
    """Always answering train's most frequent class gives the known floor."""
    data = load(name, folder)
    majority = Counter(row.label for row in data.train).most_common(1)[0][0]
    scores = floor(data, data.test, [majority] * len(data.test))
    assert scores == pytest.approx(MAJORITY[name], abs=0.0006)


def test_the_paper_draw_has_19_3_10_restaurant_rows(folder: Path) -> None:
    """`first` at 2022 draws the published 32 rows, for ever."""
    data = load("restaurant_fs", folder)
    assert counts(data.train, data.labels) == [19, 3, 10]
    assert [row.id for row in data.train[:3]] == PINNED_RESTAURANT_IDS


def test_few_shot_validation_lies_outside_the_draw_and_in_train(folder: Path) -> None:
    """The dev file is not read after a draw: its size would dwarf the 32 training rows."""
    whole = {row.id for row in load("restaurant_sup", folder).train}
    few = load("restaurant_fs", folder)
    drawn = {row.id for row in few.train}
    assert {row.id for row in few.validation} <= whole - drawn


def test_acl_draws_eight_of_each_class(folder: Path) -> None:
    """The paper's rule for five classes and more gives 48 rows."""
    data = load("acl_fs", folder)
    assert counts(data.train, data.labels) == [8] * 6
    assert counts(data.validation, data.labels) == [8] * 6


def test_52_acl_test_rows_stand_in_train(folder: Path) -> None:
    """The known leak of ACL-ARC is found, so that 87 unseen rows can be scored apart."""
    data = load("acl_sup", folder)
    leaked = leaked_test_rows(data)
    assert len(leaked) == 52
    assert len(data.test) - len(set(leaked)) == 87


def test_agnews_test_rows_are_the_first_of_the_2022_permutation(folder: Path) -> None:
    """The test split is the one of the published runs, whatever the data seed."""
    task = resolve(Task, "trainers.tasks", "agnews_sup")
    test = load_task(task, folder, 7).test
    assert [int(row.id) for row in test[:4]] == PINNED_AGNEWS_ROWS


def test_agnews_can_leave_out_the_titles(folder: Path) -> None:
    """`description` alone is the end of the default text of the same row."""
    full = load("agnews_sup", folder).test[0]
    short = load({"kind": "agnews", "text": "description"}, folder).test[0]
    assert full.id == short.id
    assert full.text.endswith(f" {short.text}")
    assert len(full.text) > len(short.text) + 1


def test_a_linear_model_scores_restaurant_as_published(folder: Path) -> None:
    """TF-IDF of words and word pairs with logistic regression gives the known floor."""
    data = load("restaurant_sup", folder)
    scores = floor(data, data.test, linear_predictions(data))
    assert scores == pytest.approx((0.738, 0.580), abs=0.005)


def test_a_linear_model_scores_acl_as_published_and_worse_on_unseen_rows(folder: Path) -> None:
    """Without the leaked rows, acl's floor falls to its published value."""
    data = load("acl_sup", folder)
    predicted = linear_predictions(data)
    assert floor(data, data.test, predicted) == pytest.approx((0.741, 0.604), abs=0.005)
    leaked = set(leaked_test_rows(data))
    unseen = [place for place, row in enumerate(data.test) if row.id not in leaked]
    rows = tuple(data.test[place] for place in unseen)
    scores = floor(data, rows, [predicted[place] for place in unseen])
    assert scores == pytest.approx((0.644, 0.313), abs=0.005)


@pytest.mark.slow
def test_a_linear_model_scores_agnews_descriptions_as_published(folder: Path) -> None:
    """The known floor is that of the description alone, trained on all 6,840 rows."""
    task = resolve(Task, "trainers.tasks", {"kind": "agnews", "text": "description"})
    data = replace(load_task(task, folder, 2022), train=task.read(folder).train)
    scores = floor(data, data.test, linear_predictions(data))
    assert scores == pytest.approx((0.896, 0.895), abs=0.005)


def floor(data: TaskData, rows: tuple[Example, ...], predicted: list[str]) -> tuple[float, float]:
    """Score predicted class names by accuracy and macro-F1."""
    truth = [data.labels.index(row.label) for row in rows]
    scores = score(data.labels, truth, [data.labels.index(label) for label in predicted])
    return scores["accuracy"], scores["macro_f1"]


def linear_predictions(data: TaskData) -> list[str]:
    """Predict the classes of the test rows by a linear model on TF-IDF."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits

    vectorizer = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
    features = vectorizer.fit_transform([f"{row.text} {row.pair or ''}" for row in data.train])
    model = LogisticRegression(C=10, max_iter=1000)
    # On a busy machine, threads that wait for each other take ten times as long as one.
    with threadpool_limits(limits=1):
        model.fit(features, [row.label for row in data.train])
    texts = [f"{row.text} {row.pair or ''}" for row in data.test]
    return list(model.predict(vectorizer.transform(texts)))
