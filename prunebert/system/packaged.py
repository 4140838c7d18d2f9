"""Files that travel inside an installed Python package, found without importing its code and checked by hash."""

from __future__ import annotations

import hashlib
import importlib.metadata
from pathlib import Path

from prunebert.errors import BadInput


def folder(*, name: str, version: str, path: str, sha256: dict[str, str], extra: str) -> Path:
    """The folder `path` of the installed distribution `name`==`version`.

    Every file in `sha256` must be there with that hash; the files not listed are not to be read.
    Raises BadInput with what to install for a missing package, another version or another content.
    """
    cure = f"pip install '{name}=={version}' (or prunebert[{extra}])"
    try:
        distribution = importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError:
        raise BadInput(f"the package {name} is not installed; {cure}") from None
    if distribution.version != version:
        raise BadInput(f"the package {name} is version {distribution.version}, {version} is needed; {cure}")
    place = Path(str(distribution.locate_file(path)))
    for file, expected in sha256.items():
        if not (place / file).is_file():
            raise BadInput(f"the package {name} lacks {path}/{file}; {cure} again with --force-reinstall")
        if _hash(place / file) != expected:
            raise BadInput(
                f"{place / file} is not the file of {name}=={version} (sha256 differs); {cure} with --force-reinstall"
            )
    return place


def _hash(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
