"""History: which weights were removed at some moment of a phase, and how often weights changed sides."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from prunebert.masks.chunks import changed
from prunebert.masks.top_v import Masks

ROW = "all, in a row"  # the name of what is kept on a GPU
Moved = dict[str, tuple[Tensor, Tensor, Tensor]]  # a mask as seen last, as seen now, flat positions that changed


class History:
    """Sees the masks of every step. A weight has recovered if it stays at the end but was once removed (AbP, §1.7 of
    our notes: 12.3 % of the survivors at 99 % on MNLI).
    """

    def __init__(self) -> None:
        self.seen: Masks | None = None
        self.stays: dict[str, Tensor] = {}
        self.ever: dict[str, Tensor] = {}
        self.flips: dict[str, Tensor] = {}
        self.first: dict[str, Tensor] = {}
        self.steps = 0

    def see(self, masks: Masks) -> Moved:
        """One step's masks; a removed weight is one whose value is 0. The same object again costs nothing. Returns
        where each has changed, on the CPU and from the second on."""
        self.steps += 1
        moved: Moved = {}
        if masks is self.seen:
            return moved
        self.seen = masks
        there = any(mask.device.type != "cpu" for mask in masks.values())
        if self.stays and (ROW in self.stays) != there:
            self._arrange(masks, there)
        if there:
            self._see_elsewhere(masks)
            return moved
        for name, mask in masks.items():
            stays = mask if mask.dtype == torch.bool else mask.detach() != 0
            if name not in self.stays:
                self.ever[name] = ~stays
                self.flips[name] = torch.count_nonzero(self.ever[name])
                self.first[name] = self.flips[name].clone()
            else:
                at = changed(self.stays[name], stays)
                moved[name] = self.stays[name], stays, at
                self.flips[name] += len(at)
                self.ever[name].view(-1)[at[~stays.reshape(-1)[at]]] = True
            self.stays[name] = stays
        return moved

    def _see_elsewhere(self, masks: Masks) -> None:
        """The same without a number that the host would wait for, and of all matrices in a row, under ROW: telling a
        GPU what to do takes as long as the GPU takes to do it."""
        stays = torch.cat(
            [(m if m.dtype == torch.bool else m.detach() != 0).view(-1) for _, m in sorted(masks.items())]
        )
        gone = ~stays
        if not self.stays:
            self.ever[ROW], self.flips[ROW] = gone, torch.count_nonzero(gone)
            self.first[ROW] = self.flips[ROW].clone()
        else:
            self.flips[ROW] += torch.count_nonzero(stays ^ self.stays[ROW])
            self.ever[ROW] |= gone
        self.stays[ROW] = stays

    def _arrange(self, like: Masks, row: bool) -> None:
        """All in a row, or by matrix: a checkpoint may go on on another device than it was written on."""
        for kept in (self.stays, self.ever):
            if row:
                found = {ROW: torch.cat([kept[n].view(-1) for n in sorted(like)])}
            else:
                parts = kept[ROW].split([m.numel() for _, m in sorted(like.items())])
                found = {n: part.view(m.shape) for (n, m), part in zip(sorted(like.items()), parts, strict=True)}
            kept.clear()
            kept.update(found)
        for counted in (self.flips, self.first):
            total = torch.stack(list(counted.values())).sum()
            counted.clear()
            counted.update({n: total if i == 0 else torch.zeros_like(total) for i, n in enumerate(self.stays)})

    def facts(self, final: Masks) -> dict[str, Any]:
        """recovered: weights of `final` that were once removed, in all and by matrix, and their share of `final`'s
        weights. flips: changes of side (a first removal is one), in all and a weight and step; at_once: those of the
        first step, all there are where the masks never changed.
        """
        if ROW in self.stays:
            self._arrange(final, row=False)
        back = {n: int((final[n].bool() & self.ever[n]).sum()) for n in self.stays}
        left = sum(int(torch.count_nonzero(m)) for m in final.values())
        flips, size = sum(int(f) for f in self.flips.values()), sum(m.numel() for m in self.stays.values())
        return {
            "recovered": sum(back.values()),
            "recovered_share": sum(back.values()) / left if left else 0.0,
            "recovered_by_matrix": back,
            "flips": flips,
            "at_once": sum(int(f) for f in self.first.values()),
            "flip_rate": flips / (size * self.steps) if size else 0.0,
        }
