"""oBERT: an event against the explicit Fisher matrix and a sort, its schedule, its memory, and interruptions."""

import zlib
from functools import partial
from itertools import islice, pairwise
from types import SimpleNamespace

import pytest
import torch

from prunebert import distill
from prunebert.commands.dry_run import planned
from prunebert.errors import BadInput
from prunebert.fit import Fit
from prunebert.masks.fisher import InverseFisher
from prunebert.masks.top_v import count_kept
from prunebert.methods.obert import obert, sparsities
from prunebert.network.subnetwork import SubNetwork
from prunebert.schedules import Cubic
from prunebert.system.signals import Request
from prunebert.training.checkpoints import Checkpoints, Every, NoCheckpoints
from prunebert.training.loop import train

LAMBDA = 1e-7
FIT = Fit(epochs=1, steps=6, batch_size=4, lr=1e-3, head_lr=1e-3)
SETTINGS = {"init_sparsity": 0.7, "gradients": 3, "gradient_batch": 4, "block": 8, "damping": LAMBDA, "memory": 8.0}
OBERT = {"fit": FIT, "events": 2, "allocation": "global", "prunable": "encoder", "head": "linear"} | SETTINGS
OBERT |= {"schedule": Cubic(0.9, 0.0, 0.5), "distill": distill.none}
PHASES = ["fisher-1", "train-2", "fisher-2", "train-3"]
THIRD = 16_384 / 3 * 8 * 4 * 1.01e-9  # GB: the toy's 16,384 weights in three parts


def play(net, task, impl, store=None, watch=lambda phase: None, **settings):
    """Train as a run does. Return the names of the phases that were trained."""
    store, names = store or NoCheckpoints(), []
    for phase in obert(net, task, **OBERT | settings):
        if store.restore_phase(phase, net):
            continue
        names.append(phase.name)
        seed = zlib.crc32(phase.name.encode())

        def record(line, phase=phase):
            names[-1] = f"{phase.name} {line['step']}"
            watch(names[-1])

        train(net, phase, seed=seed, impl=impl, record=record, score=lambda: 0.0, checkpoints=store)
        store.save_phase(phase, net, {"trained": True})
        watch(phase.name)
    return names


def copies(tensors):
    return {n: x.detach().clone() for n, x in tensors.items()}


def test_the_events_of_the_paper():
    """Every 4 epochs from 2 to 26 of 30, at 0.7 and then cubic: 0.9 - 0.2 (1 - k/6)³."""
    found = sparsities(Cubic(0.9, 0.0666667, 0.8666667, initial=0.7), 7, 30 * 12_272)
    assert [*found] == [epoch * 12_272 for epoch in range(2, 27, 4)]
    assert [*found.values()] == pytest.approx([0.9 - 0.2 * (1 - k / 6) ** 3 for k in range(7)])


@pytest.mark.parametrize(
    ("schedule", "events", "steps", "expected"),
    [
        (Cubic(0.9, 0.1, 0.9, initial=0.7), 7, 2, {0: 0.9 - 0.2 * 8 / 27, 1: 0.9}),  # 3 of 7 come before the middle
        (Cubic(0.9, 0.1, 0.9, initial=0.7), 7, 1, {0: 0.9}),
        (Cubic(0.9, 0.1, 1.0, initial=0.7), 2, 10, {1: 0.7, 9: 0.9}),  # the last step trains after every event
        (Cubic(0.5, 0.1, 0.9, initial=0.5), 7, 30, {3: 0.5}),
        (Cubic(0.9, 0.1, 0.9, initial=0.7), 1, 10, {9: 0.9}),
        (Cubic(0.0, 0.1, 0.9), 7, 30, {}),
    ],
)
def test_events_on_one_step_count_once_and_the_final_sparsity_is_reached(schedule, events, steps, expected):
    found = sparsities(schedule, events, steps)
    assert [*found] == [*expected] and [*found.values()] == pytest.approx([*expected.values()])


def expected_event(net, task, M, sparsity):
    """Return ρ and δw of an event in double precision: one backward pass a batch, F of each block, its inverse."""
    W, key = net.prunable(), net.add_head(task.form(), "linear")
    batches = islice(task.batches(4, zlib.crc32(b"fisher-2")), 3)
    for x in net.parameters():
        x.requires_grad_(True)
    gradients = []
    for batch in batches:
        loss = task.loss(net.eval()(batch, key, M), batch)["task"]
        gradients.append(torch.autograd.grad(loss, [*W.values()]))
    g = torch.cat([torch.stack(x).flatten(1) for x in zip(*gradients, strict=True)], 1).double().view(3, -1, 8)
    F = LAMBDA * torch.eye(8, dtype=torch.float64) + torch.einsum("mbi,mbj->bij", g, g) / 3
    inverse = torch.linalg.inv(F)
    w = torch.cat([x.detach().flatten() for x in W.values()]).double().view(-1, 8)
    diagonal = inverse.diagonal(dim1=1, dim2=2)
    return (w**2 / (2 * diagonal)).flatten(), lambda gone: -torch.einsum("bij,bj->bi", inverse, w * gone / diagonal)


def test_an_event_is_that_of_the_explicit_matrix(net, task, impl):
    """The second event, under the masks of the first: what it removes, and how it corrects the remaining weights."""
    before = {}

    def watch(name):
        if name == "train-2":
            M = copies(net.masks)
            before.update(W=copies(net.prunable()), M=M, event=expected_event(net, task, M, 0.9))
        if name == "fisher-2":
            before["after"] = copies(net.prunable())
            before["kept"] = copies(net.masks)

    play(net, task, impl, watch=watch)
    rho, correction = before["event"]
    old, kept, w, after = (
        torch.cat([x.flatten() for x in before[key].values()]) for key in ("M", "kept", "W", "after")
    )
    assert int((~old).sum()) == 11_469 and int((~kept).sum()) == 14_746  # 0.7 and 0.9 of 16,384
    assert not (kept & ~old).any()
    gone = old & ~kept
    assert rho[gone].max() <= rho[kept].min() * 1.001
    delta = correction(gone.view(-1, 8)).flatten()
    torch.testing.assert_close((after - w)[kept].double(), delta[kept], rtol=1e-3, atol=1e-7)
    assert delta[kept].abs().max() > 1e-3 and torch.equal(after[~kept], w[~kept])


def test_the_memory_changes_no_bit(model, task, impl):
    """Three parts take 5 passes of 3 gradients over the same batches."""
    found = []
    for memory, passes in ((8.0, 1), (THIRD, 5)):
        net = SubNetwork(model, seed=0)
        start = net.snapshot(net.add_head(task.form(), "linear"))
        steps = [plan.phase.steps for plan in planned(partial(obert, **OBERT | {"memory": memory}), net, task, 0)]
        assert steps == [3 * passes, 3, 3 * passes, 3]
        net.rewind(start, "toy_linear")
        play(net, task, impl, memory=memory)
        found.append((copies(net.parameters_of()), net.masks))
        net.rewind(start, "toy_linear")
    (W, M), (other_W, other_M) = found
    assert all(torch.equal(M[n], other_M[n]) for n in M) and all(torch.equal(W[n], other_W[n]) for n in W)


def test_a_finished_event_keeps_no_block(net, task, impl, monkeypatch):
    """The blocks of bert-base take gigabytes, and a run keeps its phases until it ends."""
    made = []

    def recorded(*words, **settings):
        made.append(InverseFisher(*words, **settings))
        return made[-1]

    monkeypatch.setattr("prunebert.methods.obert.InverseFisher", recorded)
    play(net, task, impl)
    assert [fisher.diagonal() for fisher in made] == [{}, {}]


def test_without_coupling_no_weight_is_corrected(net, task, impl):
    """B = 1. The scores are then w² (λ + 1/m Σ g²) / 2."""
    before, seen = copies(net.prunable()), []
    play(net, task, impl, block=1, watch=lambda name: seen.append(name == "fisher-1" and copies(net.prunable())))
    after = next(x for x in seen if x)
    assert all(torch.equal(after[n], before[n]) for n in before) and count_kept(net.masks) == 1_638


@pytest.mark.parametrize("s", [0.0, 0.5, 0.97])
def test_the_requested_sparsity_is_measured(net, task, impl, s):
    names = play(net, task, impl, schedule=Cubic(s, 0.0, 0.5), block=1)
    assert count_kept(net.masks) == 16_384 - round(16_384 * s)
    assert [n.split()[0] for n in names] == {0.0: ["train-1"], 0.5: ["fisher-1", "train-2"], 0.97: PHASES}[s]


class Killed(BaseException):
    """Stands for kill -9."""


def test_a_run_that_is_killed_anywhere_ends_the_same(model, task, impl, tmp_path):
    """Inside an event, right after one, and in a training. An event starts again from its first batch."""
    start = copies(SubNetwork(model, seed=0).parameters_of())
    (tmp_path / "metrics.jsonl").touch()
    results, started = [], []
    for deaths in ([], ["fisher-1 2", "fisher-1", "train-2 2", "fisher-2 3", "train-3 1"]):
        for death in [*deaths, None]:
            net = SubNetwork(model, seed=0)
            net.rewind(start)
            store = NoCheckpoints()
            if deaths:
                every = Every(seconds=None, steps=1)
                store = Checkpoints(tmp_path, "id", every, Request(), SimpleNamespace(heads_read=None))

            def watch(name, death=death):
                if name == death:
                    raise Killed

            try:
                names = play(net, task, impl, store, watch)
            except Killed:
                continue
            started.append(names)
        results.append(copies(dict(net.named_parameters())) | net.masks)
    assert started == [["fisher-1 3", "train-2 3", "fisher-2 3", "train-3 3"], ["train-3 3"]]
    assert all(torch.equal(x, results[1][n]) for n, x in results[0].items()) and len(results[0]) > 50


def test_a_schedule_with_an_initial_value_is_refused(net, task):
    with pytest.raises(BadInput, match=r"^method\.schedule\.initial=0\.5: set method\.init_sparsity in its place"):
        next(obert(net, task, **OBERT | {"schedule": Cubic(0.9, initial=0.5)}))


def test_the_learning_rates_of_the_parts_are_those_of_the_whole(net, task):
    phases = [phase for phase in obert(net, task, **OBERT) if phase.name.startswith("train")]
    rates = [phase.fit.rate(k, phase.steps) for phase in phases for k in range(phase.steps)]
    assert rates == [FIT.rate(k, 6) for k in range(6)] and all(a > b for a, b in pairwise(rates))
