"""Speak to an MLflow server: its login, how long it is waited for, what its faults mean."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator

import requests
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import (
    INVALID_PARAMETER_VALUE,
    PERMISSION_DENIED,
    RESOURCE_DOES_NOT_EXIST,
    UNAUTHENTICATED,
    ErrorCode,
)

from trainers.errors import ConfigError
from trainers.proxies import bypass_own_addresses, proxy_note
from tuner.config import hide_passwords
from tuner.store import missing_space
from tuner.tracking.address import StoreAddress

_USER, _PASSWORD = "MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"
_RETRIES, _TIMEOUT = "MLFLOW_HTTP_REQUEST_MAX_RETRIES", "MLFLOW_HTTP_REQUEST_TIMEOUT"
_SECONDS_TO_ANSWER = 30
_AWAY = (
    requests.ConnectionError,
    requests.Timeout,
    requests.exceptions.ChunkedEncodingError,
    requests.exceptions.RetryError,  # the server or a proxy answered 408, 429 or 5xx
)
_REFUSED = {ErrorCode.Name(code) for code in (PERMISSION_DENIED, UNAUTHENTICATED)}
# How MLflow's client words what it does not take for an answer of a server.
_STRANGE = re.compile(r"failed with error code (\d+)|not in a valid JSON format")
# What MLflow's server says to a name that it was not told it has; a proxy or a login never does.
_HOST_REFUSED = "Invalid Host header"
_SYSTEM = re.compile(r"\[(?:Errno -?\d+|SSL\b[^]]*)\] ([\w ,;-]+)")
_STATUS = re.compile(r"too many (\d+) error responses")


def prepare_client(store: StoreAddress) -> None:
    """Set what MLflow's client takes from the environment alone, before it is used.

    The login of an address; and for a server, that requests fail at once where it is away, and
    within seconds where it hangs. The client would block for minutes by default, and its own
    repeats would make a run twice whose reply was lost. Who writes repeats requests in a way that
    does no harm.
    """
    if store.login.user:
        os.environ[_USER], os.environ[_PASSWORD] = store.login.user, store.login.password
    if store.is_server:
        bypass_own_addresses(os.environ)
        os.environ[_RETRIES] = "0"
        os.environ.setdefault(_TIMEOUT, str(_SECONDS_TO_ANSWER))
        # At the end of every run, an address to look at.
        os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")


def is_away(error: BaseException) -> bool:
    """Say whether the server is away, or takes the login no more: it may be asked again later."""
    return any(isinstance(cause, _AWAY) for cause in _causes(error)) or _is_denied(error)


def is_refusal(error: BaseException) -> bool:
    """Say whether MLflow or its server did not take a request."""
    return isinstance(error, MlflowException | requests.RequestException)


def is_gone(error: BaseException) -> bool:
    """Say whether a run, or its experiment, was deleted, to be restored or for good."""
    code = getattr(error, "error_code", None)
    if code == ErrorCode.Name(INVALID_PARAMETER_VALUE):
        return "must be in the 'active' state" in str(error)
    return bool(code == ErrorCode.Name(RESOURCE_DOES_NOT_EXIST))


def reason_of(error: BaseException) -> str:
    """Say in one line why a request failed, without a password."""
    if space := missing_space(error):
        return space
    text = str(error)
    late = any(isinstance(cause, requests.Timeout) for cause in _causes(error))
    if (
        late or "Read timed out" in text
    ):  # of urllib3, which requests may take for a lost connection
        return "no answer in time"
    if found := _STATUS.search(text):
        return f"the server answers {found[1]}; its log says why"
    if not _is_denied(error) and is_away(error):
        found = _SYSTEM.search(text)
        return found[1] if found else "the connection was lost"
    if _HOST_REFUSED in text:
        return (
            "the server refuses the host name in its address; start `mlflow server` with "
            "--allowed-hosts HOST:PORT, or, on its own machine, use 127.0.0.1"
        )
    if _is_denied(error):
        return f"user or password refused; {_USER} and {_PASSWORD} may hold them"
    if found := _STRANGE.search(text):
        return f"no MLflow server answers there, but something else{_with(found[1])}"
    return hide_passwords(text.partition("\n")[0])


@contextlib.contextmanager
def explained(place: str) -> Iterator[None]:
    """Turn MLflow's refusal of a store or a study into one line that names the place."""
    try:
        yield
    except (MlflowException, requests.RequestException) as error:
        reason = f"{reason_of(error)}{proxy_note(place)}"
        raise ConfigError(f"MLflow store {place}: {reason}") from error


def _is_denied(error: BaseException) -> bool:
    return getattr(error, "error_code", None) in _REFUSED


def _causes(error: BaseException) -> tuple[BaseException, ...]:
    causes = (error, error.__cause__, error.__context__)
    return tuple(cause for cause in causes if cause is not None)


def _with(status: str | None) -> str:
    return f" (status {status})" if status else ""
