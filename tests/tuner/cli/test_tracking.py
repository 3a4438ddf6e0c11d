"""An address where no runs are ends a command with one line, without its password."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.postgres import USER, postgres
from tests.specs import toy_tree
from trainers.errors import ConfigError
from tuner.cli import main
from tuner.tracking.address import check_server, locate_store

STUDY = yaml.safe_dump(toy_tree(executor={"kind": "inprocess"}))


@pytest.fixture(scope="module")
def answers() -> Iterator[str]:
    """Serve HTTP that is not MLflow's: it answers with the status that the path names."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def answer(self) -> None:
            self.send_response(int(self.path.split("/")[1]))
            self.end_headers()
            self.wfile.write(b"<html>\nnot what you want\n</html>")

        do_GET = do_POST = answer

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("http://ada:secret@no-such-host.invalid", "no MLflow server answers there: "),
        ("http://ada:secret@127.0.0.1:9", "no MLflow server answers there: Connection refused"),
        (
            "http://ada:secret@127.0.0.1:no",
            "its port is no number up to 65535",
        ),
        ("ftp://ada:secret@host", "no address of an MLflow server; it begins with http:// or"),
        ("postgresql://ada:secret@host/mlflow", "no address of an MLflow server"),
        ("mlruns", "no address of an MLflow server"),
        ("http://ada:secret@{answers}/404", "no MLflow server answers there, but something else"),
        ("http://ada:secret@{answers}/200", "no MLflow server answers there, but something else"),
        ("http://ada:secret@{answers}/401", "user or password refused; MLFLOW_TRACKING_USERNAME"),
        ("http://ada:secret@{answers}/403", "user or password refused; MLFLOW_TRACKING_USERNAME"),
        ("http://ada:secret@{answers}/503", "the server answers 503; its log says why"),
        ("https://ada:secret@{answers}", "wrong version number"),
    ],
)
def test_a_bad_address_is_one_line(
    address: str,
    says: str,
    answers: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Code 2; the address is there with stars for its password; nothing is trained."""
    address = address.format(answers=answers)
    monkeypatch.chdir(tmp_path)
    for name in ("USERNAME", "PASSWORD"):
        monkeypatch.setenv(f"MLFLOW_TRACKING_{name}", "")
    (tmp_path / "study.yaml").write_text(STUDY)
    monkeypatch.setattr("sys.argv", ["tuner", "run-study", "study.yaml", "--tracking", address])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    *read, line = capfd.readouterr().err.splitlines()
    # A server that answers is asked for more once the data are read, which has been said by then.
    assert all(said.startswith("toy: ") and answers in address for said in read), read
    assert line.startswith("tuner: ")
    assert says in line
    assert address.replace("secret", "***") in line
    assert not list(tmp_path.rglob("runs"))
    if answers not in address:
        assert [path.name for path in tmp_path.iterdir()] == ["study.yaml"]


@pytest.mark.parametrize(
    ("option", "address", "says"),
    [
        ("--tracking", "mlruns", "no address of an MLflow server"),
        ("--tracking", "http://127.0.0.1:9", "no MLflow server answers there: Connection refused"),
        ("--store", "postgresql://ada@127.0.0.1:9/runs", "Connection refused"),
        ("--store", "study.yaml", "study.yaml is a file"),
        ("--store", "study.yaml/mlruns", "study.yaml is a file"),
    ],
)
def test_an_address_is_tried_before_the_rows_are_read(
    option: str,
    address: str,
    says: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Rows may take minutes, and here they would not be found."""
    monkeypatch.chdir(tmp_path)
    absent = {"kind": "text_file", "name": "t", "train": "no.csv", "test": "no.csv"}
    text = yaml.safe_dump(toy_tree(tasks=[absent], executor={"kind": "inprocess"}))
    (tmp_path / "study.yaml").write_text(text)
    monkeypatch.setattr("sys.argv", ["tuner", "run-study", "study.yaml", option, address])
    with pytest.raises(SystemExit) as ended:
        main()
    (line,) = capfd.readouterr().err.splitlines()
    assert ended.value.code == 2
    assert says in line, line
    assert [path.name for path in tmp_path.iterdir()] == ["study.yaml"]


def test_no_part_of_a_password_with_a_slash_is_shown() -> None:
    """What stands before it looks like a port."""
    with pytest.raises(ConfigError, match="its port is no number") as caught:
        check_server(locate_store("http://ada:half/secret@127.0.0.1:9"))
    assert "half" not in str(caught.value)


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("postgresql://ada:secret@127.0.0.1:9/runs", "Connection refused"),
        ("postgresql://ada:secret@no-such-host.invalid/runs", "failed to resolve host"),
    ],
)
def test_a_report_from_a_bad_database_is_one_line(
    address: str, says: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Said at once, without user and password."""
    assert says in _line(address, monkeypatch, capfd)


@pytest.mark.postgres
def test_a_report_from_a_database_that_refuses_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """No such database; and no such user, for lack of one with a password."""
    with postgres() as server:
        here = f"127.0.0.1:{server.port}"
        none = f"postgresql://{USER}:secret@{here}/none"
        assert 'database "none" does not exist' in _line(none, monkeypatch, capfd)
        stranger = f"postgresql://stranger:secret@{here}/postgres"
        assert 'role "stranger" does not exist' in _line(stranger, monkeypatch, capfd)


def _line(address: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> str:
    monkeypatch.setattr("sys.argv", ["tuner", "report", "study", "--store", address])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith(f"tuner: --store PostgreSQL {address.partition('@')[2]}: ")
    assert "secret" not in line
    return line
