"""Layout: how the matrices of a layer work together, as far as the topology depends on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import nn

if TYPE_CHECKING:
    from prunebert.network.models import Model

KINDS = frozenset(("query", "key", "value", "attention-output", "intermediate", "multiplier", "output"))


@dataclass(frozen=True)
class Layout:
    """How the matrices of a layer work together. The defaults are BERT's.

    Attributes:
        heads: attention heads of a layer.
        key_heads: heads of the keys and of the values. Each serves heads / key_heads consecutive query heads. None: as
            many as `heads`.
        rotary: queries and keys are rotated in pairs. Unit d of a head is paired with unit d + (head width) / 2.
        biased: the kinds whose matrices have a bias.
        gated: a feed-forward neuron is act(intermediate) · multiplier.
        positions: queries also meet relative positions, which distinguish tokens without the keys' weights.
        centred: the norms subtract the mean. If not, a unit of the stream that nothing writes is 0.
    """

    heads: int
    key_heads: int | None = None
    rotary: bool = False
    biased: frozenset[str] = KINDS
    gated: bool = False
    positions: bool = False
    centred: bool = True

    @classmethod
    def of(cls, model: Model) -> Layout:
        """Return the layout of a loaded encoder."""
        family, config = model.family, model.config
        places = [(family.place(f"{path}.weight"), module) for path, module in model.encoder.named_modules()]
        shared = getattr(config, "share_att_key", False)
        read_by_queries = "p2c" if shared else "c2p"  # with weights of their own, or with the keys' constant part
        return cls(
            heads=model.heads,
            key_heads=getattr(config, "num_key_value_heads", None),
            rotary=family.rotary,
            biased=frozenset(place[1] for place, module in places if place and module.bias is not None),
            gated="multiplier" in family.kinds.values(),
            positions=getattr(config, "relative_attention", False) and read_by_queries in (config.pos_att_type or ()),
            centred=any(isinstance(module, nn.LayerNorm) for _, module in places),
        )

    def heads_of(self, kind: str) -> int:
        """Return the number of heads of a query, key, value or attention-output matrix."""
        return self.key_heads or self.heads if kind in ("key", "value") else self.heads
