"""Checkpoints of a toy phase: a resumed one equals one that was not stopped, and the newest moment is never lost."""

import signal
from types import SimpleNamespace

import pytest
import torch

from prunebert.errors import BadInput
from prunebert.masks.history import History
from prunebert.system.signals import Request, Stopped
from prunebert.training import checkpoints as module
from prunebert.training.checkpoints import Checkpoints, Every
from prunebert.training.state import Best, Moment

SCORES = (0.1, 0.7, 0.4, 0.7, 0.6, 0.2)  # by step; the best is that of step 2


class Net(torch.nn.Module):
    """What checkpoints need of a SubNetwork."""

    def __init__(self) -> None:
        super().__init__()
        self.weight, self.scores = (torch.nn.Parameter(torch.randn(3, 4)) for _ in range(2))
        self.masks: dict[str, torch.Tensor] = {}


def started(seed: int, phase_name: str = "prune") -> Moment:
    """Return the state of a phase before its first step: two optimizers, and masks that change."""
    torch.manual_seed(seed)
    net = Net()
    optimizers = [torch.optim.AdamW([net.weight], lr=0.1), torch.optim.AdamW([net.scores], lr=0.5)]
    groups = [SimpleNamespace(name=n, tensors={"x": x}) for n, x in (("weights", net.weight), ("scores", net.scores))]
    phase = SimpleNamespace(name=phase_name, memory={"of": "another run"}, planned=6, train=groups, checkpointed=True)
    trained = {"weights.x": net.weight, "scores.x": net.scores}
    return Moment(net, phase, trained, optimizers, History(), Best(trained, net))


def take(moment: Moment, step: int) -> None:
    """Train one step on noise, as dropout is, and count it in what the phase remembers."""
    net, memory = moment.net, moment.phase.memory
    if step == 1:
        memory.clear()
        memory |= {"sum": torch.zeros(3, 4), "steps": 0}
    net.masks = {"x": net.scores.detach() > 0}
    moment.history.see(net.masks)
    loss = ((net.weight * net.masks["x"] * torch.rand(3, 4)).sum() - 1) ** 2 + (net.scores * torch.randn(3, 4)).sum()
    loss.backward()
    memory["sum"] = memory["sum"] + net.scores.grad
    memory["steps"] += 1
    for optimizer in moment.optimizers:
        optimizer.step()
        optimizer.zero_grad()
    moment.best.offer(SCORES[step - 1], step)


def everything(moment: Moment) -> dict:
    """Return all that must be as if the phase had not been stopped, and the next number drawn."""
    net = moment.net
    history = moment.history.facts(net.masks)
    numbers = {"history": history, "best": (moment.best.score, moment.best.step), "steps": moment.phase.memory["steps"]}
    tensors = {**moment.trained, **net.masks, "sum": moment.phase.memory["sum"], "next": torch.rand(2)}
    tensors |= {f"best.{n}": x for n, x in moment.best.state.items()}
    tensors |= {f"best mask.{n}": m for n, m in moment.best.masks.items()}
    return numbers | {n: x.tolist() for n, x in tensors.items()}


def test_the_best_step_gets_its_own_masks_back():
    """Masks that no trained tensor gives anew, as those of weights that were set to 0, belong to their step."""
    moment, masks = started(0), {}
    for step in range(1, 7):
        take(moment, step)
        masks[step] = moment.net.masks["x"].clone()
    assert not torch.equal(masks[2], masks[6])
    assert moment.best.restore() == 2
    assert torch.equal(moment.net.masks["x"], masks[2])


@pytest.fixture
def opened(tmp_path):
    """Return a function that opens the run's checkpoints, as each start of the run does."""

    def call(seconds: float | None = None, steps: int | None = 1) -> Checkpoints:
        every = Every(seconds=seconds, steps=steps)
        return Checkpoints(tmp_path, "identity", every, Request(), SimpleNamespace(heads_read=None))

    return call


def names(tmp_path) -> list[str]:
    return sorted(file.stem for file in (tmp_path / "checkpoint").iterdir())


@pytest.mark.parametrize("stops", [(1,), (2, 3, 5)], ids=str)
def test_a_resumed_phase_equals_one_that_was_not_stopped(opened, stops):
    """Its weights, both optimizers, masks, memory, history, best step and the next random numbers."""
    moment = started(0)
    for step in range(1, 7):
        take(moment, step)
    whole = everything(moment)
    assert whole["best"] == (0.7, 2) and whole["history"]["flips"] > 5
    moment, store = started(0), opened()
    for step in range(1, 7):
        take(moment, step)
        store.save_if_due(step, moment, step / 4)
        if step in stops:
            moment, store = started(9 + step), opened()  # a new process: other weights, other random numbers
            assert store.resume(moment) == (step, step / 4)
    assert everything(moment) == whole


def test_moments_are_numbered_on_after_a_resume_and_the_newest_two_stay(opened, tmp_path):
    """Numbers that began anew would let the moments from before the stop count as the newest, and delete later ones."""
    done = 0
    for process in range(3):
        moment, store = started(process), opened()
        assert store.resume(moment)[0] == done
        for step in range(done + 1, done + 3):
            take(moment, step)
            store.save_if_due(step, moment, 0.0)
        done += 2
        assert names(tmp_path) == [f"moment-{number:08d}" for number in (done - 1, done)]


def test_a_finished_phase_keeps_no_moment_and_the_next_takes_none_of_its(opened, tmp_path):
    moment, store = started(0, "search"), opened()
    take(moment, 1)
    store.save_if_due(1, moment, 0.0)
    old = (tmp_path / "checkpoint/moment-00000001.safetensors").read_bytes()
    store.save_phase(moment.phase, moment.net, {"score": 0.5})
    assert names(tmp_path) == ["phase-search"]
    (tmp_path / "checkpoint/moment-00000001.safetensors").write_bytes(old)  # the process died before it was removed
    store, again = opened(), started(1, "search")
    assert store.restore_phase(again.phase, again.net) == {"score": 0.5}
    for name, x in moment.trained.items():
        assert torch.equal(again.trained[name], x)
    assert torch.equal(again.net.masks["x"], moment.net.masks["x"]) and not again.net.training
    finetune = started(2, "finetune")
    before = finetune.net.weight.clone()
    assert store.restore_phase(finetune.phase, finetune.net) is None
    assert store.resume(finetune) == (0, 0.0) and torch.equal(finetune.net.weight, before)


def test_a_phase_that_is_not_checkpointed_starts_again(opened, tmp_path):
    """No moment of it is written, not even when a signal ends the run."""
    moment, store = started(0), opened()
    moment.phase.checkpointed = False
    take(moment, 1)
    store.save_if_due(1, moment, 0.0)
    store.request.by = "SIGTERM"
    with pytest.raises(Stopped) as stop:
        store.save_if_due(2, moment, 0.0)
    assert stop.value.where == "after step 2 of 6 of phase prune, unsaved"
    assert not (tmp_path / "checkpoint").exists() and opened().resume(moment) == (0, 0.0)


@pytest.mark.parametrize("bad", [{"seconds": -1.0}, {"steps": 0}])
def test_an_interval_outside_its_range_is_refused_by_its_key(bad):
    with pytest.raises(BadInput, match=rf"^checkpoint\.{next(iter(bad))}="):
        Every(**{"seconds": None, "steps": None} | bad)


def test_a_moment_is_due_after_so_many_steps_or_so_many_seconds_since_the_last(opened, tmp_path, monkeypatch):
    clock = [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: clock[0])
    moment, store = started(0), opened(seconds=10, steps=4)
    take(moment, 1)
    store.resume(moment)
    written = []
    # seconds pass: 9 (not due), 2 (11: due), 9 (not yet), 0 (the fourth step), 9 (not yet), 1 (10: due)
    for step, seconds in enumerate((9, 2, 9, 0, 9, 1), 1):
        clock[0] += seconds
        store.save_if_due(step, moment, 0.0)
        written.append(store.number)
    assert written == [0, 1, 1, 2, 2, 3]
    store.request.by = "SIGTERM"
    with pytest.raises(Stopped) as stop:
        store.save_if_due(7, moment, 0.0)
    assert (stop.value.by, store.number) == ("SIGTERM", 4) and "after step 7 of 6 of phase prune" in stop.value.where
    assert opened().resume(moment)[0] == 7


def test_a_resume_takes_the_metrics_of_its_moment_and_no_later_ones(opened, tmp_path):
    metrics = tmp_path / "metrics.jsonl"
    moment, store = started(0), opened()
    take(moment, 1)
    for step in (1, 2):
        with metrics.open("a") as stream:
            stream.write(f'{{"step": {step}}}\n')
        store.save_if_due(step, moment, 0.0)
    with metrics.open("a") as stream:
        stream.write('{"step": 3}\n{"st')
    assert opened().resume(moment)[0] == 2 and metrics.read_text() == '{"step": 1}\n{"step": 2}\n'
    store.save_phase(moment.phase, moment.net, {})
    with metrics.open("a") as stream:
        stream.write('{"step": 1}\n')  # of the next phase, which has no moment yet
    store, following = opened(), started(1, "finetune")
    store.restore_phase(moment.phase, moment.net)
    assert store.resume(following) == (0, 0.0) and metrics.read_text() == '{"step": 1}\n{"step": 2}\n'


def test_a_stop_names_where_and_what_is_unsaved(opened, tmp_path, monkeypatch):
    """The end of a phase is saved. A moment on a full disk is not."""

    def full(*arguments):
        raise OSError(28, "No space left on device")

    moment, store = started(0, "search"), opened()
    take(moment, 1)
    store.request.by = "SIGINT"
    with pytest.raises(Stopped) as stop:
        store.save_phase(moment.phase, moment.net, {})
    assert (stop.value.by, stop.value.where) == ("SIGINT", "at the end of phase search")
    assert names(tmp_path) == ["phase-search"]
    monkeypatch.setattr(module.files, "write_tensors", full)
    with pytest.raises(Stopped) as stop:
        store.save_if_due(1, moment, 0.0)
    assert stop.value.where == "after step 1 of 6 of phase search, unsaved"


def test_a_signal_waits_for_the_end_of_a_step_in_training_alone(opened):
    store = opened()
    with store.delaying_signals():
        store.request(signal.SIGTERM, None)
    assert store.request.by == "SIGTERM"
    store.request.by = None
    with pytest.raises(Stopped) as stop:
        store.request(signal.SIGTERM, None)
    assert (stop.value.by, stop.value.where) == ("SIGTERM", "outside of training")
