"""Tiny encoders of the stock classes: width 8, two heads, six neurons, 21 tokens."""

from __future__ import annotations

from typing import Any

import torch
import transformers

from tests.network import small

SIZES = {"hidden_size": 8, "num_attention_heads": 2, "num_hidden_layers": 2, "intermediate_size": 6}
SPECIAL = {"vocab_size": 21, "max_position_embeddings": 64, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
TINY = {"albert": {"embedding_size": 4, "num_hidden_layers": 2}, "modernbert": {"num_hidden_layers": 2}}


def encoder(family: str, auto: Any = transformers.AutoModel, **changed: Any) -> Any:
    """Return a random stock model in double precision. No parameter is 0 or 1, as many are in a new model."""
    torch.manual_seed(0)
    special = SPECIAL | ({"cls_token_id": 1, "sep_token_id": 2} if family == "modernbert" else {})
    settings = SIZES | special | small.OWN[family] | TINY.get(family, {}) | changed
    model = auto.from_config(transformers.AutoConfig.for_model(family, **settings)).double().eval()
    for name, p in model.named_parameters():
        if p.ndim == 1 and name.endswith("weight"):  # of a norm
            torch.nn.init.uniform_(p, 0.5, 1.5)
        else:
            torch.nn.init.normal_(p, std=0.5)
    return model.requires_grad_(False)
