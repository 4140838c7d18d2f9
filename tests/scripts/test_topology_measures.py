"""Test scripts/topology_measures.py on masks whose answers are known."""

import math

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from tests.scripts.topology_toys import (
    KINDS,
    LAYERS,
    SHAPES,
    SIZES,
    TASKS,
    WORDS,
    answers,
    at_random,
    draw,
    grid,
    layer,
    measures,
    study,
    table,
    verdict,
)


def test_random_masks_support_no_statement():
    """Equal counts are a statement that holds for random masks; every other one must not be "yes"."""
    found = grid(at_random, methods=("abp", "smp"), sparsities=(0.5, 0.9))
    rows = list(answers.answers(found, "none"))
    assert {row["table"] for row in rows} == {"layers", "kinds", "embeddings", "agreement", "tasks", "transfer"}
    supported = [(row["table"], row["name"]) for row in rows if row["verdict"] == "yes"]
    assert set(supported) <= {("layers", "level"), ("kinds", "level")}
    agreement = [row for row in rows if row["table"] == "agreement"]
    assert len(agreement) == 16 and {row["verdict"] for row in agreement} == {"no"}
    assert all(row["verdict"] == "cannot say" for row in rows if row["table"] == "transfer")


def test_a_planted_preference_of_lower_layers():
    found = grid(lambda random, *_: draw(random, lambda n: 0.8 if 0 <= layer(n) < 2 else 0.4))
    uneven = measures.uneven(found, "abp", 0.5, measures.layers)
    assert verdict(uneven) == "yes"
    assert uneven.parts[0].number == pytest.approx(0.8 / 1.2 - 0.5, abs=0.02)  # of the kept weights, 2/3 are in half
    lower = measures.more(found, "abp", 0.5, None, ("lower", "upper"))
    assert verdict(lower) == "yes" and lower.parts[0].number == pytest.approx(2, rel=0.05)
    assert verdict(measures.more(found, "abp", 0.5, None, ("upper", "lower"))) == "no"
    assert verdict(measures.level(found, "abp", 0.5, measures.layers)) == "no"
    few = grid(lambda random, *_: draw(random, lambda n: 0.8 if 0 <= layer(n) < 2 else 0.4), seeds=range(2))
    assert verdict(measures.uneven(few, "abp", 0.5, measures.layers)) == "cannot say"


def test_a_planted_order_of_the_kinds():
    order = {kind: 0.2 + 0.1 * i for i, kind in enumerate([*SHAPES, "embeddings"])}
    found = grid(lambda random, *_: draw(random, lambda n: order[KINDS[n]]))
    for over in ("seeds", "tasks"):
        evidence = measures.order(found, "abp", 0.5, measures.kinds, over)
        assert verdict(evidence) == "yes" and evidence.parts[0].number > 0.9
    assert (
        verdict(measures.more(found, "abp", 0.5, measures.feed_forward, ("feed-forward", "query and value"))) == "yes"
    )
    only = grid(lambda random, *_: draw(random, lambda n: order[KINDS[n]]), tasks=("a",))
    assert measures.order(only, "abp", 0.5, measures.kinds, "tasks").why == "runs on one task only"


def test_two_layers_and_three_seeds_cannot_show_an_order():
    two = grid(lambda random, *_: draw(random, lambda n: 0.8 if layer(n) == 0 else 0.2 if layer(n) == 1 else 0.5))
    groups = lambda layer, _: layer if layer in ("0", "1") else None  # noqa: E731
    evidence = measures.order(two, "abp", 0.5, groups, "seeds")
    assert verdict(evidence) == "cannot say" and "0.25" in evidence.why and evidence.parts[0].number == 1


@pytest.mark.parametrize(("low", "high", "expected"), [(1.2, 0.3, "yes"), (0.8, 0.3, "no"), (1.2, 1.5, "no")])
def test_a_planted_reversal_of_the_embeddings(low, high, expected):
    def make(random, task, sparsity, seed):
        factor = low if sparsity == 0.5 else high
        return draw(random, lambda n: (1 - sparsity) * (factor if n == WORDS else 1))

    found = grid(make, sparsities=(0.5, 0.8, 0.9))
    evidence = measures.reversal(found, "abp", None)
    assert verdict(evidence) == expected and len(evidence.parts) == 6 and len(evidence.facts["between"]) == 3
    share = 2400 / (2400 + LAYERS * 1440)  # of all weights that are embeddings
    assert evidence.parts[0].number == pytest.approx(low / (share * low + 1 - share), rel=0.03)
    assert evidence.facts["largest possible"]["at 0.9"] == pytest.approx(1 / share)
    rows = [{"method": "abp", "parts": [vars(part) for part in evidence.parts], "facts": evidence.facts}]
    lines = table.ratios({}, rows).splitlines()
    assert lines[0] == "| method | task | at 0.5 | at 0.8 | at 0.9 |" and len(lines) == 5
    del found.runs["abp", "a", 0.9, 0], found.runs["abp", "a", 0.9, 1], found.runs["abp", "a", 0.9, 2]
    assert len(measures.reversal(found, "abp", None).parts) == 4  # a task without runs at one end is left out


def test_equal_fractions_of_every_matrix_are_a_setting_and_no_finding():
    def make(random, task, sparsity, seed):
        masks = {}
        for name, shape in SIZES.items():
            mask = np.zeros(math.prod(shape), bool)
            mask[random.permutation(mask.size)[: mask.size // 2]] = True
            masks[name] = mask.reshape(shape)
        return masks

    found = grid(make, sparsities=(0.5, 0.9))
    for evidence in (
        measures.uneven(found, "abp", 0.5, measures.kinds),
        measures.level(found, "abp", 0.5, measures.layers),
        measures.reversal(found, "abp", None),
    ):
        assert (verdict(evidence), evidence.why) == ("cannot say", measures.SET)


def test_equal_masks_with_every_seed():
    found = grid(lambda random, task, sparsity, seed: at_random(np.random.default_rng(ord(task)), task, sparsity, seed))
    for scope, null in (("all", "total"), ("encoder", "matrices"), ("encoder", "degrees")):
        evidence = measures.agreement(found, "abp", 0.5, scope, null)
        assert verdict(evidence) == "yes" and [part.number for part in evidence.parts] == [1, 1, 1]
        assert evidence.facts["shared"] == 1
    order = measures.order(found, "abp", 0.5, measures.kinds, "seeds")
    assert verdict(order) == "yes" and "no test" in order.why and order.parts[0].p is None
    ratio = measures.more(found, "abp", 0.5, None, ("lower", "upper"))
    assert ratio.p is None and all(part.p is None and part.low == part.high == part.number for part in ratio.parts)


def test_masks_that_share_only_the_counts_of_matrices():
    """They share more than random masks of the same total, and no more than random masks of the same counts."""
    found = grid(lambda random, *_: draw(random, lambda n: 0.9 if KINDS[n] in ("query", "output") else 0.2))
    total, matrices = (measures.agreement(found, "abp", 0.5, "encoder", null) for null in ("total", "matrices"))
    assert verdict(total) == "yes" and min(part.number for part in total.parts) > 0.3
    assert verdict(matrices) == "no" and max(abs(part.number) for part in matrices.parts) < 0.05
    assert total.facts["shared"] == matrices.facts["shared"] == pytest.approx(matrices.facts["expected"], abs=0.02)


def test_masks_that_share_only_their_degrees():
    """They share more than random masks of the same counts, and no more than random masks of the same degrees."""
    weights = {n: np.random.default_rng(1).choice([0.1, 0.9], shape[0]) for n, shape in SIZES.items()}
    make = lambda random, *_: {n: random.random(s) < weights[n][:, None] for n, s in SIZES.items()}  # noqa: E731
    found = grid(make, tasks=("a",))
    nulls = {null: measures.agreement(found, "abp", 0.5, "encoder", null) for null in ("total", "matrices", "degrees")}
    assert [verdict(x) for x in nulls.values()] == ["yes", "yes", "no"]
    rows = [
        {"method": "abp", "sparsity": 0.5, "name": f"encoder, {null}", "facts": x.facts} for null, x in nulls.items()
    ]
    cells = table.shares({}, rows).splitlines()[2].strip("| ").split(" | ")
    shared, *steps = (float(cell.removesuffix(" %")) for cell in cells[2:])
    assert sum(steps) == pytest.approx(shared, abs=0.21) and steps[2] > 10 > abs(steps[3])


def test_overlap_beyond_chance_of_equal_counts_is_cohens_kappa():
    random = np.random.default_rng(0)
    a, b = (np.isin(np.arange(2000), random.permutation(2000)[:300]) for _ in range(2))
    b[np.flatnonzero(a)[:100]] = True
    b[np.flatnonzero(b & ~a)[: b.sum() - 300]] = False
    urn = study.Urn(2000, int(a.sum()), int(b.sum()), int((a & b).sum()))
    assert urn.a == urn.b == 300
    assert study.beyond_chance([urn]) == pytest.approx(cohen_kappa_score(a, b))


@pytest.mark.parametrize(("seeds", "expected"), [(4, "yes"), (3, "cannot say")])
def test_masks_that_know_their_task(seeds, expected):
    cores = {task: draw(np.random.default_rng(ord(task)), lambda n: 0.2) for task in TASKS}
    make = lambda random, task, *_: {n: m | cores[task][n] for n, m in draw(random, lambda n: 0.3).items()}  # noqa: E731
    found = grid(make, methods=("abp", "smp"), seeds=range(seeds))
    rows = [row for row in answers.answers(found, "none") if row["table"] == "tasks" and row["method"] == "abp"]
    assert {row["verdict"] for row in rows} == {expected}
    assert rows[0]["facts"]["smallest_p"] == pytest.approx(6 ** (1 - seeds)) == rows[0]["p"]
    assert rows[0]["facts"]["same task, other seed"] > rows[0]["facts"]["other task, same seed"] + 0.1
    if expected == "cannot say":
        assert rows[0]["because"].startswith("too few runs")


def test_masks_that_know_only_their_seed():
    masks = {seed: at_random(np.random.default_rng(seed), "a", 0.5, seed) for seed in range(4)}
    found = grid(lambda random, task, sparsity, seed: masks[seed], seeds=range(4))
    evidence = measures.knows_task(found, "abp", 0.5, "all")
    assert verdict(evidence) == "no" and evidence.facts["other task, same seed"] == 1
