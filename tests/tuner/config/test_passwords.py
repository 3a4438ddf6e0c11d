"""No password of an address is shown."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from trainers.errors import ConfigError
from tuner.config.passwords import Login, hide_password, hide_passwords, split_login
from tuner.store.location import find_store
from tuner.tracking import open_reader, reach_server
from tuner.tracking.ui import serve_ui


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgresql://u:secret@host:5432/db", "postgresql://u:***@host:5432/db"),
        ("postgresql+psycopg://u:s3/cr@et@host/db", "postgresql+psycopg://u:***@host/db"),
        ("http://:secret@host", "http://:***@host"),
        ("at http://u:secret@host: no answer", "at http://u:***@host: no answer"),
        (
            "postgresql://host/db?user=u&password=secret&x=1",
            "postgresql://host/db?user=u&password=***&x=1",
        ),
        ("postgresql://host/db?sslpassword=secret", "postgresql://host/db?sslpassword=***"),
        ("http://host:5000/path", "http://host:5000/path"),
        ("postgresql://u@host/db", "postgresql://u@host/db"),
        ("mlruns/a:b@c", "mlruns/a:b@c"),
    ],
)
def test_the_password_of_an_address_is_three_stars(text: str, shown: str) -> None:
    """Wherever the address stands in a text; what has no password stays as it is."""
    assert hide_passwords(text) == shown


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("http://u:secret@host:1/x", "http://u:***@host:1/x"),
        ("http://u@host", "http://u@host"),
        ("mlruns", "mlruns"),
        ("mlruns@lab", "mlruns@lab"),
        ("u:secret@host", "***@host"),
        ("http:/u:secret@host:1", "***@host:1"),
        ("http:////u:secret@host", "***@host"),
        ("https;//u:secret@host", "***@host"),
        ("u:/s3c@ret@host/db", "***@host/db"),
        ("postgresql://u:sec ret@host/db", "***@host/db"),
    ],
)
def test_a_mistyped_address_shows_nothing_in_front_of_its_host(address: str, shown: str) -> None:
    """Nobody can say where in it the password begins."""
    assert hide_password(address) == shown


@pytest.mark.parametrize("address", ["u:secret@host", "http:/u:secret@host", "u:/secret@host/db"])
def test_no_command_shows_the_password_of_a_mistyped_address(address: str) -> None:
    """Nor those that only read."""
    with pytest.raises(ConfigError, match=r"\*\*\*@host.*: no address") as tracking:
        reach_server(address)
    with pytest.raises(ConfigError, match=r"postgresql://.*, got") as store:
        open_reader(address)
    with pytest.raises(ConfigError, match="no studies here") as ui:
        serve_ui(address, 0, print)
    assert not [said for said in (tracking, store, ui) if "secret" in str(said.value)]


@pytest.mark.parametrize(
    ("address", "login"),
    [
        ("http://u:p%40ss@host:5000/x", Login("http://host:5000/x", "u", "p@ss")),
        ("http://u:p@ss@host", Login("http://host", "u", "p@ss")),
        ("http://u@host", Login("http://host", "u", "")),
        ("http://host/a@b", Login("http://host/a@b")),
        ("mlruns", Login("mlruns")),
    ],
)
def test_a_login_is_taken_from_its_address(address: str, login: Login) -> None:
    """The address is left without it, and showing the login does not show the password."""
    assert split_login(address) == login
    assert not login.password or login.password not in repr(login)


@pytest.mark.parametrize("password", ["s3c@et/x", "a/b@c", "s3c@etPW/x", "s3c@etPW"])
def test_an_unquoted_password_is_refused_and_not_shown_in_part(password: str) -> None:
    """What follows its first / would be taken for the database, its first @ for the host."""
    with pytest.raises(ConfigError, match="%40 %2F %3A") as caught:
        find_store(f"postgresql://team:{password}@127.0.0.1:5544/studies")
    assert not any(
        part in str(caught.value) for part in re.split("[@/]", password) if len(part) > 1
    )
    assert "team:***@127.0.0.1" in str(caught.value)


def test_half_a_password_is_not_shown_for_the_host() -> None:
    """With an @ and a / in it, and no host."""
    with pytest.raises(ConfigError, match=r"%40 %2F %3A; got postgresql://boss:\*\*\*$"):
        find_store("postgresql://boss:s3c@r3tpw/x:99999/studies")


def test_a_store_without_its_scheme_shows_no_password() -> None:
    """It is not taken for a folder."""
    for files in (None, "files"):
        with pytest.raises(ConfigError, match=r"or postgresql://.*, got \*\*\*@host/db$"):
            find_store("boss:secret@host/db", files)


def test_a_folder_may_have_any_name(tmp_path: Path) -> None:
    """What begins like a path is one, and so is what is there."""
    folder = tmp_path / "vol:1" / "ada@lab"
    assert find_store(folder).root == folder
    assert find_store(f"./{folder.name}:x@y").root == Path(f"{folder.name}:x@y")
    folder.mkdir(parents=True)
    assert find_store(str(folder)).root == folder
