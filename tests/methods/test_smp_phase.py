"""Test SMP's phase: initial scores, schedule, λ(t), and what trains."""

import math
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from prunebert import distill
from prunebert.errors import BadInput
from prunebert.fit import Fit
from prunebert.masks.allocation import _counts_on_device, layer_shares
from prunebert.masks.top_v import count_kept, counts
from prunebert.methods.smp import initial_scores, smp
from prunebert.schedules import Cubic
from tests.methods.test_smp_equations import count_remaining, stand_in


def test_initial_scores():
    W = {"w": torch.tensor([[1.0, -3.0], [0.0, 4.0]])}  # mean |W| = 2
    net = SimpleNamespace(prunable=lambda which: W, new_scores=lambda which: {"w": torch.zeros(2, 2)})
    assert initial_scores(net, "encoder", "magnitude")["w"].tolist() == [[0.5, 1.5], [0.0, 2.0]]
    assert initial_scores(net, "encoder", "zero")["w"].tolist() == [[0.0, 0.0], [0.0, 0.0]]
    with pytest.raises(BadInput, match=r"method\.score_init=magnitud: .*did you mean magnitude\?"):
        initial_scores(net, "encoder", "magnitud")


# the phase: schedule, λ(t), what trains

SETTINGS = {
    "fit": Fit(epochs=1, steps=10, batch_size=2, lr=0.0, head_lr=0.25),
    "allocation": "uniform",
    "temperature": "paper",
    "score_lr": 0.02,
    "score_init": "zero",
    "penalty": 400.0,
    "penalty_ramp": "run",
    "prune_steps": 5,
    "prunable": "encoder",
    "head": "label_words",
    "distill": distill.none,
}


def phase(S=None, *, final=0.8, pretrained=True, **changes):
    S = {"0.query": torch.zeros(10, 10), "1.query": torch.zeros(10, 10)} if S is None else S
    task = SimpleNamespace(
        train_rows=100, span=False, form=lambda: None, loss=lambda out, batch: {"task": torch.tensor(7.0)}
    )
    (prune_phase,) = smp(stand_in(S, pretrained), task, **SETTINGS | {"schedule": Cubic(final=final)} | changes)
    return prune_phase


@pytest.mark.parametrize("t, kept_weights", [(0.0, 200), (0.25, 60), (0.5, 40), (0.75, 40), (1.0, 40)])
def test_pruning_ends_at_step_N(t, kept_weights):
    # N = 5 of 10 steps: at t = ¼ half of N is done, 0.8 · 7/8 = 0.7 is removed
    assert count_kept(phase().masks(t, True)) == kept_weights


@pytest.mark.parametrize("t, kept_weights", [(0.25, 200), (0.375, 60), (0.5, 40)])
def test_pruning_starts_where_the_schedule_does(t, kept_weights):
    assert count_kept(phase(schedule=Cubic(0.8, start=0.25)).masks(t, True)) == kept_weights


@pytest.mark.parametrize("t, value", [(0.0, 0.0), (0.25, 115.625), (0.5, 175.0), (1.0, 200.0)])
def test_the_penalty_rises_over_the_run(t, value):
    terms = phase().loss(None, None, t) | phase().penalty(t)
    assert terms["sparsity"].item() == pytest.approx(value)  # 400 (1 - (1-t)³) · R, R = ½ at S = 0
    assert terms["task"].item() == 7.0 and set(terms) == {"task", "sparsity"}


@pytest.mark.parametrize("t, value", [(0.0, 0.0), (0.25, 175.0), (0.5, 200.0), (1.0, 200.0)])
def test_the_penalty_rises_with_the_sparsity(t, value):
    assert phase(penalty_ramp="sparsity").penalty(t)["sparsity"].item() == pytest.approx(value)


def test_only_scores_train_under_a_pretrained_head():
    S = {"0.query": torch.zeros(10, 10)}
    scores_only = phase(S)
    assert [(g.name, g.lr, g.weight_decay) for g in scores_only.train] == [("scores", 0.02, 0.0)]
    assert scores_only.train[0].tensors is S and scores_only.name == "prune"
    with_new_head = phase(S, pretrained=False)
    assert [(g.name, g.lr) for g in with_new_head.train] == [("scores", 0.02), ("head", 0.25)]


def test_scores_get_the_gradient_of_the_masks_and_follow_it():
    S = {"0.query": torch.zeros(2, 2, requires_grad=True)}
    prune_phase = phase(S, final=0.5)
    G = torch.tensor([[3.0, -1.0], [2.0, -5.0]])
    M = prune_phase.masks(1.0, False)["0.query"]
    assert M.tolist() == [[1.0, 1.0], [0.0, 0.0]]
    M.backward(G)
    assert torch.equal(S["0.query"].grad, G)
    with torch.no_grad():
        S["0.query"] -= S["0.query"].grad  # Eq. 3: S falls where ∂L/∂M is above 0; removed weights return
    assert prune_phase.masks(1.0, True)["0.query"].tolist() == [[False, True], [False, True]]


@pytest.mark.parametrize("final, kept_weights", [(0.3, (99, 41)), (0.4, (100, 20))])
def test_the_papers_temperature_is_4_up_to_30_percent_removed(final, kept_weights):
    # p = 4: R = 0.99 and 0.41, together 1.4 = L v. p = 1: R = 1.00 and 0.19, so the first is full
    S = {
        "0.query": torch.full((10, 10), 4 * math.log(0.99 / 0.01)),
        "1.query": torch.full((10, 10), 4 * math.log(0.41 / 0.59)),
    }
    remaining = count_remaining(phase(S, final=final, allocation="score").masks(1.0, True))
    assert (remaining["0.query"], remaining["1.query"]) == kept_weights


@pytest.mark.parametrize("N", [0, -1, 11])
def test_pruning_must_end_within_the_run(N):
    with pytest.raises(BadInput, match=rf"method\.prune_steps={N}: the run has 10 steps.*between 1 and 10"):
        phase(prune_steps=N)


def test_the_papers_N_of_a_short_run():
    prune_phase = phase(prune_steps="paper", final=0.9)  # 0.59 of 10 steps: N = 6
    assert (
        count_kept(prune_phase.masks(0.6, True)) == 20 and count_kept(prune_phase.masks(0.5, True)) == 21
    )  # 0.9 (1 - (1/6)³) = 0.8958


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.lists(st.floats(0, 1, width=32), min_size=3, max_size=3), min_size=1, max_size=4),
    st.floats(0, 1, width=32) | st.none(),
    st.sampled_from([0.0, 0.03, 0.1, 0.5, 0.9, 1.0]),
)
def test_budgets_computed_on_the_device_are_the_same(strengths, pooler, v):
    """Eq. 4 and the rounding of all matrices' counts, as tensors. A tie of remainders may be broken differently."""
    kinds = [[f"{layer}.{kind}" for layer in range(3)] for kind in range(len(strengths))]
    R = {
        n: torch.tensor(r) for names, row in zip(kinds, strengths, strict=True) for n, r in zip(names, row, strict=True)
    }
    if pooler is not None:
        kinds.append(["pooler"])
        R["pooler"] = torch.tensor(pooler)
    sizes = {n: 1000 + 64 * (i % 3) for i, n in enumerate(R)}
    shares = {}
    for names in kinds:
        shares |= dict(zip(names, layer_shares([R[n].item() for n in names], v), strict=True))
    expected = counts(sizes, {n: 1 - shares[n] for n in sizes})
    device_counts = _counts_on_device(R, kinds, sizes, v).tolist()
    assert sum(device_counts) == sum(expected.values())
    assert all(abs(a - b) <= 1 for a, b in zip(device_counts, expected.values(), strict=True))
