"""Family: how the checkpoints of one model family name their tensors, and what its encoders and heads are made of."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Literal

from prunebert.network import architecture
from prunebert.network.stages import Initial, Stages, normal


@dataclass(frozen=True)
class Family:
    """The names of one model family, as its checkpoints write them, and where its network differs from BERT's.

    Attributes:
        prefix: stands before the encoder's parameter names, without the dot: the stock class's base_model_prefix.
        layer: pattern of a layer's tensor name. Its first group is the layer's number, its second the tensor's suffix.
        kinds: the tensor's suffix -> kind. "intermediate" is what passes the activation. In a gated feed-forward
            network "multiplier" is what its result is multiplied by. (Code bases use the word gate for either.)
        pooler: the pooler's matrix without the prefix, "" where the family's checkpoints have none.
        classes: the stages of the stock classification head.
        tokens: the stages of the stock head that labels every token.
        spans: the stages of the stock head for answers; empty where transformers has none.
        mlm: the stages of the masked-LM head between hidden state and decoder.
        pooling: what `classes` starts from: the first token's state, the pooler's output, or what the configuration's
            classifier_pooling names.
        embeddings: the word embeddings' matrix without the prefix.
        fused: the suffix of a matrix whose row ranges are kinds of their own -> their names, in order and of equal
            height. See fused.py.
        published: what transformers calls tensors of published checkpoints: a part of the name there -> its part here.
        chunked: like `published`, for matrices that transformers splits by rows -> the parts' names in order.
        load: arguments of the encoder's class, such as add_pooling_layer, where it takes them.
        usual: the values of the published checkpoints, by the configuration's keys (architecture.py). A key that
            changes what the network computes stands here or in `only`.
        first: (width, attention heads) of the family's first published checkpoint.
        initial: draws the weights of a new head.
        extra: keys of config.json that the encoder reads although its configuration class does not list them.
        older: keys of config.json in earlier checkpoints -> the configuration class's keys.
        only: the values that are allowed for more keys, as configuration.ONLY has them.
        published_with_code: config.json of the published checkpoints names Python code, which transformers has since
            taken over; it is not run.
        attention: transformers' implementation of the attention.
        mask_per_query: whether attention accepts a mask [batch, 1, length, length], which a GPU need not wait for.
            False is always right.
        positions_after_padding: positions are counted from the index after the padding token's.
        scores: attention scores before the softmax are Q Kᵀ / √d of the hidden states alone. If not, they cannot be
            computed from outside.
        rotary: queries and keys are rotated in pairs, by half a head's width. If both have biases, any pairs do.
        shared_layer: one layer's weights are read by all layers.
    """

    prefix: str
    layer: str
    kinds: dict[str, str]
    pooler: str
    classes: Stages
    tokens: Stages
    spans: Stages
    mlm: Stages
    pooling: Literal["first", "pooler", "configuration"] = "first"
    embeddings: str = "embeddings.word_embeddings.weight"
    fused: dict[str, tuple[str, ...]] = field(default_factory=dict)
    published: dict[str, str] = field(default_factory=dict)
    chunked: dict[str, tuple[str, ...]] = field(default_factory=dict)
    load: dict[str, Any] = field(default_factory=dict)
    usual: dict[str, Any] = field(default_factory=lambda: architecture.USUAL)
    first: tuple[int, int] = (768, 12)
    initial: Initial = normal
    extra: tuple[str, ...] = ()
    older: dict[str, str] = field(default_factory=dict)
    only: dict[str, tuple[Any, ...]] = field(default_factory=dict)
    published_with_code: bool = False
    attention: Literal["sdpa", "eager"] = "sdpa"
    mask_per_query: bool = False
    positions_after_padding: bool = False
    scores: bool = True
    rotary: bool = False
    shared_layer: bool = False

    def place(self, name: str) -> tuple[int, str] | None:
        """Return (layer, kind) of a prunable encoder matrix, None for any other tensor.

        Args:
            name: the tensor's name without the prefix.
        """
        match = re.fullmatch(self.layer, name)
        if not match or match[2] not in self.kinds:
            return None
        return int(match[1]), self.kinds[match[2]]

    def layer_of(self, name: str) -> int | None:
        """Return the layer of a tensor as a checkpoint has it, before fused matrices are split; None outside layers."""
        match = re.fullmatch(self.layer, name)
        return int(match[1]) if match else None

    def layer_read(self, reading: int) -> int:
        """Return the layer whose weights the encoder reads as its `reading`-th, from 0."""
        return 0 if self.shared_layer else reading
