"""Looking up on the Hub: one question to a real server, and one line for each answer."""

from __future__ import annotations

import http.server
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from trainers.errors import DataError, MissingData, MissingModel, ModelError
from trainers.models.hub import HubModel
from trainers.tasks.hub import HubTask

ANSWERS = {
    "/here/model/resolve/main/config.json": (200, ""),
    "/gone/model/resolve/main/config.json": (404, "RepoNotFound"),
    "/private/model/resolve/main/config.json": (401, "RepoNotFound"),
    "/plain/model/resolve/main/config.json": (404, ""),
    "/gated/model/resolve/main/config.json": (403, "GatedRepo"),
    "/here/model/resolve/v9/config.json": (404, "RevisionNotFound"),
    "/empty/model/resolve/main/config.json": (404, "EntryNotFound"),
    "/ill/model/resolve/main/config.json": (503, ""),
    "/datasets/gone/rows/resolve/main/README.md": (404, "RepoNotFound"),
    "/datasets/private/rows/resolve/main/README.md": (401, "RepoNotFound"),
    "/datasets/gone/rows/resolve/v9/README.md": (404, "RevisionNotFound"),
    "/datasets/ill/rows/resolve/main/README.md": (503, ""),
}


class Answers(http.server.BaseHTTPRequestHandler):
    """Answers as the Hub does, from a table; nothing to what is not in it."""

    asked: list[str]

    def do_HEAD(self) -> None:
        """Answer."""
        self.asked.append(self.path)
        status, code = ANSWERS.get(self.path, (0, ""))
        if not status:
            time.sleep(30)
        self.send_response(status)
        for name, value in (("X-Error-Code", code), ("ETag", '"1"'), ("X-Repo-Commit", "0" * 40)):
            self.send_header(name, value)
        self.send_header("Content-Length", "2")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Log nothing."""


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[list[str]]:
    """Stand in for the Hub; return the paths that were asked for."""
    found: list[str] = []
    handler = type("Handler", (Answers,), {"asked": found})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    address = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", address)
    template = address + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield found
    server.shutdown()
    server.server_close()


def keep_a_copy(name: str, cache: Path) -> None:
    """Leave a model's config in the Hub's cache, as a download does."""
    folder = cache / f"models--{name.replace('/', '--')}"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text("0" * 40)
    (folder / "snapshots" / ("0" * 40)).mkdir(parents=True)
    (folder / "snapshots" / ("0" * 40) / "config.json").write_text("{}")


def test_a_model_that_is_there_is_asked_for_once(asked: list[str]) -> None:
    """No file of it is downloaded."""
    HubModel(id="here/model").check()
    assert asked == ["/here/model/resolve/main/config.json"]


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        (
            {"id": "gone/model"},
            r"no such model, or refuses it to you \(status 404\); check",
        ),
        ({"id": "plain/model"}, r"no such model, or refuses it to you \(status 404\)"),
        (
            {"id": "private/model"},
            r"refuses it to you \(status 401\); .*`hf auth",
        ),
        ({"id": "gated/model"}, r"only to users with access \(status 403\); ask for access"),
        ({"id": "here/model", "revision": "v9"}, r"the Hub has no revision 'v9' of it"),
        ({"id": "empty/model"}, r"the Hub has no config\.json in it"),
        ({"id": "a--b/model"}, r"no model's id on the Hub: "),
    ],
)
def test_a_model_that_cannot_be_had_is_said_in_one_line(
    settings: dict[str, str], says: str, asked: list[str]
) -> None:
    """What is wrong, and the next step; a relative folder of that name is nowhere either."""
    with pytest.raises(ModelError, match=rf"^model\.id: {settings['id']}: .*{says}") as caught:
        HubModel.model_validate(settings).check()
    assert not isinstance(caught.value, MissingModel)
    assert "no such folder" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["ill/model", "silent/model"])
def test_a_hub_that_does_not_answer_is_said_soon(name: str, asked: list[str]) -> None:
    """The model may be good: whoever only checks a study can go on."""
    begun = time.monotonic()
    with pytest.raises(MissingModel, match=r"the Hub at http://127\.0\.0\.1:\d+ does not answer"):
        HubModel(id=name).check()
    assert time.monotonic() - begun < 15
    assert len(asked) == 1


def test_a_copy_that_is_kept_serves_where_the_hub_does_not_answer(
    asked: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor is it asked where it is not to be; what it refuses stays refused."""
    for name in ("ill/model", "gone/model"):
        keep_a_copy(name, tmp_path / "hub")
    HubModel(id="ill/model").check()
    with pytest.raises(ModelError, match="no such model"):
        HubModel(id="gone/model").check()
    before = len(asked)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    HubModel(id="gone/model").check()
    with pytest.raises(MissingModel, match=r"HF_HUB_OFFLINE is set, and no copy is kept here"):
        HubModel(id="here/model").check()
    assert len(asked) == before


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        (
            {"id": "gone/rows"},
            r"no such data set, or refuses it .* \(status 404\); check the spell",
        ),
        (
            {"id": "private/rows"},
            r"refuses it to you \(status 401\); .*`hf auth",
        ),
        ({"id": "gone/rows", "revision": "v9"}, r"the Hub has no revision 'v9' of it"),
        ({"id": "a/b/c"}, r"no data set's id on the Hub: "),
    ],
)
def test_a_data_set_that_cannot_be_had_is_said_in_one_line(
    settings: dict[str, str], says: str, asked: list[str], tmp_path: Path
) -> None:
    """As for a model."""
    with pytest.raises(DataError, match=rf"^hub: id: {settings['id']}: .*{says}") as caught:
        HubTask.model_validate(settings).read(tmp_path)
    assert not isinstance(caught.value, MissingData)
    assert "\n" not in str(caught.value)


def test_a_data_set_of_a_hub_that_is_away_is_said_soon(asked: list[str], tmp_path: Path) -> None:
    """It may be good; a name that is a file's is no data set's."""
    with pytest.raises(MissingData, match=r"^hub: id: ill/rows: the Hub at .* \(status 503\)"):
        HubTask(id="ill/rows").read(tmp_path)
    assert len(asked) == 1
    with pytest.raises(DataError, match=r"no such file in .*; for files use kind: text_file$"):
        HubTask(id="rows/train.csv").read(tmp_path)


def test_a_copy_of_a_data_set_serves_where_the_hub_does_not_answer(
    asked: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The library's own, as an earlier download left it."""
    import datasets

    for split in ("train", "test"):
        (tmp_path / "rows").mkdir(exist_ok=True)
        (tmp_path / "rows" / f"{split}.csv").write_text("text,label\nx,a\ny,b\n")
    cache = tmp_path / "cache"
    datasets.load_dataset_builder(
        str(tmp_path / "rows"), cache_dir=str(cache)
    ).download_and_prepare()
    (made,) = cache.glob("*/*/*/*/")
    kept = cache / "ill___rows" / "default" / "0.0.0"
    kept.mkdir(parents=True)
    made.rename(kept / made.name)
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", cache)
    assert HubTask(id="ill/rows").read(tmp_path).labels == ("a", "b")
    assert len(asked) == 1


@pytest.mark.parametrize("words", [["memory", "--model", "a/b"], ["validate", "study.yaml"]])
def test_commands_do_not_wait_for_a_hub_that_is_away(words: list[str], tmp_path: Path) -> None:
    """`memory` ends with one line; `validate` says what it did not look at."""
    (tmp_path / "study.yaml").write_text(
        "{name: s, tasks: [toy, {kind: hub, name: d, id: c/d}], models: [a/b], "
        "arms: {full: {method: full}}}"
    )
    done = subprocess.run(
        [sys.executable, "-m", "tuner", *words],
        cwd=tmp_path,
        env=os.environ | {"HF_ENDPOINT": "http://127.0.0.1:9", "HF_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    checked = words[0] == "validate"
    assert done.returncode == (0 if checked else 2)
    # What was read of the task is said beside it.
    (line,) = (line for line in done.stderr.splitlines() if "a/b" in line)
    assert "a/b: the Hub at http://127.0.0.1:9 does not answer" in line
    assert ("not checked" in line) == checked
    assert ("not checked: d: id: c/d: the Hub at" in done.stderr) == checked
    assert "Retry" not in done.stderr
