"""Find a file that the user named. Every fault becomes one line with the key and the file. Nothing slow is imported."""

from __future__ import annotations

import os
import re
from pathlib import Path
from stat import S_ISDIR, S_ISREG

from prunebert.errors import BadInput


def refuse_foreign(file: str, key: str) -> None:
    """Raise BadInput for a URL, and for a Windows path on another system, which would be reported as missing."""
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]+://", file):
        raise BadInput(f"{key}={file}: this is a URL, and prunebert reads files; download it first")
    if os.name != "nt" and re.match(r"[A-Za-z]:[\\/]|\\\\", file) and not os.path.exists(file):
        raise BadInput(f"{key}={file}: this is a Windows path; on this machine a path is written as /folder/file.csv")


def find(file: str, key: str) -> Path:
    """Return the path of a regular file.

    Args:
        file: as the user wrote it.
        key: the configuration's key for the file, for messages.

    Raises BadInput for a URL, a path of another system, a folder, a pipe, a device, and a file that does not exist.
    """
    refuse_foreign(file, key)
    try:
        path = Path(file).expanduser()
        mode = path.stat().st_mode
    except FileNotFoundError:
        raise BadInput(f"{key}={file}: there is no such file") from None
    except (OSError, ValueError, RuntimeError) as error:  # ValueError: a NUL character; RuntimeError: no such home
        raise BadInput(f"{key}={file}: {getattr(error, 'strerror', None) or error}") from error
    if S_ISDIR(mode):
        inside = sorted(p.name for p in path.glob("*.parquet"))
        hint = f"several Parquet files; join them, or name one, as {file.rstrip('/')}/{inside[0]}" if inside else ""
        raise BadInput(
            f"{key}={file}: there is no such file, this is a folder{' of ' + hint if hint else '; name a file in it'}"
        )
    if not S_ISREG(mode):
        raise BadInput(f"{key}={file}: this is no regular file (but a pipe, a socket or a device); copy it into a file")
    return path
