"""The mask file: one bit per prunable weight, in a safetensors file that describes itself.

Each tensor is the mask of one matrix, flattened row by row and packed eight weights to a byte. The first weight is in
the highest bit (`numpy.packbits`, bitorder "big"), and the last byte is filled with zeros.

The metadata are text: format, version, bitorder, model, weights_hash (models.hash_of over the encoder), shapes and kept
(JSON by name), sha256 (`_digest`). A file whose masks have a pattern also has `pattern`, "N:M" or "RxC"
(`regularity`); reading checks it against the masks.
"""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from prunebert.errors import BadInput, cut
from prunebert.masks import regularity
from prunebert.masks.header import in_order
from prunebert.masks.pattern import NONE

if TYPE_CHECKING:
    from prunebert.masks.top_v import Masks

FORMAT, VERSION = "prunebert-masks", "1"
ENTRIES = {"model", "weights_hash", "shapes", "kept"}


@dataclass(frozen=True)
class MaskFile:
    """Masks and the checkpoint they belong to."""

    masks: Masks  # bool, by parameter name
    model: str  # the checkpoint's name
    weights_hash: str  # of the checkpoint's encoder
    pattern: str = NONE  # that all masks satisfy


@dataclass(frozen=True)
class Packed:
    """A mask file whose masks are still packed. The dicts are by parameter name."""

    bits: dict[str, np.ndarray]  # uint8; the unused bits of the last byte are 0
    shapes: dict[str, tuple[int, ...]]  # of the masks
    kept: dict[str, int]  # how many bits are set
    model: str  # the checkpoint's name
    weights_hash: str  # of the checkpoint's encoder
    pattern: str = NONE  # that all masks satisfy


def pack(file: MaskFile) -> Packed:
    """Pack masks, eight weights to a byte."""
    return Packed(
        bits={n: np.packbits(m.cpu().numpy().reshape(-1)) for n, m in file.masks.items()},
        shapes={n: tuple(m.shape) for n, m in file.masks.items()},
        kept={n: int(m.sum()) for n, m in file.masks.items()},
        model=file.model,
        weights_hash=file.weights_hash,
        pattern=file.pattern,
    )


def encode(file: MaskFile) -> bytes:
    """Return the content of the whole file."""
    packed = pack(file)
    metadata = {
        "format": FORMAT,
        "version": VERSION,
        "bitorder": "big",
        "model": file.model,
        "weights_hash": file.weights_hash,
        "shapes": json.dumps({n: list(shape) for n, shape in packed.shapes.items()}),
        "kept": json.dumps(packed.kept),
    }
    if file.pattern != NONE:
        metadata["pattern"] = file.pattern
    metadata["sha256"] = _digest(metadata, packed.bits)
    return in_order(save(packed.bits, metadata))


def read(path: Path) -> MaskFile:
    """Read and verify the masks of a file. Raises BadInput as read_packed does."""
    return unpack(read_packed(path))


def unpack(file: Packed) -> MaskFile:
    """Unpack masks, one bool for each weight."""
    import torch

    masks = {name: torch.from_numpy(_unpacked(file, name)) for name in file.shapes}
    return MaskFile(masks, file.model, file.weights_hash, file.pattern)


def _unpacked(file: Packed, name: str) -> np.ndarray:
    """Return one mask, bool in its shape."""
    shape = file.shapes[name]
    return np.unpackbits(file.bits[name], count=math.prod(shape)).view(bool).reshape(shape)


def read_packed(path: Path) -> Packed:
    """Read and verify the bits of a file. Raises BadInput, which names the file, for any damage."""
    metadata, packed = _read(path)
    if metadata.get("format") != FORMAT:
        raise BadInput(f"{path} is not a mask file of prunebert")
    if metadata.get("version") != VERSION:
        raise BadInput(f"{path} has version {metadata.get('version')}; this prunebert reads version {VERSION}")
    if metadata.get("sha256") != _digest(metadata, packed) or not metadata.keys() >= ENTRIES:
        raise BadInput(f"{path} is damaged: its checksum does not match its content")
    shapes, kept = _table(path, metadata, "shapes"), _table(path, metadata, "kept")
    if not shapes.keys() == kept.keys() == packed.keys():
        raise BadInput(f"{path} is damaged: its shapes, its counts and its masks do not name the same matrices")
    for name, shape in shapes.items():
        if not isinstance(shape, list) or not all(type(size) is int and size >= 0 for size in shape):
            raise BadInput(f"{path} is damaged: the shape of {name} is {str(shape)[:60]}")
    bits = {n: _without_padding(packed[n], math.prod(shape)) for n, shape in shapes.items()}
    for name, mask in bits.items():
        if mask.size != -(-math.prod(shapes[name]) // 8):
            raise BadInput(f"{path} is damaged: {name} has {mask.size} bytes for {str(shapes[name])[:60]} weights")
        count = int(np.bitwise_count(mask).sum(dtype=np.int64))
        if type(kept[name]) is not int or count != kept[name]:
            raise BadInput(f"{path} is damaged: {name} keeps {count} weights, but the file says {str(kept[name])[:60]}")
    pattern = metadata.get("pattern", NONE)
    sizes = {n: tuple(x) for n, x in shapes.items()}
    file = Packed(bits, sizes, kept, metadata["model"], metadata["weights_hash"], pattern)
    if pattern != NONE:
        _check_pattern(path, file)
    return file


def read_matrices(path: Path) -> Packed:
    """Read and verify a file that holds at least one mask, each of a matrix. Raises BadInput otherwise."""
    packed = read_packed(path)
    if not packed.shapes:
        raise BadInput(f"{path} holds no masks")
    for name, shape in packed.shapes.items():
        if len(shape) != 2 or 0 in shape:
            raise BadInput(f"{path} is damaged: {name} is {list(shape)}, which is no matrix")
    return packed


def _read(path: Path) -> tuple[dict[str, str], dict[str, np.ndarray]]:
    """Return the metadata and the packed bits. Raises BadInput if the file cannot be read or holds other tensors."""
    try:
        if path.exists() and not path.is_file():  # a pipe would block
            raise BadInput(f"{path} cannot be read as a mask file: it is no regular file")
        with safe_open(path, "numpy") as stream:
            metadata = stream.metadata() or {}
            for name in stream.keys():  # noqa: SIM118 (not a dict)
                part = stream.get_slice(name)
                if part.get_dtype() != "U8" or len(part.get_shape()) != 1:
                    raise BadInput(f"{path} is not a mask file of prunebert: {name} is no list of bytes")
            return metadata, {n: stream.get_tensor(n) for n in stream.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise BadInput(f"{path} cannot be read as a mask file: {str(error).splitlines()[0]}") from error


def _check_pattern(path: Path, file: Packed) -> None:
    """Raise BadInput if the file's pattern is none that exists, or one that a mask does not satisfy."""
    pattern = regularity.parse(file.pattern)
    if pattern is None:
        raise BadInput(f"{path} is damaged: its pattern is {cut(file.pattern)}, not N:M with N below M, or RxC")
    for name, shape in file.shapes.items():
        if len(shape) != 2 or not regularity.satisfied([_unpacked(file, name)], pattern):
            raise BadInput(f"{path} is damaged: it says the pattern {file.pattern}, but {name} does not satisfy it")


def _table(path: Path, metadata: dict[str, str], key: str) -> dict[str, Any]:
    """Return the JSON table under `key`. Raises BadInput if it is none."""
    try:
        table = json.loads(metadata[key])
    except (ValueError, RecursionError):
        table = None
    if not isinstance(table, dict):
        raise BadInput(f"{path} is damaged: {key} is no table of names and values")
    return table


def _without_padding(bits: np.ndarray, size: int) -> np.ndarray:
    """Return the bytes of `size` weights, with zeros after the last one. A file may have other bits there."""
    unused = -size % 8
    if unused and bits.size and bits[-1] & (1 << unused) - 1:
        bits = np.concatenate([bits[:-1], bits[-1:] >> unused << unused])
    return bits


def _digest(metadata: dict[str, str], packed: dict[str, np.ndarray]) -> str:
    """Return the sha256 over all other metadata and all bits, each in the order of the names."""
    digest = hashlib.sha256(json.dumps(sorted((k, v) for k, v in metadata.items() if k != "sha256")).encode())
    for name in sorted(packed):
        digest.update(name.encode())
        digest.update(packed[name].tobytes())
    return digest.hexdigest()
