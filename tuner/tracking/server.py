"""MLflow servers: their login, the time limits of requests, the meaning of their errors."""

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
# MLflow's client's errors about an answer that is no MLflow server's.
_STRANGE = re.compile(r"failed with error code (\d+)|not in a valid JSON format")
# MLflow's server's answer to a host name that it does not allow; no proxy answers so.
_HOST_REFUSED = "Invalid Host header"
_SYSTEM = re.compile(r"\[(?:Errno -?\d+|SSL\b[^]]*)\] ([\w ,;-]+)")
_STATUS = re.compile(r"too many (\d+) error responses")


def prepare_client(store: StoreAddress) -> None:
    """Set the options of MLflow's client that it reads only from the environment.

    These are the login of an address; and for a server, that requests fail at once if it is
    unavailable, and within seconds if it hangs. By default the client would block for minutes,
    and its own retries would make a run twice if a reply was lost. Our callers retry safely.
    """
    if store.login.user:
        os.environ[_USER], os.environ[_PASSWORD] = store.login.user, store.login.password
    if store.is_server:
        bypass_own_addresses(os.environ)
        os.environ[_RETRIES] = "0"
        os.environ.setdefault(_TIMEOUT, str(_SECONDS_TO_ANSWER))
        # MLflow prints an address at the end of every run.
        os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")


def is_away(error: BaseException) -> bool:
    """Return whether the server is unavailable or refuses the login: a later retry may work."""
    return any(isinstance(cause, _AWAY) for cause in _causes(error)) or _is_denied(error)


def is_refusal(error: BaseException) -> bool:
    """Return whether MLflow or its server refused a request."""
    return isinstance(error, MlflowException | requests.RequestException)


def is_gone(error: BaseException) -> bool:
    """Return whether a run or its experiment was deleted, restorable or not."""
    code = getattr(error, "error_code", None)
    if code == ErrorCode.Name(INVALID_PARAMETER_VALUE):
        return "must be in the 'active' state" in str(error)
    return bool(code == ErrorCode.Name(RESOURCE_DOES_NOT_EXIST))


def reason_of(error: BaseException) -> str:
    """Return in one line why a request failed, without a password."""
    if space := missing_space(error):
        return space
    text = str(error)
    late = any(isinstance(cause, requests.Timeout) for cause in _causes(error))
    if (
        late or "Read timed out" in text
    ):  # of urllib3, which requests may report as a lost connection
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
    """Turn an error of MLflow into one line with the name of the store."""
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
