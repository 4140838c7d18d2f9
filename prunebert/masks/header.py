"""Put a safetensors file's metadata in order, so that the same content always gives the same bytes.

safetensors writes the metadata in the order of a hash table that is seeded anew in every process.
"""

from __future__ import annotations

import io
import json
import struct
from typing import BinaryIO


def in_order(content: bytes) -> bytes:
    """Return a safetensors file's bytes with its metadata sorted by name. Their number does not change."""
    stream = io.BytesIO(content)
    sort_metadata(stream)
    return stream.getvalue()


def sort_metadata(stream: BinaryIO) -> None:
    """Sort the metadata in the header of a safetensors file that is open for reading and writing."""
    stream.seek(0)
    (size,) = struct.unpack("<Q", stream.read(8))
    header = json.loads(stream.read(size))
    if "__metadata__" not in header:
        return
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    if len(text) > size:
        return  # an escape that json writes longer; the file is right as it is
    stream.seek(8)
    stream.write(text.ljust(size))
