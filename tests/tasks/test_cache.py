"""What is computed once for several runs is shared only where the checkpoints agree in all that decides it."""

import atexit
import multiprocessing
import os
import runpy
import shutil
import signal
import time

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file, save_file

from prunebert.network import models
from prunebert.system import signals
from prunebert.tasks import cache
from prunebert.tasks.augment import masked_lm
from tests.toys import save_model

TEXTS = ["the film was good", "a dull plot"]
SETTINGS = {"device": torch.device("cpu"), "copies": 4, "rate": 1.0, "candidates": 3, "seed": 0}


@pytest.fixture(autouse=True)
def empty_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))


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


TABLE = pd.DataFrame({"text": TEXTS})


def tokens_of(original, calls):
    tokenizer = models.load(str(original)).tokenizer

    def tokenize(batch):
        calls.append(len(batch["text"]))
        return {"input_ids": tokenizer(batch["text"])["input_ids"]}

    return cache.tokenised(TABLE, tokenize, tokenizer, {})["input_ids"]


def tokenise_for_ever(tokenizer, started):
    def tokenize(batch):
        if any(cache.folder().rglob("tmp*")):
            started.touch()
            for _ in range(1000):  # another thread may get the signal: then Python looks at it after each sleep
                time.sleep(0.05)
        return {"input_ids": tokenizer(batch["text"])["input_ids"]}

    atexit._clear()  # of what the tests registered
    signals.leave_at_once()
    cache.tokenised(pd.DataFrame({"text": TEXTS * 1001}), tokenize, tokenizer, {})


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
def test_a_process_that_ends_while_it_tokenises_leaves_nothing_for_good(original, tmp_path, end):
    started, tokenizer = tmp_path / "started", models.load(str(original)).tokenizer
    process = multiprocessing.get_context("fork").Process(target=tokenise_for_ever, args=(tokenizer, started))
    process.start()
    while not started.exists() and process.is_alive():
        time.sleep(0.02)
    os.kill(process.pid, end)
    process.join()
    assert process.exitcode == (75 if end == signal.SIGTERM else -end)
    assert any(cache.folder().rglob("tmp*")) == (end == signal.SIGKILL)
    tokens_of(original, [])  # of another table
    assert [path.suffix for path in cache.folder().iterdir()] == [".arrow"]


@pytest.mark.parametrize("damage", [b"", b"no arrow file", None])
def test_a_damaged_file_of_the_cache_is_made_again(original, tmp_path, damage, caplog):
    calls = []
    right = [list(row) for row in tokens_of(original, calls)]
    assert [list(row) for row in tokens_of(original, calls)] == right and calls == [2]
    (file,) = (tmp_path / "cache/prunebert").iterdir()
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2] if damage is None else damage)
    assert [list(row) for row in tokens_of(original, calls)] == right and calls == [2, 2]
    assert f"{file} is damaged and is made again" in caplog.text
    assert file.read_bytes() == whole and list(file.parent.iterdir()) == [file]


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"XDG_CACHE_HOME": "/x"},
        {"XDG_CACHE_HOME": "/x", "HF_HOME": "/y/h"},
        {"HF_HOME": "~/z"},
        {"HF_HOME": "/y", "HF_DATASETS_CACHE": "/d"},
    ],
)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # the module runs a second time
def test_the_folder_is_in_the_cache_of_datasets(monkeypatch, variables):
    for name in ("XDG_CACHE_HOME", "HF_HOME", "HF_DATASETS_CACHE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(cache.Path, "mkdir", lambda *_, **__: None)
    assert cache.folder() == runpy.run_module("datasets.config")["HF_DATASETS_CACHE"] / "prunebert"
