"""Read the mask files that papers' authors published. The formats are known from their code; no code is copied.

SMP (Jiang et al. 2023): a .npy file of bytes, `numpy.packbits` of the masks of all encoder matrices. The first weight
is in the highest bit. The masks are flattened row by row and concatenated in the sorted order of the full parameter
names, so layer 10 comes before layer 2.

BERT-Tickets (Chen et al. 2020) and TAMT (Liu et al. 2022): mask.pt, a dictionary of 0/1 tensors of any type. Its keys
are the full parameter names followed by "_mask", as in torch.nn.utils.prune. TAMT's keys may lack "_mask".
"""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from prunebert.errors import BadInput
from prunebert.masks.top_v import Masks


def smp(path: Path, encoder: Mapping[str, Tensor]) -> Masks:
    """Read SMP's packed file.

    Args:
        path: the .npy file.
        encoder: the model's encoder matrices by full name.

    Raises:
        BadInput: the file cannot be read or does not fit the model.
    """
    try:
        packed = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise BadInput(f"{path} cannot be read as a .npy file: {str(error).splitlines()[0]}") from error
    sizes = {n: encoder[n].numel() for n in sorted(encoder)}
    total = sum(sizes.values())
    if not isinstance(packed, np.ndarray) or packed.dtype != np.uint8 or packed.shape != (-(-total // 8),):
        content = f"{packed.shape} of {packed.dtype}" if isinstance(packed, np.ndarray) else "no array"
        raise BadInput(
            f"{path} contains {content}; a mask of this model is ({-(-total // 8)},) of uint8, one bit per weight"
        )
    bits = torch.from_numpy(np.unpackbits(packed, count=total).astype(bool))
    parts = dict(zip(sizes, bits.split(list(sizes.values())), strict=True))
    return {n: parts[n].view(encoder[n].shape) for n in encoder}


def dictionary(path: Path, encoder: Mapping[str, Tensor], optional: Mapping[str, Tensor], prefix: str) -> Masks:
    """Read a mask.pt of BERT-Tickets or TAMT. The mask of a pooler that the model lacks is ignored.

    Args:
        path: the mask.pt file.
        encoder: the model's encoder matrices by full name. Each of them needs a mask.
        optional: further matrices that may have a mask (pooler, word embeddings).
        prefix: of the full names.

    Raises:
        BadInput: the file cannot be read or does not fit the model.
    """
    stored = read_dictionary(path)
    named = {k: v for k, v in stored.items() if k.endswith("_mask")} or stored
    prunable, masks = {**encoder, **optional}, {}
    for key, value in named.items():
        name = prefix + key.removeprefix("module.").removeprefix(prefix).removesuffix("_mask")
        if name == f"{prefix}pooler.dense.weight" and name not in prunable:
            continue
        if name not in prunable:
            raise BadInput(f"{path}: {key} is not a prunable matrix of this model")
        if value.shape != prunable[name].shape:
            raise BadInput(f"{path}: {key} is {list(value.shape)}, but {list(prunable[name].shape)} in this model")
        if not ((value == 0) | (value == 1)).all():
            raise BadInput(f"{path}: {key} contains values other than 0 and 1")
        masks[name] = value.bool()
    missing = [name for name in encoder if name not in masks]
    if missing:
        raise BadInput(f"{path} lacks {len(missing)} of this model's {len(encoder)} encoder matrices ({missing[0]}, …)")
    return {n: masks[n] for n in prunable if n in masks}


def read_dictionary(path: Path) -> dict[str, Tensor]:
    """Read a dictionary of tensors that torch.save wrote; no code in it runs. Raises BadInput for anything else."""
    try:
        stored = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, ValueError, pickle.UnpicklingError) as error:
        raise BadInput(f"{path} cannot be read as a dictionary of tensors: {str(error).splitlines()[0]}") from error
    if not isinstance(stored, dict) or not all(isinstance(v, Tensor) for v in stored.values()):
        raise BadInput(f"{path} is not a dictionary of tensors")
    return {str(name): x for name, x in stored.items()}
