"""Compare scripts/centred_movement.py and centred_first_cut.py with movement itself, autograd and Monte Carlo means."""

import itertools
import json
import sys
from pathlib import Path

import pytest
import torch

from prunebert.masks.top_v import keep_top
from tests.toys import script

SCRIPTS = Path(__file__).parents[2] / "scripts"
SEARCH = f"hydra.searchpath=[file://{SCRIPTS}/centred_conf]"

centred_movement = script("centred_movement")


@pytest.fixture
def own_method(finished, monkeypatch):
    """Return a function that runs a method of scripts/centred_conf on the toy files."""
    monkeypatch.syspath_prepend(SCRIPTS)
    yield lambda *words: finished(SEARCH, *words)
    for name in ("centred_movement", "centred_first_cut"):
        sys.modules.pop(name, None)


def losses(run):
    return [json.loads(line)["loss_task"] for line in (run / "metrics.jsonl").read_text().splitlines()]


COMMON = ("sparsity=0.5", "method.score_lr=0.01", "fit.steps=6")


def test_without_an_intervention_it_is_movement(finished, own_method):
    movement = finished("method=movement", *COMMON)
    assert losses(own_method("method=centred_movement", *COMMON)) == losses(movement)


@pytest.mark.parametrize(
    "word", ["method.score_gradient=centred", "method.score_gradient=mean", "method.means=restored"]
)
def test_an_intervention_changes_nothing_before_the_first_cut(finished, own_method, word):
    movement, changed = (
        losses(finished("method=movement", *COMMON)),
        losses(own_method("method=centred_movement", *COMMON, word)),
    )
    assert changed[0] == movement[0]  # step 1 of 6 is before the cut if it sees no scores
    assert changed[-1] != movement[-1]


def test_the_two_parts_of_the_score_gradient_add_up_to_it():
    generator = torch.Generator().manual_seed(0)
    W, S = torch.randn(3, 4, generator=generator), torch.zeros(3, 4, requires_grad=True)
    x = torch.randn(5, 7, 4, generator=generator)  # [texts, length, in]
    delta = torch.randn(5, 7, 3, generator=generator)
    x_means = torch.stack([x[:, 0].mean(0), x[:, 1:].reshape(-1, 4).mean(0)])
    zeros = centred_movement.MeanPart.apply(S, W, x_means, -1)
    assert not zeros.any()
    (torch.cat([zeros[:1], zeros[1:].expand(6, -1)]) * delta).sum().backward()
    full = torch.einsum("bto,bti->oi", delta, x) * W
    centred_x = x - torch.cat([x_means[:1], x_means[1:].expand(6, -1)])
    centred_part = torch.einsum("bto,bti->oi", delta, centred_x) * W
    torch.testing.assert_close(full + S.grad, centred_part)


class OneMatrix:
    """A network of one prunable matrix with a bias."""

    def __init__(self, W):
        self.theta = {"a.weight": W, "a.bias": torch.zeros(len(W))}

    def parameters_of(self):
        return self.theta

    def prunable(self, which):
        return {"a.weight": self.theta["a.weight"]}


def test_biases_keep_the_mean_output_through_several_masks():
    generator = torch.Generator().manual_seed(0)
    W, x = torch.randn(6, 8, generator=generator), torch.randn(100, 8, generator=generator) + 1
    net = OneMatrix(W)
    biases = centred_movement.Biases(net, {"a.weight": torch.ones_like(W, dtype=torch.bool)})
    for s in (0.2, 0.5, 0.4):  # weights come back too
        M = {"a.weight": torch.rand(W.shape, generator=generator) >= s}
        biases.follow(M, {"a.weight": x.mean(0)})
        masked_output = x @ (W * M["a.weight"]).T + net.theta["a.bias"]
        torch.testing.assert_close(masked_output.mean(0), (x @ W.T).mean(0))


def test_the_shift_of_random_masks_is_its_mean_over_many():
    generator = torch.Generator().manual_seed(0)
    W, x_mean, s = torch.randn(20, 30, generator=generator), torch.randn(30, generator=generator), 0.3
    net, squares = OneMatrix(W), []
    for _ in range(400):
        M = torch.rand(W.shape, generator=generator) >= s
        squares.append(((W * ~M) @ x_mean).norm() ** 2 / (W @ x_mean).norm() ** 2)
    M = keep_top({"a.weight": torch.rand(W.shape, generator=generator)}, s, scope="local")
    _, of_random = centred_movement.shifts(net, M, {"a.weight": x_mean})
    assert of_random == pytest.approx(float(torch.stack(squares).mean().sqrt()), rel=0.03)


def test_the_first_cut_of_the_lowest_scores(own_method):
    run = own_method("method=first_cut", "sparsity=0", "fit.steps=4")
    lines = [line for line in (run / "run.log").read_text().splitlines() if " 0:" in line]
    names = [line.split(": ")[0].split()[-1] for line in lines]
    assert names == ["movement", "reversed", "random", "magnitude"]
    values = [[float(pair.split(":")[1]) for pair in line.split(": ")[1].split()] for line in lines]
    assert all(len(row) == 8 for row in values)
    assert all(a[0] == b[0] for a, b in itertools.pairwise(values))  # nothing is removed: the rankings are alike
