"""A run's curve: steps over all phases, the sum of the loss's terms, few points with the first and the last."""

import json

import pytest

from prunebert.errors import BadInput
from prunebert.report.page.training import POINTS, curve


@pytest.fixture
def read(tmp_path):
    """Return a function that writes the lines of metrics.jsonl and returns the run's curve."""

    def call(lines):
        (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        return curve(tmp_path, {})

    return call


def line(step, phase="prune", **more):
    return {"phase": phase, "step": step, "t": step / 9, "sparsity": 0.25, "lr": 0.1, "loss_task": 1.5} | more


def test_steps_are_counted_over_all_phases_and_terms_are_summed(read):
    first = [line(1, "head"), line(4, "head", loss_kd=0.25)]
    second = [line(1, flips=0), {"phase": "prune", "step": 2, "t": 0.2, "score": 0.75}, line(3, flips=8)]
    found = read([*first, *second, line(2, "finetune")])
    assert found["step"] == [1, 4, 5, 7, 9] and found["loss"] == [1.5, 1.75, 1.5, 1.5, 1.5]
    assert found["score"] == [[6, 0.75]] and found["phases"] == [["head", 1], ["prune", 5], ["finetune", 8]]
    assert found["flips"] == []  # the first phase's lines lack it, as an earlier version's do
    assert read(second)["flips"] == [0, 8]


def test_a_long_run_has_few_points_with_the_ends_of_each_phase(read):
    lines = [line(step, phase, loss_task=step) for phase in "ab" for step in range(1, 1000, 2)]
    found = read(lines)
    assert len(found["step"]) == POINTS and found["step"][0] == 1 and found["step"][-1] == 2 * 999
    middle = found["step"].index(999)
    assert found["step"][middle + 1] == 1000 and found["loss"][middle : middle + 2] == [999, 1]


def test_a_number_that_is_not_finite_is_none(read):
    assert read([line(1, loss_task=float("inf"))])["loss"] == [None]


@pytest.mark.parametrize(
    "lines", [[[]], [{"phase": "a", "step": 1}], [{"step": 1}], [line(1) | {"step": "x"}], [line(1, sparsity="x")]]
)
def test_damaged_metrics_are_refused_in_a_line(read, tmp_path, lines):
    with pytest.raises(BadInput, match=r"metrics.jsonl cannot be drawn"):
        read(lines)


def test_a_run_without_metrics_has_no_curve(tmp_path):
    assert curve(tmp_path, {}) is None
