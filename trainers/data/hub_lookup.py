"""Look a model or a data set up on the Hub: one question, a few seconds."""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass
from typing import Any

from trainers.errors import DataError, MissingData, MissingModel, ModelError, TunerError

_SECONDS = 4.0


@dataclass(frozen=True)
class _Sought:
    """What is looked for, and how its absence is said."""

    noun: str
    folder: str
    """What may be named instead."""
    file: str
    """Is asked for; it shows that the rest is there."""
    repo_type: str | None
    away: type[TunerError]
    refused: type[TunerError]


_MODEL = _Sought("model", "folder", "config.json", None, MissingModel, ModelError)
_DATA = _Sought("data set", "folder of data files", "README.md", "dataset", MissingData, DataError)


def look_up_model(name: str, revision: str) -> None:
    """Ask the Hub for a model's config, as loading does, but without retries.

    A copy that is kept here serves where the Hub does not answer.

    Raises:
        ModelAway: The Hub does not answer, or is not to be asked, and no copy is kept.
        ModelError: The Hub has no such model or revision, or not for this user.
    """
    try:
        _look_up(name, revision, _MODEL)
    except MissingModel:
        if not is_kept(name, revision):
            raise


def look_up_data(name: str, revision: str) -> None:
    """Ask the Hub for a data set, without retries.

    Raises:
        MissingData: The Hub does not answer, or is not to be asked; a copy may be kept here.
        DataError: The Hub has no such data set or revision, or not for this user.
    """
    _look_up(name, revision, _DATA)


def is_kept(name: str, revision: str) -> bool:
    """Say whether a copy of a model's config is kept here."""
    from huggingface_hub import try_to_load_from_cache

    try:
        return isinstance(try_to_load_from_cache(name, _MODEL.file, revision=revision), str)
    except ValueError:  # no id of the Hub
        return False


def _look_up(name: str, revision: str, sought: _Sought) -> None:
    from huggingface_hub import constants
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]  # no __all__

    try:
        validate_repo_id(name)
    except HFValidationError as error:
        reason = re.split(r"\n|\.? Use `", str(error))[0]
        raise sought.refused(f"no {sought.noun}'s id on the Hub: {reason}") from None
    if constants.HF_HUB_OFFLINE:
        raise sought.away(
            f"HF_HUB_OFFLINE is set, and no copy is kept here; unset it, or name a {sought.folder}"
        )
    fault = _fault(name, revision, sought)
    if fault is not None:
        raise fault


def _fault(name: str, revision: str, sought: _Sought) -> TunerError | None:
    """Ask in a thread: resolving a host's name has no time limit of its own."""
    said: list[TunerError | None] = []
    thread = threading.Thread(
        target=lambda: said.append(_ask(name, revision, sought)), daemon=True
    )
    thread.start()
    thread.join(1.5 * _SECONDS)
    return said[0] if said else _away(f"no answer in {1.5 * _SECONDS:.0f} s", sought)


def _ask(name: str, revision: str, sought: _Sought) -> TunerError | None:
    from huggingface_hub import get_hf_file_metadata, hf_hub_url
    from huggingface_hub.errors import HfHubHTTPError

    url = hf_hub_url(name, sought.file, repo_type=sought.repo_type, revision=revision)
    try:
        get_hf_file_metadata(url, timeout=_SECONDS)
    except HfHubHTTPError as error:
        return _refusal(error, revision, sought)
    except Exception as error:  # of the HTTP library, which is the Hub's client's own choice
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        return _away(reason, sought)
    return None


def _refusal(error: Any, revision: str, sought: _Sought) -> TunerError | None:
    """Say what the Hub's answer means; it answers 401 for what is not there, too."""
    from huggingface_hub import errors

    status = error.response.status_code
    if isinstance(error, errors.GatedRepoError) or status == 403:
        return sought.refused(
            f"the Hub gives it only to users who were let in (status {status}); ask for access "
            "on its page, then `hf auth login` or HF_TOKEN"
        )
    if isinstance(error, errors.RevisionNotFoundError):
        return sought.refused(f"the Hub has no revision {revision!r} of it")
    if isinstance(error, errors.EntryNotFoundError):
        if sought is _DATA:  # a data set need not have a card
            return None
        return sought.refused(
            f"the Hub has no {sought.file} in it: no model in transformers' format"
        )
    if status in (401, 404):
        return sought.refused(
            f"the Hub has no such {sought.noun}, or not for you (status {status}); check the "
            f"spelling, for a private {sought.noun} `hf auth login` or HF_TOKEN"
        )
    return _away(f"status {status}", sought)


def _away(reason: str, sought: _Sought) -> TunerError:
    from huggingface_hub import constants

    address = re.sub("//[^/]*@", "//", constants.ENDPOINT)  # without a login
    return sought.away(
        f"the Hub at {address} does not answer ({reason}), and no copy is kept here; "
        f"check the network, or name a {sought.folder}"
    )
