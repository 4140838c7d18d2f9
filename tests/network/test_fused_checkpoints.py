"""Damaged checkpoints whose matrices are several kinds below each other: each is refused by the file's own name."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from prunebert.commands.mask_checkpoints import read_zeros
from prunebert.errors import BadInput
from prunebert.network import models
from prunebert.network.subnetwork import SubNetwork
from tests.network import small

WQKV = {"modernbert": "model.layers.1.attn.Wqkv.weight", "nomic_bert": "nomic_bert.encoder.layers.1.attn.Wqkv.weight"}


def changed(folder: Path, family: str, change) -> str:
    """Save a family's small checkpoint after a change of its tensors."""
    file = small.save(folder / family, family) / "model.safetensors"
    tensors = load_file(file)
    assert tensors[WQKV[family]].shape == (96, 32)
    change(tensors)
    save_file(tensors, file, metadata={"format": "pt"})
    return str(file.parent)


@pytest.mark.parametrize("name", ["attn.Wqkv", "mlp.Wi"])
def test_a_fused_matrix_that_is_missing_is_not_drawn_at_random(tmp_path, name):
    path = changed(tmp_path, "modernbert", lambda tensors: tensors.pop(f"model.layers.1.{name}.weight"))
    with pytest.raises(BadInput, match=rf"lacks encoder weights \(layers\.1\.{name}\."):
        models.load(path)


@pytest.mark.parametrize("wrong", [torch.zeros(95, 32), torch.zeros(1, 32), torch.zeros(0, 32), torch.tensor(3.0)])
def test_rows_that_are_not_three_equal_parts_are_refused(tmp_path, wrong):
    path = changed(tmp_path, "nomic_bert", lambda tensors: tensors.update({WQKV["nomic_bert"]: wrong}))
    with pytest.raises(BadInput, match=r"^model\.name=\S+: nomic_bert\.encoder\.layers\.1\.attn\.Wqkv\.weight is \["):
        models.load(path)


def test_a_matrix_by_both_of_its_names_is_refused(tmp_path):
    twice = {"nomic_bert.layers.1.self_attn.q_proj.weight": torch.zeros(32, 32)}
    path = changed(tmp_path, "nomic_bert", lambda tensors: tensors.update(twice))
    with pytest.raises(BadInput, match=r"self_attn\.q_proj\.weight twice"):
        models.load(path)


@pytest.mark.parametrize("family", WQKV)
def test_zeros_of_a_fused_matrix_are_imported_into_the_masks_of_its_parts(tmp_path, family):
    """Row 40 is number 8 of the keys: queries, keys and values have 32 rows each."""
    path = changed(tmp_path, family, lambda tensors: tensors[WQKV[family]][40].zero_())
    masks = read_zeros(Path(path), SubNetwork(models.load(path))).masks
    removed = {name: (~mask).nonzero().tolist() for name, mask in masks.items() if not mask.all()}
    part = {
        "modernbert": "model.layers.1.attn.Wqkv.key.weight",
        "nomic_bert": "nomic_bert.layers.1.self_attn.k_proj.weight",
    }
    assert removed == {part[family]: [[8, column] for column in range(32)]}


def test_fewer_positions_than_the_padding_tokens_number_are_refused(tmp_path):
    path = small.save(tmp_path / "x", "xlm-roberta")
    file = path / "config.json"
    file.write_text(file.read_text().replace('"max_position_embeddings": 64', '"max_position_embeddings": 1'))
    with pytest.raises(BadInput, match=r"^model\.name=\S+: config\.json: transformers cannot make this network"):
        models.load(str(path))
