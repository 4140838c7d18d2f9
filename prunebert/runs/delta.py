"""Delta: what a task adds to a checkpoint that everybody has. Pure functions on dicts of parameter name -> tensor.

A masked matrix is stored as its surviving values alone, in the order in which the mask keeps them; anything else whole,
or as the rows that changed where that is less; what did not change at all is left out.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from prunebert.masks.top_v.top_v import Masks

ROWS = "rows/"  # + name: which rows of an unmasked matrix are stored


def pack(theta: Mapping[str, Tensor], base: Mapping[str, Tensor], masks: Masks) -> dict[str, Tensor]:
    """What of `theta` must be kept to have θ ⊙ M again, given the checkpoint's `base`."""
    stored: dict[str, Tensor] = {}
    for name, value in theta.items():
        if name in masks:
            if not torch.equal(value[masks[name]], base[name][masks[name]]):
                stored[name] = value[masks[name]]
            continue
        changed = (value != base[name]).flatten(1).any(1) if value.ndim > 1 else value != base[name]
        if value.ndim > 1 and changed.any() and not changed.all():
            stored[ROWS + name], stored[name] = torch.nonzero(changed).flatten().int(), value[changed]
        elif changed.any():
            stored[name] = value
    return stored


def unpack(stored: Mapping[str, Tensor], base: Mapping[str, Tensor], masks: Masks) -> dict[str, Tensor]:
    """Every weight again: `theta` of `pack`, but that removed weights have the checkpoint's values."""
    theta = {name: value.detach().clone() for name, value in base.items()}
    for name, value in stored.items():
        if name.startswith(ROWS):
            continue
        if name in masks:
            theta[name][masks[name]] = value
        elif ROWS + name in stored:
            theta[name][stored[ROWS + name].long()] = value
        else:
            theta[name] = value
    return theta
