"""Ranking: the one place where scores become masks of a given sparsity, under an allocation and a pattern.

M = Top_v(S) of all matrices together, or of each by itself with the number of weights that its allocation gives
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from prunebert.masks.allocation import allocate, erk, layer_shares
from prunebert.masks.pattern import Pattern, Unstructured
from prunebert.masks.selection import Counts, Scalar
from prunebert.masks.top_v import Masks, Scores, TopV, counts

Sizes = dict[str, int]  # scores of each matrix; under a pattern of blocks, blocks
# (S, sizes, alive, sparsity) -> how many scores of each matrix stay, in the order of S. alive: how many may stay at
# all; None: every one.
CountsOf = Callable[[Scores, Sizes, Sizes | None, float], Counts]
Strength = Callable[[Scores], dict[str, Tensor]]  # R of each matrix, 0-d
UNSTRUCTURED = Unstructured()


@dataclass(frozen=True)
class Share:
    """How many scores of each matrix stay."""

    counts: CountsOf
    may_rise: bool = False  # whether a matrix may get more than at a lower sparsity, so that shrinking masks limit it


class Ranking:
    """Ranks one set of scores step after step: `M = rank(S, sparsity)`.

    Attributes:
        share: How many scores of each matrix stay; None ranks all matrices together.
        pattern: The shape of the masks.
        given: Masks outside of which no weight may stay, by name.
    """

    def __init__(self, share: Share | None, pattern: Pattern = UNSTRUCTURED, given: Masks | None = None) -> None:
        self.share, self.pattern, self.given = share, pattern, given or {}
        self._rank = TopV("local" if share else "global")
        # A ranking without the pattern has other cuts from step to step.
        self._plain = self._rank if isinstance(pattern, Unstructured) and not given else TopV(self._rank.scope)

    def __call__(self, S: Scores, sparsity: float, within: Masks | None = None) -> dict[str, Tensor]:
        """Remove exactly this fraction of all scores, the smallest ones. Of equal scores the earlier one stays.

        With blocks the fraction is exact to half a block, over all matrices together.

        Args:
            S: The scores, each [out, in].
            sparsity: The fraction removed.
            within: Masks outside of which no weight may stay, for masks that only shrink.
        """
        limited = bool(self.given or (within and self.share and self.share.may_rise))
        return self.by_pattern(S, lambda reduced: self._top(self._rank, reduced, S, sparsity, limited), within)

    def by_pattern(
        self, S: Scores, select: Callable[[Scores], Masks], within: Masks | None = None
    ) -> dict[str, Tensor]:
        """Return the masks that `select` makes, under the pattern and within the given masks.

        select: gets the scores as the pattern reduces them, with -inf where a weight may not stay.
        """
        limits = [masks for masks in (self.given, within) if masks]
        reduced = {n: self.pattern.reduced(_within(s, n, limits)) for n, s in S.items()}
        return {n: _intersection(self.pattern.expanded(m), n, limits) for n, m in select(reduced).items()}

    def inside(self, name: str, numbers: Tensor) -> Tensor:
        """Return the numbers of one matrix, [out, in], with 0 where the given masks let no weight stay."""
        return numbers * self.given[name] if name in self.given else numbers

    def cut(self, S: Scores, sparsity: float) -> tuple[dict[str, Tensor], dict[str, Scalar]]:
        """Return M, and for each matrix the largest score that the ranking removes from it, -inf if it removes none.

        Ranked together, all matrices have the same. A pattern changes M, not the cuts: they are those without it.
        """
        if self.share is None:
            M, largest = self._plain.cut(S, sparsity)
            cuts = dict.fromkeys(S, largest)
        else:
            M = self._top(self._plain, S, S, sparsity, limited=False)
            cuts = {n: _largest_removed(S[n].detach(), m) for n, m in M.items()}
        return (M if self._plain is self._rank else self(S, sparsity)), cuts

    def shift(self, S: Scores, amounts: dict[str, Scalar]) -> None:
        """S ← S - amount of its matrix, in place and outside of any gradient."""
        if self.share is None:
            self._plain.shift(S, next(iter(amounts.values())))
            return
        with torch.no_grad():
            for n, s in S.items():
                s.sub_(amounts[n])

    def with_floor(self, S: Scores, sparsity: float, floor: float) -> dict[str, Tensor]:
        """As a call, but where all matrices are ranked together at least the fraction `floor` of each stays."""
        if self.share is not None:
            return self(S, sparsity)
        return self.by_pattern(S, lambda reduced: self._rank.with_floor(reduced, sparsity, floor))

    def _top(self, rank: TopV, reduced: Scores, S: Scores, sparsity: float, limited: bool) -> dict[str, Tensor]:
        """Rank reduced scores. S: the scores before the pattern, for the strength of matrices."""
        if self.share is None:
            return rank(reduced, sparsity)
        sizes = {n: s.numel() for n, s in reduced.items()}
        alive = {n: int((s > -math.inf).sum()) for n, s in reduced.items()} if limited else None
        return rank.keep(reduced, self.share.counts(S, sizes, alive, sparsity))


def _equal(S: Scores, sizes: Sizes, alive: Sizes | None, sparsity: float) -> Counts:
    return _whole(sizes, dict.fromkeys(sizes, sparsity), alive)


UNIFORM = Share(_equal)  # every matrix loses the same fraction


def proportional(final: dict[str, float], sparsity: float) -> Share:
    """Return the share that removes `final` of each matrix at this sparsity, and at a lower one proportionally less."""

    def counts_of(S: Scores, sizes: Sizes, alive: Sizes | None, current: float) -> Counts:
        return _whole(sizes, {n: final[n] * current / sparsity if sparsity else 0.0 for n in sizes}, alive)

    return Share(counts_of)


def by_shape(shapes: dict[str, tuple[int, ...]]) -> Share:
    """Return the share of the Erdős–Rényi allocation."""
    return Share(lambda S, sizes, alive, sparsity: _whole(sizes, erk(shapes, sparsity), alive))


def by_strength(kinds: list[list[str]], strength: Strength) -> Share:
    """Return the share of SMP's Eq. 4.

    Args:
        kinds: The names of each kind's layers.
        strength: R of each matrix.
    """

    def counts_of(S: Scores, sizes: Sizes, alive: Sizes | None, sparsity: float) -> Counts:
        R = strength(S)
        if alive is None:
            return allocate(R, kinds, sizes, 1 - sparsity)
        removed: dict[str, float] = {}
        for names in kinds:
            most = [alive[n] / sizes[n] for n in names]
            v = min(1 - sparsity, sum(most) / len(most))
            shares = layer_shares([float(R[n]) for n in names], v, most)
            removed |= {n: 1 - x for n, x in zip(names, shares, strict=True)}
        return _whole(sizes, {n: removed[n] for n in sizes}, alive)

    return Share(counts_of, may_rise=True)


@torch.no_grad()
def mean_scores(S: Scores) -> dict[str, Tensor]:
    """Return the mean score of every matrix: R of scores that are at least 0, such as magnitudes."""
    return {n: s.clamp_min(0).mean() for n, s in S.items()}


def _whole(sizes: Sizes, removed: dict[str, float], alive: Sizes | None) -> list[int]:
    stay = counts(sizes, removed)
    return [count if alive is None else min(count, alive[n]) for n, count in stay.items()]


def _within(s: Tensor, name: str, limits: list[Masks]) -> Tensor:
    for masks in limits:
        s = s.detach().masked_fill(~masks[name], -math.inf) if name in masks else s
    return s


def _intersection(mask: Tensor, name: str, limits: list[Masks]) -> Tensor:
    for masks in limits:
        mask = mask & masks[name] if name in masks else mask
    return mask


def _largest_removed(s: Tensor, mask: Tensor) -> Scalar:
    largest = s.masked_fill(mask, -math.inf).max()
    return largest.item() if largest.device.type == "cpu" else largest
