"""The model families, by transformers' model_type. docs/add-a-model-family.md explains how to add one."""

from __future__ import annotations

from math import sqrt
from typing import Any

from torch import nn

from prunebert.network import architecture, matrices
from prunebert.network.family import Family
from prunebert.network.stages import Act, Dense, Drop, Norm

_DROP = Drop(("classifier_dropout", "hidden_dropout_prob"))
_DISTILBERT_DROP = Drop(("seq_classif_dropout",))
_TOKENS = (_DROP, Dense("classifier"))
_SPANS = (Dense("qa_outputs"),)
_ROBERTA_CLASSES = (_DROP, Dense("classifier.dense"), Act("tanh"), _DROP, Dense("classifier.out_proj"))
_CLS_DROP = Drop(("cls_dropout", "hidden_dropout_prob"))
_ALBERT_DROP = Drop(("classifier_dropout_prob", "hidden_dropout_prob"))
_MODERNBERT_STAGES = (
    Dense("head.dense", bias="classifier_bias", kept=True),
    Act(key="classifier_activation"),
    Norm("head.norm", kept=True),
    Drop(("classifier_dropout",)),
    Dense("classifier"),
)
_NO_BIAS: dict[str, tuple[Any, ...]] = {"attention_bias": (False, None), "mlp_bias": (False, None)}
_ROPE = ("rope_theta", "rope_scaling")  # as older configurations have them
# Nomic's own code reads these. transformers does not, and computes what the published values mean.
_OF_NOMICS_CODE: dict[str, tuple[Any, ...]] = {
    **{"activation_function": ("swiglu", None), "rotary_emb_fraction": (1.0, 1, None)},
    **dict.fromkeys(("prenorm", "causal", "parallel_block", "qkv_proj_bias", "use_rms_norm"), (False, None)),
    **dict.fromkeys(("mlp_fc1_bias", "mlp_fc2_bias", "rotary_emb_interleaved"), (False, None)),
    **{"num_experts": (0, None), "rotary_emb_scale_base": (None,), "rotary_scaling_factor": (None,)},
}


def _modernbert(layer: nn.Linear, config: Any, last: bool) -> None:
    """Draw a new head's weights as ModernBERT's stock classes do."""
    deviation = config.hidden_size**-0.5 if last else config.initializer_range / sqrt(2 * config.num_hidden_layers)
    cut = (config.initializer_cutoff_factor or 3) * deviation
    nn.init.trunc_normal_(layer.weight, std=deviation, a=-cut, b=cut)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)


_ROBERTA = Family(
    prefix="roberta",
    layer=matrices.BERT_LAYER,
    kinds=matrices.BERT_KINDS,
    pooler="",
    classes=_ROBERTA_CLASSES,
    tokens=_TOKENS,
    spans=_SPANS,
    mlm=(Dense("lm_head.dense"), Act("gelu"), Norm("lm_head.layer_norm")),
    load={"add_pooling_layer": False},
    usual=architecture.USUAL | {"layer_norm_eps": 1e-5, "pad_token_id": 1},
    mask_per_query=True,
    positions_after_padding=True,
)

FAMILIES = {
    "bert": Family(
        prefix="bert",
        layer=matrices.BERT_LAYER,
        kinds=matrices.BERT_KINDS,
        pooler="pooler.dense.weight",
        pooling="pooler",
        classes=_TOKENS,
        tokens=_TOKENS,
        spans=_SPANS,
        mlm=(Dense("cls.predictions.transform"),),
        mask_per_query=True,
    ),
    "roberta": _ROBERTA,
    "xlm-roberta": _ROBERTA,
    "camembert": _ROBERTA,
    "distilbert": Family(
        prefix="distilbert",
        layer=r"transformer\.layer\.(\d+)\.(.+)\.weight",
        kinds=matrices.DISTILBERT_KINDS,
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
        layer=matrices.BERT_LAYER,
        kinds=matrices.BERT_KINDS,
        pooler="",
        classes=(_DROP, Dense("classifier.dense"), Act("gelu"), _DROP, Dense("classifier.out_proj")),
        tokens=_TOKENS,
        spans=_SPANS,
        mlm=(Dense("generator_predictions.dense"), Act("gelu"), Norm("generator_predictions.LayerNorm")),
        first=(256, 4),
        mask_per_query=True,
    ),
    "deberta-v2": Family(
        prefix="deberta",
        layer=matrices.BERT_LAYER,
        kinds=matrices.DEBERTA_KINDS,
        pooler="",
        classes=(
            Drop(("pooler_dropout",)),
            Dense("pooler.dense"),
            Act(key="pooler_hidden_act"),
            _CLS_DROP,
            Dense("classifier"),
        ),
        tokens=(Drop(("hidden_dropout_prob",)), Dense("classifier")),
        spans=_SPANS,
        mlm=(Dense("cls.predictions.transform"),),
        usual=architecture.USUAL_OF_DEBERTA,
        extra=(
            *("share_att_key", "position_buckets", "norm_rel_ebd", "conv_kernel_size", "conv_act", "conv_groups"),
            *("cls_dropout", "embedding_size", "attention_head_size"),
        ),
        only={"share_att_key": (True,), "relative_attention": (True,)},
        attention="eager",
        scores=False,
    ),
    "modernbert": Family(
        prefix="model",
        layer=matrices.GATED_LAYER,
        kinds=matrices.MODERNBERT_KINDS,
        pooler="",
        pooling="configuration",
        classes=_MODERNBERT_STAGES,
        tokens=_MODERNBERT_STAGES,
        spans=_MODERNBERT_STAGES,
        mlm=(Dense("head"),),
        embeddings="embeddings.tok_embeddings.weight",
        fused={"attn.Wqkv": ("query", "key", "value"), "mlp.Wi": ("intermediate", "multiplier")},
        usual=architecture.USUAL_OF_MODERNBERT,
        initial=_modernbert,
        extra=("global_attn_every_n_layers", "global_rope_theta", "local_rope_theta", "sliding_window", *_ROPE),
        only=_NO_BIAS | {"position_embedding_type": ("absolute", "sans_pos", None)},  # it has no effect
        scores=False,
        rotary=True,
    ),
    "eurobert": Family(
        prefix="model",
        layer=matrices.GATED_LAYER,
        kinds=matrices.GATED_KINDS,
        pooler="",
        pooling="configuration",
        classes=(Dense("dense"), Act("gelu"), Dense("classifier")),
        tokens=(Dense("classifier"),),
        spans=(),
        mlm=(),
        embeddings="embed_tokens.weight",
        usual=architecture.USUAL_OF_EUROBERT,
        extra=_ROPE,
        only=_NO_BIAS,
        published_with_code=True,
        scores=False,
        rotary=True,
    ),
    "nomic_bert": Family(
        prefix="nomic_bert",
        layer=matrices.GATED_LAYER,
        kinds=matrices.GATED_KINDS,
        pooler="pooler.dense.weight",
        pooling="pooler",
        classes=_TOKENS,
        tokens=_TOKENS,
        spans=(),
        mlm=(Dense("cls.predictions.transform"),),
        published={
            "encoder.layers.": "layers.",
            "emb_ln.": "embeddings.LayerNorm.",
            ".attn.out_proj.": ".self_attn.o_proj.",
            ".mlp.fc11.": ".mlp.up_proj.",
            ".mlp.fc12.": ".mlp.gate_proj.",
            ".mlp.fc2.": ".mlp.down_proj.",
            ".norm1.": ".post_attention_layernorm.",
            ".norm2.": ".post_mlp_layernorm.",
        },
        chunked={".attn.Wqkv.": (".self_attn.q_proj.", ".self_attn.k_proj.", ".self_attn.v_proj.")},
        load={"add_pooling_layer": True},
        usual=architecture.USUAL_OF_NOMIC,
        extra=(*_ROPE, "tie_word_embeddings"),
        older={
            **{"n_embd": "hidden_size", "n_layer": "num_hidden_layers", "n_head": "num_attention_heads"},
            **{"n_inner": "intermediate_size", "n_positions": "max_position_embeddings"},
            **{"layer_norm_epsilon": "layer_norm_eps", "rotary_emb_base": "rope_theta"},
            **{"resid_pdrop": "hidden_dropout_prob", "attn_pdrop": "attention_probs_dropout_prob"},
        },
        only=_OF_NOMICS_CODE,
        published_with_code=True,
        scores=False,
        rotary=True,
    ),
    "mpnet": Family(
        prefix="mpnet",
        layer=matrices.BERT_LAYER,
        kinds=matrices.MPNET_KINDS,
        pooler="",
        classes=_ROBERTA_CLASSES,
        tokens=_TOKENS,
        spans=_SPANS,
        mlm=(Dense("lm_head.dense"), Act("gelu"), Norm("lm_head.layer_norm")),
        load={"add_pooling_layer": False},
        usual=architecture.USUAL_OF_MPNET,
        only={"pad_token_id": (1, None)},  # its code has 1, whatever the configuration says
        attention="eager",
        positions_after_padding=True,
        scores=False,
    ),
    "albert": Family(
        prefix="albert",
        layer=r"encoder\.albert_layer_groups\.(\d+)\.albert_layers\.0\.(.+)\.weight",
        kinds=matrices.ALBERT_KINDS,
        pooler="pooler.weight",
        pooling="pooler",
        classes=(_ALBERT_DROP, Dense("classifier")),
        tokens=(_ALBERT_DROP, Dense("classifier")),
        spans=_SPANS,
        mlm=(Dense("predictions.dense"), Act(key="hidden_act"), Norm("predictions.LayerNorm")),
        usual=architecture.USUAL_OF_ALBERT,
        only={"num_hidden_groups": (1, None), "inner_group_num": (1, None)},
        shared_layer=True,
    ),
}
