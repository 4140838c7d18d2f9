"""Test `prunable`: one set of matrices for all methods, and the measured sparsity under every denominator."""

import json

import numpy as np
import pytest
import transformers

from prunebert.errors import BadInput
from prunebert.masks import maskfile
from prunebert.methods.magnitude import one_shot
from prunebert.network import models
from prunebert.network.subnetwork import SubNetwork
from prunebert.settings import checks
from tests.runs.test_reuse import BASE, METHODS, WIDE
from tests.test_conf import composed, options
from tests.toys import save_model

PUBLISHED = {
    "random": "encoder",
    "fixed_mask": "encoder",
    "magnitude": "encoder_pooler",
    "masking": "encoder_pooler",
    "imp": "encoder_pooler",
    "gmp": "encoder",
    "gmp_star": "encoder",
    "movement": "encoder",
    "platon": "encoder",
    "soft_movement": "encoder",
    "l0": "encoder",
    "smp": "encoder",
    "abp": WIDE,
    "tamt": WIDE,
    "sparsebert": "encoder",
    "obert": "encoder",
    "snip": "encoder",
    "rigl": "encoder",
    "sparse_transfer": "encoder",
}


@pytest.mark.parametrize("method", PUBLISHED)
def test_one_option_sets_what_every_method_prunes(method):
    assert {*PUBLISHED, "dense"} == set(options("method"))
    assert composed(f"method={method}")["method"]["prunable"] == PUBLISHED[method]
    other_set = "encoder" if PUBLISHED[method] != "encoder" else WIDE
    cfg = composed(f"method={method}", f"prunable={other_set}")
    checks.config(cfg)
    assert cfg["method"]["prunable"] == cfg["prunable"] == other_set


def test_method_prunable_overrides_prunable():
    cfg = composed("method=abp", "prunable=encoder", "method.prunable=encoder_pooler")
    assert cfg["method"]["prunable"] == "encoder_pooler"
    assert composed("method=abp", "prunable=paper")["method"]["prunable"] == WIDE


@pytest.mark.parametrize("words", ["prunable=encodr", "method.prunable=encodr"])
def test_an_unknown_set_is_refused(words):
    with pytest.raises(BadInput, match=rf"^{words}: allowed are .*did you mean encoder\?"):
        checks.config(composed("method=abp", words))


@pytest.mark.parametrize("pooled", [False, True])
def test_every_denominator_is_measured(cli, toy, tmp_path, pooled):
    """Counts come from the mask file and a stock model. A pooler counts if the checkpoint has one."""
    folder = save_model(tmp_path / "model", masked_lm=not pooled)
    words = [w for w in toy if "threads" not in w and "model.name" not in w] + [
        f"model.name={folder}",
        "impl.threads=1",
    ]
    assert cli(*words, "method=random", "method.allocation=global", f"prunable={WIDE}", "sparsity=0.6")[0] == 0
    row = json.loads((tmp_path / "run/result.json").read_text())
    removed = {n: int((~m).sum()) for n, m in maskfile.read(tmp_path / "run/masks.safetensors").masks.items()}
    stock = transformers.AutoModelForSequenceClassification.from_pretrained(folder, num_labels=2)
    sizes = {n: p.numel() for n, p in stock.named_parameters()}
    encoder = [n for n in sizes if ".layer." in n and n.endswith("weight") and "LayerNorm" not in n]
    pooler, embeddings = ["bert.pooler.dense.weight"] if pooled else [], ["bert.embeddings.word_embeddings.weight"]
    assert set(removed) == {*encoder, *pooler, *embeddings} and len(encoder) == 12 and row["prunable"] == WIDE
    for key, names in (
        ("sparsity_encoder", encoder),
        ("sparsity_encoder_pooler", encoder + pooler),
        (f"sparsity_{WIDE}", encoder + pooler + embeddings),
    ):
        expected = sum(removed[n] for n in names) / sum(sizes[n] for n in names)
        assert row[key] == pytest.approx(expected, abs=1e-12)
    assert row["sparsity_model"] == pytest.approx(sum(removed.values()) / sum(sizes.values()), abs=1e-12)
    assert row[f"sparsity_{WIDE}"] == pytest.approx(0.6, abs=1e-4) and row["sparsity_model"] < 0.55
    distinct = {row[k] for k in ("sparsity_encoder", "sparsity_encoder_pooler", f"sparsity_{WIDE}")}
    assert len(distinct) == (3 if pooled else 2)


@pytest.mark.parametrize("prunable", ["encoder", "encoder_pooler", WIDE])
def test_the_sets_on_a_checkpoint_with_a_pooler(tmp_path, task, prunable):
    """A global ranking over each set, against numpy's sort of the same weights from a stock model."""
    folder = save_model(tmp_path / "model", masked_lm=False)
    net = SubNetwork(models.load(str(folder)))
    settings = METHODS["magnitude"][1] | {"prunable": prunable, "sparsity": 0.4}
    M = next(one_shot(net, task, **BASE | settings)).masks(1.0, True)
    stock = dict(transformers.AutoModel.from_pretrained(folder).named_parameters())
    names = [n for n in stock if ".layer." in n and n.endswith("weight") and "LayerNorm" not in n]
    names += ["pooler.dense.weight"] if prunable != "encoder" else []
    names += ["embeddings.word_embeddings.weight"] if prunable == WIDE else []
    assert {f"bert.{n}" for n in names} == M.keys() and len(names) == {"encoder": 12, "encoder_pooler": 13}.get(
        prunable, 14
    )
    flat = np.sort(np.concatenate([stock[n].detach().abs().numpy().ravel() for n in names]))
    cut = flat[round(0.4 * len(flat))]  # the smallest remaining magnitude
    assert all(np.array_equal(M[f"bert.{n}"].numpy(), stock[n].detach().abs().numpy() >= cut) for n in names)
