"""A teacher's terms reach every phase that learns the task."""

import pytest
from torch.nn.functional import cross_entropy

from prunebert.errors import BadInput
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


def too_late(net, task):
    """Fail as soon as a teacher would train."""
    yield from ()
    raise AssertionError("the teacher begins")


@pytest.mark.parametrize("key", ["allocation", "masks", "corpus"])
def test_what_a_method_reads_it_reads_before_a_teacher_trains(net, task, text, key):  # noqa: F811
    """A run's identity has a hash of these files, so a change while the teacher trains must not count."""

    def gone(**words):
        raise BadInput("gone: there is no such file")

    value = gone if key == "corpus" else "gone"
    methods = [name for name, (_, settings, _) in CASES.items() if {"distill", key} <= settings.keys() | text.keys()]
    methods = [name for name in methods if key != "corpus" or name.startswith("tamt")]
    for name in methods:
        method, settings, _ = CASES[name]
        words = settings | (text if method is tamt else {}) | {"distill": too_late, key: value}
        with pytest.raises(BadInput, match="gone"):
            next(method(net, task, **words))
        net.masks = {}
    assert len(methods) >= {"allocation": 17, "masks": 4, "corpus": 2}[key]
