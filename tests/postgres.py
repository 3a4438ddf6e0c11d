"""Start a real PostgreSQL for tests, on loopback, and stop it as a power cut would."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

USER = "tuner"


class PostgresServer:
    """A server with a data folder of its own. It runs as `postgres` where the tests are root.

    Args:
        folder: Empty.
        durable: Commits reach the disk, as on a server that is used.
    """

    def __init__(self, folder: Path, *, durable: bool) -> None:
        self._folder, self._durable = folder, durable
        self._programs = _programs()
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        if os.getuid() == 0:
            owner = pwd.getpwnam("postgres")
            os.chown(folder, owner.pw_uid, owner.pw_gid)
        self._run("initdb", "--auth", "trust", "--no-sync", "-U", USER, "-E", "UTF8")

    def url(self, database: str = "postgres") -> str:
        """Return a database's address."""
        return f"postgresql://{USER}@127.0.0.1:{self.port}/{database}"

    def make_database(self, name: str) -> str:
        """Make an empty database and return its address."""
        import psycopg

        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}"'.encode())
        return self.url(name)

    def start(self) -> None:
        """Start, and wait until it answers."""
        options = f"-p {self.port} -c listen_addresses=127.0.0.1"
        options += f" -c fsync={'on' if self._durable else 'off'}"
        options += f" -c unix_socket_directories={self._folder}"
        log = str(self._folder / "server.log")
        self._run("pg_ctl", "start", "-w", "-t", "60", "-l", log, "-o", options)

    def stop(self) -> None:
        """Stop without a word to its clients."""
        self._run("pg_ctl", "stop", "-w", "-m", "immediate")

    def _run(self, program: str, *words: str) -> None:
        user = "postgres" if os.getuid() == 0 else None
        command = [str(self._programs / program), "-D", str(self._folder / "data"), *words]
        done = subprocess.run(
            command,
            user=user,
            group=user,
            extra_groups=[] if user else None,
            cwd=self._folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr


@contextlib.contextmanager
def postgres(*, durable: bool = False) -> Iterator[PostgresServer]:
    """Give a running server; its files are gone afterwards."""
    # Not below pytest's folder, which the server's user cannot enter.
    folder = Path(tempfile.mkdtemp(prefix="tuner-postgres-"))
    try:
        server = PostgresServer(folder, durable=durable)
        server.start()
        try:
            yield server
        finally:
            with contextlib.suppress(AssertionError):  # a test may have stopped it
                server.stop()
    finally:
        shutil.rmtree(folder)


def _programs() -> Path:
    """Find the newest server's programs; Debian keeps them out of the path."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    path = shutil.which("initdb") or (str(found[-1]) if found else None)
    assert path, "no initdb; on Debian: apt-get install postgresql"
    return Path(path).resolve().parent
