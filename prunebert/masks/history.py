"""History: which weights were removed at some step of a phase, and how often weights changed sides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from prunebert.masks.chunks import changed
from prunebert.masks.top_v import Masks

Changes = dict[str, tuple[Tensor, Tensor, Tensor]]  # last step's mask, this step's, flat positions that differ
ROW = "all, in a row"  # the only name in an InRow's dicts; checkpoints have it too
PARTS = ("stays", "ever", "flips", "first")


class History:
    """Sees the masks of every step.

    A weight has recovered if it stays at the end but was once removed (AbP: 12.3 % of the survivors at 99 % on MNLI).
    """

    def __init__(self) -> None:
        self.steps = 0
        self.record: ByMatrix | InRow = ByMatrix()
        self._last: Masks | None = None

    def see(self, masks: Masks) -> Changes:
        """Count one step's masks. A weight is removed where its mask is 0. Passing the same mask object again is free.

        Returns:
            Where each mask has changed since the last step; on the CPU only.
        """
        self.steps += 1
        if masks is self._last:
            return {}
        self._last = masks
        kind = record_for(masks)
        if not isinstance(self.record, kind):  # the first masks, or a checkpoint from another device
            self.record = kind.converted(self.record, masks)
        return self.record.see(masks)

    def flips(self) -> int:
        """Return how often weights changed sides so far; a first removal is one. On a GPU the host waits for it."""
        return sum(int(count) for count in self.record.flips.values())

    def facts(self, final: Masks) -> dict[str, Any]:
        """Return the counts that topology.json reports.

        recovered: weights of `final` that were once removed, in all and by matrix, and their share of `final`'s
            weights.
        flips: changes of side, in all and per weight and step. A first removal is one.
        at_once: flips of the first step. If the masks never change these are all flips.
        """
        record = ByMatrix.converted(self.record, final)
        recovered = {n: int((final[n].bool() & record.ever[n]).sum()) for n in record.stays}
        survivors = sum(int(torch.count_nonzero(m)) for m in final.values())
        flips, size = self.flips(), sum(m.numel() for m in record.stays.values())
        return {
            "recovered": sum(recovered.values()),
            "recovered_share": sum(recovered.values()) / survivors if survivors else 0.0,
            "recovered_by_matrix": recovered,
            "flips": flips,
            "at_once": sum(int(f) for f in record.first.values()),
            "flip_rate": flips / (size * self.steps) if size else 0.0,
        }

    def tensors(self) -> dict[str, Tensor]:
        """Return the record as named tensors, for a checkpoint. A checkpoint continues on any device."""
        return {f"{part}.{n}": x for part in PARTS for n, x in getattr(self.record, part).items()}

    def restore(self, tensors: Mapping[str, Tensor], steps: int) -> None:
        """Continue from what `tensors` returned, after this many steps."""
        parts: dict[str, dict[str, Tensor]] = {part: {} for part in PARTS}
        for name, x in tensors.items():
            part, _, matrix = name.partition(".")
            parts[part][matrix] = x
        self.record = InRow(**parts) if ROW in parts["stays"] else ByMatrix(**parts)
        self.steps = steps


@dataclass
class Record:
    """What is recorded of a phase's masks, by matrix or under ROW."""

    stays: dict[str, Tensor] = field(default_factory=dict)  # bool: the last step's masks
    ever: dict[str, Tensor] = field(default_factory=dict)  # bool: True = removed at some step
    flips: dict[str, Tensor] = field(default_factory=dict)  # 0-d: how often weights changed sides
    first: dict[str, Tensor] = field(default_factory=dict)  # 0-d: how many the first step removed


class ByMatrix(Record):
    """The record on the CPU: every matrix by itself."""

    @classmethod
    def converted(cls, record: Record, like: Masks) -> ByMatrix:
        """Return a record by matrix, with the shapes of `like`. Counts of a row go to its first matrix."""
        if isinstance(record, cls):
            return record
        names = sorted(like)

        def by_matrix(row: Mapping[str, Tensor]) -> dict[str, Tensor]:
            parts = row[ROW].split([like[n].numel() for n in names])
            return {n: part.view(like[n].shape) for n, part in zip(names, parts, strict=True)}

        def on_first(row: Mapping[str, Tensor]) -> dict[str, Tensor]:
            return {n: row[ROW] if i == 0 else torch.zeros_like(row[ROW]) for i, n in enumerate(names)}

        if not record.stays:
            return cls()
        return cls(by_matrix(record.stays), by_matrix(record.ever), on_first(record.flips), on_first(record.first))

    def see(self, masks: Masks) -> Changes:
        """Count one step's masks; return where they changed."""
        changes: Changes = {}
        for name, mask in masks.items():
            stays = mask if mask.dtype == torch.bool else mask.detach() != 0
            if name not in self.stays:
                self.ever[name] = ~stays
                self.flips[name] = torch.count_nonzero(self.ever[name])
                self.first[name] = self.flips[name].clone()
            else:
                positions = changed(self.stays[name], stays)
                changes[name] = self.stays[name], stays, positions
                self.flips[name] += len(positions)
                self.ever[name].view(-1)[positions[~stays.reshape(-1)[positions]]] = True
            self.stays[name] = stays
        return changes


class InRow(Record):
    """The record on a GPU: all matrices in one row, in the order of their names.

    The host never waits for a value. One row needs few kernels, because launching a kernel takes as long as running it.
    """

    @classmethod
    def converted(cls, record: Record, like: Masks) -> InRow:
        """Return a record in a row."""
        if isinstance(record, cls):
            return record
        if not record.stays:
            return cls()
        return cls(
            *({ROW: torch.cat([part[n].view(-1) for n in sorted(like)])} for part in (record.stays, record.ever)),
            *({ROW: torch.stack(list(part.values())).sum()} for part in (record.flips, record.first)),
        )

    def see(self, masks: Masks) -> Changes:
        """Count one step's masks. Where they changed is not returned: nothing on a GPU asks for it."""
        stays = torch.cat(
            [(m if m.dtype == torch.bool else m.detach() != 0).view(-1) for _, m in sorted(masks.items())]
        )
        removed = ~stays
        if not self.stays:
            self.ever[ROW], self.flips[ROW] = removed, torch.count_nonzero(removed)
            self.first[ROW] = self.flips[ROW].clone()
        else:
            self.flips[ROW] += torch.count_nonzero(stays ^ self.stays[ROW])
            self.ever[ROW] |= removed
        self.stays[ROW] = stays
        return {}


def record_for(masks: Masks) -> type[ByMatrix | InRow]:
    """Return the kind of record for the device that the masks are on."""
    return InRow if any(m.device.type != "cpu" for m in masks.values()) else ByMatrix
