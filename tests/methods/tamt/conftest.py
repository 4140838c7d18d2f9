"""Fixtures for TAMT: small settings, some text, and a function that trains phases."""

import zlib
from functools import partial

import numpy as np
import pytest

from prunebert import distill
from prunebert.fit import Fit
from prunebert.methods.magnitude import magnitude
from prunebert.methods.tamt import initial_scores, last_step, mask_training
from prunebert.runs.reuse import ranking
from prunebert.tasks.corpus import corpus
from prunebert.tasks.mlm import mlm_task
from prunebert.training.evaluate import evaluate
from prunebert.training.loop import train
from tests.toys import watched

FIT = Fit(epochs=1, steps=4, batch_size=8, lr=1e-3, head_lr=1e-3)
MASK_FIT = Fit(epochs=1, steps=5, batch_size=8, lr=5e-3, head_lr=1e-3)
WIDE = "encoder_pooler_embeddings"
TAMT = {
    "fit": FIT,
    "sparsity": 0.7,
    "objective": "mlm",
    "mask_fit": MASK_FIT,
    "mask_steps": None,
    "tau": 0.01,
    "masks": None,
    "prunable": WIDE,
    "head": "linear",
    "distill": distill.none,
}


@pytest.fixture(scope="module")
def text_file(tmp_path_factory):
    random = np.random.default_rng(0)
    words = ["good", "bad", "film", "plot", "scene", "actor", "the", "was"]
    file = tmp_path_factory.mktemp("text") / "text.txt"
    file.write_text("\n".join(" ".join(random.choice(words, 20)) for _ in range(60)))
    return file


@pytest.fixture
def read(text_file):
    """Return what `method.corpus` becomes: a function that loads the text's masked-LM task."""
    texts = partial(corpus, name="own", file=str(text_file), holdout=0.2, hub=None, package=None, text="text")
    return partial(mlm_task, name="own", corpus=texts, block=16, rate=0.15)


@pytest.fixture
def text(read, net):
    return read(tokenizer=net.model.tokenizer, positions=net.model.positions)


def play(programme, net, impl, watch=lambda phase, t, M: None):
    """Train every phase. `watch` gets each step's masks, as the forward pass uses them.

    Returns:
        (phase, result of train) for each phase, and the recorded lines.
    """
    results, lines = [], []
    for phase in programme:

        def score(phase=phase):
            return evaluate(net, phase.task, phase.head, impl).score

        seed = zlib.crc32(phase.name.encode())  # as in run.py for seed 0
        trained = train(net, watched(phase, watch), seed=seed, impl=impl, record=lines.append, score=score)
        results.append((phase, trained))
    return results, lines


def phase_1(net, text, **changes):
    settings = {
        "fit": MASK_FIT,
        "sparsity": 0.7,
        "objective": "mlm",
        "stop": None,
        "tau": 0.01,
        "prunable": WIDE,
    } | changes
    prunable, sparsity, tau, stop = (settings.pop(key) for key in ("prunable", "sparsity", "tau", "stop"))
    first, rank = (ranking(net, prunable, "uniform", "none", sparsity) for _ in range(2))
    S = initial_scores(first(magnitude(net, prunable), sparsity), net.new_scores(prunable), tau)
    last = last_step(stop, settings["fit"].steps_for(text.train_rows), sparsity)
    return mask_training(net, text, S, cut=partial(rank, sparsity=sparsity), last=last, **settings)
