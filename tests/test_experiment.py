"""Model and task are loaded once for consecutive finished cells of a sweep."""

from types import SimpleNamespace

import pytest

from prunebert import experiment
from prunebert.errors import BadInput, Diverged
from prunebert.experiment import Loaded
from prunebert.runs import artifacts
from prunebert.settings import overlaps
from prunebert.system import signals

FIELDS = {"model": {"name": "m"}, "task": {"train": "a.csv"}, "augment": None, "seed": 0}
CPU = SimpleNamespace(torch_device="cpu")
CHOICES = {"model": "m", "task": "t"}


@pytest.fixture
def built():
    """The nodes that were built, in order, and the function that builds them."""
    nodes = []

    def build(node):
        nodes.append(node)
        if node is None:
            return None
        if "copies" in node:
            return lambda **arguments: None
        if "train" in node:
            return lambda **arguments: ("task", arguments["tokenizer"])
        return SimpleNamespace(tokenizer=node["name"], positions=8)

    return nodes, build


def test_the_same_model_and_task_are_loaded_once(built):
    nodes, build = built
    loaded = Loaded()
    first = loaded.load(FIELDS, CHOICES, CPU, build)
    assert first[1] == ("task", "m") and len(nodes) == 3
    assert (
        loaded.load(FIELDS | {"seed": 1, "method": {"sparsity": 0.5}}, CHOICES, CPU, build) is first and len(nodes) == 3
    )


@pytest.mark.parametrize(
    ("other", "device"),
    [
        ({"model": {"name": "other"}}, CPU),
        ({"task": {"train": "b.csv"}}, CPU),
        ({"augment": {"copies": 2}}, CPU),
        ({}, SimpleNamespace(torch_device="meta")),
    ],
)
def test_another_model_task_augmentation_or_device_is_loaded(built, other, device):
    _, build = built
    loaded = Loaded()
    first = loaded.load(FIELDS, CHOICES, CPU, build)
    assert loaded.load(FIELDS | other, CHOICES, device, build) is not first


def test_nothing_is_used_after_training_or_after_a_minute(built, monkeypatch):
    nodes, build = built
    loaded = Loaded()
    now = 100.0
    monkeypatch.setattr("prunebert.experiment.time.monotonic", lambda: now)
    first = loaded.load(FIELDS, CHOICES, CPU, build)
    loaded.forget()
    second = loaded.load(FIELDS, CHOICES, CPU, build)
    assert second is not first and len(nodes) == 6
    now += 59
    assert loaded.load(FIELDS, CHOICES, CPU, build) is second
    now += 2
    assert loaded.load(FIELDS, CHOICES, CPU, build) is not second and len(nodes) == 9


def test_a_cell_between_finished_cells_trains_to_the_same_bytes(cli, toy, tmp_path, monkeypatch):
    from prunebert.network import models

    loads = []
    load = models.load
    words = ["-m", *toy[:-1], "method=magnitude", "seed=0,1,2,3", "hydra.sweep.dir=sweep"]
    assert cli(*words)[0] == 0
    before = artifacts.result(tmp_path / "sweep/seed-1")
    (tmp_path / "sweep/seed-1/result.json").unlink()
    monkeypatch.setattr(models, "load", lambda *args, **settings: loads.append(args) or load(*args, **settings))
    status, printed = cli(*words)
    after = artifacts.result(tmp_path / "sweep/seed-1")
    assert status == 0 and printed.count("finished before") == 3 and len(loads) == 2  # before and after seed=1
    assert after["files"] | {"metrics.jsonl": ""} == before["files"] | {"metrics.jsonl": ""}
    assert (after["score"], after["identity"]) == (before["score"], before["identity"])


def test_a_run_that_starts_from_one_on_related_data_is_warned_of(finished, monkeypatch):
    """The masks and the teacher of a run on a task that shares rows. Both may lie below the user's home."""
    run = finished("method=magnitude", "sparsity=0.5")
    declared = {"task": {"file": {"sst2": "both are toys"}}, "model": {}}
    monkeypatch.setattr(overlaps, "declared", declared.__getitem__)
    monkeypatch.setenv("HOME", str(run.parent))
    fields = {"task": {"name": "sst2"}, "model": {}}
    for place in (str(run), f"~/{run.name}"):
        for method in ({"masks": place}, {"distill": {"teacher": place}}):
            (line,) = experiment._shared_data(fields | {"method": method}, "toy")
            assert "task=sst2 shares data with task=file, which was trained on: both are toys" in line
    own = {"masks": None, "distill": {"teacher": "pretrained"}}
    assert list(experiment._shared_data(fields | {"method": own}, "toy")) == []


def test_checkpoints_of_a_stopped_run_stay_and_those_of_a_diverged_run_go(caplog):
    cleared = []
    for error in (signals.Stopped("SIGTERM", "after step 3"), Diverged("the loss is not finite")):
        with pytest.raises(type(error)), experiment._early_ends(lambda error=error: cleared.append(error), rerun=False):
            raise error
    assert [type(error) for error in cleared] == [Diverged] and "stopped by SIGTERM after step 3" in caplog.text


@pytest.mark.parametrize(("sweep", "key"), [(None, "hydra.run.dir"), ("sweep", "hydra.sweep.dir")])
def test_files_of_another_origin_are_refused_by_the_key_that_named_their_directory(tmp_path, monkeypatch, sweep, key):
    (tmp_path / "result.json").write_text("mine")
    monkeypatch.setattr(experiment.inputs, "check", lambda fields: None)
    request = SimpleNamespace(sweep=sweep and tmp_path / sweep)
    with pytest.raises(BadInput, match=rf"^{key}={tmp_path} holds result\.json of another origin"):
        experiment.carry_out({}, request, tmp_path, lambda node: node, Loaded())
