"""Lead from the page to files and folders, relative to the page, so that both can be moved or copied together."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import quote


def to(path: Path, page_folder: Path) -> str:
    """Return the address of a file or folder for a page in `page_folder`.

    Every character that an address gives a meaning is escaped, so that the address names no other protocol or host.
    """
    relative = os.path.relpath(os.path.abspath(path), os.path.abspath(page_folder))
    return quote(os.fsencode(relative), safe="/")
