"""Put a checkpoint's tensors into transformers' model of its family, in float32, and check that all of them fit."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from prunebert.errors import BadInput
from prunebert.network.checkpoint import Place, one_line, read_tensors
from prunebert.network.fused import equal_parts, split

if TYPE_CHECKING:
    from prunebert.network.family import Family

OLD_NAMES = {"gamma": "weight", "beta": "bias"}  # of LayerNorm, in checkpoints converted from TensorFlow
# Tensors of the encoder that nothing needs to read: a constant, and a pooler of families whose heads have none.
UNUSED = re.compile(r"embeddings\.position_ids|pooler\..*")

MOST_READINGS = 1000  # of layers whose number no tensor shows


def read(
    source: Place,
    auto_class: str,
    config: Any,
    family: Family,
    arguments: dict[str, Any],
    tensors: dict[str, Tensor] | None = None,
) -> tuple[Any, dict[str, Any]]:
    """Return a model in float32, and transformers' report on its loading (missing_keys, unexpected_keys, …).

    Args:
        source: where the checkpoint lies.
        auto_class: "AutoModel" or "AutoModelForMaskedLM".
        config: the checkpoint's configuration.
        family: the names of its tensors.
        arguments: of the class.
        tensors: of `own_tensors`, if the caller has read them.

    Raises BadInput for a damaged file, a tensor of another shape, a tensor of the encoder that the network does not
    have, and for NaN and infinity.
    """
    import transformers

    tensors = own_tensors(source, family) if tensors is None else tensors
    _require_layers(source, tensors, config, family)
    try:
        with torch.device("meta"):
            skeleton: Any = getattr(transformers, auto_class).from_config(
                config, attn_implementation=family.attention, **arguments
            )
    except (ArithmeticError, AssertionError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
        raise source.bad(f"config.json: transformers cannot make this network: {one_line(error)}") from error
    _require_fit(source, tensors, skeleton, family)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)  # initialises the parameters that the checkpoint lacks
        model, info = type(skeleton).from_pretrained(
            None,
            config=config,
            state_dict=tensors,
            output_loading_info=True,
            dtype=torch.float32,
            attn_implementation=family.attention,
            **arguments,
        )
    model.config._name_or_path = source.path
    if auto_class == "AutoModel":
        split(model, family)
    for name, parameter in model.named_parameters():
        if not torch.isfinite(parameter).all():
            raise source.bad(f"{name} contains NaN or infinity")
    return model, info


def own_tensors(source: Place, family: Family) -> dict[str, Tensor]:
    """Read a checkpoint's tensors, by transformers' names where the published ones differ.

    Raises BadInput if they cannot be read, as `translated` does too.
    """
    return translated(read_tensors(source), family, f"model.name={source.name}")


def translated(tensors: Mapping[str, Tensor], family: Family, where: str) -> dict[str, Tensor]:
    """Return a checkpoint's tensors by transformers' names where the published ones differ.

    Raises BadInput, beginning with `where`, for a matrix whose rows are not equal parts, and for a tensor that is there
    by both names.
    """
    found: dict[str, Tensor] = {}
    for published, tensor in tensors.items():
        name = published
        for part, own in family.published.items():
            name = name.replace(part, own)
        chunk = next((part for part in family.chunked if part in name), None)
        names = [name] if chunk is None else [name.replace(chunk, part) for part in family.chunked[chunk]]
        if twice := [n for n in names if n in found]:
            raise BadInput(f"{where}: the weights have {twice[0]} twice, once as {published}")
        found |= zip(names, equal_parts(published, tensor, len(names), where), strict=True)
    return found


def own_name(name: str, family: Family) -> str:
    """Return a tensor's name as transformers has it, without the family's prefix."""
    stem, _, last = name.removeprefix(family.prefix + ".").rpartition(".")
    return f"{stem}.{OLD_NAMES.get(last, last)}" if stem.endswith("LayerNorm") else f"{stem}.{last}".lstrip(".")


def _require_layers(source: Place, tensors: dict[str, Tensor], config: Any, family: Family) -> None:
    """Raise BadInput if the configuration has more layers than the file. Making millions of layers would hang."""
    numbers = [family.layer_of(own_name(name, family)) for name in tensors]
    layers = 1 + max((number for number in numbers if number is not None), default=-1)
    if 0 < layers < config.num_hidden_layers and not family.shared_layer:
        raise source.bad(f"config.json has {config.num_hidden_layers} layers and the weights have {layers}")
    if not layers and config.num_hidden_layers > MOST_READINGS:
        raise source.bad(f"the weights have no layer of a {config.model_type}")
    if config.num_hidden_layers > MOST_READINGS and family.shared_layer:
        raise source.bad(f"config.json: num_hidden_layers={config.num_hidden_layers} must be at most {MOST_READINGS}")


def _require_fit(source: Place, tensors: dict[str, Tensor], skeleton: Any, family: Family) -> None:
    """Raise BadInput for a tensor whose shape is not the network's, and for one of the encoder that nothing reads."""
    shapes = {own_name(n, family): list(x.shape) for n, x in skeleton.state_dict().items()}
    whole = not any(n.startswith(family.prefix + ".") for n in skeleton.state_dict())  # the encoder without a head
    encoder_parts = {
        own_name(n, family).partition(".")[0]
        for n in skeleton.state_dict()
        if whole or n.startswith(family.prefix + ".")
    }
    seen: dict[str, str] = {}
    for name, tensor in tensors.items():
        own = own_name(name, family)
        if own in seen:
            raise source.bad(f"the weights have {own} twice, as {seen[own]} and as {name}")
        seen[own] = name
        expected = shapes.get(own)
        if expected is None:
            is_encoders = name.startswith(family.prefix + ".") or own.partition(".")[0] in encoder_parts
            if is_encoders and not UNUSED.fullmatch(own):
                raise source.bad(f"the weights have {name}, which a {family.prefix} of this config.json does not read")
        elif list(tensor.shape) != expected:
            raise source.bad(f"{name} is {list(tensor.shape)} in the weights and {expected} by config.json")
    whole_size = sum(tensor.numel() for tensor in tensors.values())
    for name, shape in shapes.items():  # what is absent is allocated before it is refused or initialised
        if name not in seen and math.prod(shape) > whole_size:
            raise source.bad(f"the weights lack {name}, which is {shape} by config.json")
