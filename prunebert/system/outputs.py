"""Look at an output folder before the work: can it be written to, and would a file be overwritten that is not ours?"""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from prunebert.errors import BadInput


def refuse_unwritable(folder: Path, setting: str) -> None:
    """Raise BadInput, which begins with `setting`, unless a file can be made in the folder. It leaves nothing there."""
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise BadInput(f"{setting} cannot be written to: {error.strerror}") from error


def refuse_unusable(out: Path, ours: Mapping[str, Callable[[Path], bool]]) -> None:
    """Refuse an output folder that cannot be written to, or that has a file of the user's where one of ours belongs.

    Nothing is written, and the folder is not made. An empty file may be replaced. So may a link, because renaming
    replaces the link and never the file that it names.

    Args:
        out: the folder; it need not exist.
        ours: for the name of each file that will be written, a function that recognises an earlier one.

    Raises:
        BadInput: the folder is refused.
    """
    try:
        folder = next(path for path in (out.absolute(), *out.absolute().parents) if os.path.lexists(path))
        refuse_unwritable(folder, f"--out={out}")
        for name, recognises in ours.items():
            file = out / name
            if not os.path.lexists(file) or file.is_symlink():
                continue
            status = file.lstat()
            if not stat.S_ISREG(status.st_mode) or (status.st_size and not recognises(file)):
                raise BadInput(
                    f"--out={out}: {file} was not written by this command and would be lost; choose another folder"
                )
    except OSError as error:
        raise BadInput(f"--out={out} cannot be written to: {error.strerror}") from error


def begins_with(*beginnings: str) -> Callable[[Path], bool]:
    """Return a function that tells whether a file begins with one of these texts."""

    def recognises(file: Path) -> bool:
        with file.open("rb") as stream:
            return stream.read(4096).startswith(tuple(text.encode() for text in beginnings))

    return recognises
