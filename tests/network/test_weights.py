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
from prunebert.system import packaged


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
    tensors["bert.embeddings.position_ids"] = torch.arange(512)[None]  # longer than the model
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


def test_the_origin_is_found_again_from_another_folder_and_another_environment(folder, monkeypatch):
    """A folder by its whole path, a packaged model by its name alone."""
    monkeypatch.chdir(folder.parent)
    state = torch.get_rng_state()
    origin = models.load("bert", revision="v2").origin
    assert origin == {"name": str(folder.resolve()), "revision": "v2", "package": None}
    assert torch.equal(torch.get_rng_state(), state)  # loading draws nothing that a run would draw later
    package = {"name": "p", "version": "1", "model": "tiny"}
    monkeypatch.setattr(packaged, "folder", lambda **_: folder)
    assert models.load("tiny", package=package).origin == {"name": "tiny", "revision": "main", "package": package}


def test_a_tensor_that_the_network_lacks_is_refused_without_the_prefix_too(folder):
    tensors = load_file(folder / "model.safetensors")
    plain = {n.removeprefix("bert."): x for n, x in tensors.items() if n.startswith("bert.")}
    save_file(plain, folder / "model.safetensors", metadata={"format": "pt"})
    assert models.load(str(folder)).fresh == ("pooler.dense.bias", "pooler.dense.weight")
    plain["embeddings.distance_embedding.weight"] = torch.ones(3, 4)
    save_file(plain, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(BadInput, match=r"the weights have embeddings\.distance_embedding\.weight, which a bert"):
        models.load(str(folder))


def test_a_pooler_of_another_shape_is_refused_in_one_line(folder):
    tensors = load_file(folder / "model.safetensors") | {"bert.pooler.dense.weight": torch.ones(16, 32)}
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(
        BadInput, match=r"pooler\.dense\.weight is \[16, 32\] in the weights and \[32, 32\] by"
    ) as caught:
        models.load(str(folder))
    assert "\n" not in str(caught.value)


def test_a_link_to_nothing_is_not_a_missing_file(folder):
    file = folder / "model.safetensors"
    file.unlink()
    with pytest.raises(BadInput, match=r"model\.safetensors is missing"):
        models.load(str(folder))
    file.symlink_to(folder / "gone")
    with pytest.raises(BadInput, match=r"model\.safetensors is a link to a file that does not exist"):
        models.load(str(folder))


def test_a_long_reason_is_cut_in_one_line():
    line = checkpoint.one_line("two\nwords " * 1000)
    assert len(line) <= 300 and line.startswith("two words two") and line.endswith(" …")


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


def test_the_reason_of_a_refusal_is_one_line_of_at_most_300_characters():
    assert checkpoint.one_line("a library's  words\n\tover\r\n two lines ") == "a library's words over two lines"
    long = checkpoint.one_line(ValueError("word " * 100))
    assert len(long) <= 300 and long.endswith("word …") and "word word" in long
