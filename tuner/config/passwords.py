"""Keep passwords out of addresses that are printed, logged or stored."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import unquote

# Up to the last @ of the word: a password that is not quoted may have any character.
_IN_FRONT_OF_HOST = re.compile(r"(://[^:/?#\s]*):\S*@")
# Scheme, user and host; a password between the last two is hidden already.
_WELL_FORMED = re.compile(r"[\w+.-]+://[^:@/?#\s]*(:\*\*\*)?@[^@\s]*")
_IN_QUERY = re.compile(r"([?&]\w*password=)[^&\s]*", re.IGNORECASE)


def hide_passwords(text: str) -> str:
    """Return a text with the password of every address in it as `***`."""
    return _IN_QUERY.sub(r"\1***", _IN_FRONT_OF_HOST.sub(r"\1:***@", text))


def hide_password(address: str) -> str:
    """Return an address, also a malformed one, without its password.

    Where a scheme, a slash or a quote is missing, all text before the host may be password.
    """
    shown = hide_passwords(address)
    before, mark, host = shown.rpartition("@")
    if not mark or ":" not in before or _WELL_FORMED.fullmatch(shown):
        return shown
    return f"***@{host}"


@dataclass(frozen=True)
class Login:
    """An address without its user and password, and these two."""

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
