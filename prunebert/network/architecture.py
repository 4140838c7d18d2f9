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
HEADS = "num_attention_heads"
HEAD_SIZE = 64  # of the families' published checkpoints from 64 to 1024 wide, except the narrow ones with 12 heads
# The width and the heads of the checkpoints named tiny-random-…, which transformers' own tests use.
RANDOM_WIDTH, RANDOM_HEADS = 32, 4


def computing(config: Any, family: Family) -> dict[str, Any]:
    """Return the values of a configuration that change what the network computes, by key. JSON can hold them."""
    return {key: _plain(getattr(config, key)) for key in (*family.usual, HEADS)}


def unusual(config: Any, family: Family) -> dict[str, Any]:
    """Return those values of `computing` that the family's published checkpoints do not have."""
    usual = {key: _plain(value) for key, value in family.usual.items()} | {HEADS: _usual_heads(config, family)}
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
    """Return a whole number as an int, because a configuration may have 0 or 0.0."""
    return int(value) if isinstance(value, float) and value.is_integer() else value
