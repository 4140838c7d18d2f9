"""One run on two ranks (gloo, CPU) against the same run on one, and what they tell each other."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from prunebert.masks import maskfile
from tests.methods.test_matrix import EXTRA
from tests.runs.test_resume import assert_same_run, results

TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
ALONE = """
import json, torch
from prunebert.system import distributed as ranks
from prunebert.network.interface import Batch
from prunebert.training.step import share
from prunebert.training.loop import require_equal_masks

ranks.start(torch.device("cpu"))
generator = torch.Generator().manual_seed(0)
for rows in (7, 4, 1):
    x, y = torch.randn(rows, 5, generator=generator), torch.randn(rows, generator=generator)
    W = torch.randn(5, generator=generator, requires_grad=True)
    whole, = torch.autograd.grad(((x @ W - y) ** 2).mean() + W.abs().sum(), W)
    batch, part = share(Batch({"x": x}, y, torch.arange(rows)))
    terms = {"task": ((batch.inputs["x"] @ W - batch.labels) ** 2).mean(), "penalty": W.abs().sum()}
    sum(terms.values()).backward()
    told = ranks.average([W, torch.zeros(3)], terms, part)
    torch.testing.assert_close(W.grad, whole)
    torch.testing.assert_close(told["task"], ((x @ W - y) ** 2).mean().detach())
    torch.testing.assert_close(told["penalty"], W.abs().sum().detach())
labels = torch.tensor([[-100, 3, 4], [-100, -100, 5], [-100, -100, -100]])  # what nothing is asked of counts nothing
batch, part = share(Batch({}, labels, torch.arange(3)))
assert part == [2 / 3, 1 / 3][ranks.RANK] and batch.rows.tolist() == [[0, 2], [1]][ranks.RANK]
W = torch.ones(2, requires_grad=True)
(W * (float("nan") if ranks.RANK else 2.0)).sum().backward()  # the mean over no label
assert ranks.average([W], {"task": W.sum()}, 1.0 - ranks.RANK)["task"] == 2 and W.grad.tolist() == [2, 2]

torch.manual_seed(5)
before = torch.random.get_rng_state()
with ranks.own_random(1, 2, torch.device("cpu")):
    own = torch.rand(3).tolist()
assert torch.equal(before, torch.random.get_rng_state())
assert (own == ranks.broadcast(own)) == ranks.FIRST
for seed, step in ((1, 2), (1, 3), (2, 2)):  # every step and seed has other numbers
    with ranks.own_random(seed, step, torch.device("cpu")):
        assert (own == torch.rand(3).tolist()) == ((seed, step) == (1, 2))
assert ranks.broadcast({"é": [ranks.RANK]}) == {"é": [0]}
assert ranks.any_rank(ranks.RANK == 1) and not ranks.any_rank(False)
require_equal_masks({"a": torch.ones(3)})
try:
    require_equal_masks({"a": torch.ones(3) * ranks.RANK})
    raise SystemExit("they were not the same")
except RuntimeError:
    print("all well")
"""
DOUBLE = """
import torch
from prunebert import cli
from prunebert.network import subnetwork
first = subnetwork.SubNetwork.__init__
def double(self, *words, **settings):
    first(self, *words, **settings)
    self.double()
subnetwork.SubNetwork.__init__ = double
build = subnetwork.heads.build
subnetwork.heads.build = lambda *a: build(*a).double()
torch.Tensor.float = torch.Tensor.double
cli.main()
"""


def torchrun(words: list[str], folder: Path, **more) -> subprocess.Popen:
    return subprocess.Popen(
        [*TORCHRUN, *words],
        cwd=folder,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        **more,
    )


def test_what_ranks_tell_each_other(tmp_path):
    (tmp_path / "alone.py").write_text(ALONE)
    process = torchrun(["alone.py"], tmp_path)
    printed, _ = process.communicate(timeout=120)
    assert process.returncode == 0 and printed.count("all well") == 2, printed


@pytest.fixture
def words(toy, model_folder, tmp_path):
    """The toy run on a model without dropout, so that rows alone make a step."""
    shutil.copytree(model_folder, tmp_path / "still")
    config = json.loads((tmp_path / "still/config.json").read_text())
    for key in ("hidden_dropout_prob", "attention_probs_dropout_prob"):
        config[key] = 0.0
    (tmp_path / "still/config.json").write_text(json.dumps(config))
    toy_words = [w for w in toy if not w.startswith(("hydra", "model"))]
    return [*toy_words, "model.name=still", "fit.steps=30", "teacher_fit.steps=10", "mask_fit.steps=20", "sparsity=0.6"]


# fmt: off
METHODS = [
    "movement", "magnitude", "soft_movement", "l0", "abp", "gmp", "imp", "tamt", "sparsebert",
    "obert", "masking", "snip", "rigl", "gmp_star", "platon", "sparse_transfer",
    # Not after movement: where the student equals its teacher, the first gradients are rounding alone, and Adam scales
    # it up. Its scores then differ with the order of a sum.
    "sparse_transfer after obert",
]
# fmt: on


@pytest.mark.parametrize("method", ["smp", *[pytest.param(m, marks=pytest.mark.slow) for m in METHODS]])
def test_two_ranks_find_what_one_finds(words, text, tmp_path, method):
    """In double precision. In single, Adam divides rounding out of nearly vanishing gradients: scores then differ."""
    (tmp_path / "double.py").write_text(DOUBLE)
    option, _, pruner = method.partition(" after ")
    inside = [f"method@method.pruner={pruner}"] if pruner else []
    words = ["double.py", *words, *text, f"method={option}", *EXTRA.get(option, []), *inside, "fit.batch_size=7"]
    process = torchrun([*words, "hydra.run.dir=two"], tmp_path)
    printed, _ = process.communicate(timeout=200)
    assert process.returncode == 0, printed
    done = subprocess.run([sys.executable, *words, "hydra.run.dir=one"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    one, two = (json.loads((tmp_path / run / "result.json").read_text()) for run in ("one", "two"))
    assert (one["ranks"], two["ranks"]) == (1, 2) and two["device"] == "2 × cpu, 1 thread"
    assert one["identity"] == two["identity"]
    masks = [maskfile.read(tmp_path / run / "masks.safetensors").masks for run in ("one", "two")]
    assert masks[0] and all(torch.equal(m, masks[1][n]) for n, m in masks[0].items())
    lines = [(tmp_path / run / "metrics.jsonl").read_text().splitlines() for run in ("one", "two")]
    losses = [[v for x in map(json.loads, each) for k, v in x.items() if k.startswith("loss")] for each in lines]
    np.testing.assert_allclose(*losses, rtol=1e-5, atol=1e-12)  # a student equal to its teacher has a loss of rounding
    assert sorted(p.name for p in (tmp_path / "one").iterdir()) == sorted(p.name for p in (tmp_path / "two").iterdir())
    assert sorted(p.name for p in tmp_path.iterdir()) == [".prunebert", "double.py", "one", "still", "two"]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_stopped_and_started_again_two_ranks_end_the_same(words, tmp_path, name):
    words = ["-m", "prunebert", *words, "method=smp", "fit.steps=400"]
    assert torchrun([*words, "hydra.run.dir=whole"], tmp_path).wait(timeout=200) == 0
    process, metrics = (
        torchrun([*words, "hydra.run.dir=run"], tmp_path, start_new_session=True),
        tmp_path / "run/metrics.jsonl",
    )
    while process.poll() is None and not (metrics.exists() and metrics.stat().st_size):
        time.sleep(0.05)
    os.killpg(process.pid, getattr(signal, name))  # the whole group, as a terminal does at Ctrl-C
    printed, _ = process.communicate(timeout=60)
    assert f"stopped by {name} after step" in printed, printed
    assert len(list((tmp_path / "run/checkpoint").glob("moment-*"))) == 1
    printed, _ = torchrun([*words, "hydra.run.dir=run"], tmp_path).communicate(timeout=200)
    assert "goes on after step" in printed, printed
    assert_same_run(results(tmp_path / "whole"), results(tmp_path / "run"))


@pytest.mark.slow
def test_one_teacher_for_both_ranks_and_a_finished_run_is_not_done_again(words, tmp_path):
    words = ["-m", "prunebert", *words, "method=sparsebert", "distill.shared=teachers"]
    for again, run in enumerate(("a", "b", "b")):
        process = torchrun([*words, f"hydra.run.dir={run}"], tmp_path)
        printed, _ = process.communicate(timeout=200)
        assert process.returncode == 0, printed
        assert ("fine-tuned before" in printed, "finished before (" in printed) == (again == 1, again == 2)
    a, b = (results(tmp_path / run)["tensors"] for run in "ab")
    assert all(torch.equal(x, b[n]) for n, x in a.items())


@pytest.mark.slow
@pytest.mark.parametrize("words", [["method=smp", "sparsity=1.5"], ["-m", "method=smp", "seed=0,1"], ["method=smpp"]])
def test_bad_input_is_told_once(toy, tmp_path, words):
    process = torchrun(["-m", "prunebert", *words, *toy], tmp_path)
    printed, _ = process.communicate(timeout=100)
    assert process.returncode == 1 and printed.count("prunebert: ") == 1 and not list(tmp_path.iterdir())
