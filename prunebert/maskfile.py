"""The mask file: one bit a prunable weight, in a safetensors file that describes itself.

Each tensor is a matrix's mask, flattened row by row and packed eight weights to a byte, first weight in the highest
bit (`numpy.packbits`, bitorder "big"; the last byte filled with zeros). The metadata, all text: format, version,
bitorder, model, weights_hash (models.hash_of over the encoder), shapes and kept (JSON by name), sha256 (`_digest`).
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from prunebert.errors import BadInput
from prunebert.masks import Masks

FORMAT, VERSION = "prunebert-masks", "1"
ENTRIES = {"model", "weights_hash", "shapes", "kept"}


@dataclass(frozen=True)
class MaskFile:
    """masks: bool by parameter name. model, weights_hash: of the checkpoint they were found on."""

    masks: Masks
    model: str
    weights_hash: str


def encode(file: MaskFile) -> bytes:
    """The whole file's content."""
    packed = {n: np.packbits(m.cpu().numpy().reshape(-1)) for n, m in file.masks.items()}
    metadata = {
        "format": FORMAT,
        "version": VERSION,
        "bitorder": "big",
        "model": file.model,
        "weights_hash": file.weights_hash,
        "shapes": json.dumps({n: list(m.shape) for n, m in file.masks.items()}),
        "kept": json.dumps({n: int(m.sum()) for n, m in file.masks.items()}),
    }
    metadata["sha256"] = _digest(metadata, packed)
    return save({n: torch.from_numpy(bits) for n, bits in packed.items()}, metadata)


def write(path: Path, file: MaskFile) -> None:
    """A mask file of its own, whole or not at all. Raises BadInput if it cannot be written."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        partial.write_bytes(encode(file))
        partial.replace(path)
    except OSError as error:
        raise BadInput(f"{path} cannot be written to: {error.strerror}") from error
    finally:
        partial.unlink(missing_ok=True)


def read(path: Path) -> MaskFile:
    """The masks of a file, verified. Raises BadInput, naming the file, for anything that is not as it was written."""
    try:
        with safe_open(path, "numpy") as stream:
            metadata = stream.metadata() or {}
            packed = {n: stream.get_tensor(n) for n in stream.keys()}  # noqa: SIM118 (not a dict)
    except (OSError, SafetensorError) as error:
        raise BadInput(f"{path} cannot be read as a mask file: {str(error).splitlines()[0]}") from error
    if metadata.get("format") != FORMAT:
        raise BadInput(f"{path} is not a mask file of prunebert")
    if metadata.get("version") != VERSION:
        raise BadInput(f"{path} is of version {metadata.get('version')}, this prunebert reads version {VERSION}")
    if metadata.get("sha256") != _digest(metadata, packed) or not metadata.keys() >= ENTRIES:
        raise BadInput(f"{path} is damaged: its checksum does not fit its content")
    shapes, kept = json.loads(metadata["shapes"]), json.loads(metadata["kept"])
    masks = {}
    for name, shape in shapes.items():
        bits = np.unpackbits(packed[name], count=int(np.prod(shape))).astype(bool)
        if int(bits.sum()) != kept[name]:
            raise BadInput(f"{path} is damaged: {name} keeps {int(bits.sum())} weights, {kept[name]} are written")
        masks[name] = torch.from_numpy(bits.reshape(shape))
    return MaskFile(masks, metadata["model"], metadata["weights_hash"])


def _digest(metadata: dict[str, str], packed: dict[str, np.ndarray]) -> str:
    """sha256 over all other metadata and all bits, each in the order of the names."""
    digest = hashlib.sha256(json.dumps(sorted((k, v) for k, v in metadata.items() if k != "sha256")).encode())
    for name in sorted(packed):
        digest.update(name.encode())
        digest.update(packed[name].tobytes())
    return digest.hexdigest()
