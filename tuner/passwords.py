"""Keep passwords of addresses out of what is printed, logged or stored."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import unquote

# To the last @ of the word, since a password that nobody quoted may hold any character.
_IN_FRONT_OF_HOST = re.compile(r"(:/{1,3}[^:/?#\s]*):\S*@")
# Somebody has forgotten the scheme.
_WITHOUT_SCHEME = re.compile(r"((?:^|(?<=[\s'\"=]))[^:/?#\s'\"=]+):(?!/)\S*@")
_IN_QUERY = re.compile(r"([?&]\w*password=)[^&\s]*", re.IGNORECASE)


def hide_passwords(text: str) -> str:
    """Return a text with the password of every address in it as `***`."""
    for address in (_IN_FRONT_OF_HOST, _WITHOUT_SCHEME):
        text = address.sub(r"\1:***@", text)
    return _IN_QUERY.sub(r"\1***", text)


@dataclass(frozen=True)
class Login:
    """An address without user and password, and those apart."""

    address: str
    user: str = ""
    password: str = field(default="", repr=False)


def split_login(address: str) -> Login:
    """Take `scheme://user:password@host` apart; both are unquoted."""
    scheme, mark, rest = address.partition("://")
    host_at = rest.partition("/")[0].rfind("@") if mark else -1
    if host_at < 0:
        return Login(address)
    user, _, password = rest[:host_at].partition(":")
    return Login(f"{scheme}://{rest[host_at + 1 :]}", unquote(user), unquote(password))
