"""Toy masks for the tests of scripts/topology_*.py, and those scripts as modules."""

import importlib
import itertools
from pathlib import Path

import numpy as np
import pytest
import torch

from prunebert.masks.maskfile import MaskFile, pack

ROOT = Path(__file__).parents[2]
with pytest.MonkeyPatch.context() as patch:  # the scripts import each other
    patch.syspath_prepend(ROOT / "scripts")
    names = ("answers", "claims", "measures", "rules", "study", "table", "transfer")
    answers, claims, measures, rules, study, table, transfer = (
        importlib.import_module(f"topology_{name}") for name in names
    )

SHAPES = {
    **dict.fromkeys(("query", "key", "value", "attention-output"), (12, 12)),
    **{"intermediate": (36, 12), "output": (12, 36)},
}
TENSORS = {
    "query": "attention.self.query",
    "key": "attention.self.key",
    "value": "attention.self.value",
    "attention-output": "attention.output.dense",
    "intermediate": "intermediate.dense",
    "output": "output.dense",
}
LAYERS = 4
WORDS = "bert.embeddings.word_embeddings.weight"
KINDS = {f"bert.encoder.layer.{i}.{TENSORS[k]}.weight": k for i in range(LAYERS) for k in SHAPES} | {
    WORDS: "embeddings"
}
SIZES = {name: SHAPES.get(kind, (200, 12)) for name, kind in KINDS.items()}
TASKS = ("a", "b", "c")


def layer(name):
    return int(name.split(".")[3]) if name != WORDS else -1


def as_run(masks):
    return study.Run(pack(MaskFile({n: torch.from_numpy(m) for n, m in masks.items()}, "toy", "w")), KINDS)


def draw(random, density):
    """Draw a mask. density: a function of a matrix's name."""
    return {n: random.random(shape) < density(n) for n, shape in SIZES.items()}


def grid(make, methods=("abp",), tasks=TASKS, sparsities=(0.5,), seeds=range(3)):
    """Return a study. make: a function of the random generator of a run, its task, sparsity and seed."""
    runs = {}
    for key in itertools.product(methods, tasks, sparsities, seeds):
        random = np.random.default_rng([ord(key[0][0]), ord(key[1]), round(100 * key[2]), key[3]])
        masks = make(random, *key[1:])
        runs[key] = as_run(masks)
    return study.Study(runs, model="toy", prunable="encoder_embeddings")


def at_random(random, task, sparsity, seed):
    return draw(random, lambda name: 1 - sparsity)


def verdict(evidence):
    return rules.decide([evidence])[0]["verdict"]
