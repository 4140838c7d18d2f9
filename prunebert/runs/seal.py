"""The seal of a finished run: result.json has the sha256 of every other result file, and a checksum of itself.

Results of earlier versions have the checksum only. Their other files cannot be verified, except masks, whose format has
a checksum of its own.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from prunebert.errors import BadInput
from prunebert.runs import reading, schema

OTHER_CONTENT = "its content is not what the run wrote"


def checksum(row: Mapping[str, Any]) -> str:
    """Return the sha256 of a result without its own checksum."""
    rest = {k: v for k, v in row.items() if k != "checksum"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()


def sealed(row: Mapping[str, Any], hashes: Mapping[str, str]) -> dict[str, Any]:
    """Return a result with the hashes of the run's other files by name, and with its checksum."""
    content: dict[str, Any] = json.loads(encoded({**row, "files": dict(sorted(hashes.items()))}))
    content["checksum"] = checksum(content)
    return content


def encoded(content: Mapping[str, Any]) -> bytes:
    """Return the bytes of a JSON file. A number that is not finite becomes null."""
    return (json.dumps(_finite(content), indent=1, allow_nan=False) + "\n").encode()


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {k: _finite(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def read_result(file: Path) -> dict[str, Any]:
    """Read and verify a result.json. Raises BadInput if its checksum does not match, or a key or type is wrong."""
    row = reading.json_table(file)
    if row.get("checksum") != checksum(row):
        reason = "its checksum does not match its content" if "checksum" in row else "it has no checksum"
        raise BadInput(f"{file} is damaged: {reason}")
    if wrong := schema.fault(row):
        raise BadInput(f"{file} is damaged: {wrong}")
    return row


def is_delta(row: Mapping[str, Any]) -> bool:
    """Return whether a result is that of a task delta, which has no predictions, and not that of a run."""
    return "files" in row and "predictions.parquet" not in row["files"]


def read_topology(file: Path, content: bytes, keys: Collection[str] = ()) -> dict[str, Any]:
    """Parse a topology.json. Raises BadInput if a number that commands show is missing or of a wrong type.

    Args:
        file: its name in messages.
        content: its bytes.
        keys: see `reading.json_table`.
    """
    table = reading.json_table(file, content, keys)
    if wrong := schema.topology_fault(table):
        raise BadInput(f"{file} is damaged: {wrong}")
    return table


def content(root: Path, name: str, row: Mapping[str, Any], most: float = math.inf) -> bytes | None:
    """Return the verified bytes of a result file, which is read once; None if the run has no such file.

    The other arguments and what is raised are those of `intact`. most: a file with more bytes is refused.
    """
    file, hashes = root / name, row.get("files")
    if hashes is None:
        return reading.whole(file, most) if file.exists() else None
    if name not in hashes:
        return None
    bytes_read = reading.whole(file, most)
    if hashlib.sha256(bytes_read).hexdigest() != hashes[name]:
        raise BadInput(f"{file} is damaged: {OTHER_CONTENT}")
    return bytes_read


def intact(root: Path, name: str, row: Mapping[str, Any]) -> Path | None:
    """Return the path of a result file after its bytes were verified; None if the run has no such file.

    Args:
        root: the run's directory.
        name: of the file.
        row: the run's verified result. Without `files` the bytes cannot be verified. With `files`, a file that is not
            in that list is not the run's.

    Raises:
        BadInput: the file is missing or is not what the run wrote.
    """
    file, hashes = root / name, row.get("files")
    if hashes is None:
        if file.exists():
            reading.require_file(file)
        return file if file.exists() else None
    if name not in hashes:
        return None
    if reading.sha256(file) != hashes[name]:
        raise BadInput(f"{file} is damaged: {OTHER_CONTENT}")
    return file


def damaged(root: Path, row: Mapping[str, Any]) -> dict[str, str]:
    """Return the message for each damaged file of a run, by the file's name."""
    messages = {}
    for name in row.get("files", {}):
        try:
            intact(root, name, row)
        except BadInput as error:
            messages[name] = str(error)
    return messages
