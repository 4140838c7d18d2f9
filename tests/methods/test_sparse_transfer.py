"""Test sparse transfer: the fine-tuning starts from what the pruner left, whether in this run or in an earlier one."""

import json
import shutil
from functools import partial

import pytest
import torch
from safetensors.torch import load_file

from prunebert import distill
from prunebert.errors import BadInput
from prunebert.fit import Fit
from prunebert.masks import maskfile
from prunebert.methods.gradual import gmp
from prunebert.methods.imp import imp
from prunebert.methods.sparse_transfer import sparse_transfer
from prunebert.network import models
from prunebert.network.subnetwork import SubNetwork
from prunebert.runs import inputs, reuse
from prunebert.schedules import Cubic
from prunebert.settings import overrides
from prunebert.tasks.corpus import corpus as read_corpus
from prunebert.tasks.mlm import mlm_task
from tests.methods.tamt.conftest import WIDE, play
from tests.toys import save_model

FIT = Fit(epochs=1, steps=3, batch_size=8, lr=5e-3, head_lr=1e-3)
KD = partial(distill.logits, fit=FIT, weight=1.0, temperature=5.5)
COMMON = {"fit": FIT, "prunable": "encoder", "head": "linear", "keep_pretrained": False}
GMP = partial(
    gmp, **COMMON, schedule=Cubic(0.7), updates=100, allocation="uniform", distill=partial(KD, teacher="pretrained")
)
IMP = partial(imp, **COMMON, sparsity=0.7, step=0.5, allocation="global", distill=partial(KD, teacher=None))


@pytest.fixture
def corpus(text):
    """What `method.corpus` becomes: a function that loads the text's masked-LM task."""
    sources = {"file": text[0].partition("=")[2], "hub": None, "package": None}
    texts = partial(read_corpus, name="own", text="text", holdout=0.2, **sources)
    return partial(mlm_task, name="own", corpus=texts, block=16, rate=0.15)


def transfer(net, task, **changes):
    settings = {"fit": FIT, "sparsity": 0.7, "pruner": GMP, "upstream": None, "prunable": "encoder", "head": "linear"}
    return sparse_transfer(net, task, **settings | {"distill": distill.none} | changes)


def test_the_fine_tuning_starts_from_the_pruners_weights_and_keeps_its_masks(net, task, corpus, impl):
    starts, ends, seen = {}, {}, []

    def watch(phase, t, M):
        starts.setdefault(phase.name, net.snapshot("toy_linear"))
        if phase.name == "finetune":
            seen.append({n: m.detach() != 0 for n, m in M.items()})

    def programme():
        for phase in transfer(net, task, corpus=corpus):
            yield phase
            ends[phase.name] = net.snapshot("toy_linear"), dict(net.masks)

    results, _ = play(programme(), net, impl, watch)
    assert [phase.name for phase, _ in results] == ["prune", "finetune"] and len(seen) == FIT.steps
    theta, M = ends["prune"]
    assert all(torch.equal(x, starts["finetune"][n]) for n, x in theta.items())
    encoder = net.parameters_of().keys()
    read = {n for n in encoder if "pooler" not in n}  # masked language modelling reads no pooler
    assert {n for n in theta if not torch.equal(theta[n], starts["prune"][n])} == read
    size = sum(m.numel() for m in M.values())
    assert abs(size - sum(int(m.sum()) for m in M.values()) - 0.7 * size) <= 1
    for masks in (*seen, net.masks):
        assert masks.keys() == M.keys() and all(torch.equal(masks[n], M[n]) for n in M)
    moved = {n for n, x in ends["finetune"][0].items() if not torch.equal(x, theta[n])}
    assert moved == theta.keys() and moved > encoder  # all weights and the new head


def test_the_pruner_learns_from_the_dense_networks_own_head(net, task, corpus, impl):
    """The loss is T² KL(dense ‖ student) in double precision, also when the weights have moved, and no task's loss."""
    text = corpus(tokenizer=net.model.tokenizer, positions=net.model.positions)
    batch = next(text.batches(8, 0))
    key = net.add_head(text.form(), "linear")
    net.heads[key].words.data.mul_(100)  # the toy's logits are near 0
    with net.evaluation_mode():
        dense = net(batch, key).logits
    phase = next(transfer(net, task, corpus=corpus))
    with torch.no_grad():
        for p in net.parameters_of().values():
            p.add_(0.1 * torch.randn(p.shape, generator=torch.Generator().manual_seed(0)))
    with net.evaluation_mode():
        out = net(batch, key)
        terms = phase.loss(out, batch, 1.0)
    p, q = ((x.double() / 5.5).softmax(-1) for x in (dense, out.logits))
    kl = (p * (p / q).log()).sum(-1).mean()
    assert float(terms["kd_logits"]) == pytest.approx(5.5**2 * float(kl), rel=1e-3) and kl > 0.1
    assert float(terms["mlm"]) == 0


def test_phases_of_the_task_and_of_the_pruner_have_names_of_their_own(net, task, corpus):
    programme = transfer(net, task, corpus=corpus, pruner=IMP, distill=partial(KD, teacher=None))
    phases = [(phase.name, phase.task.masked_lm) for phase in programme]
    of_pruner = [(name, True) for name in ("upstream-teacher", "round-1", "round-2", "upstream-finetune")]
    assert phases == [("teacher", False), *of_pruner, ("finetune", False)]


def test_a_checkpoint_without_a_masked_lm_head_is_refused_before_a_teacher_is_trained(tmp_path, task, corpus):
    bare = SubNetwork(models.load(str(save_model(tmp_path / "bare", masked_lm=False))), seed=0)
    with pytest.raises(BadInput, match=r"without a masked-LM head .* for method=sparse_transfer a model that has one"):
        next(transfer(bare, task, corpus=corpus, distill=partial(KD, teacher=None)))


# --- through the command line ---

PRUNE = ["method=gmp", "task=mlm", "task.block=16", "sparsity=0.7", "fit.batch_size=16", "fit.lr=1e-3"]
PRUNE += ["fit.head_lr=1e-4", "fit.warmup=0.0", "distill=logits", "distill.teacher=pretrained", "distill.weight=1.0"]
PRUNE += ["distill.temperature=5.5"]  # the values of mask_fit and of prune_distill


@pytest.fixture
def upstream(finished, text):
    return finished(*PRUNE, *text)


def test_one_run_and_two_end_with_the_same_bits(cli, toy, text, tmp_path, upstream):
    words = [*toy, "method=sparse_transfer", "sparsity=0.7", "distill=none"]
    assert cli(*words, *text, "method.corpus.block=16")[0] == 0
    assert cli(*words, f"method.upstream={upstream}", "hydra.run.dir=second")[0] == 0
    whole, second = (tmp_path / name for name in ("run", "second"))
    rows = [json.loads((run / "result.json").read_text()) for run in (whole, second)]
    assert [[*row["phases"]] for row in rows] == [["prune", "finetune"], ["finetune"]]
    for name in ("weights.safetensors", "head.safetensors"):
        a, b = load_file(whole / name), load_file(second / name)
        assert a.keys() == b.keys() and all(torch.equal(a[n], b[n]) for n in a)
    kept, again, before = (maskfile.read(run / "masks.safetensors").masks for run in (whole, second, upstream))
    assert all(torch.equal(kept[n], again[n]) and torch.equal(kept[n], before[n]) for n in kept)
    shutil.copytree(upstream, tmp_path / "copy")  # a path counts by its content
    status, printed = cli(*words, f"method.upstream={tmp_path / 'copy'}", "hydra.run.dir=second")
    assert status == 0 and "finished before" in printed


def test_an_upstream_run_that_does_not_fit_is_refused_in_one_line(finished, model, upstream):
    net = SubNetwork(model, seed=0)
    for run, prunable, sparsity, reason in (
        (finished("method=magnitude"), "encoder_pooler", 0.9, "trained on file, not masked language modelling; give"),
        (upstream, "encoder", 0.8, "its sparsity is 0.7.*; ask for the same, sparsity=0.7$"),
        (upstream, WIDE, 0.7, f"its masks cover prunable=encoder, this run asks for {WIDE}"),
    ):
        with pytest.raises(BadInput, match=rf"^method\.upstream={run}: .*{reason}"):
            reuse.upstream_of(str(run), net, prunable, sparsity)


def test_a_mask_file_is_refused_before_anything_is_loaded(upstream):
    """It has masks and no weights."""
    file = upstream / "masks.safetensors"
    fields, _ = overrides.checked(["method=sparse_transfer", f"method.upstream={file}"])
    with pytest.raises(BadInput, match=rf"^method\.upstream={file}: this is a file; name the run's directory"):
        inputs.require(fields, ("method",))


def test_a_run_that_trained_no_weights_gives_its_masks(finished, text, model, monkeypatch):
    """SMP trains scores alone."""
    run = finished("method=smp", "task=mlm", "task.block=16", "sparsity=0.6", *text)
    net = SubNetwork(model, seed=0)
    said: list[str] = []
    monkeypatch.setattr(reuse.log, "info", lambda text, *values: said.append(text % values))
    theta, M = reuse.upstream_of(str(run), net, "encoder", 0.6)
    assert (
        f"method.upstream={run}: the run trained no weights, so its masks are used on the pre-trained weights" in said
    )
    assert all(torch.equal(theta[n], p) for n, p in net.parameters_of().items())
    stored = maskfile.read(run / "masks.safetensors").masks
    assert all(torch.equal(m, stored[n]) for n, m in M.items())
