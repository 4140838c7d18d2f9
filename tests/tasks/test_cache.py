"""What is computed once for several runs is shared only where the checkpoints agree in all that decides it."""

import shutil

import datasets
import pytest
import torch
from safetensors.torch import load_file, save_file

from prunebert.network import models
from prunebert.tasks.augment import masked_lm
from tests.toys import save_model

TEXTS = ["the film was good", "a dull plot"]
SETTINGS = {"device": torch.device("cpu"), "copies": 4, "rate": 1.0, "candidates": 3, "seed": 0}


@pytest.fixture(autouse=True)
def empty_cache(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    return save_model(tmp_path_factory.mktemp("cache") / "bert")


def copy(original, folder, change):
    """Copy a checkpoint with `change` applied to every tensor by name."""
    shutil.copytree(original, folder)
    stored = load_file(folder / "model.safetensors")
    save_file({n: change(n, x) for n, x in stored.items()}, folder / "model.safetensors", metadata={"format": "pt"})
    return models.load(str(folder))


def test_candidates_of_two_masked_lm_heads_on_one_encoder_are_not_shared(original, tmp_path):
    plain = models.load(str(original))

    def prefer_actor(name: str, x: torch.Tensor) -> torch.Tensor:
        if name != "cls.predictions.bias":
            return x
        return torch.where(torch.arange(len(x)) == plain.tokenizer.convert_tokens_to_ids("actor"), 1e4, x)

    first = masked_lm(TEXTS, model=plain, **SETTINGS)
    other = copy(original, tmp_path / "other", prefer_actor)
    assert other.weights_hash == plain.weights_hash and other.heads_hash() != plain.heads_hash()
    second = masked_lm(TEXTS, model=other, **SETTINGS)
    assert second != first == masked_lm(TEXTS, model=plain, **SETTINGS)
    alone = masked_lm(TEXTS, model=other, **SETTINGS | {"candidates": 1})
    assert {word for texts in alone for text in texts for word in text.split()} == {"actor"}


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_candidates_of_half_precision_weights_are_those_in_float32(original, tmp_path, dtype):
    half = copy(original, tmp_path / "half", lambda _, x: x.to(dtype))
    single = copy(original, tmp_path / "single", lambda _, x: x.to(dtype).float())
    assert half.heads_hash() == single.heads_hash()
    new_texts = masked_lm(TEXTS, model=half, **SETTINGS)
    shutil.rmtree(tmp_path / "cache")
    assert new_texts == masked_lm(TEXTS, model=single, **SETTINGS) and any(new_texts)
