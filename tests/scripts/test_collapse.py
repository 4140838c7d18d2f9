"""scripts/collapse.py against the stock model with the zeros in its weights, and scikit-learn's cosines."""

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
def stock(loaded, inputs, theta, masks):
    """[layers + 1][texts, length, width], as transformers' own class has it with θ ⊙ M in place of its weights."""
    model = AutoModel.from_pretrained(loaded.facts["checkpoint"]["name"]).eval()
    for name, w in theta.items():
        model.get_parameter(name.removeprefix("bert.")).copy_(w * masks[name] if name in masks else w)
    return [h.numpy() for h in model(**inputs, output_hidden_states=True).hidden_states]


@pytest.fixture
def read(run, data_folder):
    loaded = prunebert.load(run)
    texts = pd.read_csv(data_folder / "eval.csv").sentence.tolist()[:7]
    dense = {n: w.detach().clone() for n, w in loaded.net.parameters_of().items()}
    return loaded, collapse.read(loaded, texts), dense


def enlarged(dense):
    """20 times the toy's matrices: its own give all texts nearly the same, with cosines within 1e-5 of 1."""
    return {n: 20 * w if w.ndim > 1 else w for n, w in dense.items()}


def test_cosines_of_all_pairs_of_first_tokens(read):
    loaded, inputs, dense = read
    for theta in (dense, dense | loaded.theta, enlarged(dense)):
        found = collapse.cosines(loaded, inputs, theta, loaded.masks)
        for h, cosine in zip(stock(loaded, inputs, theta, loaded.masks), found, strict=True):
            pairs = cosine_similarity(h[:, 0])[np.triu_indices(len(h), 1)]
            assert cosine == pytest.approx(pairs.mean(), abs=1e-5)
    assert loaded.theta and found[-1] < 0.99


def test_means_put_back_change_a_masked_network_and_no_dense_one(read):
    loaded, inputs, dense = read
    masks, dense = loaded.masks, enlarged(dense)
    generator = torch.Generator().manual_seed(0)  # masks that no processor's rounding has a part in
    masks |= {n: torch.rand(m.shape, generator=generator) < 0.5 for n, m in masks.items()}
    plain = collapse.cosines(loaded, inputs, dense, {})
    recentred, masked = collapse.recentred(loaded, inputs, dense), collapse.cosines(loaded, inputs, dense, masks)
    assert recentred[0] == masked[0] == plain[0]  # nothing is masked before the first layer
    assert all(abs(a - b) > 0.01 for a, b in zip(recentred[1:], masked[1:], strict=True)), (recentred, masked)
    masks |= {n: torch.ones_like(m) for n, m in masks.items()}
    assert collapse.recentred(loaded, inputs, dense) == pytest.approx(plain, abs=1e-6)
    assert collapse.cosines(loaded, inputs, dense, {}) == plain  # nothing is left on the network


def test_means_and_the_rest_of_what_queries_and_keys_give(read):
    loaded, inputs, dense = read
    found = collapse.offsets(loaded, inputs)
    real = inputs["attention_mask"].numpy().astype(bool)
    hidden = stock(loaded, inputs, dense, {})
    for kind in ("query", "key"):  # what they read are the layers' inputs
        names = [n for n in loaded.masks if loaded.net.place(n)[1] == kind]
        expected = []
        for layer, n in enumerate(sorted(names)):
            W, M = dense[n].numpy().astype(float), loaded.masks[n].numpy()
            before, after = (hidden[layer][real] @ w.T for w in (W, W * M))
            rest = np.sqrt(((after - after.mean(0)) ** 2).sum() / ((before - before.mean(0)) ** 2).sum())
            expected.append((np.linalg.norm(after.mean(0)) / np.linalg.norm(before.mean(0)), rest))
        assert len(expected) > 1
        assert found[kind] == pytest.approx([statistics.mean(x) for x in zip(*expected, strict=True)], rel=1e-4)


def test_as_a_command(run, data_folder, tmp_path, monkeypatch, capsys):
    pd.read_csv(data_folder / "eval.csv").to_csv(tmp_path / "texts.tsv", sep="\t", index=False)
    monkeypatch.setattr(sys, "argv", ["collapse.py", str(tmp_path / "texts.tsv"), "sentence", str(run)])
    collapse.main()
    told = capsys.readouterr().out
    assert "movement 0.50" in told and "cosines, the masks alone" in told and "attention-output: mean, rest" in told
    monkeypatch.setattr(sys, "argv", ["collapse.py"])
    with pytest.raises(SystemExit, match="RUN"):
        collapse.main()
