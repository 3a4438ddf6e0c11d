"""Look a model or a data set up on the Hub, by one request of a few seconds."""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass
from typing import Any

from trainers.errors import DataError, MissingData, MissingModel, ModelError, TunerError

_SECONDS = 4.0


@dataclass(frozen=True)
class _Kind:
    """Models or data sets: their names in messages, the requested file, the errors."""

    noun: str
    folder: str
    """The alternative to the Hub, in messages."""
    file: str
    """Requested to see whether the repository exists."""
    repo_type: str | None
    away: type[TunerError]
    refused: type[TunerError]


_MODEL = _Kind("model", "folder", "config.json", None, MissingModel, ModelError)
_DATA = _Kind("data set", "folder of data files", "README.md", "dataset", MissingData, DataError)


def look_up_model(name: str, revision: str) -> None:
    """Request a model's config from the Hub, as loading does, but without retries.

    A local copy is enough where the Hub does not answer.

    Raises:
        MissingModel: The Hub does not answer, or is set offline, and there is no local copy.
        ModelError: The Hub has no such model or revision, or refuses it to this user.
    """
    try:
        _look_up(name, revision, _MODEL)
    except MissingModel:
        if not is_kept(name, revision):
            raise


def look_up_data(name: str, revision: str) -> None:
    """Request a data set's card from the Hub, without retries.

    Raises:
        MissingData: The Hub does not answer, or is set offline; there may be a local copy.
        DataError: The Hub has no such data set or revision, or refuses it to this user.
    """
    _look_up(name, revision, _DATA)


def is_kept(name: str, revision: str) -> bool:
    """Return whether there is a local copy of a model's config."""
    from huggingface_hub import try_to_load_from_cache

    try:
        return isinstance(try_to_load_from_cache(name, _MODEL.file, revision=revision), str)
    except ValueError:  # no id of the Hub
        return False


def _look_up(name: str, revision: str, kind: _Kind) -> None:
    from huggingface_hub import constants
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]  # no __all__

    try:
        validate_repo_id(name)
    except HFValidationError as error:
        reason = re.split(r"\n|\.? Use `", str(error))[0]
        raise kind.refused(f"no {kind.noun}'s id on the Hub: {reason}") from None
    if constants.HF_HUB_OFFLINE:
        raise kind.away(
            f"HF_HUB_OFFLINE is set, and no copy is kept here; unset it, or name a {kind.folder}"
        )
    fault = _fault(name, revision, kind)
    if fault is not None:
        raise fault


def _fault(name: str, revision: str, kind: _Kind) -> TunerError | None:
    """Send the request in a thread: resolving a host's name has no time limit of its own."""
    said: list[TunerError | None] = []
    thread = threading.Thread(target=lambda: said.append(_ask(name, revision, kind)), daemon=True)
    thread.start()
    thread.join(1.5 * _SECONDS)
    return said[0] if said else _away(f"no answer in {1.5 * _SECONDS:.0f} s", kind)


def _ask(name: str, revision: str, kind: _Kind) -> TunerError | None:
    from huggingface_hub import get_hf_file_metadata, hf_hub_url
    from huggingface_hub.errors import HfHubHTTPError

    url = hf_hub_url(name, kind.file, repo_type=kind.repo_type, revision=revision)
    try:
        get_hf_file_metadata(url, timeout=_SECONDS)
    except HfHubHTTPError as error:
        return _refusal(error, revision, kind)
    except Exception as error:  # of the HTTP library, whichever the Hub's client uses
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        return _away(reason, kind)
    return None


def _refusal(error: Any, revision: str, kind: _Kind) -> TunerError | None:
    """Return the error for the Hub's status; it answers 401 for missing repositories too."""
    from huggingface_hub import errors

    status = error.response.status_code
    if isinstance(error, errors.GatedRepoError) or status == 403:
        return kind.refused(
            f"the Hub gives it only to users with access (status {status}); ask for access "
            "on its page, then `hf auth login` or HF_TOKEN"
        )
    if isinstance(error, errors.RevisionNotFoundError):
        return kind.refused(f"the Hub has no revision {revision!r} of it")
    if isinstance(error, errors.EntryNotFoundError):
        if kind is _DATA:  # a data set need not have a card
            return None
        return kind.refused(
            f"the Hub has no {kind.file} in it, so it is no model in transformers' format"
        )
    if status in (401, 404):
        return kind.refused(
            f"the Hub has no such {kind.noun}, or refuses it to you (status {status}); check the "
            f"spelling, for a private {kind.noun} `hf auth login` or HF_TOKEN"
        )
    return _away(f"status {status}", kind)


def _away(reason: str, kind: _Kind) -> TunerError:
    from huggingface_hub import constants

    address = re.sub("//[^/]*@", "//", constants.ENDPOINT)  # without a login
    return kind.away(
        f"the Hub at {address} does not answer ({reason}), and no copy is kept here; "
        f"check the network, or name a {kind.folder}"
    )
