"""How many parameters a phase trained: those that something reads, counted by a stock model without a pooler."""

from functools import partial

import pytest
import transformers

from prunebert.fit import Fit
from prunebert.methods.abp import abp
from prunebert.methods.dense import dense
from prunebert.methods.movement import hard
from prunebert.methods.smp import smp
from prunebert.network import models
from prunebert.network.subnetwork import SubNetwork
from prunebert.run import Conditions, run
from prunebert.runs import artifacts
from prunebert.runs.artifacts import Artifacts
from prunebert.schedules import Cubic
from prunebert.training.loop import train
from tests.methods.test_abp import ABP
from tests.methods.test_phases import SMP
from tests.methods.test_trained_magnitude import MOVEMENT
from tests.toys import RESULT, save_model

FIT = Fit(epochs=1, steps=1, batch_size=4, lr=1e-3, head_lr=1e-3)
MATRICES, POOLER = 2 * (4 * 32 * 32 + 2 * 32 * 64), 32 * 32 + 32
MIX, LINEAR = 2 + (32 * 32 + 32) + (2 * 32 + 2), 2 * 32 + 2
WIDE = {"prunable": "encoder_pooler_embeddings"}
CASES = {
    "dense": (dense, {"head": "linear"}),
    "dense without pooler": (dense, {"head": "layer_mix"}),
    "abp": (abp, ABP | WIDE | {"schedule": Cubic(0.5)}),
    "movement": (hard, MOVEMENT | WIDE | {"schedule": Cubic(0.5)}),
    "smp": (smp, SMP | {"schedule": Cubic(0.5), "head": "linear"}),
}


@pytest.mark.parametrize("name", CASES)
def test_a_tensor_that_nothing_reads_is_not_counted(tmp_path, task, impl, name):
    """The checkpoint has a pooler, which AbP's head does not read."""
    folder = save_model(tmp_path / "model", masked_lm=False)
    stock = transformers.AutoModel.from_pretrained(folder, add_pooling_layer=False)
    sizes = {n: p.numel() for n, p in stock.named_parameters()}
    everything, words = sum(sizes.values()), sizes["embeddings.word_embeddings.weight"]
    layers = sum(size for n, size in sizes.items() if not n.startswith("embeddings"))
    expected = {
        "dense": (everything + POOLER + LINEAR, 0),
        "dense without pooler": (everything + MIX, 0),
        "abp": (MATRICES + words + MIX, MATRICES + words),
        "movement": (layers + POOLER + LINEAR + MATRICES + 32 * 32 + words, MATRICES + 32 * 32 + words),
        "smp": (MATRICES + LINEAR, MATRICES),
    }
    method, settings = CASES[name]
    net = SubNetwork(models.load(str(folder)))
    phase = next(method(net, task, **settings | {"fit": FIT}))
    trained = train(net, phase, seed=0, impl=impl, record=lambda line: None, score=lambda: 0.0)
    assert (trained.parameters, trained.scores) == expected[name]


@pytest.mark.parametrize("name", ["abp", "movement"])
def test_a_run_reports_what_was_trained_and_what_its_head_reads(tmp_path, task, impl, name):
    """The kept weights of the pooler are effective with a head that reads it, and not with AbP's."""
    model = models.load(str(save_model(tmp_path / "model", masked_lm=False)))
    method, settings = CASES[name]
    labels = RESULT | {"identity": "0", "task": "toy", "model": "toy", "sparsity": 0.5}
    conditions = Conditions(impl=impl, seed=0, labels=labels)
    row = run(partial(method, **settings | {"fit": FIT}), task, model, Artifacts(tmp_path / "run"), conditions)
    assert row["trained_scores"] == MATRICES + 81 * 32 + (32 * 32 if name == "movement" else 0)
    weights = row["trained_parameters"] - row["trained_scores"]
    assert weights == (MIX if name == "abp" else row["model_parameters"] - (81 + 64 + 2 + 2) * 32)
    effective = artifacts.topology(tmp_path / "run")["effective"]
    assert (effective["kinds"]["pooler"]["kept"] > 0) == (name == "movement")
    assert effective["kinds"]["query"]["kept"] > 0
