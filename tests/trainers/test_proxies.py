"""A proxy of the environment does not catch this machine's addresses, and messages name it."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from urllib.request import urlopen

import pytest
import requests

from trainers.data import fetch
from trainers.errors import ConfigError, DataError
from trainers.interfaces import SourceFile
from trainers.proxies import bypass_own_addresses, proxy_note, proxy_of
from tuner.tracking import reach_server

_NOBODY = "http://127.0.0.1:9"
_VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in _VARIABLES:
        for variable in (name, name.upper()):
            monkeypatch.setenv(variable, "")  # so that it is put back, whatever a test sets
            monkeypatch.delenv(variable)
    monkeypatch.setattr("urllib.request._opener", None)  # made once, with the proxies of then


@pytest.fixture
def port() -> Iterator[int]:
    """Serve an empty page on this machine."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield server.server_port
        server.shutdown()


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_this_machine_is_asked_without_the_proxy(
    variable: str, host: str, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By Python's own client and by the one that MLflow and others use; other hosts are not."""
    monkeypatch.setenv(variable, _NOBODY)
    monkeypatch.setenv("NO_PROXY", "intern.example")
    bypass_own_addresses(os.environ)
    assert os.environ["NO_PROXY"] == os.environ["no_proxy"]
    assert os.environ["NO_PROXY"].startswith("intern.example,localhost,127.0.0.1,")
    assert requests.get(f"http://{host}:{port}", timeout=5).status_code == 200
    assert urlopen(f"http://{host}:{port}", timeout=5).status == 200
    with pytest.raises(requests.exceptions.ProxyError):
        requests.get("http://other.example", timeout=5)


def test_no_proxy_is_let_alone_where_it_spares_all_or_nothing_is_to_be_spared() -> None:
    """`*` stays, and without a proxy no variable comes into being; twice is as once."""
    nothing: dict[str, str] = {"PATH": "/bin"}
    bypass_own_addresses(nothing)
    assert nothing == {"PATH": "/bin"}
    everything = {"HTTP_PROXY": _NOBODY, "NO_PROXY": "*"}
    bypass_own_addresses(everything)
    assert everything == {"HTTP_PROXY": _NOBODY, "NO_PROXY": "*"}
    once = {"https_proxy": _NOBODY}
    bypass_own_addresses(once)
    assert socket.gethostname() in once["no_proxy"].split(",")
    twice = dict(once)
    bypass_own_addresses(twice)
    assert twice == once


@pytest.mark.parametrize(
    ("url", "caught"),
    [
        ("http://127.3.2.1:5000", False),
        ("http://[::1]:5000", False),
        ("http://localhost:5000/path", False),
        ("http://LOCALHOST:5000", False),
        ("http://ada:secret@127.0.0.1:5000", False),
        (f"http://{socket.gethostname()}:5000", False),
        ("http://10.20.0.1:5000", False),
        ("http://a.intern.example", False),
        ("http://11.20.0.1:5000", True),
        ("http://other.example", True),
        ("https://other.example", False),
    ],
)
def test_which_addresses_go_through_the_proxy(
    url: str, caught: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """None of this machine, none that NO_PROXY names, by suffix or by network."""
    monkeypatch.setenv("http_proxy", _NOBODY)
    monkeypatch.setenv("no_proxy", ".intern.example, 10.0.0.0/8")
    assert (proxy_of(url) is not None) == caught


def test_a_message_names_the_proxy_and_the_way_around_it_but_no_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For an MLflow server elsewhere and for a download, each in one line."""
    monkeypatch.setenv("HTTP_PROXY", "http://ada:secret@127.0.0.1:9")
    says = (
        r"Connection refused.*; asked through the proxy http://\*\*\*@127\.0\.0\.1:9 "
        r"\(HTTP_PROXY\); NO_PROXY=other\.example bypasses it$"
    )
    with pytest.raises(ConfigError, match=says) as refused:
        reach_server("http://other.example:5000")
    source = SourceFile(url="http://other.example/a.csv", path="a/a.csv", sha256="0" * 64)
    with pytest.raises(DataError, match=says) as failed:
        fetch(source, tmp_path, progress=lambda *_: None)
    for error in (refused, failed):
        assert "secret" not in str(error.value)
        assert "\n" not in str(error.value)
    assert proxy_note("https://other.example") == ""
