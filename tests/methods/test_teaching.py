"""A teacher's terms reach every phase that learns the task."""

import pytest
from torch.nn.functional import cross_entropy

from prunebert.methods.tamt import tamt
from prunebert.training.phase import Teaching
from tests.methods.test_rates_and_decay import CASES, text  # noqa: F401  a fixture


def taught(net, task):
    """Return, without a phase of its own, a teacher that doubles the task's loss and reads hidden states."""
    yield from ()
    return Teaching(lambda out, batch, terms: {"doubled": 2 * terms["task"]}, ("hidden",))


def test_a_teacher_takes_part_in_every_phase_on_the_task(net, task, text):  # noqa: F811
    """Every method that can be distilled: the loss of each phase but TAMT's first, with its labels and head."""
    batch, methods = (
        next(task.batches(4, 0)),
        [name for name, (_, settings, _) in CASES.items() if "distill" in settings],
    )
    for name in methods:
        method, settings, expected = CASES[name]
        names, net.masks = [], {}
        for phase in method(net, task, **settings | (text if method is tamt else {}) | {"distill": taught}):
            names.append(phase.name)
            net.masks = dict(phase.masks(1.0, True))
            if phase.name == "mask-training":
                continue
            out = net.eval()(batch, phase.head, net.masks)
            doubled = 2 * cross_entropy(out.logits, batch.labels).item()
            terms = {n: x.item() for n, x in phase.loss(out, batch, 1.0).items()}
            assert terms == pytest.approx({"doubled": doubled}, rel=1e-5) and phase.needs == ("hidden",), name
        assert names == list(expected)
    assert len(methods) >= 18
