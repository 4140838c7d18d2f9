"""Differences to a baseline: their sign, which corrected p belongs to which test, and what is bold, by hand."""

import pandas as pd
import pytest

from prunebert.report import latex
from prunebert.report.collect import collect
from prunebert.report.page import tables
from prunebert.report.statistics import differences
from prunebert.report.statistics import paired as statistics
from tests.report.conftest import finished

WRONG = {"magnitude": (30, 32, 35), "gmp": (20, 22, 26), "smp": (29, 30, 33)}  # of 100, by seed; the first ones


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    root = tmp_path_factory.mktemp("runs")
    for method, counts in WRONG.items():
        for seed, wrong in enumerate(counts):
            finished(root / f"{method}{seed}", method, 0.5, seed, wrong=wrong)
    return collect([root]).runs


def test_each_test_has_its_own_corrected_p_and_only_that_is_bold(runs):
    """The four p-values in ascending order are those of gmp (15 : 0; t = 29) and of smp (t = 5; 5 : 0)."""
    gaps = differences.differences(runs, "magnitude")
    t_gmp, t_smp = (1 - t / (t**2 + 2) ** 0.5 for t in (29, 5))  # both sides of Student's t with 2 degrees of freedom
    p = {"gmp": (2 / 2**15, t_gmp), "smp": (2 / 2**5, t_smp)}
    corrected = {"gmp": (4 * 2 / 2**15, 3 * t_gmp), "smp": (2 * t_smp, 2 * t_smp)}  # the last is at least the third
    for label, row in gaps.set_index("label").iterrows():
        assert (row["examples"].p, row["by_seed"].p) == pytest.approx(p[label])
        assert (row["examples_holm"], row["by_seed_holm"]) == pytest.approx(corrected[label])
    texts = {row[0].text: [cell.text for cell in row[3:]] for row in tables.differences(gaps).rows}
    assert texts == {
        "gmp": ["3", "+0.0967", "15 : 0", "< 0.0001", "0.0002", "0.0012", "0.0036"],
        "smp": ["3", "+0.0167", "5 : 0", "0.0625", "0.0755", "0.0377", "0.0755"],
    }
    bold = [(row[0].text, i) for row in tables.differences(gaps).rows for i, cell in enumerate(row) if cell.kind]
    assert bold == [("gmp", 7), ("gmp", 9)]  # smp's 0.0377 is below 0.05 only before the correction
    text = latex.differences(gaps, table="t", metric="accuracy", method="magnitude")
    assert "gmp & 0.5 & 3 & +0.0967 & 0.0002 & 0.0036 " in text and "smp & 0.5 & 3 & +0.0167 & 0.0755 & 0.0755 " in text


def test_against_a_better_baseline_the_difference_is_negative_and_every_example_lost(runs):
    gaps = differences.differences(runs, "gmp").set_index("label")
    assert gaps["difference"].to_dict() == pytest.approx({"magnitude": -0.29 / 3, "smp": -0.24 / 3})
    assert {label: test.wins for label, test in gaps["examples"].items()} == {"magnitude": "0 : 15", "smp": "0 : 13"}
    text = latex.differences(gaps.reset_index(), table="t", metric="accuracy", method="gmp")
    assert "magnitude & 0.5 & 3 & -0.0967 & " in text


def test_runs_without_a_common_seed_have_the_difference_of_their_means(run, tmp_path):
    run("m", "magnitude", 0.5, 0, wrong=30)
    run("s1", "smp", 0.5, 1, wrong=20)
    run("s2", "smp", 0.5, 2, wrong=24)
    (gap,) = differences.differences(collect([tmp_path]).runs, "magnitude").to_dict("records")
    assert (gap["seeds"], gap["difference"]) == (0, pytest.approx(0.78 - 0.70))


def test_only_the_seeds_that_both_rows_have_are_paired(run, tmp_path):
    """The common seeds are 1, 2 and 5. Their differences are 0.16, 0.22 and 0.14, so t² = 52 and p = 1 - √(52 / 54)."""
    for method, wrong in (("magnitude", {0: 90, 1: 30, 2: 34, 5: 32}), ("smp", {1: 14, 2: 12, 4: 1, 5: 18})):
        for seed, count in wrong.items():
            run(f"{method}{seed}", method, 0.5, seed, wrong=count, written=2000 - seed)
    (gap,) = differences.differences(collect([tmp_path]).runs, "magnitude").to_dict("records")
    assert (gap["seeds"], gap["difference"]) == (3, pytest.approx(0.52 / 3))
    assert gap["by_seed"].p == pytest.approx(1 - (52 / 54) ** 0.5)
    assert gap["examples"].wins == "22 : 0"  # 12 to 33


@pytest.mark.parametrize(
    ("baseline", "prunable", "marked"),
    [
        ("magnitude", "encoder", False),
        ("magnitude", "encoder_pooler_embeddings", True),
        ("dense", "encoder_pooler_embeddings", False),  # it removes nothing, of whatever matrices
    ],
)
def test_another_denominator_has_a_mark_unless_the_baseline_removes_nothing(run, tmp_path, baseline, prunable, marked):
    run("base", baseline, 0.5)
    run("abp", "abp", 0.5, prunable=prunable)
    table = tables.differences(differences.differences(collect([tmp_path]).runs, baseline))
    assert table.rows[0][2].text.endswith("†") == bool(table.note) == marked


def test_a_row_is_compared_at_its_own_sparsity(run, tmp_path):
    for sparsity, wrong in ((0.5, 10), (0.7, 20), (0.9, 50)):
        run(f"m{sparsity}", "magnitude", sparsity, wrong=wrong)
        run(f"s{sparsity}", "smp", sparsity, wrong=wrong - 5)
    gaps = differences.differences(collect([tmp_path]).runs, "magnitude")
    assert gaps["difference"].tolist() == pytest.approx([0.05] * 3) and gaps["sparsity"].tolist() == [0.5, 0.7, 0.9]


def test_a_p_of_0_is_printed_as_small_and_what_was_not_tested_sorts_last():
    row = {"label": "smp", "sparsity": 0.9, "against": "gmp", "other_denominator": False, "seeds": 1, "difference": 0.1}
    row |= {"examples": statistics.Test(0.0004, wins="9 : 1"), "by_seed": statistics.Test(None, "too few seeds (1)")}
    gaps = pd.DataFrame([row | {"examples_holm": 0.0004, "by_seed_holm": None}])
    p, holm, by_seed, untested = tables.differences(gaps).rows[0][6:]
    assert (p.text, holm.text, by_seed.text, untested.text) == ("0.0004", "0.0004", "too few seeds (1)", "–")
    assert (holm.kind, by_seed.kind) == ("best", "muted") and p.sort < by_seed.sort == untested.sort
    text = latex.differences(gaps, table="t", metric="accuracy", method="gmp")
    assert "+0.1000 & 0.0004 & too few seeds (1)" in text
