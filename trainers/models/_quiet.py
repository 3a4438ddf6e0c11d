"""Silence the libraries' progress bars and start-up notes while a model loads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from logging import ERROR
from typing import Any


@contextmanager
def quiet() -> Iterator[None]:
    """Hide transformers' and the Hub's progress bars and warnings; restore both at the end.

    Every run wants a newly drawn classification head, so the note about it is noise. The
    Hub's client warns at each of its retries; if all fail, the error has the reason.
    """
    import huggingface_hub.utils as hub_utils
    from transformers.utils import logging

    hub: Any = hub_utils  # these names are missing in its type hints

    level, bar = logging.get_verbosity(), logging.is_progress_bar_enabled()
    hub_level, hub_bar = hub.logging.get_verbosity(), not hub.are_progress_bars_disabled()
    logging.set_verbosity(ERROR)
    hub.logging.set_verbosity(ERROR)
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # transformers
    hub.disable_progress_bars()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        hub.logging.set_verbosity(hub_level)
        if hub_bar:
            hub.enable_progress_bars()
        if bar:
            logging.enable_progress_bar()  # type: ignore[no-untyped-call]  # transformers
