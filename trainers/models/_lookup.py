"""Look a model up on the Hub: one question, a few seconds."""

from __future__ import annotations

import re
import threading
from typing import Any

from trainers.errors import ModelAway, ModelError

_CONFIG = "config.json"
_SECONDS = 4.0


def look_up(name: str, revision: str) -> None:
    """Ask the Hub for a model's config, as loading does, but without retries.

    A copy that is kept here serves where the Hub does not answer.

    Raises:
        ModelAway: The Hub does not answer, or is not to be asked, and no copy is kept.
        ModelError: The Hub has no such model or revision, or not for this user.
    """
    from huggingface_hub import constants
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]  # no __all__

    try:
        validate_repo_id(name)
    except HFValidationError as error:
        reason = str(error).partition("\n")[0]
        raise ModelError(f"no model's id on the Hub: {reason}") from None
    if constants.HF_HUB_OFFLINE:
        fault: Exception | None = ModelAway(
            "HF_HUB_OFFLINE is set, and no copy is kept here; unset it, or name a folder"
        )
    else:
        fault = _fault(name, revision)
    if fault is None:
        return
    if not (is_kept(name, revision) and isinstance(fault, ModelAway)):
        raise fault


def is_kept(name: str, revision: str) -> bool:
    """Say whether a copy of a model's config is kept here."""
    from huggingface_hub import try_to_load_from_cache

    try:
        return isinstance(try_to_load_from_cache(name, _CONFIG, revision=revision), str)
    except ValueError:  # no id of the Hub
        return False


def _fault(name: str, revision: str) -> ModelError | None:
    """Ask in a thread: resolving a host's name has no time limit of its own."""
    said: list[ModelError | None] = []
    thread = threading.Thread(target=lambda: said.append(_ask(name, revision)), daemon=True)
    thread.start()
    thread.join(1.5 * _SECONDS)
    return said[0] if said else _away(f"no answer in {1.5 * _SECONDS:.0f} s")


def _ask(name: str, revision: str) -> ModelError | None:
    from huggingface_hub import get_hf_file_metadata, hf_hub_url
    from huggingface_hub.errors import HfHubHTTPError

    try:
        get_hf_file_metadata(hf_hub_url(name, _CONFIG, revision=revision), timeout=_SECONDS)
    except HfHubHTTPError as error:
        return _refusal(error, revision)
    except Exception as error:  # of the HTTP library, which is the Hub's client's own choice
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        return _away(reason)
    return None


def _refusal(error: Any, revision: str) -> ModelError:
    """Say what the Hub's answer means; it answers 401 for a model that is not there, too."""
    from huggingface_hub import errors

    status = error.response.status_code
    if isinstance(error, errors.GatedRepoError) or status == 403:
        return ModelError(
            f"the Hub gives it only to users who were let in (status {status}); ask for access "
            "on its page, then `hf auth login` or HF_TOKEN"
        )
    if isinstance(error, errors.RevisionNotFoundError):
        return ModelError(f"the Hub has no revision {revision!r} of it")
    if isinstance(error, errors.EntryNotFoundError):
        return ModelError(f"the Hub has no {_CONFIG} in it: no model in transformers' format")
    if status in (401, 404):
        return ModelError(
            f"the Hub has no such model, or not for you (status {status}); check the spelling, "
            "for a private model `hf auth login` or HF_TOKEN"
        )
    return _away(f"status {status}")


def _away(reason: str) -> ModelAway:
    from huggingface_hub import constants

    address = re.sub("//[^/]*@", "//", constants.ENDPOINT)  # without a login
    return ModelAway(
        f"the Hub at {address} does not answer ({reason}), and no copy is kept here; "
        "check the network, or name a folder"
    )
