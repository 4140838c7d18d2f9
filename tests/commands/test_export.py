"""`prunebert export`: stock transformers makes the run's predictions from the folder and the raw evaluation file."""

import json
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
import transformers
from safetensors.torch import load_file

import prunebert
from prunebert.commands.export_card import card
from prunebert.runs import artifacts
from tests.toys import save_model

PAIR = "task.text=[sentence,second]"
NUMBER = ("task.kind=regression", "task.label=number")
EMBEDDINGS = "prunable=encoder_pooler_embeddings"
MASKED_LM, CLASSES, ENCODER = "AutoModelForMaskedLM", "AutoModelForSequenceClassification", "AutoModel"
RUNS = [
    (MASKED_LM, "bert", ["method=smp", "sparsity=0.7"]),
    (MASKED_LM, "bert", ["method=smp", "sparsity=0.7", PAIR, EMBEDDINGS]),
    (MASKED_LM, "bert", ["method=magnitude", "method.head=label_words", "sparsity=0.5", "fit.head_lr=0.01"]),
    (MASKED_LM, "bert", ["method=smp", *NUMBER, "task.label_words=[yes]"]),
    (CLASSES, "bert", ["method=smp", "method.head=linear", "task.labels=[no,yes,maybe]"]),
    (CLASSES, "bert", ["method=magnitude", "sparsity=0.6", PAIR]),
    (CLASSES, "bert", ["method=tamt", "method.corpus.block=16", *NUMBER, "corpus"]),
    (ENCODER, "bert", ["method=abp", "sparsity=0.5"]),
    (MASKED_LM, "roberta", ["method=smp", EMBEDDINGS]),
    (CLASSES, "roberta", ["method=gmp"]),
    (ENCODER, "roberta", ["method=abp", PAIR]),
    (MASKED_LM, "distilbert", ["method=random", "method.head=label_words"]),
    (CLASSES, "distilbert", ["method=movement"]),
    (MASKED_LM, "electra", ["method=smp"]),
    (CLASSES, "electra", ["method=l0", "sparsity=0.3"]),
]


@pytest.fixture(scope="session")
def families(tmp_path_factory, model_folder):
    folder = tmp_path_factory.mktemp("families")
    return {k: save_model(folder / k, k) for k in ("roberta", "distilbert", "electra")} | {"bert": model_folder}


@pytest.fixture(scope="session")
def exported(finished, families, text, tmp_path_factory):
    """A function that returns (the run's directory, the folder it was exported to). Each is made once."""
    from prunebert.commands.export import main

    root, folders = tmp_path_factory.mktemp("exported"), {}

    def call(family, words):
        key = (family, *words)
        if key not in folders:
            overrides = [w for w in words if w != "corpus"] + (text if "corpus" in words else [])
            run = finished(f"model.name={families[family]}", *overrides)
            main([str(run), str(root / str(len(folders)))], compose=None)
            folders[key] = run, root / str(len(folders))
        return folders[key]

    return call


def stock(name, out):
    """Load the folder. The class reports no missing and no unexpected weights."""
    model, info = getattr(transformers, name).from_pretrained(out, output_loading_info=True)
    poolers = {
        k for k in info["missing_keys"] if name == ENCODER and k.startswith("pooler.")
    }  # RoBERTa's, which nothing reads
    assert not (info["missing_keys"] - poolers or info["unexpected_keys"] or info["mismatched_keys"])
    return model.eval()


def inputs_of(out, data_folder, words):
    table = pd.read_csv(data_folder / "eval.csv")
    texts = [table.sentence.tolist()] + ([table.second.tolist()] if PAIR in words else [])
    tokenizer = transformers.AutoTokenizer.from_pretrained(out)
    assert tokenizer.model_max_length == 32
    return tokenizer(*texts, truncation=True, padding=True, return_tensors="pt")


@pytest.mark.parametrize(("name", "family", "words"), RUNS, ids=lambda x: " ".join(x) if isinstance(x, list) else x)
def test_stock_transformers_predicts_as_the_run_did(exported, data_folder, name, family, words):
    run, out = exported(family, words)
    model, inputs = stock(name, out), inputs_of(out, data_folder, words)
    with torch.no_grad():
        if name == CLASSES:
            logits = model(**inputs).logits
        elif name == MASKED_LM:
            facts = json.loads((out / "prunebert.json").read_text())
            ids = [word["id"] for word in facts["label_words"]]
            tokens = transformers.AutoTokenizer.from_pretrained(out).convert_ids_to_tokens(ids)
            assert tokens == [w["word"] for w in facts["label_words"]] and facts["class"] == name
            logits = model(**inputs).logits[:, facts["position"], ids]
            # SMP trains no weight, so the decoder stays the embeddings unless these are masked
            assert model.config.tie_word_embeddings == (words[0] == "method=smp" and EMBEDDINGS not in words)
        else:
            head = load_file(out / "head.safetensors")
            layers = model(**inputs, output_hidden_states=True).hidden_states[1:]
            mixed = sum(w * h[:, 0] for w, h in zip(head["mix"].softmax(0), layers, strict=True))
            middle = (mixed @ head["hidden.weight"].T + head["hidden.bias"]).clamp(min=0)
            logits = middle @ head["out.weight"].T + head["out.bias"]
    stored = pd.read_parquet(run / "predictions.parquet")
    assert np.allclose(logits, np.stack(stored.scores), atol=1e-5)
    if "task.kind=regression" not in words:
        assert logits.argmax(-1).tolist() == stored.prediction.tolist()
    modes = {file.stat().st_mode for file in out.iterdir()}
    assert modes == {(run / "result.json").stat().st_mode}  # whoever may read the run may read the folder
    masks = artifacts.masks(run).masks
    weights = load_file(out / "model.safetensors")
    prefix = "" if name == ENCODER else f"{family}."
    for n, mask in masks.items():
        weight = weights.get(prefix + n.removeprefix(f"{family}."))
        assert "pooler" in n if weight is None else not weight[~mask].any()


@pytest.mark.parametrize(("name", "family", "words"), RUNS[::3] + RUNS[7:8] + RUNS[10:11])
def test_the_readme_computes_these_logits(exported, name, family, words):
    run, out = exported(family, words)
    readme = (out / "README.md").read_text()
    assert "base_model" not in readme  # the checkpoint is a folder, which the hub does not know
    code = re.search(r"```python\n(.*?)```", readme, re.S)[1].replace(f'"{out.name}', f'"{out}')
    namespace = {}
    text = "a good film " * 15  # more than the 32 tokens of max_length
    exec(code.replace('"a text"', repr(text)).replace('"its second"', '"it was"'), namespace)
    second, loaded = [["it was"]] if PAIR in words else [], prunebert.load(run)
    assert torch.allclose(namespace["logits"], loaded.logits([text], *second), atol=1e-5)
    pipelines = {MASKED_LM: "fill-mask", CLASSES: "text-classification", ENCODER: "feature-extraction"}
    assert f"\npipeline_tag: {pipelines[name]}\n" in readme
    facts = json.loads((run / "result.json").read_text())
    for text in (facts["command"], f"{facts['score']:.6f}", *(f"{facts[k]:.6f}" for k in facts if "sparsity_" in k)):
        assert text in readme
    for metric, score in facts["metrics"].items():
        assert f"| {metric} | {score:.6f} | {facts['majority'][metric]:.6f} |" in readme
    recorded = json.loads((out / "prunebert.json").read_text())
    sparsities = [key for key in facts if "sparsity_" in key]
    assert len(sparsities) > 2 and {k: facts[k] for k in sparsities} == {k: recorded[k] for k in sparsities}
    for origin, on_the_hub in (
        ({"name": "google-bert/bert-base-uncased", "package": None}, True),
        ({"name": "tiny", "package": {"name": "p", "version": "1"}}, False),
        ({"name": str(out), "package": None}, False),
    ):
        found = card(replace(loaded, facts=facts | {"checkpoint": origin}), "out")
        assert (f"\nbase_model: {origin['name']}\n" in found) == ("base_model" in found) == on_the_hub
    definition = json.loads((out / "tokenizer.json").read_text())  # other readers of the file apply what it says
    assert definition["truncation"] is None and definition["padding"] is None


def test_labels_have_names_and_the_pipeline_returns_them(exported, data_folder):
    run, out = exported("bert", RUNS[4][2])
    pipeline = transformers.pipeline("text-classification", model=str(out), device="cpu")
    texts = pd.read_csv(data_folder / "eval.csv").sentence.tolist()
    labels = [answer["label"] for answer in pipeline(texts, truncation=True)]
    assert labels == [["no", "yes", "maybe"][p] for p in pd.read_parquet(run / "predictions.parquet").prediction]
    assert labels == prunebert.load(run).predict(texts)
    config = json.loads((out / "config.json").read_text())
    assert config["id2label"] == {"0": "no", "1": "yes", "2": "maybe"}  # as given, not sorted
    assert config["label2id"] == {"no": 0, "yes": 1, "maybe": 2}
    _, number = exported("bert", RUNS[6][2])
    config = transformers.AutoConfig.from_pretrained(number)
    assert (config.num_labels, config.problem_type) == (1, "regression")


@pytest.mark.parametrize("head", ["linear", "label_words"])
def test_questions_through_the_stock_class(finished, questions, tmp_path, cli, head):
    run = finished("method=smp", f"method.head={head}", *questions)
    assert cli("export", str(run), "out")[0] == 0
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "out")
    question, context = ["what was it"], ["the dull film was great it was a bright scene"]
    inputs = tokenizer(question, context, truncation="only_second", return_tensors="pt")
    with torch.no_grad():
        if head == "linear":
            outputs = stock("AutoModelForQuestionAnswering", tmp_path / "out")(**inputs)
            logits = torch.stack([outputs.start_logits, outputs.end_logits], -1)
        else:
            words = json.loads((tmp_path / "out/prunebert.json").read_text())["label_words"]
            assert [w["word"] for w in words] == ["yes", "no"]
            logits = stock(MASKED_LM, tmp_path / "out")(**inputs).logits[..., [w["id"] for w in words]]
    loaded = prunebert.load(run)
    assert torch.allclose(logits, loaded.logits(question, context), atol=1e-5)
    readme = (tmp_path / "out/README.md").read_text()
    assert f"\npipeline_tag: {'question-answering' if head == 'linear' else 'fill-mask'}\n" in readme
    code = re.search(r"```python\n(.*?)```", readme, re.S)[1]
    code = code.replace('"out', f'"{tmp_path}/out').replace('"a question"', repr(question[0]))
    namespace = {}
    exec(code.replace('"its context"', repr(context[0])), namespace)
    assert torch.allclose(namespace["logits"], loaded.logits(question, context), atol=1e-5)


def test_a_masked_lm_run_is_the_whole_masked_lm_model(finished, text, tmp_path, cli):
    """With trained weights and a mask on the embeddings, the decoder is no longer tied, and the config records it."""
    run = finished("method=magnitude", "task=mlm", "task.block=16", EMBEDDINGS, "fit.head_lr=0.01", *text)
    assert cli("export", str(run), "out")[0] == 0
    model, loaded = stock(MASKED_LM, tmp_path / "out"), prunebert.load(run)
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "out")
    inputs = tokenizer(["the [MASK] was [MASK]"], return_tensors="pt")
    with torch.no_grad():
        logits = model(**inputs).logits[inputs["input_ids"] == tokenizer.mask_token_id]
    assert torch.allclose(logits, loaded.logits(["the [MASK] was [MASK]"]), atol=1e-5)
    assert not model.config.tie_word_embeddings
    assert not torch.equal(model.get_output_embeddings().weight, model.get_input_embeddings().weight)


@pytest.mark.parametrize(("name", "family", "words"), [RUNS[0], RUNS[2], RUNS[5], RUNS[7], RUNS[12]])
def test_the_delta_and_the_checkpoint_are_the_run(exported, cli, tmp_path, name, family, words):
    run, dense = exported(family, words)
    status, printed = cli("export", str(run), "delta", "--sparse")
    assert status == 0, printed
    assert cli("export", "delta", "whole")[0] == 0
    first, second = load_file(dense / "model.safetensors"), load_file(tmp_path / "whole/model.safetensors")
    assert first.keys() == second.keys() and all(torch.equal(first[n], second[n]) for n in first)
    files = {p.name for p in (tmp_path / "delta").iterdir()}
    trained = (run / "weights.safetensors").exists()
    assert files - {"head.safetensors"} == {"result.json", "masks.safetensors"} | (
        {"delta.safetensors"} if trained else set()
    )
    if trained:
        masks = artifacts.masks(run).masks
        stored = load_file(tmp_path / "delta/delta.safetensors")
        assert all(stored[n].numel() == int(m.sum()) for n, m in masks.items() if n in stored)
        assert (tmp_path / "delta/delta.safetensors").stat().st_size < (run / "weights.safetensors").stat().st_size
    if name == CLASSES:  # the folder holds the encoder and the head, as the run's network does
        assert f"({4 * sum(x.numel() for x in first.values()):,} bytes)" in printed
    total = sum(p.stat().st_size for p in (tmp_path / "delta").iterdir())
    assert f"{total:,} bytes" in printed and ("because they were trained" in printed) == trained
    assert cli("info", "delta")[0] == 0
    assert cli("export", "delta", "again", "--sparse")[0] == 0
    for file in (tmp_path / "delta").iterdir():
        assert (tmp_path / "again" / file.name).read_bytes() == file.read_bytes()


def test_nothing_is_overwritten_and_nothing_is_left_half_done(exported, cli, capsys, tmp_path, monkeypatch):
    run, _ = exported("bert", RUNS[0][2])
    capsys.readouterr()  # what the run printed, if this is the first test that asks for it
    (tmp_path / "full").mkdir()
    (tmp_path / "full/mine").touch()
    (tmp_path / "empty").mkdir()
    for words, message in (
        ((str(run), "full"), "full exists and is not empty"),
        ((str(run),), "required: OUT; usage: prunebert export"),
        ((str(run), "x", "--spares"), "--spares; usage: prunebert export"),
        (("nowhere", "x"), "there is no such directory"),
        ((str(run), "full/mine/x"), "cannot be written to"),
        ((str(run), "x", "--model", "./nowhere"), "there is no such folder"),
    ):
        status, printed = cli("export", *words)
        assert status == 2 and message in printed and len(printed.strip().splitlines()) == 1, printed
    assert sorted(p.name for p in tmp_path.iterdir()) == ["empty", "full"]

    def broken(*_):
        raise RuntimeError("the disk is gone")

    with monkeypatch.context() as patch:
        patch.setattr("prunebert.commands.export_card.card", broken)
        with pytest.raises(RuntimeError):
            cli("export", str(run), "empty")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["empty", "full"] and not list((tmp_path / "empty").iterdir())
    assert cli("export", str(run), "empty")[0] == 0
    assert cli("export", "--help")[0] == 0
