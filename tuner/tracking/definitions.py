"""Keep every text that a study was opened with, as tags of its experiment."""

from __future__ import annotations

from collections.abc import Mapping

from tuner.store import KeptDefinition, definition_id

_PREFIX = "tuner.definition."
_LONGEST = 20_000
"""MLflow takes no longer tag of an experiment."""


def definition_tags(text: str, milliseconds: int) -> dict[str, str]:
    """Return the tags that keep a text; that which says that all are there is the last."""
    key = f"{_PREFIX}{definition_id(text)}"
    pieces = [text[start : start + _LONGEST] for start in range(0, len(text), _LONGEST)]
    tags = {f"{key}.{number}": piece for number, piece in enumerate(pieces)}
    return tags | {key: f"{milliseconds} {len(pieces)}"}


def kept_definitions(tags: Mapping[str, str]) -> list[KeptDefinition]:
    """Read the texts back, the one that was opened last at the end."""
    found = []
    for key, value in tags.items():
        identity = key.removeprefix(_PREFIX)
        if not key.startswith(_PREFIX) or "." in identity:
            continue
        milliseconds, _, count = value.partition(" ")
        text = "".join(tags.get(f"{key}.{number}", "") for number in range(int(count)))
        found.append(KeptDefinition(identity, int(milliseconds) / 1000, text))
    return sorted(found, key=lambda kept: (kept.time, kept.id))
