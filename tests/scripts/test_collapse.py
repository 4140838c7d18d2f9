"""Compare scripts/collapse.py with transformers' own model, zeros in its weights, and with scikit-learn's cosines."""

import statistics
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics.pairwise import cosine_similarity
from transformers import AutoModel

import prunebert
from tests.toys import script

collapse = script("collapse")


@pytest.fixture
def run(finished):
    return finished("method=movement", "sparsity=0.5")


@torch.no_grad()
def stock_hidden_states(loaded, inputs, theta, masks):
    """Return [layers + 1][texts, length, width] of transformers' own class, with θ ⊙ M in place of its weights."""
    model = AutoModel.from_pretrained(loaded.facts["checkpoint"]["name"]).eval()
    for name, w in theta.items():
        model.get_parameter(name.removeprefix("bert.")).copy_(w * masks[name] if name in masks else w)
    return [h.numpy() for h in model(**inputs, output_hidden_states=True).hidden_states]


@pytest.fixture
def inputs_of_run(run, data_folder):
    loaded = prunebert.load(run)
    texts = pd.read_csv(data_folder / "eval.csv").sentence.tolist()[:7]
    dense = {n: w.detach().clone() for n, w in loaded.net.parameters_of().items()}
    return loaded, collapse.tokenize(loaded, texts), dense


def enlarged(dense):
    """Multiply the toy's matrices by 20. With its own, all texts are nearly equal: cosines are within 1e-5 of 1."""
    return {n: 20 * w if w.ndim > 1 else w for n, w in dense.items()}


def test_cosines_of_all_pairs_of_first_tokens(inputs_of_run):
    loaded, inputs, dense = inputs_of_run
    for theta in (dense, dense | loaded.theta, enlarged(dense)):
        values = collapse.cosines(loaded, inputs, theta, loaded.masks)
        for h, cosine in zip(stock_hidden_states(loaded, inputs, theta, loaded.masks), values, strict=True):
            pairs = cosine_similarity(h[:, 0])[np.triu_indices(len(h), 1)]
            assert cosine == pytest.approx(pairs.mean(), abs=1e-5)
    assert loaded.theta and values[-1] < 0.99


def test_restored_means_change_a_masked_network_but_no_dense_one(inputs_of_run):
    loaded, inputs, dense = inputs_of_run
    masks, dense = loaded.masks, enlarged(dense)
    generator = torch.Generator().manual_seed(0)  # random masks do not depend on a processor's rounding
    masks |= {n: torch.rand(m.shape, generator=generator) < 0.5 for n, m in masks.items()}
    dense_values = collapse.cosines(loaded, inputs, dense, {})
    recentred, masked = collapse.recentred(loaded, inputs, dense), collapse.cosines(loaded, inputs, dense, masks)
    assert recentred[0] == masked[0] == dense_values[0]  # nothing is masked before the first layer
    assert all(abs(a - b) > 0.01 for a, b in zip(recentred[1:], masked[1:], strict=True)), (recentred, masked)
    masks |= {n: torch.ones_like(m) for n, m in masks.items()}
    assert collapse.recentred(loaded, inputs, dense) == pytest.approx(dense_values, abs=1e-6)
    assert collapse.cosines(loaded, inputs, dense, {}) == dense_values  # no hook remains on the network


def test_ratios_of_means_and_deviations_of_queries_and_keys(inputs_of_run):
    loaded, inputs, dense = inputs_of_run
    ratios = collapse.mean_ratios(loaded, inputs)
    is_token = inputs["attention_mask"].numpy().astype(bool)
    hidden = stock_hidden_states(loaded, inputs, dense, {})
    for kind in ("query", "key"):  # they read the layers' inputs
        names = [n for n in loaded.masks if loaded.net.place(n)[1] == kind]
        expected = []
        for layer, n in enumerate(sorted(names)):
            W, M = dense[n].numpy().astype(float), loaded.masks[n].numpy()
            dense_outputs, masked_outputs = (hidden[layer][is_token] @ w.T for w in (W, W * M))
            deviations = [((y - y.mean(0)) ** 2).sum() for y in (dense_outputs, masked_outputs)]
            norms = [np.linalg.norm(y.mean(0)) for y in (dense_outputs, masked_outputs)]
            expected.append((norms[1] / norms[0], np.sqrt(deviations[1] / deviations[0])))
        assert len(expected) > 1
        assert ratios[kind] == pytest.approx([statistics.mean(x) for x in zip(*expected, strict=True)], rel=1e-4)


def test_as_a_command(run, data_folder, tmp_path, monkeypatch, capsys):
    pd.read_csv(data_folder / "eval.csv").to_csv(tmp_path / "texts.tsv", sep="\t", index=False)
    monkeypatch.setattr(sys, "argv", ["collapse.py", str(tmp_path / "texts.tsv"), "sentence", str(run)])
    collapse.main()
    printed = capsys.readouterr().out
    for text in ("movement 0.50", "cosines, the masks alone", "attention-output: mean, rest"):
        assert text in printed
    monkeypatch.setattr(sys, "argv", ["collapse.py"])
    with pytest.raises(SystemExit, match="RUN"):
        collapse.main()
