"""How each model family names its prunable tensors and its heads."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from prunebert.network import architecture


@dataclass(frozen=True)
class Family:
    """The names of one model family, as its checkpoints write them.

    Attributes:
        prefix: stands before the encoder's parameter names, without the dot.
        layer: pattern of a layer's tensor name. Its first group is the layer's number, its second the tensor's suffix.
        kinds: the tensor's suffix -> kind.
        pooler: the pooler's matrix, "" where the family's checkpoints have none.
        head: the stock classification head as (hidden layer, activation, output layer); BERT's hidden layer is its
            pooler, so its name is "".
        mlm: the stages of the masked-LM head between hidden state and decoder; a bare word is an activation.
        embeddings: the word embeddings' matrix.
        dropout: the configuration's names for the head's dropout rate; the first that has a value counts.
        dropout_first: dropout also comes before the head's hidden layer.
        load: arguments of the encoder's class.
        usual: the values of the published checkpoints, by the configuration's keys (architecture.py).
        first: (width, attention heads) of the family's first published checkpoint.
    """

    prefix: str
    layer: str
    kinds: dict[str, str]
    pooler: str
    head: tuple[str, str, str]
    mlm: tuple[str, ...]
    embeddings: str = "embeddings.word_embeddings.weight"
    dropout: tuple[str, ...] = ("classifier_dropout", "hidden_dropout_prob")
    dropout_first: bool = True
    load: dict[str, Any] = field(default_factory=dict)
    usual: dict[str, Any] = field(default_factory=lambda: architecture.USUAL)
    first: tuple[int, int] = (768, 12)

    def place(self, name: str) -> tuple[int, str] | None:
        """Return (layer, kind) of a prunable encoder matrix, None for any other tensor.

        Args:
            name: the tensor's name without the prefix.
        """
        match = re.fullmatch(self.layer, name)
        if not match or match[2] not in self.kinds:
            return None
        return int(match[1]), self.kinds[match[2]]


_BERT_LAYER = r"encoder\.layer\.(\d+)\.(.+)\.weight"
_BERT_KINDS = {
    "attention.self.query": "query",
    "attention.self.key": "key",
    "attention.self.value": "value",
    "attention.output.dense": "attention-output",
    "intermediate.dense": "intermediate",
    "output.dense": "output",
}
_DISTILBERT_KINDS = {
    "attention.q_lin": "query",
    "attention.k_lin": "key",
    "attention.v_lin": "value",
    "attention.out_lin": "attention-output",
    "ffn.lin1": "intermediate",
    "ffn.lin2": "output",
}

FAMILIES = {
    "bert": Family(
        prefix="bert",
        layer=_BERT_LAYER,
        kinds=_BERT_KINDS,
        pooler="pooler.dense.weight",
        head=("", "", "classifier"),
        mlm=("cls.predictions.transform",),
    ),
    "roberta": Family(
        prefix="roberta",
        layer=_BERT_LAYER,
        kinds=_BERT_KINDS,
        pooler="",
        head=("classifier.dense", "tanh", "classifier.out_proj"),
        mlm=("lm_head.dense", "gelu", "lm_head.layer_norm"),
        load={"add_pooling_layer": False},
        usual=architecture.USUAL | {"layer_norm_eps": 1e-5, "pad_token_id": 1},
    ),
    "distilbert": Family(
        prefix="distilbert",
        layer=r"transformer\.layer\.(\d+)\.(.+)\.weight",
        kinds=_DISTILBERT_KINDS,
        pooler="",
        head=("pre_classifier", "relu", "classifier"),
        dropout=("seq_classif_dropout",),
        dropout_first=False,
        mlm=("vocab_transform", "activation", "vocab_layer_norm"),
        usual=architecture.USUAL_OF_DISTILBERT,
    ),
    "electra": Family(
        prefix="electra",
        layer=_BERT_LAYER,
        kinds=_BERT_KINDS,
        pooler="",
        head=("classifier.dense", "gelu", "classifier.out_proj"),
        mlm=("generator_predictions.dense", "gelu", "generator_predictions.LayerNorm"),
        first=(256, 4),
    ),
}
