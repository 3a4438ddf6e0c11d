"""Read and write numbers of bytes as people write them: GB is 1e9, GiB is 2^30."""

from __future__ import annotations

import re

from trainers.errors import ConfigError, shown

_UNITS = {
    "B": 1,
    "kB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "TB": 10**12,
    "KiB": 2**10,
    "MiB": 2**20,
    "GiB": 2**30,
    "TiB": 2**40,
}
_LEAST_BARE = 10**6
"""Fewer bytes need a unit: 24 is meant as 24 GB, and nothing trains in a megabyte."""
_BY_LOWER = {name.lower(): size for name, size in _UNITS.items()}
_SIZE = re.compile(r"\s*(?P<number>\d+(\.\d+)?)\s*(?P<unit>[a-zA-Z]*)\s*")


def parse_bytes(value: object) -> int:
    """Return a number of bytes, from a text such as `24GB` or from a whole number of bytes.

    Raises:
        ConfigError: It is no size, or not above zero.
    """
    allowed = f"a size such as 24GB, 20GiB or 24000000000; units: {', '.join(_UNITS)}"
    found = _SIZE.fullmatch(str(value))
    if found is None or isinstance(value, bool):
        raise ConfigError(f"expected {allowed}; got {shown(value)}")
    unit = _BY_LOWER.get(found["unit"].lower() or "b")
    if unit is None:
        raise ConfigError(f"expected {allowed}; got {shown(value)}")
    size = round(float(found["number"]) * unit)
    if size < 1:
        raise ConfigError(f"expected more than 0, {allowed}; got {shown(value)}")
    if not found["unit"] and size < _LEAST_BARE:
        raise ConfigError(
            f"expected {allowed}; got {shown(value)} without a unit, which is in bytes"
        )
    return size


def parse_cap(value: object) -> object:
    """Read a study's `memory_cap`: a size, `device`, or none."""
    if value is None or value == "device":
        return value
    try:
        return parse_bytes(value)
    except ConfigError as error:
        raise ConfigError(f"{error}; or device, for the memory that is free there") from error


def show_bytes(size: float) -> str:
    """Write a number of bytes with three digits and its unit, in powers of a thousand."""
    for unit in ("TB", "GB", "MB", "kB"):
        if abs(size) >= _UNITS[unit]:
            return f"{size / _UNITS[unit]:.3g} {unit}"
    return f"{size:.0f} B"
