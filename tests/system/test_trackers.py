"""Trackers get every line, and a tracker error never stops a run."""

import json
import sys
from types import SimpleNamespace

import pytest

from prunebert.system import trackers


@pytest.fixture
def fake_wandb(monkeypatch):
    """A function that installs a module with wandb's interface and returns its calls. Functions in `broken` raise."""

    def make(broken=()):
        calls = []

        def call(name):
            def function(*args, **settings):
                if name in broken:
                    raise SystemError(f"{name} is down")
                calls.append((name, args, settings))

            return function

        monkeypatch.setitem(sys.modules, "wandb", SimpleNamespace(**{n: call(n) for n in ("init", "log", "finish")}))
        return calls

    return make


def test_wandb_gets_every_line_and_the_result(cli, toy, tmp_path, fake_wandb):
    calls = fake_wandb()
    assert cli(*toy, "method=magnitude", "tracking=wandb", "fit.steps=4")[0] == 0
    lines = [json.loads(line) for line in (tmp_path / "run/metrics.jsonl").read_text().splitlines()]
    assert [name for name, *_ in calls] == ["init", *["log"] * len(lines), "log", "finish"]
    assert calls[0][2]["config"]["method"] == "magnitude" and calls[0][2]["dir"].endswith("run")
    for line, (_, (logged,), _) in zip(lines, calls[1:], strict=False):
        assert logged["finetune/loss_task"] == line["loss_task"] and logged["finetune/step"] == line["step"]
    row = json.loads((tmp_path / "run/result.json").read_text())
    assert calls[-2][1][0]["result/metrics.accuracy"] == row["metrics"]["accuracy"]


@pytest.mark.parametrize("broken", ["init", "log", "finish"])
def test_a_broken_tracker_stops_nothing_and_is_reported_once(cli, toy, tmp_path, fake_wandb, broken):
    fake_wandb((broken,))
    status, printed = cli(*toy, "method=magnitude", "tracking=wandb", "fit.steps=4")
    assert status == 0 and (tmp_path / "run/result.json").exists()
    warning = "tracking failed and is off from here on; the run continues"
    assert printed.replace("\n", " ").count(warning) == 1 and f"{broken} is" in printed


def test_a_tracker_that_is_not_installed_stops_nothing(cli, toy, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "trackio", None)
    status, printed = cli(*toy, "method=magnitude", "tracking=trackio")
    assert status == 0 and "tracking failed" in printed and (tmp_path / "run/result.json").exists()


def test_tensorboard_gets_scalars(tmp_path, monkeypatch):
    calls = []
    writer = SimpleNamespace(
        add_scalar=lambda *args: calls.append(args), close=lambda: calls.append("closed"), __init__=lambda *a: None
    )
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", SimpleNamespace(SummaryWriter=lambda directory: writer))
    tracker = trackers.tensorboard(tmp_path, {})
    tracker.log({"phase": "prune", "step": 3, "t": 0.5, "loss_task": 1.25})
    tracker.end({"metrics": {"accuracy": 0.5}, "sparsity_model": 0.25, "steps": 7, "method": "smp"})
    assert calls == [
        *(("prune/t", 0.5, 3), ("prune/loss_task", 1.25, 3)),
        *(("result/metrics.accuracy", 0.5, 7), ("result/sparsity_model", 0.25, 7), "closed"),
    ]


def test_tracking_is_off_by_default_and_no_part_of_the_identity(cli, toy, tmp_path, fake_wandb):
    fake_wandb()
    assert cli(*toy, "method=magnitude", "tracking=wandb")[0] == 0
    assert "finished before" in cli(*toy, "method=magnitude")[1]
