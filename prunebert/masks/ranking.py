"""Ranking: the one place where scores become masks of a given sparsity, under an allocation and a pattern."""

from __future__ import annotations

from torch import Tensor

from prunebert.masks.top_v import Scores, TopV


class Ranking:
    """Ranks one set of scores step after step: `M = rank(S, sparsity)`."""

    def __init__(self, allocation: str) -> None:
        self._rank = TopV("global" if allocation == "global" else "local")

    def __call__(self, S: Scores, sparsity: float) -> dict[str, Tensor]:
        """Remove exactly this fraction of all scores, the smallest ones. Of equal scores the earlier one stays."""
        return self._rank(S, sparsity)
