"""Distillation losses of hidden states, attention and logits, by hand and in numpy."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.special import log_softmax, softmax

from prunebert import distill
from prunebert.distill.likeness import Likeness
from prunebert.fit import Fit
from prunebert.masks.top_v import keep_top
from prunebert.network.interface import Outputs

FIT = Fit(epochs=1, steps=2, batch_size=4, lr=1e-3, head_lr=1e-3)
TINYBERT = {"attention": 1.0, "hidden": 1.0, "logits": 1.0, "temperature": 1.0}
NO = {"teacher": None, "shared": None}
CLASSES = SimpleNamespace(regression=False, span=False, tokens=False)
NET = SimpleNamespace(require_attention_scores=lambda: None)  # no loss reads more of it


def end(generator):
    """Return the value of a generator that yields no phase."""
    with pytest.raises(StopIteration) as stop:
        next(generator)
    return stop.value.value


def taught(monkeypatch, option, target, task=CLASSES, **settings):
    """Return the terms of `option` with a teacher whose output is always `target`."""

    def teacher(net, task, *, fit, source, shared, cached=False):
        yield from ()
        return lambda batch, needs=(): target

    monkeypatch.setattr(distill, "teacher_of", teacher)
    return end(option(NET, task, fit=FIT, **NO, **settings))


def batch_of(task):
    batch = task.rows["train"].batch(np.arange(8), task.padding)
    assert batch.inputs["attention_mask"].min() == 0  # some of it is padding
    return batch


def attending(*mask):
    return SimpleNamespace(inputs={"attention_mask": torch.tensor(mask)})


def drawn(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def another(net, key):
    """Return masks, and weights that differ from the net's."""
    theta = {n: x + 0.1 * drawn(*x.shape, seed=i) for i, (n, x) in enumerate(net.snapshot(key).items())}
    return keep_top({n: theta[n].abs() for n in net.prunable()}, 0.4), theta


# --- tinybert ---------------------------------------------------------------------------------------------------------


def test_tinybert_by_hand(monkeypatch):
    """Scores at or below -100 count as 0 on each side; layers are summed; the cross-entropy is over batch x classes."""
    student = Outputs(
        torch.tensor([[math.log(2.0), 0.0], [0.0, 0.0]]),  # 2/3, 1/3; 1/2, 1/2
        (torch.tensor([[[1.0, 2.0]]]), torch.zeros(1, 1, 2), torch.tensor([[[5.0, 0.0]]])),
        (torch.tensor([[[[1.0, 2.0], [-100.0, -1e4]]]]), torch.tensor([[[[-99.9, 0.0], [-250.0, 0.0]]]])),
    )
    target = Outputs(
        torch.tensor([[0.0, 0.0], [0.0, math.log(3.0)]]),  # 1/2, 1/2; 1/4, 3/4
        (torch.tensor([[[1.0, 0.0]]]), torch.zeros(1, 1, 2), torch.tensor([[[1.0, 2.0]]])),
        (torch.tensor([[[[0.0, 2.0], [3.0, -1e4]]]]), torch.tensor([[[[0.1, 0.0], [-1e4, -2.0]]]])),
    )
    settings = {"attention": 0.5, "hidden": 2.0, "logits": 3.0, "temperature": 1.0}
    teach = taught(monkeypatch, distill.tinybert, target, **settings)
    assert teach.needs == ("hidden", "attention")
    terms = teach(student, attending([1, 1]), {"task": torch.tensor(7.0)})
    ce = (0.5 * math.log(1.5) + 0.5 * math.log(3) + 0.25 * math.log(2) + 0.75 * math.log(2)) / 4
    assert {n: x.item() for n, x in terms.items()} == pytest.approx(
        {
            "kd_attention": 0.5 * ((1 + 0 + 9 + 0) / 4 + (100**2 + 0 + 0 + 4) / 4),
            "kd_hidden": 2.0 * (4 / 2 + 0 + (16 + 4) / 2),
            "kd_logits": 3.0 * ce,
        },
        rel=1e-5,
    )


@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_tinybert_of_a_pruned_network_in_numpy(net, task, temperature):
    """The toy net, taught by itself, under masks and with other weights, on a batch with padding."""
    key, batch = net.add_head(task.form(), "linear"), batch_of(task)
    settings = TINYBERT | {"temperature": temperature}
    teach = end(distill.tinybert(net, task, fit=FIT, teacher="pretrained", shared=None, **settings))
    masks, theta = another(net, key)
    net.eval()
    with torch.no_grad():
        student, dense = net(batch, key, masks, theta, teach.needs), net(batch, key, needs=teach.needs)
        terms = teach(student, batch, task.loss(student, batch))
    real = batch.inputs["attention_mask"].numpy().astype(bool)[:, None, None, :]

    def squares(pairs, where=True):
        return sum(np.mean(np.where(where, a.double() - b.double(), 0) ** 2) for a, b in pairs)

    p, q = dense.logits.double().numpy(), student.logits.double().numpy()
    expected = {
        "kd_attention": squares(zip(student.attention, dense.attention, strict=True), real),
        "kd_hidden": squares(zip(student.hidden, dense.hidden, strict=True)),
        "kd_logits": -(softmax(p / temperature, -1) * log_softmax(q / temperature, -1)).mean(),
    }
    assert {n: x.item() for n, x in terms.items()} == pytest.approx(expected, rel=1e-4)
    assert all(x > 1e-4 for x in expected.values())


def test_tinybert_has_no_gradient_where_student_and_teacher_agree(net, task):
    key, batch = net.add_head(task.form(), "linear"), batch_of(task)
    teach = end(distill.tinybert(net, task, fit=FIT, teacher="pretrained", shared=None, **TINYBERT))
    net.eval()
    out = net(batch, key, needs=teach.needs)
    terms = teach(out, batch, task.loss(out, batch))
    assert terms["kd_attention"] == terms["kd_hidden"] == 0
    p = softmax(out.logits.detach().double().numpy(), -1)
    assert terms["kd_logits"].item() == pytest.approx(-(p * np.log(p)).mean(), rel=1e-5)  # the teacher's entropy
    (slope,) = torch.autograd.grad(terms["kd_logits"], out.logits)
    assert slope.abs().max() < 1e-7


def test_tinybert_of_a_regression_keeps_the_squared_error_and_ignores_the_teachers_logits(monkeypatch):
    task = SimpleNamespace(regression=True, span=False, tokens=False)
    out = Outputs(torch.zeros(2, 1), (torch.zeros(1, 1, 2),), (torch.zeros(1, 1, 1, 1),))
    settings = TINYBERT | {"logits": 0.25}
    teach = taught(
        monkeypatch, distill.tinybert, Outputs(torch.ones(2, 1), out.hidden, out.attention), task, **settings
    )
    terms = teach(out, attending([1]), {"task": torch.tensor(8.0)})
    assert {n: float(x) for n, x in terms.items()} == {"kd_attention": 0, "kd_hidden": 0, "task": 2.0}


# --- the others -------------------------------------------------------------------------------------------------------


def test_hidden_cosine_by_hand(monkeypatch):
    """Angles of 0, 90 and 180 degrees; neither the embeddings' output nor padding counts."""
    a, b = [1.0, 0.0], [0.0, 2.0]
    opposite = [-3.0, 0.0]
    student = Outputs(
        torch.zeros(2, 2), tuple(torch.tensor(h) for h in ([[a, a], [a, a]], [[a, a], [b, a]], [[a, a]] * 2))
    )
    target = Outputs(
        torch.zeros(2, 2),
        tuple(torch.tensor(h) for h in ([[b, b]] * 2, [[a, b], [b, opposite]], [[opposite, a], [a, b]])),
    )
    teach = taught(monkeypatch, distill.hidden_cosine, target, weight=4.0)
    assert teach.needs == ("hidden",)
    terms = teach(student, attending([1, 1], [1, 0]), {"task": torch.tensor(7.0)})
    assert terms["task"] == 7 and terms.keys() == {"task", "kd_hidden"}
    assert terms["kd_hidden"].item() == pytest.approx(4 * ((0 + 1 + 0) / 3 + (2 + 0 + 0) / 3) / 2)


def test_hidden_cosine_of_a_pruned_network_in_numpy(net, task):
    key, batch = net.add_head(task.form(), "linear"), batch_of(task)
    teach = end(distill.hidden_cosine(net, task, fit=FIT, weight=1.0, teacher="pretrained", shared=None))
    masks, theta = another(net, key)
    net.eval()
    with torch.no_grad():
        student, dense = net(batch, key, masks, theta, ("hidden",)), net(batch, key, needs=("hidden",))
        distance = teach(student, batch, {})["kd_hidden"].item()
    layers = []
    for s, h in zip(student.hidden[1:], dense.hidden[1:], strict=True):
        pairs = [
            (s[i, j].double().numpy(), h[i, j].double().numpy())
            for i, j in zip(*np.nonzero(batch.inputs["attention_mask"].numpy()), strict=True)
        ]
        layers.append(np.mean([1 - u @ v / np.linalg.norm(u) / np.linalg.norm(v) for u, v in pairs]))
    assert distance == pytest.approx(np.mean(layers), rel=1e-4) and distance > 1e-3


def test_logits_of_spans_and_numbers_by_hand(monkeypatch):
    """Spans: the mean over the starts and the ends of all windows, pads left out. Numbers: a squared difference."""
    student, target = drawn(2, 4, 2), drawn(2, 4, 2, seed=1)
    task = SimpleNamespace(regression=False, span=True, tokens=False)
    teach = taught(monkeypatch, distill.logits, Outputs(target), task, weight=0.25, temperature=2.0)
    terms = teach(Outputs(student), attending([1, 1, 1, 1], [1, 1, 0, 0]), {"task": torch.tensor(8.0)})
    divergence = []
    for row, length in ((0, 4), (1, 2)):
        for side in (0, 1):
            p, q = (log_softmax(x[row, :length, side].double().numpy() / 2) for x in (target, student))
            divergence.append((np.exp(p) * (p - q)).sum())
    expected = {"task": 6.0, "kd_logits": 0.25 * 4 * np.mean(divergence)}
    assert {n: x.item() for n, x in terms.items()} == pytest.approx(expected, rel=1e-5)
    task = SimpleNamespace(regression=True, span=False, tokens=False)
    teach = taught(
        monkeypatch, distill.logits, Outputs(torch.tensor([[1.0], [4.0]])), task, weight=0.25, temperature=2.0
    )
    terms = teach(Outputs(torch.tensor([[2.0], [1.0]])), attending([1]), {"task": torch.tensor(8.0)})
    assert {n: x.item() for n, x in terms.items()} == {"task": 6.0, "kd_logits": 0.25 * 5}


@pytest.mark.parametrize("option", ["logits", "tinybert"])
@pytest.mark.parametrize("temperature", [1.0, 0.5])
def test_padding_of_spans_does_not_count_at_any_temperature(monkeypatch, option, temperature):
    student = drawn(1, 4, 2).requires_grad_(True)
    task = SimpleNamespace(regression=False, span=True, tokens=False)
    layer = (torch.zeros(1, 4, 2),), (torch.zeros(1, 1, 4, 4),)
    settings = TINYBERT if option == "tinybert" else {"weight": 1.0}
    settings = settings | {"temperature": temperature}
    losses = []
    for seed in (1, 2):  # the teacher's logits of the padding differ each time
        target = torch.cat([drawn(1, 3, 2, seed=5), drawn(1, 1, 2, seed=seed)], 1)
        teach = taught(monkeypatch, getattr(distill, option), Outputs(target, *layer), task, **settings)
        losses.append(teach(Outputs(student, *layer), attending([1, 1, 1, 0]), {})["kd_logits"])
    (slope,) = torch.autograd.grad(losses[0], student)
    assert losses[0].isfinite() and losses[0] == losses[1]
    assert slope.isfinite().all() and not slope[0, 3].any() and slope[0, :3].all()


def test_tinyberts_logits_of_spans_are_a_mean_over_real_tokens(monkeypatch):
    """-p log q over 4 and 2 tokens, starts and ends: 12 entries, however long the batch is padded."""
    student, target = drawn(2, 4, 2), drawn(2, 4, 2, seed=1)
    layer = (torch.zeros(2, 4, 2),), (torch.zeros(2, 1, 4, 4),)
    task = SimpleNamespace(regression=False, span=True, tokens=False)
    teach = taught(monkeypatch, distill.tinybert, Outputs(target, *layer), task, **TINYBERT | {"logits": 1.0})
    loss = teach(Outputs(student, *layer), attending([1, 1, 1, 1], [1, 1, 0, 0]), {})["kd_logits"]
    total = 0.0
    for row, length in ((0, 4), (1, 2)):
        for side in (0, 1):
            p, q = (log_softmax(x[row, :length, side].double().numpy()) for x in (target, student))
            total -= (np.exp(p) * q).sum()
    assert loss.item() == pytest.approx(total / 12, rel=1e-5)


def test_a_teacher_has_no_dropout_and_no_gradient(net, task):
    """In training mode the student's output varies and its teacher's does not; only the student learns."""
    key, batch = net.add_head(task.form(), "linear"), batch_of(task)
    targets, teacher_of = [], distill.teacher_of

    def watched(*args, **settings):
        teacher = yield from teacher_of(*args, **settings)
        return lambda batch, needs=(): targets.append(teacher(batch, needs)) or targets[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(distill, "teacher_of", watched)
        teach = end(distill.tinybert(net, task, fit=FIT, teacher="pretrained", shared=None, **TINYBERT))
    net.train()
    for p in net.parameters():
        p.requires_grad_(True)
    students = [net(batch, key, needs=teach.needs) for _ in range(2)]
    for out in students:
        sum(teach(out, batch, {}).values()).backward()
        assert net.training and net.encoder.training and net.heads[key].training
    first_target, second_target = targets
    assert net.model.config.hidden_dropout_prob > 0 and not torch.equal(students[0].logits, students[1].logits)
    for a, b in zip(
        (first_target.logits, *first_target.hidden, *first_target.attention),
        (second_target.logits, *second_target.hidden, *second_target.attention),
        strict=True,
    ):
        assert torch.equal(a, b) and not a.requires_grad
    grad = net.heads[key].classifier.weight.grad
    p = first_target.logits.softmax(-1)
    with torch.no_grad():
        slopes = [(s.logits.softmax(-1) - p) / p.numel() for s in students]  # of the mean cross-entropy
    assert torch.allclose(net.heads[key].classifier.bias.grad, sum(slopes).sum(0), atol=1e-6) and grad.any()


@pytest.mark.parametrize(
    ("option", "settings", "reads_logits"),
    [
        ("logits", {"weight": 0.5, "temperature": 2.0}, True),
        ("tinybert", TINYBERT, True),
        ("hidden_cosine", {"weight": 1.0}, False),
    ],
)
def test_logits_of_a_head_that_nobody_trained_get_a_warning(monkeypatch, caplog, option, settings, reads_logits):
    """The pre-trained network has a head for masked-LM alone. Those of fine-tuned networks and of runs are trained."""
    monkeypatch.setattr(distill, "teacher_of", lambda *arguments, **settings: iter(()))
    warned = []
    for teacher, masked_lm in (("pretrained", False), ("pretrained", True), ("outputs/run", False), (None, False)):
        task = SimpleNamespace(masked_lm=masked_lm)
        end(getattr(distill, option)(NET, task, fit=FIT, teacher=teacher, shared=None, **settings))
        warned.append("distill.teacher=pretrained: its head is untrained" in caplog.text)
        caplog.clear()
    assert warned == [reads_logits, False, False, False]


def test_padding_does_not_count_in_the_likeness_of_a_row():
    """The embeddings' output does not count either. One token agrees; a second one, at a right angle, is padding."""
    dense, masked = torch.tensor([[[1.0, 0.0], [1.0, 0.0]]]), torch.tensor([[[2.0, 0.0], [0.0, 1.0]]])
    text = SimpleNamespace(dense=lambda batch, needs: Outputs(torch.zeros(1, 1), (dense, dense)))
    batch = SimpleNamespace(inputs={"attention_mask": torch.tensor([[1, 0]])}, rows=torch.tensor([5]))
    assert Likeness.outputs_by_row(text, Outputs(torch.zeros(1, 1), (masked, masked)), batch)[5].tolist() == [1.0]
