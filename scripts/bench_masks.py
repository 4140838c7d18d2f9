"""Masks as a user of torch makes them without prunebert. scripts/bench_alternatives.py measures them.

Each way changes the linear layers of a network in place. All but the last make the mask of a matrix in every forward
pass, from its scores S. The mask's gradient flows straight through to S.
    full sort: sort all scores of a matrix, and keep the first. Sanh, Wolf & Rush (2020) define M = Top_v(S) so, and the
        released code of movement pruning and of SMP sorts. It is rebuilt here from that definition.
    torch.topk: keep the positions that torch.topk returns. They are not sorted, which is faster.
    torch.kthvalue: keep all scores from a threshold on. Scores equal to it all stay, so more than asked for may stay.
    torch parametrisation: torch.nn.utils.parametrize with a module that masks the weight, with torch.topk.
    torch.nn.utils.prune: custom_from_mask with a mask that is made once, from the weights' magnitudes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import linear
from torch.nn.utils import parametrize, prune

from prunebert.masks.top_v import Scores
from prunebert.network.subnetwork import SubNetwork

Rule = Callable[[Tensor, int], Tensor]  # (the scores of a matrix, how many stay) -> the mask as numbers, same shape


def by_sort(scores: Tensor, count: int) -> Tensor:
    """Return a mask of the `count` largest scores, by sorting all. The order of equal scores is torch's."""
    return _at(scores, scores.flatten().sort(descending=True).indices[:count])


def by_topk(scores: Tensor, count: int) -> Tensor:
    """Return a mask of the `count` largest scores, by torch.topk. The choice among equal scores is torch's."""
    return _at(scores, scores.flatten().topk(count, sorted=False).indices)


def by_kthvalue(scores: Tensor, count: int) -> Tensor:
    """Return a mask of all scores from the `count`-th largest on: more than `count` if others equal it."""
    threshold = scores.flatten().kthvalue(scores.numel() - count + 1).values
    return scores.ge(threshold).to(scores.dtype)


RULES: dict[str, Rule] = {"full sort": by_sort, "torch.topk": by_topk, "torch.kthvalue": by_kthvalue}
FIXED, PARAMETRISATION = "torch.nn.utils.prune", "torch parametrisation"


def _at(scores: Tensor, positions: Tensor) -> Tensor:
    mask = torch.zeros_like(scores)
    mask.view(-1)[positions] = 1
    return mask


class StraightThrough(torch.autograd.Function):
    """A mask by a rule, with ∂L/∂S := ∂L/∂M."""

    @staticmethod
    def forward(ctx: Any, scores: Tensor, count: int, rule: Rule) -> Tensor:
        """Return the mask as numbers."""
        return rule(scores, count)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """Return the mask's gradient as that of the scores."""
        return gradients[0], None, None


class Mask(nn.Module):
    """Scores of a matrix, and its mask.

    Args:
        scores: the optimizer has the same tensor.
        count: how many stay.
        rule: makes the mask.
    """

    def __init__(self, scores: Tensor, count: int, rule: Rule) -> None:
        super().__init__()
        self.scores, self.count, self.rule = scores, count, rule

    def mask(self) -> Tensor:
        """Return the mask as numbers, with a gradient to the scores."""
        return StraightThrough.apply(self.scores, self.count, self.rule)

    def forward(self, weight: Tensor) -> Tensor:
        """Return W ⊙ M."""
        return weight * self.mask()


class MaskedLinear(nn.Module):
    """A linear layer that masks its weight in every forward pass. It has the layer's own weight and bias."""

    def __init__(self, layer: nn.Linear, mask: Mask) -> None:
        super().__init__()
        self.weight, self.bias, self.masked = layer.weight, layer.bias, mask

    def forward(self, x: Tensor) -> Tensor:
        """Return x (W ⊙ M)ᵀ + b."""
        return linear(x, self.masked(self.weight), self.bias)


def put(net: SubNetwork, way: str, counts: dict[str, int], scores: Scores) -> None:
    """Make the network's forward pass mask its prunable matrices in one of the ways.

    Args:
        net: is changed in place. Its parameters stay the same objects.
        way: a key of RULES, PARAMETRISATION or FIXED.
        counts: how many weights of each matrix stay, by the matrices' names.
        scores: of each matrix; FIXED reads none.
    """
    for name, count in counts.items():
        path = _path(net, name)
        layer = net.encoder.get_submodule(path)
        if way == FIXED:
            prune.custom_from_mask(layer, "weight", by_topk(layer.weight.detach().abs(), count))
        elif way == PARAMETRISATION:
            parametrize.register_parametrization(layer, "weight", Mask(scores[name], count, by_topk))
        else:
            parent, _, child = path.rpartition(".")
            masked_layer = MaskedLinear(layer, Mask(scores[name], count, RULES[way]))
            setattr(net.encoder.get_submodule(parent), child, masked_layer)


@torch.no_grad()
def kept(net: SubNetwork) -> int:
    """Return how many weights the masks that `put` made keep now."""
    fixed = [mask for name, mask in net.encoder.named_buffers() if name.endswith("weight_mask")]
    made = [module.mask() for module in net.encoder.modules() if isinstance(module, Mask)]
    return sum(int(mask.count_nonzero()) for mask in (*fixed, *made))


def _path(net: SubNetwork, name: str) -> str:
    return name.removeprefix(net.prefix).removesuffix(".weight")
