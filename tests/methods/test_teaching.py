"""A teacher's terms reach every phase that learns the task."""

import pytest
import torch

from prunebert.training.phase import Teaching
from tests.methods.test_rates_and_decay import CASES, text  # noqa: F401  a fixture


def taught(net, task):
    """Return, without a phase of its own, a teacher that doubles the task's loss and reads hidden states."""
    yield from ()
    return Teaching(lambda out, batch, terms: {"doubled": 2 * terms["task"]}, ("hidden",))


WITH_TEACHER = [name for name, (_, settings, _) in CASES.items() if "distill" in settings]


@pytest.mark.parametrize("name", WITH_TEACHER)
def test_a_teacher_takes_part_in_every_phase_on_the_task(net, task, request, name):
    method, settings, expected = CASES[name]
    more = request.getfixturevalue("text") if name.startswith("tamt") else {}
    batch, names = next(task.batches(4, 0)), []
    for phase in method(net, task, **settings | more | {"distill": taught}):
        names.append(phase.name)
        net.masks = dict(phase.masks(1.0, True))
        if phase.name == "mask-training":
            continue
        out = net.eval()(batch, phase.head, net.masks)
        expected_loss = 2 * torch.nn.functional.cross_entropy(out.logits, batch.labels).item()
        terms = phase.loss(out, batch, 1.0)
        assert {n: x.item() for n, x in terms.items()} == pytest.approx({"doubled": expected_loss}, rel=1e-5)
        assert phase.needs == ("hidden",)
    assert names == list(expected) and len(WITH_TEACHER) >= 18
