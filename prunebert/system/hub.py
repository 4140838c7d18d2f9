"""The Hugging Face hub: ask it once for an answer, and go offline if none comes.

Without this check, a machine without network would wait through the libraries' retries.
"""

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

PATIENCE = 3  # seconds for the first answer, including the look-up of the address


def endpoint() -> str:
    """Return the hub's address: HF_ENDPOINT, or the public one."""
    return os.environ.get("HF_ENDPOINT", "https://huggingface.co").rstrip("/")


@cache
def prepare() -> bool:
    """Return whether the hub answers. If not, the Hugging Face libraries use only their caches, without retries."""
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE"):
        return False
    reachable: list[bool] = []
    request = Thread(target=lambda: reachable.append(_answers()), daemon=True)  # the look-up of a name has no timeout
    request.start()
    request.join(PATIENCE)
    if reachable == [True]:
        return True
    _go_offline()
    return False


def _answers() -> bool:
    try:
        urllib.request.urlopen(urllib.request.Request(endpoint(), method="HEAD"), timeout=PATIENCE).close()
    except urllib.error.HTTPError as error:
        error.close()
        return error.code not in (502, 503, 504)  # these come from a proxy that found no hub
    except (OSError, ValueError):
        return False
    return True


def _go_offline() -> None:
    """Restrict the libraries to their caches. They read the variable at import, so imported ones are changed too."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    for name in ("huggingface_hub.constants", "datasets.config"):
        if name in sys.modules:
            vars(sys.modules[name])["HF_HUB_OFFLINE"] = True


@contextmanager
def explained(source: str, alternatives: str, remote: bool = True) -> Iterator[None]:
    """Turn the libraries' long errors about missing files into one line.

    Args:
        source: what was loaded, as key=value.
        alternatives: what the user can give instead.
        remote: whether the files come from the hub; False for a folder.

    Raises:
        BadInput: in place of an OSError or ValueError.
    """
    try:
        yield
    except BadInput:
        raise
    except (OSError, ValueError) as error:
        reason = shorten(re.split(r"\.\s|\n", str(error).strip())[0], 200, placeholder=" …")
        if not remote or prepare():
            raise BadInput(f"{source} cannot be loaded ({reason}); give {alternatives}") from error
        raise BadInput(
            f"{source} is not cached here and the hub {endpoint()} does not answer; give {alternatives}"
        ) from error
