"""Test the tables of the papers' claims, of where weights stay and of how rates were tuned, against numbers by hand."""

import pandas as pd
import pytest
import yaml
from scipy import stats

from tests.toys import script

claims, masks, tries = script("results_claims"), script("results_masks"), script("results_tries")


def claim(ours="smp", theirs="soft_movement", margin=0.0):
    return claims.Claim(ours, theirs, 0.9, "a paper", margin)


def gaps(**tasks):
    """Return the differences of three seeds on each task."""
    keys = [(task, seed) for task, values in tasks.items() for seed in range(len(values))]
    index = pd.MultiIndex.from_tuples(keys, names=["task", "seed"])
    return pd.Series([value for values in tasks.values() for value in values], index)


def test_a_claims_row_by_hand():
    rows = [("smp", 0.9, s, x) for s, x in enumerate((0.7, 0.6))]
    rows += [("soft_movement", 0.9, 0, 0.5), ("soft_movement", 0.9, 1, 0.61), ("soft_movement", 0.5, 0, 0.1)]
    rows += [("sparsebert", 0.9, 0, 0.78), ("dense", 0.0, 0, 0.8), ("dense", 0.0, 3, 0.9)]
    runs = pd.DataFrame(rows, columns=["label", "sparsity", "seed", "score"])
    runs = runs.assign(task="a", majority_score=0.496, method=runs["label"])
    other = runs[runs["label"].isin(["smp", "soft_movement"])].assign(task="b", majority_score=0.05)
    other.loc[other["label"] == "smp", "score"] += 0.1
    assert claims.claims_table(pd.concat([runs, other])).splitlines() == [
        "| claim | paper | at | a | b | pairs of runs | p | verdict |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
        "| smp above soft_movement | SMP (Jiang et al. 2023) | 0.9 | +9.5 † | +19.5 | 3 of 4 |  | cannot say |",
        "| sparsebert less than 3 points below dense | SparseBERT (Xu et al. 2021) | 0.9 | -2.0 |  | 1 of 1 |  "
        "| cannot say |",
    ]


def test_a_claim_is_not_judged_if_a_method_did_not_learn_a_task():
    rows = [("smp", t, s, 0.8 + s / 100) for t in "ab" for s in range(3)]
    rows += [("soft_movement", "a", s, 0.6) for s in range(3)] + [("soft_movement", "b", s, 0.5) for s in range(3)]
    runs = pd.DataFrame(rows, columns=["label", "task", "seed", "score"])
    runs = runs.assign(sparsity=0.9, method=runs["label"], majority_score=0.5)
    (row,) = claims.claims_table(runs).splitlines()[2:]
    assert row.endswith("| 6 of 6 |  | cannot say: soft_movement did not learn b |")
    learnt = runs.assign(score=runs["score"] + 0.01 * (runs["task"] == "b") * (runs["seed"] == 0))
    (row,) = claims.claims_table(learnt).splitlines()[2:]
    assert row.endswith("**yes** |") and "did not learn" not in row


def test_a_claim_holds_only_with_the_largest_p_of_its_tasks():
    steady, wide = [0.1, 0.12, 0.105], [0.05, 0.2, 0.09]
    verdicts = claims.judged({claim(): gaps(a=steady, b=[0.2, 0.21, 0.18])})
    largest = max(stats.ttest_1samp(x, 0).pvalue for x in (steady, [0.2, 0.21, 0.18]))
    assert verdicts[claim()] == (f"{largest:.3f}".removeprefix("0"), "**yes**")
    uncertain = claims.judged({claim(): gaps(a=steady, b=wide)})[claim()]
    assert uncertain == (f"{stats.ttest_1samp(wide, 0).pvalue:.3f}".removeprefix("0"), "cannot say")
    assert claims.judged({claim(): gaps(a=steady, b=[-0.01, 0.02, -0.03])})[claim()] == (">0.99", "cannot say")


def test_a_claim_fails_if_the_opposite_is_significant_on_one_task():
    below = [-0.1, -0.12, -0.105]
    p, verdict = claims.judged({claim(): gaps(a=below, b=[0.1, 0.2, 0.0])})[claim()]
    assert verdict == "**no**"
    assert p == f"{2 * stats.ttest_1samp(below, 0).pvalue:.3f}".removeprefix("0")  # one of two tasks


def test_the_correction_counts_all_claims_that_were_tested():
    steady = [0.1, 0.12, 0.105]
    p = stats.ttest_1samp(steady, 0).pvalue
    many = {claim(ours=f"m{i}"): gaps(a=steady) for i in range(4)} | {claim(ours="one"): gaps(a=[0.1])}
    verdicts = claims.judged(many)
    assert {verdicts[c] for c in list(many)[:4]} == {(f"{4 * p:.3f}".removeprefix("0"), "**yes**")}
    assert verdicts[claim(ours="one")] == ("", "cannot say")


@pytest.mark.parametrize("below", [0.01, 0.05])
def test_close_to_dense_is_a_question_of_three_points(below):
    near = claim("sparsebert", "dense", claims.NEAR)
    values = gaps(a=[-below, -below - 0.001, -below + 0.001]) + near.margin
    assert claims.judged({near: values})[near][1] == ("**yes**" if below < 0.03 else "**no**")


def test_what_is_kept_and_shared_is_a_range_over_the_tasks(tmp_path):
    rows = [("a", "smp", 0.9, "query", 0.1), ("b", "smp", 0.9, "query", 0.1), ("a", "smp", 0.9, "value", 0.021)]
    rows += [("b", "smp", 0.9, "value", 0.35), ("a", "smp", 0.5, "value", 0.9)]
    pd.DataFrame(rows, columns=["task", "label", "sparsity", "kind", "remaining"]).to_csv(tmp_path / "budget.csv")
    assert masks.kept_table(tmp_path).splitlines()[::2] == [
        "| kept at 0.9, % | query | value |",
        "| smp | 10 | 2.1 to 35 |",
    ]
    shared = [("a", "smp", "smp", 0.4), ("a", "magnitude", "smp", -0.001), ("b", "magnitude", "smp", 0.25)]
    table = pd.DataFrame(shared, columns=["task", "a", "b", "encoder"]).assign(sparsity=0.9)
    table.to_csv(tmp_path / "overlap.csv")
    assert masks.overlap_table(tmp_path).splitlines() == [
        "| encoder at 0.9 | two seeds, a | two seeds, b | with magnitude |",
        "| --- | --- | --- | --- |",
        "| magnitude |  |  |  |",
        "| smp | 0.40 |  | 0.00 to 0.25 |",
    ]


def test_the_tries_of_a_method_are_counted(tmp_path):
    tried = [{"mean": 0.7}, {"mean": 0.8}, {"mean": 0.6}]
    found = {"rates": {"method.score_lr": 0.3, "fit.lr": 1e-5}, "score": 0.8, "at_edge": ["fit.lr"], "tried": tried}
    (tmp_path / "both.yaml").write_text(yaml.safe_dump({"methods": {"movement": found}}, sort_keys=False))
    frozen = {"rates": {"fit.head_lr": 0.003}, "score": 0.6, "at_edge": [], "tried": tried[:1]}
    (tmp_path / "frozen.yaml").write_text(yaml.safe_dump({"methods": {"magnitude": frozen}}))
    assert tries.tries_table(tmp_path).splitlines()[2:] == [
        "| magnitude (keep_pretrained=true) | 1 | head_lr 0.003 | 0.600 | 0.700 | no |",
        "| movement | 3 | score_lr 0.3, lr 1e-05 | 0.800 | 0.600 | lr |",
    ]


def test_the_figure_of_the_first_cut_has_the_losses_of_the_log():
    log = "1 INFO movement: 0:0.5 0.01:0.6 0.5:0.9\n2 INFO random: 0:0.5 0.01:0.51 0.5:0.7\nanother line\n"
    axes = script("plot_first_cut").draw(log).axes[0]
    lines = {line.get_label(): (list(line.get_xdata()), list(line.get_ydata())) for line in axes.lines}
    assert lines["lowest scores of movement"] == ([0, 0.01, 0.5], [0.5, 0.6, 0.9])
    assert lines["random"] == ([0, 0.01, 0.5], [0.5, 0.51, 0.7])
    assert lines["random guessing"][1][0] == pytest.approx(0.6931, abs=1e-4)
    with pytest.raises(ValueError, match="no losses"):
        script("plot_first_cut").draw("nothing")
