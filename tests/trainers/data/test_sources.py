"""Downloads are checked, atomic and safe to interrupt, against a real HTTP server."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from trainers.data.sources import fetch, locate
from trainers.errors import DataError
from trainers.interfaces import SourceFile

BODY = bytes(range(256)) * 1000
SHA256 = hashlib.sha256(BODY).hexdigest()


class Handler(BaseHTTPRequestHandler):
    """Serves the body whole, cut short, without a length, or held until two have asked."""

    def do_GET(self) -> None:
        """Answer one request."""
        server = self.server
        assert isinstance(server, Server)
        server.requests.append(self.path)
        if self.path == "/missing":
            self.send_error(404)
            return
        self.send_response(200)
        if self.path != "/unsized":
            self.send_header("Content-Length", str(len(BODY)))
        self.end_headers()
        if self.path == "/short":
            self.wfile.write(BODY[:1000])
            return
        half = len(BODY) // 2
        self.wfile.write(BODY[:half])
        if self.path == "/together":
            server.both_at_half.wait(timeout=20)
        self.wfile.write(BODY[half:])

    def log_message(self, format: str, *args: object) -> None:
        """Keep the test's output clean."""


class Server(ThreadingHTTPServer):
    """Remembers what it was asked for."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.requests: list[str] = []
        self.both_at_half = threading.Barrier(2)

    def handle_error(self, request: object, client_address: object) -> None:
        """Ignore clients that hang up, as some tests do."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """Run a server in a thread."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def source(server: Server, path: str = "/good", sha256: str = SHA256) -> SourceFile:
    """Name a file of the server."""
    port = server.server_address[1]
    return SourceFile("news_sup/train.csv", f"http://127.0.0.1:{port}{path}", sha256)


def ignore(received: int, expected: int | None) -> None:
    """Show no progress."""


def names(folder: Path) -> list[str]:
    """List the files of the task's folder."""
    return sorted(path.name for path in folder.glob("news_sup/*"))


def test_a_good_file_arrives_whole_and_is_found(server: Server, tmp_path: Path) -> None:
    """The path is returned, the bytes are right, and nothing else is left."""
    path = fetch(source(server), tmp_path, progress=ignore)
    assert path.read_bytes() == BODY
    assert locate(source(server), tmp_path) == path == tmp_path / "news_sup" / "train.csv"
    assert names(tmp_path) == ["train.csv"]


@pytest.mark.parametrize(("path", "expected"), [("/good", len(BODY)), ("/unsized", None)])
def test_progress_counts_bytes(
    path: str, expected: int | None, server: Server, tmp_path: Path
) -> None:
    """Counts rise to the whole; the total is None where the server does not say it."""
    calls: list[tuple[int, int | None]] = []
    fetch(source(server, path), tmp_path, progress=lambda *call: calls.append(call))
    received = [call[0] for call in calls]
    assert received == sorted(received)
    assert received[-1] == len(BODY)
    assert len(received) > 2
    assert {call[1] for call in calls} == {expected}


def test_a_right_file_is_not_asked_for_again(server: Server, tmp_path: Path) -> None:
    """Fetching twice costs one request."""
    fetch(source(server), tmp_path, progress=ignore)
    fetch(source(server), tmp_path, progress=ignore)
    assert server.requests == ["/good"]


def test_a_damaged_file_is_replaced(server: Server, tmp_path: Path) -> None:
    """A file of the right name and wrong bytes counts as missing."""
    path = tmp_path / "news_sup" / "train.csv"
    path.parent.mkdir()
    path.write_bytes(BODY[:-1])
    with pytest.raises(DataError, match=r"SHA-256 .* expected .* fetch-data news_sup"):
        locate(source(server), tmp_path)
    assert fetch(source(server), tmp_path, progress=ignore).read_bytes() == BODY


@pytest.mark.parametrize(
    ("path", "sha256", "message"),
    [
        ("/short", SHA256, f"cut short: got 1000 of {len(BODY)} bytes; try again"),
        ("/good", "0" * 64, f"SHA-256 {SHA256}, expected {'0' * 64}; not kept"),
        ("/missing", SHA256, "HTTP status 404 Not Found"),
    ],
)
def test_a_bad_answer_is_one_line_and_leaves_nothing(
    path: str, sha256: str, message: str, server: Server, tmp_path: Path
) -> None:
    """The error starts with the address; no file, whole or partial, and no folder stays."""
    bad = source(server, path, sha256)
    with pytest.raises(DataError) as caught:
        fetch(bad, tmp_path / "data", progress=ignore)
    assert str(caught.value) == f"{bad.url}: {message}"
    assert list(tmp_path.iterdir()) == []


def test_a_bad_answer_keeps_the_file_that_was_there(server: Server, tmp_path: Path) -> None:
    """A failed download never makes things worse."""
    path = tmp_path / "news_sup" / "train.csv"
    path.parent.mkdir()
    path.write_bytes(b"old")
    with pytest.raises(DataError, match="404"):
        fetch(source(server, "/missing"), tmp_path, progress=ignore)
    assert path.read_bytes() == b"old"


def test_no_answer_is_one_line(server: Server, tmp_path: Path) -> None:
    """A closed port, like a missing network, is an error that the user can correct."""
    server.server_close()
    server.shutdown()
    with pytest.raises(DataError, match=r"^http://127.*: URLError: .*refused"):
        fetch(source(server), tmp_path, progress=ignore)
    assert names(tmp_path) == []


def test_an_interrupted_download_starts_over(server: Server, tmp_path: Path) -> None:
    """Ctrl-C leaves no part of a file, and the next download succeeds."""

    def interrupt(received: int, expected: int | None) -> None:
        if received > len(BODY) // 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(source(server), tmp_path, progress=interrupt)
    assert names(tmp_path) == []
    assert fetch(source(server), tmp_path, progress=ignore).read_bytes() == BODY


def test_what_a_killed_download_left_does_no_harm(server: Server, tmp_path: Path) -> None:
    """A temporary file of a killed process is neither used nor in the way."""
    (tmp_path / "news_sup").mkdir()
    (tmp_path / "news_sup" / ".train.csv.abc.part").write_bytes(BODY[:100])
    assert fetch(source(server), tmp_path, progress=ignore).read_bytes() == BODY


def test_two_downloads_at_once_do_not_meet(server: Server, tmp_path: Path) -> None:
    """Both are held half-way until the other is there too, and both end with the right file."""
    with ThreadPoolExecutor(2) as pool:
        jobs = [
            pool.submit(fetch, source(server, "/together"), tmp_path, progress=ignore)
            for _ in range(2)
        ]
        paths = {job.result() for job in jobs}
    assert [path.read_bytes() for path in paths] == [BODY]
    assert server.requests == ["/together", "/together"]
    assert names(tmp_path) == ["train.csv"]


def test_a_folder_that_cannot_be_written_is_one_line(server: Server, tmp_path: Path) -> None:
    """A file in the place of the folder is named."""
    (tmp_path / "news_sup").write_text("")
    with pytest.raises(DataError, match=r"train.csv: cannot write: "):
        fetch(source(server), tmp_path, progress=ignore)


def test_a_missing_file_names_both_ways_to_get_it(tmp_path: Path) -> None:
    """Download it, or say where it is."""
    with pytest.raises(DataError) as caught:
        locate(SourceFile("news_sup/train.csv", "https://example.org/x", SHA256), tmp_path)
    assert str(caught.value) == (
        f"{tmp_path}/news_sup/train.csv: no such file; download it with "
        "`tuner fetch-data news_sup`, or name the folder that has it with --data-dir or "
        "TUNER_DATA_DIR"
    )
