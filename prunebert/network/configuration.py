"""Read a checkpoint's config.json. A value that changes what the network computes is honoured or refused.

The configuration object is made of the keys that its class knows. Keys of a task's head (labels, problem_type) and of
how transformers runs the model (dtype, attention kernels, what forward returns) are left out: prunebert sets these.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from prunebert.errors import BadInput, bad_choice
from prunebert.network.checkpoint import ADAPTER, CONFIG, Place

if TYPE_CHECKING:
    from prunebert.network.family import Family

# Values that other networks than the families' have, by key; these are the only ones that are right here.
ONLY: dict[str, tuple[Any, ...]] = {
    "position_embedding_type": ("absolute", None),
    "is_decoder": (False, None),
    "add_cross_attention": (False, None),
    "is_encoder_decoder": (False, None),
    "pruned_heads": ({}, None, []),
    "quantization_config": (None,),
    "compression_config": (None,),
    "per_layer_config": (None, {}),
    "fusion_config": (None,),
    "adapters": (None, {}),
    "transformers_weights": (None,),
}
# Where a configuration can name code. `config.json` and `tokenizer_config.json` are checked for the first.
CODE = "auto_map"
KERNELS = ("attn_implementation", "_attn_implementation", "_attn_implementation_internal", "experts_implementation")
# Of a task's head, and how transformers runs the model. They never reach the configuration object.
OURS = (
    *("id2label", "label2id", "num_labels", "problem_type", "finetuning_task", "task_specific_params"),
    *("dtype", "torch_dtype", "return_dict", "output_hidden_states", "output_attentions", "chunk_size_feed_forward"),
)
REQUIRED = ("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "max_position_embeddings")
REQUIRED_OF_ONE = ("intermediate_size", "hidden_dim")  # a family has one of them
SIZES = (*REQUIRED, *REQUIRED_OF_ONE, "type_vocab_size", "embedding_size", "num_key_value_heads", "head_dim")
OPTIONAL = ("num_key_value_heads", "head_dim", "embedding_size")  # sizes that may be null
LARGEST = 10_000_000  # of a size; products of three sizes stay within 64 bits
ACTIVATIONS = ("hidden_act", "activation", "hidden_activation", "classifier_activation", "pooler_hidden_act")
RATES = (
    *("hidden_dropout_prob", "attention_probs_dropout_prob", "classifier_dropout", "dropout"),
    *("attention_dropout", "qa_dropout", "seq_classif_dropout", "embedding_dropout", "mlp_dropout"),
    *("pooler_dropout", "cls_dropout", "classifier_dropout_prob"),
)
FLAGS = (  # transformers 5.0 itself takes any value
    *("tie_word_embeddings", "norm_bias", "decoder_bias", "classifier_bias", "relative_attention"),
    *("position_biased_input", "share_att_key", "legacy"),
)
POSITIVE = ("layer_norm_eps", "norm_eps", "rms_norm_eps", "initializer_range", "initializer_cutoff_factor")
POOLINGS = {"modernbert": ("cls", "mean"), "eurobert": ("bos", "mean", "late")}  # classifier_pooling by model type


def read(source: Place, families: Mapping[str, Family]) -> Any:
    """Return transformers' configuration of a checkpoint, without importing or running anything that it names.

    Args:
        source: where the checkpoint lies.
        families: the allowed ones, by model type.

    Raises BadInput for a missing or malformed file, another family, and a value that cannot be honoured.
    """
    raw = source.json(CONFIG)
    if raw is None:
        raise source.absent(f"{CONFIG} is missing")
    kind = raw.get("model_type")
    if not isinstance(kind, str):
        raise source.bad(f"{CONFIG}: model_type={kind} is not the name of a family; allowed are {', '.join(families)}")
    if kind not in families:
        require_no_code(source, CONFIG, raw)
        raise BadInput(
            f"model.name={source.name} is a {kind}: allowed families are {', '.join(families)}; "
            "docs/add-a-model-family.md shows how to add one"
        )
    family = families[kind]
    if not family.published_with_code:
        require_no_code(source, CONFIG, raw)
    _require_nothing_dropped(source, raw, family)
    raw = {family.older.get(key, key): value for key, value in raw.items() if family.older.get(key) not in raw}
    return _configuration(source, kind, raw, family)


def require_no_code(source: Place, file: str, content: dict[str, Any]) -> None:
    """Raise BadInput if a file of the checkpoint names Python code or a kernel of the hub."""
    if content.get(CODE):
        raise source.bad(f"{file}: {CODE} names Python code, and prunebert runs no code of a checkpoint")
    for key in KERNELS:
        value = content.get(key)
        if value is not None and (not isinstance(value, str) or "/" in value):
            raise source.bad(f"{file}: {key}={value} names a kernel of the hub, and prunebert runs only its own")


def _require_nothing_dropped(source: Place, raw: dict[str, Any], family: Family) -> None:
    for key, allowed in (ONLY | family.only).items():
        value = raw.get(key)
        if not any(value == right and type(value) is type(right) for right in allowed):
            names = "null" if allowed[0] is None else allowed[0]
            if key in ("quantization_config", "compression_config"):
                raise source.bad(f"{CONFIG}: {key}={value}: quantised weights cannot be used")
            raise source.bad(f"{CONFIG}: {key}={value} is another network than the family's; allowed is {names}")
    if not source.remote and source.file(ADAPTER) is not None:
        raise source.bad(f"{ADAPTER}: adapters are not read; merge them into the weights first")


def _configuration(source: Place, kind: str, raw: dict[str, Any], family: Family) -> Any:
    """Return the object, with checked values."""
    import transformers
    from huggingface_hub.errors import StrictDataclassError

    if kind not in transformers.CONFIG_MAPPING:
        raise BadInput(
            f"model.name={source.name} is a {kind}, which transformers {transformers.__version__} does not have; "
            "pip install --upgrade transformers"
        )
    make: Any = type(transformers.AutoConfig.for_model(kind))
    aliases = make.attribute_map
    known = {*make().to_dict(), "tokenizer_class", *family.extra}
    known -= {*OURS, "_name_or_path", "model_type", "transformers_version"}
    values = {aliases.get(k, k): v for k, v in raw.items() if aliases.get(k, k) in known}
    sizes = [aliases.get(k, k) for k in SIZES if aliases.get(k, k) in known]
    _check_numbers(source, values, sizes, no_segments=getattr(make(), "type_vocab_size", None) == 0)
    required = [aliases.get(k, k) for k in REQUIRED] + [k for k in REQUIRED_OF_ONE if k in known]
    if absent := [k for k in required if k not in values]:
        raise source.bad(f"{CONFIG} lacks {absent[0]}")
    width, heads = (aliases.get(k, k) for k in ("hidden_size", "num_attention_heads"))
    if values[width] % values[heads]:
        raise source.bad(f"{CONFIG}: {heads}={values[heads]} does not divide {width}={values[width]}")
    head_size = values[width] // values[heads]
    implied = {"attention_head_size": (head_size, f"{width}/{heads}"), "pooler_hidden_size": (values[width], width)}
    if "head_dim" not in known:  # families without it read it in a part of their code only
        implied["head_dim"] = (head_size, f"{width}/{heads}")
    for key, (right, meaning) in implied.items():
        if raw.get(key) is not None and raw[key] != right:
            raise source.bad(f"{CONFIG}: {key}={raw[key]} is not {meaning}, {right}; no other value can be used")
    groups = values.get("num_key_value_heads") or values[heads]
    if values[heads] % groups:
        raise source.bad(f"{CONFIG}: num_key_value_heads={groups} does not divide {heads}={values[heads]}")
    for key in ACTIVATIONS:
        if key in values:
            _check_activation(source, key, values[key])
    if kind in POOLINGS and values.get("classifier_pooling", "mean") not in POOLINGS[kind]:
        raise source.bad(str(bad_choice(f"{CONFIG}: classifier_pooling", values["classifier_pooling"], POOLINGS[kind])))
    try:
        config = make(**values)
    except (StrictDataclassError, ArithmeticError, TypeError, ValueError, AttributeError, KeyError) as error:
        raise source.bad(f"{CONFIG}: {error}") from error
    _check_rotation(source, getattr(config, "rope_parameters", None) or {})
    pad = config.pad_token_id
    if pad is None and family.positions_after_padding:
        raise source.bad(f"{CONFIG}: pad_token_id is null, and a {kind}'s positions start after it")
    if pad is not None and not 0 <= pad < config.vocab_size:
        raise source.bad(f"{CONFIG}: pad_token_id={pad} is not below vocab_size={config.vocab_size}")
    config._attn_implementation = family.attention
    return config


def _check_numbers(source: Place, values: dict[str, Any], sizes: list[str], no_segments: bool) -> None:
    for key in sizes:
        value, least = values.get(key, 1), 0 if no_segments and key == "type_vocab_size" else 1
        if value is None and key in OPTIONAL:
            continue
        if type(value) is not int or not least <= value <= LARGEST:
            raise source.bad(f"{CONFIG}: {key}={value!r} must be a whole number from {least} to {LARGEST:,}")
    for key in RATES:
        value = values.get(key)
        if value is not None and (type(value) not in (int, float) or not 0 <= value <= 1):
            raise source.bad(f"{CONFIG}: {key}={value!r} must be a number from 0 to 1")
    for key in POSITIVE:
        value = values.get(key, 0)
        if type(value) not in (int, float) or not math.isfinite(value) or value < 0:
            raise source.bad(f"{CONFIG}: {key}={value!r} must be a finite number of at least 0")
    for key in FLAGS:
        if type(value := values.get(key, True)) is not bool:
            raise source.bad(f"{CONFIG}: {key}={value!r} must be true or false")
    pad = values.get("pad_token_id")
    if pad is not None and type(pad) is not int:
        raise source.bad(f"{CONFIG}: pad_token_id={pad!r} must be a whole number")


def _check_rotation(source: Place, parameters: dict[str, Any]) -> None:
    """Raise BadInput unless rotary positions are of a kind that transformers has, with a possible angle.

    parameters: of all layers, or by the type of layer.
    """
    from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

    if any(isinstance(value, dict) for value in parameters.values()):
        for value in parameters.values():
            _check_rotation(source, value if isinstance(value, dict) else {"rope_type": value})
        return
    kind, theta = parameters.get("rope_type", "default"), parameters.get("rope_theta", 1)
    if kind != "default" and kind not in [*ROPE_INIT_FUNCTIONS]:
        raise source.bad(str(bad_choice(f"{CONFIG}: rope_type", kind, ["default", *sorted(ROPE_INIT_FUNCTIONS)])))
    if type(theta) not in (int, float) or not 0 < theta < math.inf:
        raise source.bad(f"{CONFIG}: rope_theta={theta!r} must be a finite number above 0")


def _check_activation(source: Place, key: str, value: Any) -> None:
    """Raise BadInput unless `value` names an activation of transformers without parameters of its own."""
    from transformers.activations import ACT2FN

    if not isinstance(value, str) or value not in ACT2FN:
        raise source.bad(str(bad_choice(f"{CONFIG}: {key}", value, sorted({*ACT2FN} - {"prelu", "xielu"}))))
    if any(True for _ in ACT2FN[value].parameters()):
        raise source.bad(f"{CONFIG}: {key}={value} has weights of its own, which no checkpoint of the families holds")
