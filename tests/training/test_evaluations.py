"""Evaluations while training: which masks they see, which step `keep=best` keeps, and what evaluate itself reads."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import transformers
from sklearn.metrics import accuracy_score, f1_score

from prunebert.errors import Diverged
from prunebert.fit import Fit
from prunebert.masks.top_v import keep_top
from prunebert.methods.movement import hard
from prunebert.methods.smp import smp
from prunebert.network import models
from prunebert.network.subnetwork import SubNetwork
from prunebert.schedules import Cubic
from prunebert.training.evaluate import evaluate
from prunebert.training.loop import train
from tests.methods.test_phases import SMP
from tests.methods.test_trained_magnitude import MOVEMENT
from tests.toys import save_model

FIT = Fit(epochs=1, steps=6, batch_size=4, lr=1e-3, head_lr=1e-3, eval_every=1)


def trained(net, phase, impl, scores):
    """Train a phase.

    Returns:
        The result, the masks and copies of the trained scores at every evaluation, and the recorded lines.
    """
    S, states, lines = next(g.tensors for g in phase.train if g.name == "scores"), [], []
    next_score = iter(scores)

    def score():
        states.append((dict(net.masks), {n: s.detach().clone() for n, s in S.items()}))
        return next(next_score)

    return train(net, phase, seed=0, impl=impl, record=lines.append, score=score), states, lines


def largest(scores, count):
    """Return True at the `count` largest scores; among equal ones the earlier position stays."""
    order = np.argsort(-scores.double().numpy().ravel(), kind="stable")[:count]
    mask = np.zeros(scores.numel(), bool)
    mask[order] = True
    return mask.reshape(scores.shape)


@pytest.mark.parametrize("until", [None, 4])
def test_an_evaluation_sees_the_masks_of_its_step_after_the_update(net, task, impl, until):
    """Top_v of the scores as they are then, at 0.8 (1 - (1 - k/6)³), also in a phase that ends before its schedules."""
    phase = replace(next(hard(net, task, **MOVEMENT | {"fit": FIT, "schedule": Cubic(0.8)})), until=until)
    result, states, lines = trained(net, phase, impl, [0.0] * 5)
    steps = until or 6
    assert result.steps == steps and len(states) == steps - 1
    assert [line["t"] for line in lines if "score" in line] == [k / 6 for k in range(1, steps)]
    rates = [line["lr"] for line in lines if "lr" in line]
    assert rates == pytest.approx([1e-3 * (6 - k) / 6 for k in range(steps)])
    assert not net.training
    before = None
    for k, (masks, S) in enumerate(states, 1):
        removed = 0.8 * (1 - (1 - k / 6) ** 3)
        for n, m in masks.items():
            assert abs(int(m.sum()) - m.numel() * (1 - removed)) < 1
            assert np.array_equal(m.numpy(), largest(S[n], int(m.sum())))
        assert before is None or any(not torch.equal(m, before[n]) for n, m in masks.items())
        before = masks


@pytest.mark.parametrize(
    ("scores", "kept"), [([9, 8, 1, 3, 2, 1], 4), ([9, 8, 7, 1, 2, 1], 3), ([9, 9, 1, 2, 3, 4], 6)]
)
def test_smp_keeps_the_best_step_from_the_end_of_its_pruning_on(net, task, impl, scores, kept):
    """N = 3 of 6 steps. The better scores of steps 1 and 2 are those of more weights and do not count."""
    fit = replace(FIT, keep="best")
    phase = next(smp(net, task, **SMP | {"fit": fit, "schedule": Cubic(0.9), "prune_steps": 3, "score_lr": 0.1}))
    result, states, _ = trained(net, phase, impl, scores)
    assert result.selected_step == kept and len(states) == 6
    masks, S = states[kept - 1]
    assert all(torch.equal(x, S[n]) for n, x in phase.train[0].tensors.items())
    assert net.masks.keys() == masks.keys() and all(torch.equal(m, masks[n]) for n, m in net.masks.items())
    others = [m for k, (m, _) in enumerate(states, 1) if k != kept]
    assert all(any(not torch.equal(m[n], net.masks[n]) for n in m) for m in others)


def test_evaluate_scores_the_masked_network_by_a_stock_model(tmp_path, task, impl):
    """Every evaluation row is predicted, under the masks, without dropout. The score is the configured metric."""
    task = replace(task, metric="prunebert.metrics:AccuracyF1", main_metric="f1")
    folder = save_model(tmp_path / "model", masked_lm=False)
    net = SubNetwork(models.load(str(folder))).train()
    key = net.add_head(task.form(), "linear")
    with torch.no_grad():
        for w in [*net.prunable().values(), net.heads[key].classifier.weight]:
            w.mul_(8)
    net.masks = keep_top({n: w.detach().abs() for n, w in net.prunable().items()}, 0.6)
    stock = transformers.AutoModelForSequenceClassification.from_pretrained(folder, num_labels=2).eval()
    state = {n.removeprefix("head."): x for n, x in net.snapshot(key).items()}
    stock.load_state_dict({n: x * net.masks.get(n, 1) for n, x in state.items()}, strict=True)
    result = evaluate(net, task, key, impl)
    labels, logits_by_row = {}, {}
    for batch in task.eval_batches("validation", 7):
        with torch.no_grad():
            logits = stock(**batch.inputs).logits
        labels |= dict(zip(batch.rows.tolist(), batch.labels.tolist(), strict=True))
        logits_by_row |= dict(zip(batch.rows.tolist(), logits.numpy(), strict=True))
    expected = np.stack([logits_by_row[i] for i in range(40)])
    gold, predicted = [labels[i] for i in range(40)], expected.argmax(-1)
    assert len(labels) == len(result.predictions) == 40
    assert np.allclose(np.stack(result.predictions.scores), expected, atol=1e-4)
    accuracy, f1 = accuracy_score(gold, predicted), f1_score(gold, predicted)
    assert result.metrics == pytest.approx({"accuracy": accuracy, "f1": f1}) and result.score == pytest.approx(f1)
    assert f1 != accuracy
    assert net.training and all(m.training for m in net.modules())
    ones = evaluate(net, task, key, impl, theta=net.snapshot(key) | {"head.classifier.weight": torch.ones(2, 32)})
    a, b = np.stack(ones.predictions.scores).T
    bias = net.heads[key].classifier.bias.detach()
    assert np.allclose(a - b, float(bias[0] - bias[1]), atol=1e-4)  # theta replaces the head's weights


def test_an_output_that_is_not_finite_ends_the_run(net, task, impl):
    """One infinite output of two is enough. Its split is named."""
    key = net.add_head(task.form(), "linear")
    with torch.no_grad():
        net.heads[key].classifier.bias[1] = torch.inf
    with pytest.raises(Diverged, match=r"^the network's output on validation is not finite; lower the learning rate$"):
        evaluate(net, task, key, impl)
