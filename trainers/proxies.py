"""Bypass the environment's proxies for this machine's own addresses; name a proxy in messages."""

from __future__ import annotations

import ipaddress
import os
import socket
from collections.abc import MutableMapping
from typing import NamedTuple
from urllib.parse import urlsplit
from urllib.request import proxy_bypass_environment  # type: ignore[attr-defined]  # untyped

_SCHEMES = ("http", "https", "all")
_OWN = ("localhost", "127.0.0.1", "127.0.0.0/8", "::1")
"""Not all libraries read networks, so the usual address is listed beside its network."""


class Proxy(NamedTuple):
    """A proxy that requests to an address go through."""

    address: str
    """Address as in the environment; it may contain a password."""
    variable: str
    """Name of the environment variable."""
    spared_by: str
    """Value of NO_PROXY with which requests would bypass the proxy."""

    def __str__(self) -> str:
        scheme, mark, rest = self.address.rpartition("://")
        login, at, host = rest.rpartition("@")
        shown = f"{scheme}{mark}{'***@' if login and at else ''}{host}"
        return (
            f"asked through the proxy {shown} ({self.variable}); "
            f"NO_PROXY={self.spared_by} bypasses it"
        )


def bypass_own_addresses(environment: MutableMapping[str, str]) -> None:
    """Add this machine's own addresses to NO_PROXY, where there is a proxy: it cannot reach them.

    Args:
        environment: Changed in place.
    """
    if not any(_value(environment, f"{scheme}_proxy")[1] for scheme in _SCHEMES):
        return
    spared = [word.strip() for word in _value(environment, "no_proxy")[1].split(",")]
    if "*" in spared:
        return
    missing = [host for host in (*_OWN, socket.gethostname()) if host not in spared]
    # Libraries differ in which of the two they read first.
    environment["no_proxy"] = environment["NO_PROXY"] = ",".join(filter(None, spared + missing))


def proxy_of(url: str, *, for_all: bool = True) -> Proxy | None:
    """Return the proxy that a request goes through; None where it goes direct.

    Args:
        url: Address of the request.
        for_all: Whether ALL_PROXY counts; it does in most libraries, but not in Python's own.
    """
    parts = urlsplit(url)
    host = parts.hostname
    if host is None or is_this_machine(host) or _is_spared(host, parts.netloc.rpartition("@")[2]):
        return None
    for scheme in (parts.scheme, *(["all"] if for_all else [])):
        variable, address = _value(os.environ, f"{scheme}_proxy")
        if address:
            return Proxy(address, variable, host)
    return None


def proxy_note(url: str, *, for_all: bool = True) -> str:
    """Return the end of a message that names the proxy of a request; "" without one."""
    proxy = proxy_of(url, for_all=for_all)
    return "" if proxy is None else f"; {proxy}"


def is_this_machine(host: str) -> bool:
    """Return whether a name or address is this machine's for sure."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        name = host.lower().rstrip(".")
        return name in ("localhost", socket.gethostname().lower()) or name.endswith(".localhost")


def _value(environment: MutableMapping[str, str], name: str) -> tuple[str, str]:
    """Return a variable and its value; the name in lower case takes precedence."""
    for variable in (name, name.upper()):
        if value := environment.get(variable, "").strip():
            return variable, value
    return name, ""


def _is_spared(host: str, place: str) -> bool:
    if proxy_bypass_environment(place):
        return True
    for word in _value(os.environ, "no_proxy")[1].split(","):
        try:
            if ipaddress.ip_address(host) in ipaddress.ip_network(word.strip(), strict=False):
                return True
        except ValueError:  # a name
            continue
    return False
