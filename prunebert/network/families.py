"""The model families, by transformers' model_type. docs/add-a-model-family.md explains how to add one."""

from __future__ import annotations

from prunebert.network import architecture
from prunebert.network.family import Family
from prunebert.network.stages import Act, Dense, Drop, Norm

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

_DROP = Drop(("classifier_dropout", "hidden_dropout_prob"))
_DISTILBERT_DROP = Drop(("seq_classif_dropout",))
_TOKENS = (_DROP, Dense("classifier"))
_SPANS = (Dense("qa_outputs"),)
_ROBERTA_CLASSES = (_DROP, Dense("classifier.dense"), Act("tanh"), _DROP, Dense("classifier.out_proj"))

FAMILIES = {
    "bert": Family(
        prefix="bert",
        layer=_BERT_LAYER,
        kinds=_BERT_KINDS,
        pooler="pooler.dense.weight",
        pooling="pooler",
        classes=_TOKENS,
        tokens=_TOKENS,
        spans=_SPANS,
        mlm=(Dense("cls.predictions.transform"),),
        mask_per_query=True,
    ),
    "roberta": Family(
        prefix="roberta",
        layer=_BERT_LAYER,
        kinds=_BERT_KINDS,
        pooler="",
        classes=_ROBERTA_CLASSES,
        tokens=_TOKENS,
        spans=_SPANS,
        mlm=(Dense("lm_head.dense"), Act("gelu"), Norm("lm_head.layer_norm")),
        load={"add_pooling_layer": False},
        usual=architecture.USUAL | {"layer_norm_eps": 1e-5, "pad_token_id": 1},
        mask_per_query=True,
        positions_after_padding=True,
        word_prefix=" ",
    ),
    "distilbert": Family(
        prefix="distilbert",
        layer=r"transformer\.layer\.(\d+)\.(.+)\.weight",
        kinds=_DISTILBERT_KINDS,
        pooler="",
        classes=(Dense("pre_classifier"), Act("relu"), _DISTILBERT_DROP, Dense("classifier")),
        tokens=(Drop(("dropout",)), Dense("classifier")),
        spans=(Drop(("qa_dropout",)), Dense("qa_outputs")),
        mlm=(Dense("vocab_transform"), Dense("activation"), Norm("vocab_layer_norm")),
        usual=architecture.USUAL_OF_DISTILBERT,
        mask_per_query=True,
    ),
    "electra": Family(
        prefix="electra",
        layer=_BERT_LAYER,
        kinds=_BERT_KINDS,
        pooler="",
        classes=(_DROP, Dense("classifier.dense"), Act("gelu"), _DROP, Dense("classifier.out_proj")),
        tokens=_TOKENS,
        spans=_SPANS,
        mlm=(Dense("generator_predictions.dense"), Act("gelu"), Norm("generator_predictions.LayerNorm")),
        first=(256, 4),
        mask_per_query=True,
    ),
}
