"""Find files inside an installed Python package without importing its code, and check them by hash."""

from __future__ import annotations

import hashlib
import importlib.metadata
from pathlib import Path

from prunebert.errors import BadInput


def folder(*, name: str, version: str, path: str, sha256: dict[str, str], extra: str) -> Path:
    """Return the folder `path` of the installed distribution `name`==`version`.

    Args:
        name: the distribution.
        version: the only version accepted.
        path: the folder, relative to the distribution's root.
        sha256: each file's hash by its name in the folder. Callers must read no other file of the folder.
        extra: the extra of prunebert that installs the distribution, for the message.

    Raises:
        BadInput: the package is missing, has another version, or a file is missing or different. The message contains
            the command that installs the right one.
    """
    command = _command(name, version, extra)
    distribution = installed(name, version, extra)
    root = Path(str(distribution.locate_file(path)))
    for file, expected in sha256.items():
        if not (root / file).is_file():
            raise BadInput(f"the package {name} lacks {path}/{file}; {command} again with --force-reinstall")
        if _hash(root / file) != expected:
            raise BadInput(
                f"{root / file} is not the file of {name}=={version} (sha256 differs); {command} with --force-reinstall"
            )
    return root


def installed(name: str, version: str, extra: str) -> importlib.metadata.Distribution:
    """Return the distribution `name`==`version`. No file of it is read.

    Raises:
        BadInput: the package is missing or has another version. The message contains the command that installs it.
    """
    command = _command(name, version, extra)
    try:
        distribution = importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError:
        raise BadInput(f"the package {name} is not installed; {command}") from None
    if distribution.version != version:
        raise BadInput(f"the package {name} is version {distribution.version}, {version} is needed; {command}")
    return distribution


def _command(name: str, version: str, extra: str) -> str:
    return f"pip install '{name}=={version}' (or prunebert[{extra}])"


def _hash(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
