"""What every phase of every method trains, at which rate and with which decay: one step along a gradient of 1."""

from dataclasses import replace
from functools import partial

import pytest
import torch

from prunebert.fit import Fit
from prunebert.methods.abp import abp
from prunebert.methods.dense import dense
from prunebert.methods.gradual import gmp
from prunebert.methods.imp import imp
from prunebert.methods.l0 import l0
from prunebert.methods.magnitude import one_shot
from prunebert.methods.masking import masking
from prunebert.methods.movement import hard
from prunebert.methods.obert import obert
from prunebert.methods.random import random
from prunebert.methods.rigl import rigl
from prunebert.methods.smp import smp
from prunebert.methods.snip import snip
from prunebert.methods.soft_movement import soft
from prunebert.methods.sparsebert import sparsebert
from prunebert.methods.tamt import tamt
from prunebert.network import models
from prunebert.network.subnetwork import SubNetwork
from prunebert.schedules import Cubic
from prunebert.tasks.corpus import corpus
from prunebert.tasks.mlm import mlm_task
from prunebert.tasks.text import text_task
from prunebert.training.step import Stepper
from tests.methods.tamt.conftest import TAMT
from tests.methods.test_abp import ABP
from tests.methods.test_l0 import L0
from tests.methods.test_masking import MASKING
from tests.methods.test_obert import OBERT
from tests.methods.test_phases import FIXED, RANDOM, SMP
from tests.methods.test_rigl import RIGL
from tests.methods.test_snip import SNIP
from tests.methods.test_soft_movement import SOFT
from tests.methods.test_trained_magnitude import GMP, IMP, MOVEMENT
from tests.toys import TASK

LR, HEAD_LR, SCORE_LR, DECAY = 1e-2, 2e-2, 4e-2, 0.5
MASK_LR, MASK_HEAD_LR, MASK_DECAY = 3e-2, 5e-2, 0.25
FIT = Fit(epochs=1, steps=1, batch_size=4, lr=LR, head_lr=HEAD_LR, weight_decay=DECAY, clip=float("inf"))
MASK_FIT = Fit(
    epochs=1, steps=1, batch_size=4, lr=MASK_LR, head_lr=MASK_HEAD_LR, weight_decay=MASK_DECAY, clip=float("inf")
)
# (rate, decay) of each kind of tensor; a kind that is missing is frozen
HEAD = {"head": (HEAD_LR, 0.0)}
LAYERS = {"matrix": (LR, DECAY), "vector": (LR, 0.0), **HEAD}
ALL = {**LAYERS, "embedding": (LR, DECAY), "embedding vector": (LR, 0.0)}
SCORES = {"scores": (SCORE_LR, 0.0)}
HALF = {"fit": FIT, "sparsity": 0.5}
KEPT = {"keep_pretrained": True}
FREE = {"control": "none", "penalty": 0.0, "score_lr": SCORE_LR}  # no penalty, which would add to the gradient
MOVE = MOVEMENT | {"fit": FIT, "schedule": Cubic(0.5), "score_lr": SCORE_LR}
GRADUAL = GMP | {"fit": FIT, "schedule": Cubic(0.5)}
S_ONLY = SMP | {"fit": FIT, "schedule": Cubic(0.5), "score_lr": SCORE_LR, "penalty": 0.0, "prune_steps": 1}
THETA = ABP | {"fit": FIT, "schedule": Cubic(0.0), "score_lr": SCORE_LR}  # at sparsity 0 γ is 0
MASK_PHASE = {"scores": (MASK_LR, MASK_DECAY), "head": (MASK_HEAD_LR, 0.0)}
SPARSE = {k: GRADUAL[k] for k in ("fit", "schedule", "updates", "prunable", "head", "distill")}
EVERY = {"train_embeddings": True}
CASES = {
    "dense": (dense, {"fit": FIT, "head": "linear"}, {"finetune": ALL}),
    "magnitude": (one_shot, FIXED | HALF, {"finetune": ALL}),
    "magnitude, kept": (one_shot, FIXED | HALF | KEPT, {"head": HEAD}),
    "random": (random, FIXED | HALF | RANDOM, {"finetune": ALL}),
    "random, kept": (random, FIXED | HALF | RANDOM | KEPT, {"head": HEAD}),
    "imp": (imp, IMP | HALF | {"step": 0.5}, {"round-1": ALL, "finetune": ALL}),
    "imp, kept": (imp, IMP | HALF | KEPT | {"step": 0.5}, {"round-1": ALL, "head": HEAD}),
    "gmp": (gmp, GRADUAL, {"prune": ALL}),
    "gmp, kept": (gmp, GRADUAL | KEPT, {"prune": ALL, "head": HEAD}),
    "gmp, frozen embeddings": (gmp, GRADUAL | {"train_embeddings": False}, {"prune": LAYERS}),
    "sparsebert": (sparsebert, SPARSE, {"prune": ALL}),
    "obert": (obert, OBERT | {"fit": FIT}, {"fisher-1": {}, "train-2": ALL}),
    "movement": (hard, MOVE, {"prune": LAYERS | SCORES}),
    "movement, embeddings": (hard, MOVE | EVERY, {"prune": ALL | SCORES}),
    "soft": (soft, SOFT | HALF | FREE, {"prune": LAYERS | SCORES}),
    "soft, embeddings": (soft, SOFT | HALF | FREE | EVERY, {"prune": ALL | SCORES}),
    "l0": (l0, L0 | HALF | FREE, {"prune": LAYERS | SCORES}),
    "l0, embeddings": (l0, L0 | HALF | FREE | EVERY, {"prune": ALL | SCORES}),
    "masking": (masking, MASKING | HALF | {"score_lr": SCORE_LR}, {"prune": SCORES | HEAD}),
    "snip": (snip, SNIP | HALF, {"saliency": {}, "finetune": ALL}),
    "rigl": (rigl, RIGL | HALF, {"prune": ALL}),
    "smp": (smp, S_ONLY, {"prune": SCORES}),
    "smp, linear": (smp, S_ONLY | {"head": "linear"}, {"prune": SCORES | HEAD}),
    "abp": (abp, THETA, {"prune": SCORES | HEAD}),
    "abp, shuffle": (abp, THETA | {"ablation": "shuffle"}, {"prune": SCORES | HEAD, "head": HEAD}),
    "tamt": (tamt, TAMT | {"fit": FIT, "mask_fit": MASK_FIT}, {"mask-training": MASK_PHASE, "finetune": ALL}),
    "tamt, kd": (
        tamt,
        TAMT | {"fit": FIT, "mask_fit": MASK_FIT, "objective": "kd"},
        {"mask-training": {"scores": (MASK_LR, MASK_DECAY)}, "finetune": ALL},
    ),
}
# ε, and the mean of the scores at the start; TAMT's are 2 · 0.01 on 30 % of the weights
EPSILON = {
    "movement": (1e-8, 0.0),
    "soft": (1e-8, 0.0),
    "l0": (1e-8, 2.197),
    "smp": (1e-8, 0.0),
    "abp": (1e-12, 0.01),
    "tamt": (1e-8, 0.006),
}


@pytest.fixture(scope="module")
def parts(model_folder, data_folder):
    """Return the toy model, a task and copies of the encoder's weights, read once."""
    model, files = models.load(str(model_folder)), {s: str(data_folder / f"{s}.csv") for s in ("train", "eval")}
    task = text_task(tokenizer=model.tokenizer, positions=64, **TASK, **files, metric="prunebert.metrics:Accuracy")
    return model, task, {n: p.detach().clone() for n, p in model.encoder.named_parameters()}


@pytest.fixture
def net(parts):
    """Return a network with the checkpoint's weights, whatever the test before trained."""
    model, _, start = parts
    with torch.no_grad():
        for n, p in model.encoder.named_parameters():
            p.copy_(start[n])
    return SubNetwork(model)


@pytest.fixture
def task(parts):
    return parts[1]


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    """Return TAMT's corpus: lines of a file in blocks of 16 words."""
    tmp_path = tmp_path_factory.mktemp("text")
    (tmp_path / "a.txt").write_text("the film was good\na dull plot and a bright scene it was not bad\n" * 20)
    lines = corpus(name="own", file=str(tmp_path / "a.txt"), holdout=0.2, hub=None, package=None, text="text")
    return {"corpus": partial(mlm_task, name="mlm", corpus=lambda: lines, block=16, rate=0.15)}


def kind(name, new_head):
    """Return the kind of a stock BERT's parameter. The toy checkpoint has no pooler, so it trains with a new head."""
    if name.startswith("head."):
        return "frozen" if name == "head.words" else "head"  # the decoder's matrix is frozen in TAMT
    if ".pooler." in name:
        return "head" if new_head else "frozen"
    is_vector = name.endswith("bias") or "LayerNorm" in name
    if ".embeddings." in name:
        return "embedding vector" if is_vector else "embedding"
    return "vector" if is_vector else "matrix"


def step_along(phase, net, impl, gradient):
    """Take the phase's first step, with this gradient for every tensor that it trains."""
    tensors = [x for g in phase.train for x in g.tensors.values()]

    def loss(out, batch, t):
        return {"sum": gradient * torch.stack([x.sum() for x in tensors]).sum()}

    step = Stepper(net, replace(phase, loss=loss), seed=0, impl=impl)
    step(0, next(phase.task.batches(4, 0)))
    step.end()


@pytest.mark.parametrize("name", CASES)
def test_every_tensor_has_its_rate_and_its_decay(net, task, impl, text, name):
    """AdamW's first step along a gradient of 1 is x ← x - rate (decay · x + 1). What is frozen stays as it was."""
    method, settings, expected = CASES[name]
    names = []
    for phase in method(net, task, **settings | (text if method is tamt else {})):
        names.append(phase.name)
        rates = expected[phase.name]
        scores = {n: x for g in phase.train if g.name == "scores" for n, x in g.tensors.items()}
        before, new_head = net.snapshot(phase.head), not net.heads[phase.head].pretrained
        old_scores = {n: x.add_(0.1).clone() for n, x in scores.items()}  # not 0, where decay would change nothing
        step_along(phase, net, impl, 1.0)
        assert bool(scores) == ("scores" in rates) and len(before) >= 39
        for n, x in net.snapshot(phase.head).items():
            rate, decay = rates.get(kind(n, new_head), (0.0, 0.0))
            torch.testing.assert_close(x, before[n] - rate * (decay * before[n] + 1), msg=f"{phase.name}: {n}")
        for n, x in scores.items():
            rate, decay = rates["scores"]
            torch.testing.assert_close(x, old_scores[n] - rate * (decay * old_scores[n] + 1), msg=n)
        net.masks = dict(phase.masks(1.0, True))
    assert names == list(expected)


@pytest.mark.parametrize("name", EPSILON)
def test_epsilon_and_the_start_of_the_scores(net, task, impl, text, name):
    """Adam's first step is rate · g / (g + ε): at g = 1e-8 half the rate with ε = 1e-8, and all of it with AbP's."""
    method, settings, expected = CASES[name]
    if method is tamt:
        settings = settings | text | {"mask_fit": Fit(**vars(MASK_FIT) | {"weight_decay": 0.0})}
    phase = next(method(net, task, **settings))
    scores = phase.train[-1 if method in (hard, soft, l0) else 0].tensors
    old = {n: x.clone() for n, x in scores.items()}
    step_along(phase, net, impl, 1e-8)
    rate, (epsilon, start) = next(iter(expected.values()))["scores"][0], EPSILON[name]
    for n, x in scores.items():
        assert old[n].mean().item() == pytest.approx(start, abs=2e-4), n
        moved = (old[n] - x.detach()).mean().item()
        assert moved == pytest.approx(rate * 1e-8 / (1e-8 + epsilon), rel=1e-3), n
