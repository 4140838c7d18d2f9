"""Test that the compared ways keep the same weights and train alike, and what scripts/bench_alternatives.py reports."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.toys import script

ROOT = Path(__file__).parents[2]
SPARSITY = 0.75


@pytest.fixture
def bench(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "scripts")
    return script("bench_alternatives")


@pytest.fixture
def steps(bench, toy, impl):
    """Return a function that makes the steps of a method in one of the ways, on the toy model.

    Its matrices are multiplied by 10: with its own, the gradients of attention are no larger than rounding errors.
    """
    words = [w for w in toy if not w.startswith("hydra")]
    words += ["fit.steps=100000", f"sparsity={SPARSITY}", f"method.schedule.initial={SPARSITY}"]

    def make(method, way):
        def change(net, phase):
            for W in net.prunable().values():
                W.data.mul_(10)
            return bench.changed(net, phase, way, SPARSITY)

        return bench.Steps([*bench.METHODS[method], *words], impl, change)

    return make


CASES = [(m, w) for m in ("smp", "movement") for w in ("full sort", "torch.topk", "torch.kthvalue")]
CASES += [("smp", "torch parametrisation"), ("movement", "torch parametrisation"), ("gmp", "torch.nn.utils.prune")]


def test_every_way_of_the_script_is_compared_here(bench):
    assert {(m, w) for m, ways in bench.WAYS.items() for w in ways if w != bench.OURS} == {*CASES}


@torch.no_grad()
def read_weight(net, name, width):
    """Return the weights that a layer multiplies with, from its outputs for the rows of an identity matrix."""
    layer = net.encoder.get_submodule(name.removeprefix(net.prefix).removesuffix(".weight"))
    return (layer(torch.eye(width)) - layer.bias).T


@pytest.mark.parametrize(("method", "way"), CASES)
def test_a_way_keeps_the_same_weights(bench, steps, method, way):
    """The expected masks are numpy's, by a stable sort."""
    ours, theirs = steps(method, bench.OURS), steps(method, way)
    weights = {n: W.detach() for n, W in ours.take.net.prunable().items()}
    masks = ours.phase.masks(0.5, True)
    scores = bench.scores_of(ours.phase) or {n: W.abs() for n, W in weights.items()}
    for name, W in weights.items():
        order = np.argsort(-scores[name].detach().numpy().ravel(), kind="stable")
        expected = np.zeros(W.numel(), bool)
        expected[order[: round(W.numel() * (1 - SPARSITY))]] = True
        assert (masks[name].numpy().ravel() == expected).all()
        read = read_weight(theirs.take.net, name, W.shape[1])
        assert torch.allclose(read, W * torch.tensor(expected).view(W.shape), atol=1e-6)
        assert ((read.abs() > 1e-6).numpy().ravel() <= expected).all()
    total = sum(round(W.numel() * (1 - SPARSITY)) for W in weights.values())
    assert bench.kept_by(theirs, way) == bench.kept_by(ours, bench.OURS) == total


@pytest.mark.parametrize(("method", "way"), CASES)
def test_a_way_trains_the_same_tensors_with_the_same_gradients(bench, steps, method, way):
    ours, theirs = steps(method, bench.OURS), steps(method, way)
    for one in (ours, theirs):
        torch.manual_seed(0)  # of dropout
        one.take.differentiate(one.number, next(one.batches))
    assert ours.take.trained.keys() == theirs.take.trained.keys()
    for name, tensor in ours.take.trained.items():
        gradient, other = tensor.grad, theirs.take.trained[name].grad
        assert (gradient is None) == (other is None), name
        if gradient is not None:
            # 1e-8: the gradient of a key's bias is 0 but for rounding
            assert (gradient - other).abs().max() <= 1e-3 * gradient.abs().max() + 1e-8, name
    settings = [
        [type(o), [{k: v for k, v in group.items() if k != "params"} for group in o.param_groups]]
        for one in (ours, theirs)
        for o in one.take.optimizers
    ]
    assert settings[0] == settings[1] and settings[0][1][0]["fused"]
    before = {n: x.detach().clone() for n, x in theirs.take.trained.items()}
    theirs()
    assert {n for n, x in theirs.take.trained.items() if not torch.equal(x, before[n])} == {
        n for n, x in theirs.take.trained.items() if x.grad is not None and x.grad.any()
    }


def test_among_equal_scores_a_threshold_keeps_all(bench):
    rules = bench.RULES
    scores = torch.tensor([[1.0, 3.0], [1.0, 0.0]])
    assert {name: int(rule(scores, 2).sum()) for name, rule in rules.items()} == {
        "full sort": 2,
        "torch.topk": 2,
        "torch.kthvalue": 3,
    }


def test_the_ratios_by_hand_and_a_way_that_keeps_another_number(bench, monkeypatch):
    """Full fine-tuning takes 1, 2 and 4 seconds in the three rounds, and prunebert's step 2, 2 and 2."""
    seconds = {"prunebert": [2.0, 2.0, 2.0], "torch.kthvalue": [3.0, 6.0, 13.0]}
    monkeypatch.setattr(bench, "WAYS", {"smp": ("prunebert", "torch.kthvalue")})
    monkeypatch.setattr(bench, "Steps", lambda words, impl, change=None: change and change.keywords["way"])
    monkeypatch.setattr(bench, "peak", lambda words, impl, change=None: 3 * 2**20 if change else 2**21)
    monkeypatch.setattr(
        bench,
        "turns",
        lambda arms, impl, rounds: {"dense": [1.0, 2.0, 4.0]} | {a: seconds[a] for a in arms if a != "dense"},
    )
    kept = {"prunebert": 1000, "torch.kthvalue": 1001}
    monkeypatch.setattr(bench, "kept_by", lambda steps, way: kept[way])
    rows, left_out = bench.measured("tiny", [], None, ["smp"], 0.9, 3)
    assert [row["way"] for row in rows] == ["prunebert", "torch.kthvalue"] and left_out == []
    assert [(row["by_dense"], row["by_dense_lowest"], row["by_dense_highest"]) for row in rows] == [
        (1.0, 0.5, 2.0),
        (3.0, 3.0, 3.25),
    ]
    assert rows[0]["seconds"] == 2.0 and rows[0]["mebibytes"] == 3.0 and rows[0]["memory_by_dense"] == 1.5
    kept["torch.kthvalue"] = 1100
    rows, left_out = bench.measured("tiny", [], None, ["smp"], 0.9, 3)
    assert [row["way"] for row in rows] == ["prunebert"]
    assert left_out == ["tiny, smp, torch.kthvalue: it keeps 1,100 weights, not 1,000"]


@pytest.mark.parametrize("words", [["tiny", "--rounds", "0"], ["tiny", "--out", "missing"], ["huge"], []])
def test_a_mistyped_option_ends_at_once_with_status_2(bench, monkeypatch, tmp_path, capsys, words):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["bench_alternatives.py", *words])
    with pytest.raises(SystemExit) as end:
        bench.main()
    assert end.value.code == 2 and "error: " in capsys.readouterr().err


def test_what_is_written(bench, monkeypatch, tmp_path):
    monkeypatch.setattr(bench, "common_words", lambda name, folder, options: [])
    monkeypatch.setattr(bench, "measured", lambda *arguments: ([], [f"rounds: {arguments[-1]}"]))
    monkeypatch.setattr(bench, "show", lambda *arguments: None)
    monkeypatch.setattr(
        sys, "argv", ["bench_alternatives.py", "tiny", "minilm", "--out", str(tmp_path), "--threads", "1"]
    )
    bench.main()
    files = {file.name: json.loads(file.read_text()) for file in tmp_path.iterdir()}
    assert files.keys() == {"alternatives-tiny.json", "alternatives-minilm.json"}
    about = files["alternatives-tiny.json"]["about"]
    assert about["models"] == ["tiny"] and about["left_out"] == [f"rounds: {about['rounds']}"] and about["rounds"] > 1
    assert {"hardware", "transformers", "git_commit", "git_dirty", "minutes", "device", "spin"} <= about.keys()
