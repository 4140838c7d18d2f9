"""TAMT in small: its settings, some text, phases played through the loop."""

import zlib
from functools import partial

import numpy as np
import pytest

from prunebert import distill
from prunebert.fit import Fit
from prunebert.methods.tamt import mask_training
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
    """What `method.corpus` becomes: the text's masked-LM task, still to be loaded."""
    texts = partial(corpus, name="own", file=str(text_file), holdout=0.2, hub=None, package=None, text="text")
    return partial(mlm_task, name="own", corpus=texts, block=16, rate=0.15)


@pytest.fixture
def text(read, net):
    return read(tokenizer=net.model.tokenizer, positions=net.model.positions)


def play(programme, net, impl, watch=lambda phase, t, M: None):
    """Every phase through the loop. `watch` sees each step's masks, as the forward pass has them."""
    done, lines = [], []
    for phase in programme:

        def score(phase=phase):
            return evaluate(net, phase.task, phase.head, impl).score

        seed = zlib.crc32(phase.name.encode())  # as run.py has it at seed 0
        trained = train(net, watched(phase, watch), seed=seed, impl=impl, record=lines.append, score=score)
        done.append((phase, trained))
    return done, lines


def phase_1(net, text, **changed):
    settings = {"fit": MASK_FIT, "sparsity": 0.7, "objective": "mlm", "stop": None, "tau": 0.01, "prunable": WIDE}
    return mask_training(net, text, **settings | changed)
