"""A small random checkpoint of every family, saved as the hub has them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import transformers

from tests import small_tokenizers

SIZES = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48}
# What each configuration has besides; the least that makes it its family's published form.
OWN: dict[str, dict[str, Any]] = {
    "xlm-roberta": {"type_vocab_size": 1},
    "deberta-v2": {
        **{"relative_attention": True, "pos_att_type": ["p2c", "c2p"], "share_att_key": True, "position_buckets": 8},
        **{"norm_rel_ebd": "layer_norm", "position_biased_input": False, "type_vocab_size": 0},
    },
    "modernbert": {"classifier_pooling": "mean", "local_attention": 8, "num_hidden_layers": 3},
    "eurobert": {"num_key_value_heads": 2, "classifier_pooling": "late"},
    "nomic_bert": {},
    "mpnet": {},
    "albert": {"embedding_size": 16, "num_hidden_layers": 3},
    "camembert": {"type_vocab_size": 1},
}


def save(folder: Path, family: str, **changed: Any) -> Path:
    """Save a random model of a family with its masked-LM head, and a tokenizer of its kind, in `folder`."""
    tokenizer = small_tokenizers.save(folder, family)
    config = configuration(family, tokenizer, **changed)
    torch.manual_seed(0)
    model = transformers.AutoModelForMaskedLM.from_config(config)
    for name, parameter in model.named_parameters():  # biases start at 0, which would hide whether they are used
        torch.nn.init.normal_(parameter, mean=float("norm" in name.lower() and name.endswith("weight")), std=0.1)
    model.save_pretrained(folder)
    return folder


def configuration(family: str, tokenizer: Any, **changed: Any) -> Any:
    """Return a family's small configuration for a tokenizer."""
    first = tokenizer.cls_token_id if tokenizer.cls_token_id is not None else tokenizer.bos_token_id
    last = tokenizer.sep_token_id if tokenizer.sep_token_id is not None else tokenizer.eos_token_id
    special = {"pad_token_id": tokenizer.pad_token_id, "bos_token_id": first, "eos_token_id": last}
    if family == "modernbert":
        special |= {"cls_token_id": first, "sep_token_id": last}
    sizes = SIZES | {"vocab_size": len(tokenizer), "max_position_embeddings": 64}
    return transformers.AutoConfig.for_model(family, **sizes | special | OWN.get(family, {}) | changed)
