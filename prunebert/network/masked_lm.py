"""A stock masked-LM model's head: the stages after the encoder, and the decoder's weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

from prunebert.network.family import Family
from prunebert.network.stages import Act, Dense, Norm

OWN_HEAD = "lm_predictions.lm_head"  # of DeBERTa v2 and v3 with legacy=false


def stages(stock: Any, family: Family) -> list[tuple[str, Callable[[Tensor], Tensor]]]:
    """Return the stages before the decoder: each one's name in the checkpoint ("" for an activation) and its function.

    Args:
        stock: transformers' …ForMaskedLM.
        family: the model's family.
    """
    own = (Dense(f"{OWN_HEAD}.dense"), Act(key="hidden_act"), Norm(f"{OWN_HEAD}.LayerNorm"))
    return [
        ("", stage.function(stock.config)) if isinstance(stage, Act) else (stage.path, stock.get_submodule(stage.path))
        for stage in (own if hasattr(stock, "lm_predictions") else family.mlm)
        if isinstance(stage, Act | Dense | Norm)
    ]


def decoder(stock: Any) -> tuple[Tensor, Tensor | None]:
    """Return the decoder's weight, [words, width], and its bias, [words], or None if it has none."""
    if hasattr(stock, "lm_predictions"):  # its get_output_embeddings returns the layer before the decoder
        return stock.get_input_embeddings().weight, stock.get_parameter(f"{OWN_HEAD}.bias")
    output = stock.get_output_embeddings()
    return output.weight, output.bias


def tied(stock: Any) -> bool:
    """Return whether the decoder's weight is the word embeddings'."""
    return decoder(stock)[0] is stock.get_input_embeddings().weight
