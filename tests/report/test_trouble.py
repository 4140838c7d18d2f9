"""Test what a look at all runs finds: sparsities off target, and cells whose seeds ran on different code or devices."""

from pathlib import Path

import pandas as pd
import pytest

from prunebert.report.collect import collect
from prunebert.report.trouble import mixed, off_target


def table(**columns):
    """Return runs of one cell each, with the columns that these functions read."""
    frame = pd.DataFrame(columns)
    defaults = {"table": "toy", "label": "smp", "git_commit": "c" * 40, "device": "cpu", "has_files": True}
    return pd.DataFrame(defaults | {"sparsity": 0.9, "measured": 0.9, "directory": "x"}, frame.index).assign(**frame)


def test_the_sparsity_is_measured_on_the_matrices_that_were_asked_for_and_may_miss_to_either_side(run, tmp_path):
    """Half a point is allowed. A schedule that ends elsewhere than asked is found by its masks."""
    for name, measured in (("below", 0.89), ("within", 0.896), ("exact", 0.9), ("also", 0.904), ("above", 0.91)):
        run(name, name, 0.9, sparsity_encoder=measured)
    run("pooler", "smp", 0.9, prunable="encoder_pooler", sparsity_encoder=0.2, sparsity_encoder_pooler=0.9)
    run("of", "abp", 0.9, prunable="encoder_pooler_embeddings", sparsity_encoder_pooler_embeddings=0.5)
    found = {Path(t.location).name: t.reason for t in collect([tmp_path]).troubles if t.kind == "off target"}
    assert found == {
        "below": "requested 0.9, measured 0.8900",
        "above": "requested 0.9, measured 0.9100",
        "of": "requested 0.9, measured 0.5000",
    }


@pytest.mark.parametrize("count", [5, 6])
def test_more_than_five_runs_off_target_share_a_line_that_names_the_farthest(count):
    runs = table(measured=[0.9, *(0.8, 0.7, 0.95, 0.8, 0.8, 0.8)[:count]], directory=list("abcdefg")[: count + 1])
    troubles = off_target(runs)
    if count == 5:
        assert [t.location for t in troubles] == ["b", "c", "d", "e", "f"]
        return
    (trouble,) = troubles
    assert trouble.location == "6 of 7 runs" and trouble.reason.endswith("c: requested 0.9, measured 0.7000")


def test_seeds_on_two_devices_are_reported(run, tmp_path):
    run("a", "smp", seed=0)
    run("b", "smp", seed=1, device="1 × H200")
    run("c", "gmp", seed=0, device="1 × H200")  # another cell
    (trouble,) = collect([tmp_path]).troubles
    assert trouble.location.endswith(": smp at 0.5")
    assert trouble.reason == "the seeds of a cell ran on different devices: 1 × H200, cpu, 1 thread"


def test_commits_and_devices_have_one_trouble_each_however_many_cells_mix_them():
    """The third cell has one commit; the fourth differs from the others only between cells."""
    runs = table(
        label=["a", "a", "b", "b", "c", "c", "d"],
        git_commit=["1" * 40, "2" * 40, "", "1" * 40, "3" * 40, "3" * 40, "4" * 40],
        device=["cpu", "gpu", "cpu", "cpu", "cpu", "cpu", "tpu"],
    )
    commits, devices = mixed(runs)
    assert (commits.kind, commits.location) == ("mixed", "2 of 4 cells")
    assert commits.reason == "the seeds of a cell ran on different commits: 1111111, 2222222, unknown"
    assert devices.location == "toy: a at 0.9" and devices.reason.endswith("different devices: cpu, gpu")


def test_of_many_commits_five_are_named():
    (trouble,) = mixed(table(git_commit=[str(i) * 40 for i in range(8)]))
    assert trouble.reason.endswith("commits: 0000000, 1111111, 2222222, 3333333, 4444444 and 3 more")


def test_runs_without_any_of_these_have_no_trouble():
    assert mixed(table(label=["a", "b"])) == off_target(table(label=["a", "b"])) == []


def test_different_scores_of_the_constant_baseline_in_one_table_are_named(run, tmp_path):
    run("a", seed=0, majority_score=0.5)
    run("b", seed=1, majority_score=0.5 + 1e-12)
    run("c", task="other", majority_score=0.7)
    assert collect([tmp_path]).troubles == []
    run("d", seed=2, majority_score=0.9)
    (trouble,) = collect([tmp_path]).troubles
    assert (trouble.kind, trouble.location) == ("several baselines", "toy, bert-base-uncased")
    assert trouble.reason.endswith("baseline: 0.5000, 0.9000; the report compares with 0.5000")
