"""What runs share: another run's masks or allocation, kept pre-trained weights, and one prunable set for all."""

import json
import re
from functools import partial
from types import SimpleNamespace

import pytest
import torch

from prunebert import distill
from prunebert.errors import BadInput
from prunebert.fit import Fit
from prunebert.masks import maskfile
from prunebert.masks.maskfile import MaskFile
from prunebert.masks.top_v import count_kept
from prunebert.methods.gradual import gmp
from prunebert.methods.imp import imp
from prunebert.methods.magnitude import one_shot
from prunebert.methods.random import random
from prunebert.network import models
from prunebert.network.subnetwork import SubNetwork
from prunebert.runs.reuse import allocation_of, masks_of
from prunebert.schedules import Cubic
from prunebert.training.loop import train
from tests.toys import RESULT, save_model, write_result

FIT = Fit(epochs=1, steps=4, batch_size=16, lr=1e-3, head_lr=1e-3)
BASE = {"fit": FIT, "prunable": "encoder", "head": "linear", "distill": distill.none, "keep_pretrained": False}
RANDOM = {"seed": 4, "sparsity": 0.5, "allocation": "uniform", "masks": None, "allocation_by": "matrix"}
METHODS = {
    "magnitude": (one_shot, {"sparsity": 0.5, "allocation": "global", "masks": None}, []),
    "random": (random, RANDOM, []),
    "imp": (imp, {"sparsity": 0.5, "allocation": "global", "step": 0.25}, ["round-1", "round-2"]),
    "gmp": (gmp, {"schedule": Cubic(0.5), "allocation": "uniform", "updates": 100}, ["prune"]),
}
WIDE = "encoder_pooler_embeddings"


def play(programme, net, impl, begin=lambda phase: None):
    """Train every phase; return their names. `begin` is called before each."""
    names = []
    for i, phase in enumerate(programme):
        begin(phase)
        train(net, phase, seed=i, impl=impl, record=lambda line: None, score=lambda: 0.0)
        names.append(phase.name)
    return names


def finish(folder, net, masks, prunable="encoder"):
    """Write what other runs read of a finished run with these masks; return its path."""
    folder.mkdir()
    file = MaskFile(masks, net.model.name, net.model.weights_hash)
    (folder / "masks.safetensors").write_bytes(maskfile.encode(file))
    write_result(folder, RESULT | {"prunable": prunable})
    return str(folder)


def drawn(net, counts, prunable="encoder"):
    """Draw masks at random that keep the given number of weights of each matrix."""
    generator, masks = torch.Generator().manual_seed(11), {}
    for (n, w), count in zip(net.prunable(prunable).items(), counts, strict=True):
        mask = torch.zeros(w.numel(), dtype=torch.bool)
        mask[torch.randperm(w.numel(), generator=generator)[:count]] = True
        masks[n] = mask.view(w.shape)
    return masks


def removed_share(masks):
    return 1 - count_kept(masks) / sum(m.numel() for m in masks.values())


# --- keep_pretrained ---


@pytest.mark.parametrize(("name", "taught"), [*((name, False) for name in METHODS), ("imp", True), ("gmp", True)])
def test_survivors_keep_their_pretrained_values(model_folder, task, impl, name, taught):
    """AbP's baselines take the method's masks, reset the weights to θ₀ and train a new head."""
    method, settings, search = METHODS[name]
    kd = partial(distill.logits, fit=FIT, weight=0.5, temperature=2.0, teacher=None) if taught else distill.none
    masks, started_from = {}, {}
    for keep in (False, True):
        net = SubNetwork(models.load(str(model_folder)))
        before = net.snapshot(net.add_head(task.form(), "linear"))
        programme = method(net, task, **BASE | settings | {"keep_pretrained": keep, "distill": kd})
        names = play(
            programme, net, impl, lambda phase, net=net: started_from.update({phase.name: net.snapshot(phase.head)})
        )
        masks[keep] = net.masks
        last = ["head"] if keep else [] if name == "gmp" else ["finetune"]
        assert names == [*(["teacher"] if taught else []), *search, *last]
    assert masks[False].keys() == masks[True].keys() and len(masks[True]) == 12
    assert all(torch.equal(m, masks[True][n]) for n, m in masks[False].items())
    total = sum(m.numel() for m in net.masks.values())
    assert count_kept(net.masks) == total - round(total * 0.5)
    assert all(torch.equal(x, before[n]) for n, x in started_from["head"].items())  # the head is a new one
    after = net.snapshot("toy_linear")
    changed = {n for n in before if not torch.equal(before[n], after[n])}
    head = {"head.classifier.weight", "head.classifier.bias"}
    assert changed == head | {"bert.pooler.dense.weight", "bert.pooler.dense.bias"}  # the checkpoint has no pooler


def test_runs_that_keep_the_weights_store_none(cli, toy, tmp_path):
    words = [w for w in toy if "threads" not in w] + ["impl.threads=1", "sparsity=0.2", "method.keep_pretrained=true"]
    status, printed = cli("-m", *words, "method=magnitude,random,imp,gmp", "hydra.sweep.dir=sweep")
    assert status == 0, printed
    rows = {p.parent: json.loads(p.read_text()) for p in (tmp_path / "sweep").rglob("result.json")}
    assert {r["method"] for r in rows.values()} == METHODS.keys() and len(rows) == 4
    for folder, row in rows.items():
        assert folder.name == f"method-{row['method']}"
        file_names = {p.name for p in folder.iterdir()}
        assert "weights.safetensors" not in file_names and {"head.safetensors", "masks.safetensors"} <= file_names
        rounds = [f"round-{k}" for k in range(1, 3)]  # 10 % each
        assert list(row["phases"]) == [*{"imp": rounds, "gmp": ["prune"]}.get(row["method"], []), "head"]
        assert row["trained_parameters"] == 2 * 32 + 2 + 32 * 32 + 32  # classifier and pooler


# --- masks and budgets of a finished run ---


@pytest.mark.parametrize("name", ["magnitude", "random"])
@pytest.mark.parametrize("scope", ["uniform", "global"])
def test_masks_of_a_run_stand_in_for_a_methods_own(net, task, impl, tmp_path, name, scope):
    masks = drawn(net, [512] * 4 + [1024] * 2 + [512] * 4 + [1024] * 2)
    method, settings, _ = METHODS[name]
    settings_with_masks = BASE | settings | {"allocation": scope, "masks": finish(tmp_path / "run", net, masks)}
    assert play(method(net, task, **settings_with_masks), net, impl) == ["finetune"]
    assert net.masks.keys() == masks.keys() and all(torch.equal(net.masks[n], m) for n, m in masks.items())
    net.masks = {}
    own_masks = next(method(net, task, **settings_with_masks | {"masks": None})).masks(1.0, True)
    assert not any(torch.equal(own_masks[n], m) for n, m in masks.items())


def test_a_set_of_another_name_with_the_same_matrices_is_accepted(net, tmp_path):
    """The toy checkpoint has no pooler, so "encoder" and "encoder_pooler" cover the same matrices."""
    masks = drawn(net, [100] * 12)
    run = finish(tmp_path / "run", net, masks, "encoder_pooler")
    assert masks_of(run, net, "encoder", removed_share(masks)).keys() == masks.keys()
    with pytest.raises(BadInput, match=f"asks for {WIDE}; set method.prunable=encoder_pooler$"):
        masks_of(run, net, WIDE, removed_share(masks))


def test_a_sparsity_matches_to_within_one_weight(net, tmp_path):
    masks = drawn(net, [300] * 12)
    run = finish(tmp_path / "run", net, masks)
    size = sum(m.numel() for m in masks.values())
    for off in (-0.9, 0.0, 0.9):
        assert count_kept(masks_of(run, net, "encoder", 1 - (3600 + off) / size)) == 3600
    for off in (-1.1, 1.1):
        with pytest.raises(BadInput, match=r"method\.masks=.*its sparsity is 0\.780273"):
            masks_of(run, net, "encoder", 1 - (3600 + off) / size)
        with pytest.raises(BadInput, match=r"method\.allocation=.*its sparsity is 0\.780273"):
            allocation_of(run, net, "encoder", 1 - (3600 + off) / size, "matrix")


def test_the_suggested_sparsity_is_accepted(tmp_path):
    """A matrix has 4 million weights (BERT-base: 85 million) and 1,234,570 stay, as under control=paper or none."""
    W = torch.zeros(2000, 2000)
    model = SimpleNamespace(name="m", weights_hash="h")
    net = SimpleNamespace(model=model, prunable=lambda which="encoder": {"w": W})
    masks = {"w": (torch.arange(W.numel()) < 1_234_570).view(W.shape)}
    run = finish(tmp_path / "run", net, masks)
    with pytest.raises(BadInput, match="ask for the same") as caught:
        masks_of(run, net, "encoder", 0.7)
    sparsity = float(re.search(r"sparsity=([\d.e-]+)$", str(caught.value))[1])
    assert count_kept(masks_of(run, net, "encoder", sparsity)) == 1_234_570


UNEVEN = [13, 1000, 512, 77, 2001, 5, 333, 1, 1024, 900, 640, 1023]  # of 1024 and 2048


def test_a_budget_by_matrix_keeps_every_count_and_no_place(net, task, tmp_path):
    masks = drawn(net, UNEVEN)
    budget_settings = (
        BASE | RANDOM | {"sparsity": removed_share(masks), "allocation": finish(tmp_path / "run", net, masks)}
    )
    drawn_masks = [next(random(net, task, **budget_settings | {"seed": seed})).masks(1.0, True) for seed in (0, 0, 1)]
    assert [int(m.sum()) for m in drawn_masks[0].values()] == UNEVEN and drawn_masks[0].keys() == masks.keys()
    assert all(torch.equal(drawn_masks[0][n], drawn_masks[1][n]) for n in masks)
    for n in (n for n in masks if 50 < count_kept({"": masks[n]}) < 950):
        p = float(masks[n].float().mean())
        for other in (masks, drawn_masks[2]):  # overlap as by chance, p² of the weights
            overlap = float((drawn_masks[0][n] & other[n]).float().mean())
            assert overlap == pytest.approx(p * p, abs=4 * (p * p / masks[n].numel()) ** 0.5)


@pytest.mark.parametrize("last", [1023, 1020])
def test_a_budget_by_layer_is_spread_evenly_within_the_layer(task, tmp_path, last):
    """Every matrix keeps its layer's share to within one weight; pooler and word embeddings count as layers."""
    net = SubNetwork(models.load(str(save_model(tmp_path / "pooled", masked_lm=False))))
    masks = drawn(net, [1000, *UNEVEN[:-1], last, 77], WIDE)
    assert [net.place(n)[1] for n in masks][:: len(masks) - 1] == ["embeddings", "pooler"]
    budget_settings = {
        "allocation": finish(tmp_path / "run", net, masks, WIDE),
        "allocation_by": "layer",
        "prunable": WIDE,
    }
    drawn_masks = next(random(net, task, **BASE | RANDOM | budget_settings | {"sparsity": removed_share(masks)})).masks(
        1.0, True
    )
    assert count_kept(drawn_masks) == count_kept(masks) and drawn_masks.keys() == masks.keys()
    counts = [int(m.sum()) for m in drawn_masks.values()]
    assert (counts[0], counts[-1]) == (1000, 77)
    for layer in (0, 1):
        names = [n for n in masks if net.place(n)[0] == layer]
        share = count_kept({n: masks[n] for n in names}) / 8192
        assert len(names) == 6 and all(
            abs(count_kept({"": drawn_masks[n]}) - share * drawn_masks[n].numel()) < 1 for n in names
        )
        assert len({round(count_kept({"": masks[n]}) / masks[n].numel(), 2) for n in names}) > 3  # it was uneven


def test_a_budget_by_layer_keeps_every_layers_count(net, task, tmp_path):
    """The layers keep 8 k + 7 and 8 k + 1 weights: all remainders of the first layer are larger."""
    masks = drawn(net, [400, 400, 400, 400, 400, 7, 400, 400, 400, 400, 400, 1])
    budget_settings = {
        "allocation": finish(tmp_path / "run", net, masks),
        "allocation_by": "layer",
        "sparsity": removed_share(masks),
    }
    drawn_masks = next(random(net, task, **BASE | RANDOM | budget_settings)).masks(1.0, True)
    for layer, count in ((0, 2007), (1, 2001)):
        assert sum(count_kept({n: m}) for n, m in drawn_masks.items() if net.place(n)[0] == layer) == count


def test_a_budget_through_the_command_line(cli, toy, tmp_path):
    toy = [w for w in toy if "threads" not in w] + ["impl.threads=1", "sparsity=0.8"]
    assert cli(*toy, "method=magnitude", "prunable=encoder", "hydra.run.dir=found")[0] == 0
    assert cli(*toy, "method=random", "method.allocation=found")[0] == 0
    a, b = (maskfile.read(tmp_path / name / "masks.safetensors").masks for name in ("found", "run"))
    counts = [int(m.sum()) for m in a.values()]
    assert counts == [int(m.sum()) for m in b.values()] and len(counts) == 12
    assert max(counts[i] for i in range(4)) != min(counts[i] for i in range(4))  # a global ranking is uneven
    assert not any(torch.equal(a[n], b[n]) for n in a)
    before = set(tmp_path.rglob("*"))
    for words in (["sparsity=0.7"], [f"prunable={WIDE}"]):
        status, printed = cli(*toy, "method=random", "method.allocation=found", *words, "hydra.run.dir=no")
        lines = [line for line in printed.strip().splitlines() if "once for this data" not in line]
        assert status == 2 and len(lines) == 1 and lines[0].startswith("prunebert: method.allocation=found: ")
        assert set(tmp_path.rglob("*")) == before
