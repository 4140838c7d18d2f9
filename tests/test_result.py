"""The sums and choices that a result makes of its phases, by hand."""

import json
import subprocess
from dataclasses import replace
from types import SimpleNamespace

import pandas as pd
import pytest
import torch
import transformers

from prunebert import result, run
from prunebert.errors import BadInput
from prunebert.masks.top_v import keep_top
from prunebert.result import FinishedRun, PhaseResult
from prunebert.runs import schema
from prunebert.training import loop
from prunebert.training.evaluate import Evaluation
from prunebert.training.loop import Trained
from prunebert.training.phase import Group


def phase(name, steps, seconds, evaluating, flips=0, at_once=0):
    history = {"flips": flips, "at_once": at_once, "of": name}
    trained = Trained(steps, seconds, 9, steps, history, seconds_evaluating=evaluating)
    return PhaseResult(SimpleNamespace(name=name), trained, 0.5)


def run_of(*phases):
    return SimpleNamespace(phases=list(phases), seconds_to_first_step=1.23456, started=0.0)


def test_seconds_are_of_all_phases_and_those_of_a_step_without_evaluations():
    """10 s of 20 steps and 4 s of 50; evaluations took 3 s and 2 s. The command took longer than all of them."""
    seconds = result._seconds(run_of(phase("teacher", 20, 10.0, 3.0), phase("prune", 50, 4.0, 2.0)), 70)
    assert (seconds["seconds"], seconds["seconds_per_step"]) == (19.0, pytest.approx(0.2))
    assert seconds["seconds_to_first_step"] == 1.235 and seconds["seconds_overall"] > 0


def test_the_history_is_that_of_the_last_phase_whose_masks_changed_after_its_first_step():
    """A fine-tuning under fixed masks removes at once what its masks lack; that is no change."""
    search, again = phase("search", 5, 1, 1, flips=9, at_once=4), phase("again", 5, 1, 1, flips=7, at_once=6)
    fixed, ranked = phase("finetune", 5, 1, 1, flips=6, at_once=6), phase("saliency", 5, 1, 1, flips=9, at_once=4)
    ranked.trained.history["at_end"] = 5  # it changes its masks only when its steps are over
    assert result._history(run_of(search, again, fixed, ranked))["history"]["of"] == "again"
    assert result._history(run_of(fixed)) == {}


@pytest.fixture
def git(tmp_path, monkeypatch):
    """Return a function that calls git in a repository, which the package and conf/ seem to be in."""

    def call(*words):
        user = ["-c", "user.name=x", "-c", "user.email=x@example.org"]
        words = ["git", "-C", tmp_path / "repository", *user, *words]
        return subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()

    for name in ("prunebert/__init__.py", "conf/a.yaml", "docs/a.md"):
        (tmp_path / "repository" / name).parent.mkdir(parents=True)
        (tmp_path / "repository" / name).write_text("")
    monkeypatch.setattr(result, "__file__", str(tmp_path / "repository/prunebert/result.py"))
    call("init", "-q")
    call("add", "docs")
    call("commit", "-qm", "a")
    result.code_state.cache_clear()
    yield call
    result.code_state.cache_clear()


def test_the_commit_is_that_of_the_package_and_dirty_where_the_package_or_conf_is(git, tmp_path):
    """Changes beside them do not count. A package that is only below a repository has no commit."""
    now = result.git_state
    assert now() == {"git_commit": None, "git_dirty": None}
    git("add", ".")
    git("commit", "-qm", "b")
    state = {"git_commit": git("rev-parse", "HEAD"), "git_dirty": False}
    (tmp_path / "repository/docs/a.md").write_text("changed")
    assert now() == state
    (tmp_path / "repository/conf/a.yaml").write_text("changed: 1")
    assert now() == state | {"git_dirty": True}


def test_a_commit_while_a_run_trains_is_not_that_of_the_run(git, tmp_path, cli, toy, monkeypatch):
    git("add", ".")
    git("commit", "-qm", "b")
    commit = git("rev-parse", "HEAD")

    def train(*words, **settings):
        git("commit", "--allow-empty", "-qm", "c")
        (tmp_path / "repository/conf/a.yaml").write_text("changed: 1")
        return loop.train(*words, **settings)

    monkeypatch.setattr(run, "train", train)
    status, printed = cli(*toy, "method=magnitude")
    assert status == 0, printed
    row = json.loads((tmp_path / "run/result.json").read_text())
    assert (row["git_commit"], row["git_dirty"]) == (commit, False) and git("rev-parse", "HEAD") != commit


class Out:
    """Keeps what a run would write, by name."""

    def __init__(self):
        self.written = {}

    def save_masks(self, file):
        self.written["masks"] = file

    def save_tensors(self, name, tensors, origin):
        self.written[name] = tensors

    def save_predictions(self, table):
        self.written["predictions"] = table

    def save_json(self, name, content):
        self.written[name] = content


def test_a_result_says_what_its_last_phase_trained_and_what_all_cost(net, task, impl):
    """Two phases with heads of their own. The last one ended after 7 of 9 steps and trained one tensor of its head."""
    heads = [net.add_head(task.form(), kind) for kind in ("linear", "layer_mix")]
    mix = dict(list(net.head_parameters(heads[1]).items())[:1])
    trains = [Group(name="head", tensors=net.head_parameters(heads[0]), lr=1), Group(name="head", tensors=mix, lr=1)]
    costs = [Trained(5, 1.0, 100, 5, {"flips": 0, "at_once": 0}, scores=60)]
    costs += [Trained(7, 1.0, 40, 7, {"flips": 0, "at_once": 0}, scores=30)]
    phases = [
        PhaseResult(SimpleNamespace(name=name, head=head, task=task, train=[train], planned=9), cost, 0.5)
        for name, head, train, cost in zip(("teacher", "prune"), heads, trains, costs, strict=True)
    ]
    evaluation = Evaluation(pd.DataFrame(), {"accuracy": 0.75}, 0.75)
    run = FinishedRun(net, task, phases, evaluation, {"accuracy": 0.5, "f1": 0.9}, {"seed": 3}, impl, 1.0, 0.0)
    first = next(iter(net.prunable()))
    net.masks = {first: torch.zeros(32, 32, dtype=torch.bool)}
    out = Out()
    row = result.write(run, out)
    assert (row["trained_parameters"], row["trained_scores"], row["steps"]) == (40, 30, 5 + 7)
    assert (row["seed"], row["score"], row["majority_score"], row["head"]) == (3, 0.75, 0.5, "layer_mix")
    stock = transformers.BertModel(net.model.config).num_parameters()
    assert row["model_parameters"] == stock + 2 + (32 * 32 + 32) + (32 * 2 + 2)
    assert row["sparsity_encoder"] == pytest.approx(1024 / 16384) and out.written["result.json"] == row
    assert out.written["head.safetensors"].keys() == mix.keys() and out.written["weights.safetensors"] == {}
    masks = out.written["masks"].masks
    assert len(masks) == 12 and all(bool(m.all()) == (n != first) for n, m in masks.items())
    net.masks = keep_top({n: W.detach().abs() for n, W in net.prunable().items()}, 0.25)
    with torch.no_grad():
        for W in net.prunable().values():
            W.copy_(1 / W)  # the largest become the smallest
    result.write(run, out)
    assert len(out.written["weights.safetensors"]) == 37  # all that the checkpoint has
    overlap = out.written["topology.json"]["magnitude"]["local"]  # with the weights of the checkpoint
    assert (overlap["kept"], overlap["shared"]) == ([12288, 12288], 12288)
    net.masks = {"bert.pooler.dense.weight": torch.ones(32, 32, dtype=torch.bool)}
    result.write(run, out)
    shape = out.written["topology.json"]
    assert shape["magnitude"] is None  # nothing was chosen
    # AbP's head reads no pooler, so the pooler's 32 · 32 weights have no effect
    assert shape["effective"]["sparsity_model"] == pytest.approx(1024 / row["model_parameters"])
    with pytest.raises(BadInput, match=r"^task\.score=accuracy: it is nan on the evaluation data"):
        result.write(replace(run, evaluation=replace(evaluation, score=float("nan"))), out)


@pytest.mark.parametrize(("asked", "satisfied"), [("2:4", True), ("4x4", False), ("none", None), (None, None)])
def test_the_masks_carry_the_pattern_that_was_asked_for_if_they_satisfy_it(net, task, impl, asked, satisfied):
    head = net.add_head(task.form(), "linear")
    train = [Group(name="head", tensors=net.head_parameters(head), lr=1)]
    phase_of_head = SimpleNamespace(name="prune", head=head, task=task, train=train, planned=1)
    trained = Trained(1, 1.0, 40, 1, {"flips": 0, "at_once": 0})
    evaluation = Evaluation(pd.DataFrame(), {"accuracy": 0.75}, 0.75)
    labels = {"settings": {} if asked is None else {"pattern": asked}}
    phases = [PhaseResult(phase_of_head, trained, 0.5)]
    run = FinishedRun(net, task, phases, evaluation, {"accuracy": 0.5}, labels, impl, 1.0, 0.0)
    net.masks = {n: torch.arange(W.numel()).view_as(W) % 4 > 1 for n, W in net.prunable().items()}  # 0 0 1 1 | 0 0 1 1
    result.write(run, out := Out())
    assert out.written["masks"].pattern == ("2:4" if satisfied else "none")
    pattern = out.written["topology.json"]["pattern"]
    assert (pattern["asked"], pattern["satisfied"]) == (asked or "none", satisfied)
    assert pattern["found"] == {"n_m": "2:4", "block": "32x1"} and pattern["groups_2_4"] == 1
    assert schema.topology_fault(out.written["topology.json"]) == ""
