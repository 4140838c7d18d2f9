"""Masks as papers' authors published them -> ours. Formats read off their code (facts, no code).

SMP (Jiang et al. 2023): a .npy of bytes, `numpy.packbits` (first weight in the highest bit) of all encoder matrices'
masks, flattened row by row and concatenated in the sorted order of their full parameter names, so layer 10 before 2.
BERT-Tickets (Chen et al. 2020) and TAMT (Liu et al. 2022): mask.pt, a dictionary of 0/1 tensors of any type, its keys
the full parameter names with "_mask" after them, as torch.nn.utils.prune has them, or (TAMT) without.
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
    """From SMP's packed file; `encoder`: the model's matrices by full name. Raises BadInput if the two do not fit."""
    try:
        packed = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise BadInput(f"{path} cannot be read as a .npy file: {str(error).splitlines()[0]}") from error
    sizes = {n: encoder[n].numel() for n in sorted(encoder)}
    total = sum(sizes.values())
    if not isinstance(packed, np.ndarray) or packed.dtype != np.uint8 or packed.shape != (-(-total // 8),):
        found = f"{packed.shape} of {packed.dtype}" if isinstance(packed, np.ndarray) else "no array"
        raise BadInput(f"{path} holds {found}; a mask of this model is ({-(-total // 8)},) of uint8, a bit a weight")
    bits = torch.from_numpy(np.unpackbits(packed, count=total).astype(bool))
    parts = dict(zip(sizes, bits.split(list(sizes.values())), strict=True))
    return {n: parts[n].view(encoder[n].shape) for n in encoder}


def dictionary(path: Path, encoder: Mapping[str, Tensor], extra: Mapping[str, Tensor], prefix: str) -> Masks:
    """From a mask.pt of BERT-Tickets or TAMT. `extra`: what may have a mask besides (pooler, word embeddings); a pooler
    that the model lacks is passed over. Raises BadInput for what does not fit the model.
    """
    try:
        stored = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, ValueError, pickle.UnpicklingError) as error:
        raise BadInput(f"{path} cannot be read as a dictionary of tensors: {str(error).splitlines()[0]}") from error
    if not isinstance(stored, dict) or not all(isinstance(v, Tensor) for v in stored.values()):
        raise BadInput(f"{path} is no dictionary of tensors")
    named = {str(k): v for k, v in stored.items() if str(k).endswith("_mask")} or {str(k): v for k, v in stored.items()}
    known, masks = {**encoder, **extra}, {}
    for key, value in named.items():
        name = prefix + key.removeprefix("module.").removeprefix(prefix).removesuffix("_mask")
        if name == f"{prefix}pooler.dense.weight" and name not in known:
            continue
        if name not in known:
            raise BadInput(f"{path}: {key} is no matrix of this model that a mask may cover")
        if value.shape != known[name].shape:
            raise BadInput(f"{path}: {key} is {list(value.shape)}, in this model {list(known[name].shape)}")
        if not ((value == 0) | (value == 1)).all():
            raise BadInput(f"{path}: {key} holds other values than 0 and 1")
        masks[name] = value.bool()
    missing = [name for name in encoder if name not in masks]
    if missing:
        raise BadInput(f"{path} lacks {len(missing)} of this model's {len(encoder)} encoder matrices ({missing[0]}, …)")
    return {n: masks[n] for n in known if n in masks}
