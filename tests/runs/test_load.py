"""`prunebert.load`: a finished run predicts as it did when it was scored; several share one backbone."""

import json
import runpy
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForMaskedLM

import prunebert
from prunebert.errors import BadInput
from prunebert.masks.maskfile import MaskFile
from prunebert.network.models import hash_of
from prunebert.runs import artifacts, weights
from tests.toys import write_result

PAIR = ("task.text=[sentence,second]",)
NUMBER = ("task.kind=regression", "task.label=number", "method.head=linear")
RUNS = {
    "frozen, label words": ("method=smp", "sparsity=0.7"),
    "frozen, pair, new head": ("method=smp", "method.head=linear", *PAIR),
    "frozen, layer mix": ("method=abp", "sparsity=0.5", "method.control=schedule"),
    "trained": ("method=magnitude", "sparsity=0.6"),
    "trained, label words": ("method=random", "sparsity=0.5", "method.head=label_words"),
    "numbers": ("method=smp", *NUMBER),
}


def stored(run) -> np.ndarray:
    return np.stack(pd.read_parquet(run / "predictions.parquet").scores)


@pytest.mark.parametrize("words", RUNS.values(), ids=RUNS)
def test_a_loaded_run_gives_the_predictions_that_it_wrote(finished, data_folder, words):
    run = finished(*words)
    table = pd.read_csv(data_folder / "eval.csv")
    texts = [table.sentence.tolist()] + ([table.second.tolist()] if PAIR[0] in words else [])
    loaded = prunebert.load(run)
    assert np.allclose(loaded.logits(*texts), stored(run), atol=1e-5)
    expected = pd.read_parquet(run / "predictions.parquet").prediction
    predictions = loaded.predict(*texts)
    if "task.kind=regression" in words:
        assert predictions == pytest.approx(expected.tolist(), abs=1e-5)
    else:
        assert predictions == [str(p) for p in expected]  # the file's labels are 0 and 1


def test_runs_share_a_backbone_and_none_disturbs_another(finished, data_folder):
    texts = pd.read_csv(data_folder / "eval.csv").sentence.tolist()
    runs = [finished(*words) for name, words in RUNS.items() if name != "numbers" and "pair" not in name]
    first = prunebert.load(runs[0])
    loaded_runs = [first, *(prunebert.load(run, on=first) for run in runs[1:])]
    assert len({id(loaded.net) for loaded in loaded_runs}) == 1 and len(loaded_runs) == 4
    for _ in range(2):
        for loaded, run in zip(loaded_runs, runs, strict=True):
            assert np.allclose(loaded.logits(texts), stored(run), atol=1e-5)
    frozen = {n.removeprefix("bert."): p for n, p in first.net.parameters_of("pretrained").items()}
    assert hash_of(frozen) == first.net.model.weights_hash  # the backbone is the checkpoint still


def test_use_switches_the_masks_and_refuses_those_of_another_checkpoint(finished, net):
    file = artifacts.masks(finished(*RUNS["frozen, label words"]))
    assert net.use(file) is net and all(torch.equal(net.masks[n], file.masks[n]) for n in file.masks)
    assert net.use({}).masks == {}
    name, mask = next(iter(file.masks.items()))
    for bad in ({"bert.encoder.bias": mask}, {name: mask[:1]}, {name: mask.float()}):
        with pytest.raises(BadInput, match=next(iter(bad))):
            net.use(bad)
    assert net.masks == {}
    other = MaskFile(file.masks, "another", "0" * 64)
    with pytest.raises(BadInput, match="made on another, whose weights are not those of"):
        net.use(other)
    assert net.use(other, force=True).masks.keys() == file.masks.keys()


def test_what_cannot_be_loaded_is_refused(finished, tmp_path, model_folder):
    run = finished(*RUNS["frozen, label words"])
    with pytest.raises(BadInput, match="no such directory"):
        prunebert.load(tmp_path / "nowhere")
    facts = json.loads((run / "result.json").read_text())
    (tmp_path / "old").mkdir()
    write_result(tmp_path / "old", {k: v for k, v in facts.items() if k != "checkpoint"})
    with pytest.raises(BadInput, match="an older prunebert"):
        prunebert.load(tmp_path / "old")
    without_model = facts | {"checkpoint": facts["checkpoint"] | {"name": "/gone"}}
    write_result(tmp_path / "old", without_model)
    with pytest.raises(BadInput, match="its model /gone does not exist; give its place"):
        prunebert.load(tmp_path / "old")
    from tests.toys import save_model

    with pytest.raises(BadInput, match="whose weights are not those of"):
        prunebert.load(run, model=str(save_model(tmp_path / "other", "electra")))
    copied_model = tmp_path / "moved"
    copied_model.mkdir()
    for file in model_folder.iterdir():
        (copied_model / file.name).write_bytes(file.read_bytes())
    loaded = prunebert.load(run, model=str(copied_model))
    for texts, message in (
        ([], "no texts"),
        ((["a"], ["b"]), "one text at a time"),
        ("one", "a list of texts"),
        ([["a", "b"]], "reads texts, and one of these is a list of values"),  # a tokenizer would read a pair
        (["a", None], "reads texts, and one of these is null"),
    ):
        with pytest.raises(BadInput, match=message):
            loaded.predict(*texts if isinstance(texts, tuple) else (texts,))
    paired = replace(loaded, form=replace(loaded.form, pair=True))
    with pytest.raises(BadInput, match="2 first texts and 1 second texts do not make pairs"):
        paired.predict(["a", "b"], ["c"])
    unnamed = replace(loaded, form=replace(loaded.form, labels=["0"]))
    with pytest.raises(BadInput, match="has 1 labels for 2 outputs; use logits instead"):
        unnamed.predict(["a"])
    assert not loaded.net.training


def test_importing_prunebert_imports_no_torch():
    code = "import sys, prunebert; assert 'torch' not in sys.modules; assert not hasattr(prunebert, 'lead')"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_a_delta_holds_what_changed_and_gives_it_back():
    base = {
        "w": torch.arange(6.0).view(2, 3),
        "same": torch.ones(2, 2),
        "e": torch.zeros(4, 2),
        "b": torch.zeros(3),
        "all": torch.zeros(2, 2),
        "frozen": torch.ones(2, 2),
    }
    masks = {"w": torch.tensor([[True, False, True], [False, False, True]]), "frozen": torch.eye(2, dtype=torch.bool)}
    theta = {n: x.clone() for n, x in base.items()}
    theta["w"] += 10
    theta["e"][[1, 3]] = 5.0
    theta["b"] += 1
    theta["all"] += 1
    theta["frozen"][0, 1] = 7.0  # removed, so that it does not matter
    packed = weights.pack_delta(theta, base, masks)
    assert packed.keys() == {"w", "e", "rows/e", "b", "all"}
    assert packed["w"].tolist() == [10, 12, 15] and packed["rows/e"].tolist() == [1, 3]
    unpacked = weights.unpack_delta(packed, base, masks)
    for name in base:
        assert torch.equal(unpacked[name] * masks.get(name, 1), theta[name] * masks.get(name, 1))
    assert base["e"].sum() == 0


def test_questions_are_answered_and_hidden_words_predicted(finished, questions, text):
    """Compare with the predictions that the run wrote, and with the stock masked-LM model with θ ⊙ M in it."""
    run = finished("method=smp", *questions)
    paragraphs = json.loads(Path(questions[1].partition("=")[2]).read_text())["data"][0]["paragraphs"]
    context = {q["id"]: p["context"] for p in paragraphs for q in p["qas"]}
    written = pd.read_parquet(run / "predictions.parquet")
    assert len(written) and prunebert.load(run).predict(
        ["what was it"] * len(written), [context[i] for i in written.id]
    ) == list(written.prediction)

    loaded = prunebert.load(finished("method=smp", "task=mlm", "task.block=16", "sparsity=0.5", *text))
    model = AutoModelForMaskedLM.from_pretrained(loaded.facts["checkpoint"]["name"]).eval()
    for name, mask in loaded.masks.items():
        model.get_parameter(name).data *= mask
    texts = ["the [MASK] was good", "a [MASK] plot and a [MASK] scene", "it"]
    tokenizer = loaded.net.model.tokenizer
    predictions = loaded.predict(texts)
    for text, words in zip(texts, predictions, strict=True):
        inputs = tokenizer(text, return_tensors="pt")
        hidden = inputs["input_ids"] == tokenizer.mask_token_id
        assert words == tokenizer.convert_ids_to_tokens(model(**inputs).logits[hidden].argmax(-1))
    assert [len(words) for words in predictions] == [1, 2, 0]


def test_the_script_that_measures_serving_runs(finished, monkeypatch, capsys):
    script = Path(__file__).parents[2] / "scripts/serve.py"
    paths = [str(finished(*RUNS[name])) for name in ("frozen, label words", "trained")]
    monkeypatch.setattr(sys, "argv", ["serve.py", *paths])
    monkeypatch.setenv("REPEATS", "2")
    runpy.run_path(str(script), run_name="__main__")
    printed = capsys.readouterr().out
    masks, weights = artifacts.masks(Path(paths[1])).masks, Path(paths[1]) / "weights.safetensors"
    assert f"{sum(m.numel() for m in masks.values()):,} in memory" in printed and "after a switch" in printed
    own_bytes = sum(p.numel() for n, p in load_file(weights).items()) * 4 + 4 * (32 * 32 + 32)  # and a pooler
    assert f"own weights {own_bytes:,}" in printed
