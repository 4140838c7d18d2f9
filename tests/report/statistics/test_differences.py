"""Differences to a baseline: their sign, which corrected p belongs to which test, and what is bold, by hand."""

import numpy as np
import pandas as pd
import pytest

from prunebert.errors import BadInput
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


def by_column(table):
    """Return a dictionary of cells for each row."""
    return [dict(zip(table.columns, row, strict=True)) for row in table.rows]


def test_each_test_has_its_own_corrected_p_and_only_that_is_bold(runs):
    """The four p-values in ascending order are those of gmp (15 : 0; t = 29) and of smp (t = 5; 5 : 0)."""
    gaps = differences.differences(runs, ["magnitude"])
    t_gmp, t_smp = (1 - t / (t**2 + 2) ** 0.5 for t in (29, 5))  # both sides of Student's t with 2 degrees of freedom
    p = {"gmp": (2 / 2**15, t_gmp), "smp": (2 / 2**5, t_smp)}
    corrected = {"gmp": (4 * 2 / 2**15, 3 * t_gmp), "smp": (2 * t_smp, 2 * t_smp)}  # the last is at least the third
    for label, row in gaps.set_index("label").iterrows():
        assert (row["examples"].p, row["by_seed"].p) == pytest.approx(p[label])
        assert (row["examples_holm"], row["by_seed_holm"]) == pytest.approx(corrected[label])
    table = tables.differences(gaps)
    lines = by_column(table)
    columns = ("difference", "won : lost", "raw p, examples", "p, examples", "raw p, seeds", "p, seeds")
    assert {line["method"].text: [line[column].text for column in columns] for line in lines} == {
        "gmp": ["+0.0967", "15 : 0", "<0.001", "<0.001", ".001", ".004"],
        "smp": ["+0.0167", "5 : 0", ".062", ".075", ".038", ".075"],
    }
    assert table.note.startswith("The same in all rows: sparsity: 0.5; seeds: 3; against: magnitude.")
    bold = [(line["method"].text, name) for line in lines for name, cell in line.items() if cell.kind == "best"]
    assert bold == [("gmp", "p, examples"), ("gmp", "p, seeds")]  # smp's .038 is below 0.05 only before Holm


def test_against_a_better_baseline_the_difference_is_negative_and_every_example_lost(runs):
    gaps = differences.differences(runs, ["gmp"]).set_index("label")
    assert gaps["difference"].to_dict() == pytest.approx({"magnitude": -0.29 / 3, "smp": -0.24 / 3})
    assert {label: test.wins for label, test in gaps["examples"].items()} == {"magnitude": "0 : 15", "smp": "0 : 13"}


def test_runs_without_a_common_seed_have_the_difference_of_their_means(run, tmp_path):
    run("m", "magnitude", 0.5, 0, wrong=30)
    run("s1", "smp", 0.5, 1, wrong=20)
    run("s2", "smp", 0.5, 2, wrong=24)
    (gap,) = differences.differences(collect([tmp_path]).runs, ["magnitude"]).to_dict("records")
    assert (gap["seeds"], gap["difference"]) == (0, pytest.approx(0.78 - 0.70))


def test_only_the_seeds_that_both_rows_have_are_paired(run, tmp_path):
    """The common seeds are 1, 2 and 5. Their differences are 0.16, 0.22 and 0.14, so t² = 52 and p = 1 - √(52 / 54)."""
    for method, wrong in (("magnitude", {0: 90, 1: 30, 2: 34, 5: 32}), ("smp", {1: 14, 2: 12, 4: 1, 5: 18})):
        for seed, count in wrong.items():
            run(f"{method}{seed}", method, 0.5, seed, wrong=count, written=2000 - seed)
    (gap,) = differences.differences(collect([tmp_path]).runs, ["magnitude"]).to_dict("records")
    assert (gap["seeds"], gap["difference"]) == (3, pytest.approx(0.52 / 3))
    assert gap["by_seed"].p == pytest.approx(1 - (52 / 54) ** 0.5)
    assert gap["examples"].wins == "22 : 0"  # 12 to 33


@pytest.fixture
def variants(run, tmp_path):
    """Two rows of smp whose labels have a comma, one of gmp and a dense one. Their short labels name `lr`."""
    for lr, steps, wrong in ((0.1, 5, 20), (0.2, 6, 30)):
        settings = {"fit": {"lr": lr, "steps": steps}, "sparsity": 0.5, "seed": 0}
        run(f"s{lr}", "smp", 0.5, settings=settings, wrong=wrong, fit="own")
    run("g", "gmp", 0.5, wrong=10)
    run("d", "dense", 0.0, wrong=0)
    runs = collect([tmp_path]).runs
    return runs.assign(short_label=runs["label"].str.replace("fit.lr", "lr"))


FIRST, SECOND = "smp (fit=own, fit.lr=0.1)", "smp (fit=own, fit.lr=0.2)"


@pytest.mark.parametrize(
    ("requested", "chosen"),
    [
        (["dense", "gmp"], ["dense", "gmp"]),
        (["dense,gmp", "dense"], ["dense", "gmp"]),
        ([f"gmp, {SECOND},dense"], ["gmp", SECOND, "dense"]),
        (["smp (fit=own, lr=0.2)"], ["smp (fit=own, lr=0.2)"]),
    ],
)
def test_a_baseline_is_a_method_a_label_or_a_short_label_and_there_may_be_several(variants, requested, chosen):
    assert set(variants["label"]) > {FIRST, SECOND}
    assert differences.choose_baselines(variants, requested) == chosen


@pytest.mark.parametrize("requested", ["smo", "dense,smo", FIRST + "0", f"gmp,{SECOND},smo", "", "gmp,"])
def test_an_unknown_baseline_is_refused_with_the_methods_and_the_labels(variants, requested):
    with pytest.raises(BadInput) as error:
        differences.choose_baselines(variants, [requested])
    message = str(error.value)
    for name in ("dense", "gmp", "smp", FIRST, SECOND):
        assert name in message.partition("allowed are")[2]
    assert "\n" not in message and "--baseline=" in message


def test_of_many_labels_the_message_lists_some(variants):
    runs = pd.concat([variants.assign(label=variants["label"] + str(i)) for i in range(9)])
    with pytest.raises(BadInput, match="and 34 more labels of rows"):  # 9 × 4 labels and 4 short ones, but 6
        differences.choose_baselines(runs, ["x"])


def test_magnitude_with_frozen_weights_is_not_the_default_baseline(run, tmp_path):
    """Not even where every row has a rate of its own, and the frozen row comes first in the alphabet."""
    frozen = {"keep_pretrained": True, "head": "layer_mix", "fit": {"lr": 0.1, "head_lr": 0.3}}
    trained = {"keep_pretrained": False, "head": "linear", "fit": {"lr": 0.3, "head_lr": 0.1}}
    for seed in range(2):
        run(f"frozen{seed}", "magnitude", 0.5, seed, fit="own, head_lr=0.3", settings=frozen)
        run(f"trained{seed}", "magnitude", 0.5, seed, fit="own, lr=0.3", settings=trained)
        run(f"smp{seed}", "smp", 0.5, seed, fit="own, lr=0.2", settings={"fit": {"lr": 0.2, "head_lr": 0.1}})
    found = collect([tmp_path]).runs
    gaps = differences.differences(found, differences.choose_baselines(found, []))
    assert dict(gaps[["label", "against"]].values) == {
        "smp": "magnitude",
        "magnitude (keep_pretrained=true)": "magnitude",
    }


@pytest.mark.parametrize("head", ["layer_mix", "linear", "mlp"])
def test_of_rows_that_share_as_many_axes_the_one_with_most_equal_settings_is_the_counterpart(run, tmp_path, head):
    for other in ("layer_mix", "linear", "mlp"):
        run(f"magnitude {other}", "magnitude", 0.5, settings={"head": other})
    run("smp", "smp", 0.5, settings={"head": head})
    run("smp at twice the rate", "smp", 0.5, settings={"head": head, "fit": {"lr": 2}})
    gaps = differences.differences(collect([tmp_path]).runs, ["magnitude"])
    assert set(gaps.loc[gaps["method"] == "smp", "against"]) == {f"magnitude (head={head})"}


def test_of_rows_that_share_as_many_axes_the_plain_one_is_the_counterpart(run, tmp_path):
    """The sentences say "differences to `magnitude`", so a row that resembles its frozen variant is no exception."""
    for method in ("magnitude", "abp"):
        for frozen in (True, False):
            run(f"{method} {frozen}", method, 0.5, settings={"keep_pretrained": frozen, "head": f"head {frozen}"})
    gaps = differences.differences(collect([tmp_path]).runs, ["magnitude"])
    assert set(gaps.loc[gaps["method"] == "abp", "against"]) == {"magnitude"}


def test_every_other_row_is_compared_with_each_baseline(variants):
    """A row as the baseline has its own method's other rows as well, those before it in the table too."""
    (short,) = set(variants[variants["label"] == SECOND]["short_label"]) - {SECOND}
    assert set(differences.differences(variants, [short])["against"]) == {SECOND}
    gaps = differences.differences(variants, [SECOND, "dense"]).set_index(["baseline", "label"])["difference"]
    assert gaps.to_dict() == {
        (SECOND, gmp := variants.set_index("method")["label"]["gmp"]): pytest.approx(0.2),
        (SECOND, FIRST): pytest.approx(0.1),
        ("dense", gmp): pytest.approx(-0.1),
        ("dense", FIRST): pytest.approx(-0.2),
        ("dense", SECOND): pytest.approx(-0.3),
    }


def test_each_row_has_both_intervals_of_its_difference(runs):
    """Over seeds: gmp's differences are .10, .10 and .09, and 4.303 is Student's t with 2 degrees of freedom."""
    row = differences.differences(runs, ["magnitude"]).set_index("label").loc["gmp"]
    half = 4.302653 * np.std([0.1, 0.1, 0.09], ddof=1) / 3**0.5
    assert (row["seeds_low"], row["seeds_high"]) == pytest.approx((0.29 / 3 - half, 0.29 / 3 + half), rel=1e-6)
    assert 0.04 < row["examples_low"] < row["difference"] < row["examples_high"] < 0.16 and row["why_no_interval"] == ""


def test_a_row_without_an_interval_has_the_reasons(run, tmp_path):
    run("m", "magnitude")
    (run("s", "smp") / "predictions.parquet").unlink()
    (row,) = differences.differences(collect([tmp_path]).runs, ["magnitude"]).to_dict("records")
    assert np.isnan([row[f"{over}_{end}"] for over in ("seeds", "examples") for end in ("low", "high")]).all()
    assert row["why_no_interval"].startswith("over seeds: too few seeds (1); over examples: ")
    assert "cannot be read" in row["why_no_interval"]


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
    table = tables.differences(differences.differences(collect([tmp_path]).runs, [baseline]))
    (line,) = by_column(table)
    assert line["against"].text.endswith("†") == ("†" in table.note) == marked


def test_a_row_is_compared_at_its_own_sparsity(run, tmp_path):
    for sparsity, wrong in ((0.5, 10), (0.7, 20), (0.9, 50)):
        run(f"m{sparsity}", "magnitude", sparsity, wrong=wrong)
        run(f"s{sparsity}", "smp", sparsity, wrong=wrong - 5)
    gaps = differences.differences(collect([tmp_path]).runs, ["magnitude"])
    assert gaps["difference"].tolist() == pytest.approx([0.05] * 3) and gaps["sparsity"].tolist() == [0.5, 0.7, 0.9]


def test_a_p_of_0_is_printed_as_small_and_what_was_not_tested_sorts_last():
    row = {"label": "smp", "sparsity": 0.9, "against": "gmp", "other_denominator": False, "seeds": 1, "difference": 0.1}
    row |= {"examples": statistics.Test(0.0004, wins="9 : 1"), "by_seed": statistics.Test(None, "too few seeds (1)")}
    row |= dict.fromkeys(("seeds_low", "seeds_high"), float("nan")) | {"examples_low": 0.02, "examples_high": 0.18}
    row |= {"why_no_interval": "over seeds: too few seeds (1)"}
    gaps = pd.DataFrame([row | {"examples_holm": 0.0004, "by_seed_holm": None}])
    (line,) = by_column(tables.differences(gaps))
    seeds, examples = line["95 % interval, seeds"], line["95 % interval, examples"]
    p, holm, by_seed, untested = (line[f"{kind}, {of}"] for of in ("examples", "seeds") for kind in ("raw p", "p"))
    assert (seeds.text, examples.text, examples.sort) == ("–", "+0.0200 to +0.1800", 0.02)
    assert "No interval over seeds: too few seeds (1)." in tables.differences(gaps).note
    assert (p.text, holm.text, by_seed.text, untested.text) == ("<0.001", "<0.001", "too few seeds (1)", "–")
    assert (holm.kind, by_seed.kind) == ("best", "muted") and p.sort < by_seed.sort == untested.sort
