"""Sizes of config.json that other sizes imply: the implied value is accepted, and any other is refused."""

import json

import pytest
import transformers

from prunebert.errors import BadInput
from prunebert.network.checkpoint import Place
from prunebert.network.configuration import read
from prunebert.network.families import FAMILIES

SMALL = {
    "hidden_size": 16,
    "num_attention_heads": 4,
    "num_hidden_layers": 1,
    "intermediate_size": 24,
    "vocab_size": 30,
    "max_position_embeddings": 32,
    "pad_token_id": 0,
}
MORE = {
    "deberta-v2": {"share_att_key": True, "relative_attention": True},
    "nomic_bert": {"activation_function": "swiglu"},
}


def config(folder, kind, **more):
    (folder / "config.json").write_text(json.dumps({"model_type": kind, **SMALL, **MORE.get(kind, {}), **more}))
    return read(Place(str(folder), str(folder), "main"), FAMILIES)


@pytest.mark.parametrize(
    ("kind", "key", "right", "wrong"),
    [
        ("deberta-v2", "pooler_hidden_size", 16, 8),
        ("deberta-v2", "attention_head_size", 4, 8),
        ("modernbert", "head_dim", 4, 8),
        ("bert", "head_dim", 4, 2),
        ("bert", "attention_head_size", 4, 2),
    ],
)
def test_only_the_implied_size_is_accepted(tmp_path, kind, key, right, wrong):
    assert config(tmp_path, kind, **{key: right}).hidden_size == 16
    assert config(tmp_path, kind, **{key: None}).hidden_size == 16
    with pytest.raises(BadInput) as caught:
        config(tmp_path, kind, **{key: wrong})
    assert f"config.json: {key}={wrong} is not " in str(caught.value) and f", {right}; no other" in str(caught.value)


@pytest.mark.parametrize("kind", ["eurobert", "nomic_bert"])
def test_a_head_dim_that_the_family_computes_with_is_kept(tmp_path, kind):
    assert config(tmp_path, kind, head_dim=8).head_dim == 8


def test_transformers_itself_cannot_compute_with_such_a_modernbert():
    """This is why it is refused: the rotation would have another width than the heads."""
    import torch

    sizes = {k: v for k, v in SMALL.items() if k != "pad_token_id"}
    settings = transformers.ModernBertConfig(**sizes, pad_token_id=0, head_dim=8)
    network = transformers.ModernBertModel(settings)
    with pytest.raises(RuntimeError):
        network(input_ids=torch.ones(1, 3, dtype=torch.long))
