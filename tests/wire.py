"""A wire to a real HTTP server that a test can cut, or make lose replies."""

from __future__ import annotations

import http.client
import http.server
import threading
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

_HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length"}


class Wire:
    """Passes requests on to a server. Its address is the server's, as far as clients know.

    Attributes:
        cut: Requests are not answered and do not reach the server.
        loses: Says of a request, by method, path and body, whether its reply is lost.
        holds: Says so whether it reaches the server only at `release`, and its reply nobody.
        answers: Says of a request what status it is answered instead; 0 for none.
        seen: Method and path of every request.
        logins: Every `Authorization` that clients sent.
    """

    def __init__(self, server: str) -> None:
        self.cut = False
        self.loses: Callable[[str, str, bytes], bool] = lambda *_: False
        self.holds: Callable[[str, str, bytes], bool] = lambda *_: False
        self.answers: Callable[[str, str, bytes], int] = lambda *_: 0
        self._held: list[tuple[http.server.BaseHTTPRequestHandler, bytes]] = []
        self.seen: list[tuple[str, str]] = []
        self.logins: set[str] = set()
        self._server = urlsplit(server)
        wire = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def pass_on(self) -> None:
                wire.answer(self)

            do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = pass_on

            def log_message(self, *_: Any) -> None:
                """Log nothing."""

        self._proxy = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._proxy.daemon_threads = True
        self.port = self._proxy.server_port
        self.address = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self._proxy.serve_forever, args=(0.05,), daemon=True).start()

    def __enter__(self) -> Wire:
        return self

    def __exit__(self, *exception: object) -> None:
        self._proxy.shutdown()
        self._proxy.server_close()

    def answer(self, handler: http.server.BaseHTTPRequestHandler) -> None:
        """Pass a request on, and its reply back, but for what the test wants."""
        body = handler.rfile.read(int(handler.headers.get("Content-Length", 0)))
        handler.close_connection = True
        if self.cut:
            return
        self.seen.append((handler.command, handler.path))
        if "Authorization" in handler.headers:
            self.logins.add(handler.headers["Authorization"])
        if self.holds(handler.command, handler.path, body):
            self._held.append((handler, body))
            return
        if status := self.answers(handler.command, handler.path, body):
            said = handler.headers.get("Authorization", "no")
            handler.send_error(status, explain=said)  # as some proxies do
            return
        answer, content = self._ask(handler, body)
        if self.cut or self.loses(handler.command, handler.path, body):
            return
        handler.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in _HOP_BY_HOP:
                handler.send_header(name, value)
        handler.send_header("Connection", "close")
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content)

    def release(self) -> None:
        """Let the server have what was held."""
        while self._held:
            self._ask(*self._held.pop(0))

    def _ask(
        self, handler: http.server.BaseHTTPRequestHandler, body: bytes
    ) -> tuple[http.client.HTTPResponse, bytes]:
        assert self._server.hostname is not None
        connection = http.client.HTTPConnection(self._server.hostname, self._server.port)
        headers = {k: v for k, v in handler.headers.items() if k.lower() not in _HOP_BY_HOP}
        connection.request(handler.command, handler.path, body=body, headers=headers)
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        return answer, content
