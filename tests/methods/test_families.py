"""Every method on every family of encoders, and what is done with a run afterwards."""

import json
from itertools import cycle

import numpy as np
import pandas as pd
import pytest
import torch
import transformers

import prunebert
from prunebert.analysis import overlap
from prunebert.masks import maskfile
from prunebert.network import fused, models
from tests.methods.test_matrix import EXTRA, PHASES
from tests.network import small

FAMILIES = tuple(small.OWN)
RELATIVE = ["distill=hidden_cosine"]  # in place of TinyBERT's attention scores, where positions are relative


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("families")
    return {family: small.save(root / family, family) for family in FAMILIES}


@pytest.fixture
def words(folders, toy, text):
    """Return a function that gives the words of a run of a family."""

    def of(family, method, *more):
        rest = [w for w in toy if not w.startswith("model.name")]
        teacher = RELATIVE if method == "sparsebert" and not models.FAMILIES[family].scores else []
        return [
            *(*rest, f"model.name={folders[family]}", *text, f"method={method}", *EXTRA.get(method, [])),
            *(*teacher, *more),
        ]

    return of


FEW = list(zip(FAMILIES, cycle(("movement", "smp", "obert", "gmp", "l0", "rigl", "abp")), strict=False))


@pytest.mark.parametrize(
    ("family", "method"),
    [
        *FEW,
        *(
            pytest.param(family, method, marks=pytest.mark.slow)
            for family in FAMILIES
            for method in PHASES
            if (family, method) not in FEW and method != "dense"
        ),
    ],
)
def test_a_method_removes_exactly_what_is_asked_on_a_family(cli, words, tmp_path, family, method):
    status, printed = cli(*words(family, method, "sparsity=0.7"))
    assert status == 0, printed
    row = json.loads((tmp_path / "run/result.json").read_text())
    masks = maskfile.read(tmp_path / "run/masks.safetensors").masks
    size = sum(m.numel() for m in masks.values())
    removed = size - sum(int(m.sum()) for m in masks.values())
    assert abs(removed - 0.7 * size) <= 1 and row[f"sparsity_{row['prunable']}"] == pytest.approx(removed / size)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_run_exports_loads_and_combines(cli, words, tmp_path, family):
    """Stock transformers and load() predict as the run did. A mask and itself overlap wholly."""
    from prunebert.commands.export import main as export

    status, printed = cli(*words(family, "magnitude", "sparsity=0.5", "prunable=encoder_pooler_embeddings"))
    assert status == 0, printed
    run, out = tmp_path / "run", tmp_path / "out"
    export([str(run), str(out)], compose=None)
    family_names = models.FAMILIES[family]
    model, info = transformers.AutoModelForSequenceClassification.from_pretrained(
        out, output_loading_info=True, attn_implementation=family_names.attention
    )
    assert not info["missing_keys"] and not info["unexpected_keys"]
    stored = pd.read_parquet(run / "predictions.parquet")
    texts = pd.read_csv(next(w for w in words(family, "dense") if w.startswith("task.eval"))[10:]).sentence.tolist()
    loaded = prunebert.load(run)
    inputs = {k: torch.tensor(v) for k, v in loaded.net.model.tokenizer(texts, padding=True).items()}
    inputs = {k: v for k, v in inputs.items() if k != "token_type_ids" or family in ("nomic_bert", "albert")}
    with torch.no_grad():
        logits = model.eval()(**inputs).logits
    assert np.allclose(logits, np.stack(stored.scores), atol=1e-5)
    assert np.allclose(loaded.logits(texts), np.stack(stored.scores), atol=1e-5)
    masks = maskfile.read(run / "masks.safetensors").masks
    stock = fused.joined(masks, family_names)
    weights = dict(model.named_parameters())
    assert all(not weights[n][~m].any() for n, m in stock.items() if n in weights)
    assert sum(m.numel() for n, m in stock.items()) == sum(m.numel() for m in masks.values())
    packed = maskfile.pack(maskfile.read(run / "masks.safetensors"))
    assert overlap.pair(packed, packed)["jaccard"] == 1
