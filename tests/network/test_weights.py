"""Tensors of a checkpoint: the forms that are read, the heads that must be there, and what a hub offers instead."""

import json
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import huggingface_hub
import pytest
import torch
from safetensors.torch import load_file, save_file

from prunebert.errors import BadInput
from prunebert.network import checkpoint, models
from prunebert.network.checkpoint import Place


@pytest.fixture
def folder(model_folder, tmp_path) -> Path:
    return Path(shutil.copytree(model_folder, tmp_path / "bert"))


def test_old_names_double_precision_and_stored_positions_are_the_same_checkpoint(folder, model):
    """As TensorFlow's checkpoints and transformers 4 wrote them."""
    old = {"LayerNorm.weight": "LayerNorm.gamma", "LayerNorm.bias": "LayerNorm.beta"}
    tensors = {}
    for name, x in load_file(folder / "model.safetensors").items():
        end = ".".join(name.split(".")[-2:])
        tensors[name.removesuffix(end) + old.get(end, end)] = x.double()
    assert sum(name.endswith(("gamma", "beta")) for name in tensors) == 12  # of the embeddings, 2 layers and the head
    tensors["bert.embeddings.position_ids"] = torch.arange(64)[None]
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    loaded = models.load(str(folder))
    assert loaded.weights_hash == model.weights_hash
    pairs = zip(loaded.masked_lm().parameters(), model.masked_lm().parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


def test_an_untied_head_without_a_decoder_is_no_masked_lm_head(folder, model):
    """Tied, the decoder is the word embeddings, and no file has it. Untied, it would be random."""
    file = folder / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"tie_word_embeddings": False}))
    tensors = load_file(folder / "model.safetensors")
    assert "cls.predictions.decoder.weight" not in tensors
    save_file(
        tensors | {"cls.predictions.decoder.bias": tensors["cls.predictions.bias"].clone()},
        folder / "model.safetensors",
        metadata={"format": "pt"},
    )
    with pytest.raises(BadInput, match=r"without a masked-LM head \(cls\.predictions\.decoder\.weight is missing\)"):
        models.load(str(folder)).masked_lm()
    stock = model.masked_lm()
    assert stock.get_output_embeddings().weight is stock.get_input_embeddings().weight


def test_a_packaged_model_has_its_own_name():
    package = {"name": "p", "version": "1", "model": "tiny"}
    with pytest.raises(BadInput, match=r"^model\.name=mine: model=tiny is a model inside an installed package"):
        models.load("mine", package=package)


@pytest.mark.parametrize(
    ("found", "revision", "offline", "expected"),
    [
        (("made/model.safetensors", "refs/pr/1", False), "main", False, Path("made/model.safetensors")),
        (("made/model.safetensors", "refs/pr/1", False), "v2", False, None),  # the request converts main alone
        (("made/model.safetensors", "refs/pr/1", False), "main", True, None),
        (("made/index.json", "refs/pr/1", True), "main", False, None),  # shards
        ((None, None, None), "main", False, None),
        (None, "main", False, None),
    ],
)
def test_the_hubs_conversion_is_read_for_the_main_branch_alone(monkeypatch, found, revision, offline, expected):
    asked = []

    def convert(path, **settings):
        asked.append(path)
        return found

    monkeypatch.setitem(sys.modules, "transformers.safetensors_conversion", SimpleNamespace(auto_conversion=convert))
    monkeypatch.setattr(huggingface_hub, "is_offline_mode", lambda: offline)
    assert checkpoint._converted(Place("a/b", "a/b", revision)) == expected
    assert asked == (["a/b"] if revision == "main" and not offline else [])  # otherwise nothing waits for the hub
