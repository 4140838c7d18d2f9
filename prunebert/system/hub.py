"""The Hugging Face hub: asked once whether it answers, so that a machine without network is told so in seconds."""

from __future__ import annotations

import os
import re
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from textwrap import shorten
from threading import Thread

from prunebert.errors import BadInput

PATIENCE = 3  # seconds for the first answer, finding the address included


def endpoint() -> str:
    """The hub's address: HF_ENDPOINT, or the public one."""
    return os.environ.get("HF_ENDPOINT", "https://huggingface.co").rstrip("/")


@cache
def prepare() -> bool:
    """Whether the hub can be asked. If not, the Hugging Face libraries go on with their caches, without retries."""
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE"):
        return False
    answers: list[bool] = []
    asking = Thread(target=lambda: answers.append(_answers()), daemon=True)  # a name server's silence has no time limit
    asking.start()
    asking.join(PATIENCE)
    if answers == [True]:
        return True
    _go_offline()
    return False


def _answers() -> bool:
    try:
        urllib.request.urlopen(urllib.request.Request(endpoint(), method="HEAD"), timeout=PATIENCE).close()
    except urllib.error.HTTPError as error:
        error.close()
        return error.code not in (502, 503, 504)  # a proxy's word that nobody is there
    except (OSError, ValueError):
        return False
    return True


def _go_offline() -> None:
    """Only the caches from here on; the libraries read this at import, so those imported already are told too."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    for name in ("huggingface_hub.constants", "datasets.config"):
        if name in sys.modules:
            vars(sys.modules[name])["HF_HUB_OFFLINE"] = True


@contextmanager
def explained(what: str, instead: str, remote: bool = True) -> Iterator[None]:
    """Turn the libraries' many-line errors about missing files into one line that says what else could be given.

    remote: whether the files were to come from the hub, and not from a folder.
    """
    try:
        yield
    except BadInput:
        raise
    except (OSError, ValueError) as error:
        first = shorten(re.split(r"\.\s|\n", str(error).strip())[0], 200, placeholder=" …")
        if not remote or prepare():
            raise BadInput(f"{what} cannot be loaded ({first}); give {instead}") from error
        raise BadInput(f"{what} is not cached here and the hub {endpoint()} does not answer; give {instead}") from error
