"""M = Top_v(S): which weights stay. Scores S and masks M are dicts of parameter name -> tensor.

`TopV` ranks the scores of a run step after step. `keep_top` ranks once.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from prunebert.errors import BadInput, bad_choice
from prunebert.masks.chunks import larger
from prunebert.masks.selection import Counts, Groups, Scalar, Selected, Selection, selection_for

Scores = dict[str, Tensor]  # real, same shape as the weight each ranks
Masks = Mapping[str, Tensor]  # bool: True = the weight stays. Float in the forward pass where a gradient flows to S

SCOPES = ["local", "global"]


class TopV:
    """Ranks one set of scores step after step: `rank = TopV(scope)`, then `M = rank(S, sparsity)`.

    It remembers where the cut was in the last step. That saves time and changes no mask. Among equal scores the earlier
    position stays.
    """

    def __init__(self, scope: str = "local") -> None:
        """scope: "local" ranks every matrix by itself, "global" all matrices together."""
        if scope not in SCOPES:
            raise bad_choice("scope", scope, SCOPES)
        self.scope = scope
        self._selection: Selection | None = None

    def __call__(self, S: Scores, sparsity: float | dict[str, float]) -> dict[str, Tensor]:
        """Remove exactly this fraction: one for all matrices or, with scope "local", one for each."""
        if self.scope == "local":
            per_matrix = sparsity if isinstance(sparsity, dict) else dict.fromkeys(S, sparsity)
            return self.keep(S, list(counts({n: s.numel() for n, s in S.items()}, per_matrix).values()))
        if isinstance(sparsity, dict):
            raise BadInput("scope=global: one ranking over all matrices has one sparsity, not one for each")
        return self._together(S, sparsity, runner_up=False)[0]

    def keep(self, S: Scores, counts: Counts) -> dict[str, Tensor]:
        """Keep the `counts` largest scores of each matrix: [matrices], in the order of S."""
        selected = self._select([[s.detach().flatten()] for s in S.values()], counts, runner_up=False)
        return {n: mask.view_as(s) for (n, s), ((mask,), _) in zip(S.items(), selected, strict=True)}

    def cut(self, S: Scores, sparsity: float) -> tuple[dict[str, Tensor], Scalar]:
        """Rank all matrices together. Return M and the largest score it removes, -inf if it removes none."""
        return self._together(S, sparsity, runner_up=True)

    def quantile(self, S: Scores, sparsity: float) -> Scalar:
        """Return the largest score that `cut` removes, in double precision."""
        largest = self.cut(S, sparsity)[1]
        return largest.double() if isinstance(largest, Tensor) else largest

    def with_floor(self, S: Scores, sparsity: float, floor: float) -> dict[str, Tensor]:
        """Rank all matrices together, but keep at least the fraction `floor` of each, its largest scores."""
        selection = self._selection_for(S.values())
        if selection.reads_values:
            M = self._together(S, sparsity, runner_up=False)[0]
            if all(_reaches(m, floor) for m in M.values()):
                return M
        floors = _floors(S, floor)
        raised = {n: s.detach().masked_fill(floors[n], math.inf) for n, s in S.items()}
        rank = TopV("global") if selection.reads_values else self  # other cuts than those of the ranking above
        return rank._together(raised, sparsity, runner_up=False)[0]

    def shift(self, S: Scores, amount: Scalar) -> None:
        """S ← S - amount, in place and outside of any gradient."""
        if self._selection is not None:
            self._selection.shift(amount)
        with torch.no_grad():
            for s in S.values():
                s.sub_(amount)

    def _together(self, S: Scores, sparsity: float, runner_up: bool) -> tuple[dict[str, Tensor], Scalar]:
        flats = [s.detach().flatten() for s in S.values()]
        ((masks, largest),) = self._select([flats], [_stay(S, sparsity)], runner_up)
        return {n: mask.view_as(s) for (n, s), mask in zip(S.items(), masks, strict=True)}, largest

    def _select(self, groups: Groups, counts: Counts, runner_up: bool) -> list[Selected]:
        selection = self._selection_for(x for group in groups for x in group)
        return selection.select(groups, counts, runner_up)

    def _selection_for(self, scores: Iterable[Tensor]) -> Selection:
        if self._selection is None:
            self._selection = selection_for(scores)
        return self._selection


def keep_top(S: Scores, sparsity: float | dict[str, float], scope: str = "local") -> dict[str, Tensor]:
    """M = Top_v(S), once, removing exactly this fraction. For scores of a training step see TopV.

    scope="local": the fraction (one for all, or one for each matrix) is removed in every matrix.
    scope="global": one ranking over all matrices together.
    """
    return TopV(scope)(S, sparsity)


def keep_above(S: Scores, cut: float, floor: float) -> Masks:
    """M = 1[S > cut], but at least the fraction `floor` of each matrix stays, its largest scores."""
    M = {n: larger(s.detach(), cut) for n, s in S.items()}
    read = selection_for(S.values()).reads_values
    short = {n: s for n, s in S.items() if not (read and _reaches(M[n], floor))}
    return M | {n: M[n] | mask for n, mask in _floors(short, floor).items()}


def top(scores: Tensor, count: int) -> Tensor:
    """Return True at exactly the `count` largest scores; among equal scores the earlier position stays.

    Any shape in, the same shape out (bool). Raises Diverged if the scores hold NaN.
    """
    return TopV().keep({"": scores}, [count])[""]


def quantile(S: Scores, sparsity: float) -> Scalar:
    """Return the largest score that a global ranking removes, once; -inf if it removes none."""
    return TopV("global").quantile(S, sparsity)


def removes(S: Scores, sparsity: float) -> bool:
    """Return whether a global ranking removes any score."""
    return _stay(S, sparsity) < sum(s.numel() for s in S.values())


def _stay(S: Scores, sparsity: float) -> int:
    """How many scores a global ranking keeps."""
    size = sum(s.numel() for s in S.values())
    return round(size - size * sparsity)


def _floors(S: Scores, floor: float) -> dict[str, Tensor]:
    """True at the largest scores of each matrix, the fraction `floor` of it, rounded up."""
    return TopV().keep(S, [_least(s, floor) for s in S.values()])


def _reaches(M: Tensor, floor: float) -> bool:
    """Whether at least the fraction `floor` of a matrix stays. The host waits for the answer."""
    return int(torch.count_nonzero(M)) >= _least(M, floor)


def _least(x: Tensor, floor: float) -> int:
    return math.ceil(floor * x.numel())


def counts(sizes: dict[str, int], sparsity: dict[str, float]) -> dict[str, int]:
    """Return how many weights of each matrix stay: within 1 of n(1-s), and together exactly round(Σ n(1-s)).

    The largest remainders get the last weights. The measured sparsity is then within one weight of the configured one.
    """
    exact = {n: size - size * sparsity[n] for n, size in sizes.items()}
    stay = {n: int(x + 1e-6) for n, x in exact.items()}  # 1e-6: 10 * (1 - 0.9) must floor to 1
    short = round(sum(exact.values())) - sum(stay.values())
    by_remainder = sorted(exact, key=lambda n: (stay[n] - exact[n], n))
    for n in by_remainder[: max(short, 0)]:
        stay[n] += 1
    return stay


def count_kept(masks: Masks) -> int:
    """Return how many weights stay, over all matrices."""
    return sum(int(torch.count_nonzero(m)) for m in masks.values())


def sparsity(masks: Masks) -> float:
    """Return the fraction removed of the weights that have a mask; 0 if none has one."""
    total = sum(m.numel() for m in masks.values())
    return 1 - count_kept(masks) / total if total else 0.0
