"""Which values of a configuration change what the network computes, and which of them are unusual.

Two checkpoints with equal weights compute different numbers if their activation, layer norm or number of heads differs.
A run's identity therefore counts the values that differ from those of the family's published checkpoints. With the
published values the identity is that of the weights alone, as it was before configurations counted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from prunebert.errors import BadInput

if TYPE_CHECKING:
    from prunebert.network.family import Family
    from prunebert.network.models import Model

# The values of the published checkpoints of BERT and ELECTRA. Sizes do not count: they show in the tensors' shapes.
USUAL: dict[str, Any] = {
    "hidden_act": "gelu",
    "hidden_dropout_prob": 0.1,
    "attention_probs_dropout_prob": 0.1,
    "classifier_dropout": None,
    "initializer_range": 0.02,  # of new heads and poolers
    "layer_norm_eps": 1e-12,
    "pad_token_id": 0,  # its embedding gets no gradient, and RoBERTa's positions start after it
    "tie_word_embeddings": True,  # of the masked-LM head
}
USUAL_OF_DISTILBERT: dict[str, Any] = {
    **{key: USUAL[key] for key in ("initializer_range", "pad_token_id", "tie_word_embeddings")},
    **{"activation": "gelu", "dropout": 0.1, "attention_dropout": 0.1, "seq_classif_dropout": 0.2},
}
# Rotary positions have no tensor, and all but the default kind of them are computed from max_position_embeddings.
_OF_GATED = {key: USUAL[key] for key in ("initializer_range", "pad_token_id", "tie_word_embeddings")} | {
    "max_position_embeddings": 8192
}
USUAL_OF_DEBERTA: dict[str, Any] = {  # of version 3
    **{key: value for key, value in USUAL.items() if key != "classifier_dropout"},
    **{"layer_norm_eps": 1e-7, "cls_dropout": None, "pooler_dropout": 0, "pooler_hidden_act": "gelu"},
    **{"relative_attention": True, "pos_att_type": ["p2c", "c2p"], "share_att_key": True, "position_buckets": 256},
    **{"norm_rel_ebd": "layer_norm", "max_relative_positions": -1, "position_biased_input": False},
    **{"conv_kernel_size": None, "conv_act": None, "legacy": True},
    "max_position_embeddings": 512,  # with max_relative_positions=-1 the buckets of positions follow from it
}
USUAL_OF_MODERNBERT: dict[str, Any] = {
    **_OF_GATED,
    **{"pad_token_id": 50283, "initializer_cutoff_factor": 2.0, "hidden_activation": "gelu"},
    **dict.fromkeys(("attention_dropout", "embedding_dropout", "mlp_dropout", "classifier_dropout"), 0.0),
    **{"norm_eps": 1e-5, "norm_bias": False, "decoder_bias": True, "classifier_bias": False},
    **{"classifier_pooling": "mean", "classifier_activation": "gelu", "local_attention": 128},
    "layer_types": lambda config: [
        "sliding_attention" if layer % 3 else "full_attention" for layer in range(config.num_hidden_layers)
    ],
    "rope_parameters": {
        "full_attention": {"rope_type": "default", "rope_theta": 160_000.0},
        "sliding_attention": {"rope_type": "default", "rope_theta": 10_000.0},
    },
}
USUAL_OF_EUROBERT: dict[str, Any] = {
    **_OF_GATED,
    **{"pad_token_id": 128001, "tie_word_embeddings": False, "hidden_act": "silu", "rms_norm_eps": 1e-5},
    **{"attention_dropout": 0.0, "classifier_pooling": "late"},
    "rope_parameters": {"rope_type": "default", "rope_theta": 250_000},
}
USUAL_OF_NOMIC: dict[str, Any] = {
    **_OF_GATED,
    **{"hidden_act": "silu", "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0},
    **{"classifier_dropout": None, "layer_norm_eps": 1e-12, "max_position_embeddings": 2048},
    "rope_parameters": {"rope_type": "default", "rope_theta": 1000.0},
}
USUAL_OF_MPNET: dict[str, Any] = {
    **{key: value for key, value in USUAL.items() if key != "classifier_dropout"},
    **{"pad_token_id": 1, "relative_attention_num_buckets": 32, "layer_norm_eps": 1e-5},
}
USUAL_OF_ALBERT: dict[str, Any] = {
    **{key: value for key, value in USUAL.items() if key != "classifier_dropout"},
    **{"hidden_act": "gelu_new", "hidden_dropout_prob": 0, "attention_probs_dropout_prob": 0},
    "classifier_dropout_prob": 0.1,
    # One layer's tensors serve any number of readings. The large and xlarge checkpoints have 24.
    "num_hidden_layers": lambda config: 24 if config.hidden_size in (1024, 2048) else 12,
}
HEADS = "num_attention_heads"
HEAD_SIZE = 64  # of the families' published checkpoints from 64 to 1024 wide, except the narrow ones with 12 heads
# The width and the heads of the checkpoints named tiny-random-…, which transformers' own tests use.
RANDOM_WIDTH, RANDOM_HEADS = 32, 4


def computing(config: Any, family: Family) -> dict[str, Any]:
    """Return the values of a configuration that change what the network computes, by key. JSON can hold them."""
    return {key: _plain(getattr(config, key, None)) for key in (*family.usual, HEADS)}


def unusual(config: Any, family: Family) -> dict[str, Any]:
    """Return those values of `computing` that the family's published checkpoints do not have."""
    usual = {k: _plain(v(config) if callable(v) else v) for k, v in family.usual.items()}
    usual[HEADS] = _usual_heads(config, family)
    return {key: value for key, value in computing(config, family).items() if value != usual[key]}


def require_same(model: Model, name: str, recorded: dict[str, Any], source: str) -> None:
    """Raise BadInput, beginning with `source`, if `model` computes otherwise than the checkpoint `name` did.

    recorded: the `unusual` values of that checkpoint.
    """
    present = unusual(model.config, model.family)
    for key in sorted(recorded.keys() | present.keys()):
        theirs, ours = (values.get(key, "the usual value") for values in (recorded, present))
        if theirs != ours:
            raise BadInput(f"{source}: made on {name} with {key}={theirs}, and {model.name} has {key}={ours}")


def _usual_heads(config: Any, family: Family) -> int:
    """Return the one number of heads that is usual for the model's width; 0 if none is.

    A model that is not wider than the family's first one has its number of heads if that divides the width: MiniLM, 384
    wide, has 12. All other models have heads of HEAD_SIZE.
    """
    width = config.hidden_size
    first_width, first_heads = family.first
    if width <= first_width and width % first_heads == 0:
        return first_heads
    if width == RANDOM_WIDTH:
        return RANDOM_HEADS
    return width // HEAD_SIZE if width % HEAD_SIZE == 0 else 0


def _plain(value: Any) -> Any:
    """Return a whole number as an int, because a configuration may have 0 or 0.0. Tables are looked through."""
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in sorted(value.items())}
    return int(value) if isinstance(value, float) and value.is_integer() else value
