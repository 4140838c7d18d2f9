"""Test means, deviations and the best of a column by hand, and differences to a baseline against scipy."""

import numpy as np
import pytest
from scipy import stats

from prunebert.errors import BadInput
from prunebert.report import cells
from prunebert.report.collect import collect
from prunebert.report.statistics import differences


def test_mean_deviation_number_and_best(run, tmp_path):
    for seed, wrong in enumerate((10, 20, 33)):
        run(f"m{seed}", "magnitude", 0.5, seed, wrong=wrong)
    run("s", "smp", 0.5, wrong=15)
    run("a", "abp", 0.5, wrong=1, prunable="encoder_pooler_embeddings")
    run("s9", "smp", 0.9, wrong=50)
    run("d", "dense", 0.0, wrong=0)
    run("a0", "abp", 0.0, wrong=2, prunable="encoder_pooler_embeddings")
    texts, best = cells.grid(cells.cells(collect([tmp_path]).runs))
    assert texts.to_dict() == {
        0.0: {"dense": "1.0000 (1)", "magnitude": "", "abp": "0.9800 (1)", "smp": ""},
        0.5: {"dense": "", "magnitude": "0.7900 ± 0.1153 (3)", "abp": "0.9900 (1)", "smp": "0.8500 (1)"},
        0.9: {"dense": "", "magnitude": "", "abp": "", "smp": "0.5000 (1)"},
    }
    bold = [(row, column) for row in best.index for column in best if best.at[row, column]]
    assert bold == []  # 5 : 0 examples do not separate smp from magnitude; abp's and smp's other cells have no rival
    assert cells.denominator(cells.cells(collect([tmp_path]).runs)).to_dict() == {
        "dense": "–",
        "magnitude": "encoder",
        "abp": "encoder, pooler, embeddings",
        "smp": "encoder",
    }


def test_perplexity_is_better_lower_and_only_runs_that_have_it_count(run, tmp_path):
    run("a", metrics={"accuracy": 0.5, "perplexity": 9.0}, wrong=30)
    run("b", "smp", metrics={"accuracy": 0.5, "perplexity": 7.0}, wrong=20)
    run("c", "gmp")
    cell_means = cells.cells(collect([tmp_path]).runs, "perplexity")
    texts, best = cells.grid(cell_means)
    assert list(texts.index) == ["magnitude", "smp"] and best[0.5].to_dict() == {"magnitude": False, "smp": True}


def test_differences_are_paired_by_seed_tested_twice_and_corrected_together(run, tmp_path):
    wrong = {"magnitude": (30, 32, 35, 20), "smp": (20, 25, 22), "gmp": (29, 33, 35)}
    for method, counts in wrong.items():
        for seed, count in enumerate(counts):
            run(f"{method}{seed}", method, 0.5, seed, wrong=count)
    run("lone", "smp", 0.9, 0)
    gaps = differences.differences(collect([tmp_path]).runs, ["magnitude"]).set_index("label")
    assert list(gaps.index) == ["gmp", "smp"] and (gaps["seeds"] == 3).all()  # 0.9 has no counterpart
    ours, theirs = [0.8, 0.75, 0.78], [0.7, 0.68, 0.65]
    assert gaps.at["smp", "difference"] == pytest.approx(np.mean(ours) - np.mean(theirs))
    assert gaps.at["smp", "by_seed"].p == pytest.approx(stats.ttest_rel(ours, theirs).pvalue)
    # examples 20 to 34, each won under at least one seed and counted once
    assert gaps.at["smp", "examples"].wins == "15 : 0"
    assert gaps.at["smp", "examples"].p == pytest.approx(2 / 2**15)
    p_values = [gaps.at[label, test].p for label in gaps.index for test in ("examples", "by_seed")]
    factor = gaps.at["smp", "examples_holm"] / gaps.at["smp", "examples"].p
    assert min(p_values) == gaps.at["smp", "examples"].p and factor == pytest.approx(4)


def test_too_few_seeds_no_common_seed_and_unreadable_predictions_give_a_reason_instead_of_p(run, tmp_path):
    run("m0", "magnitude", 0.5, 0)
    run("m1", "magnitude", 0.5, 1)
    run("s0", "smp", 0.5, 0)
    run("s1", "smp", 0.5, 1)
    run("g2", "gmp", 0.5, 2)
    (run("r0", "random", 0.5, 0) / "predictions.parquet").unlink()
    gaps = differences.differences(collect([tmp_path]).runs, ["magnitude"]).set_index("label")
    assert gaps.at["smp", "by_seed"].reason == "too few seeds (2)" and gaps.at["smp", "by_seed"].p is None
    assert gaps.at["gmp", "examples"].reason == "no seed in common" and gaps.at["gmp", "seeds"] == 0
    assert "cannot be read" in gaps.at["random", "examples"].reason


def test_the_closest_variant_is_the_baseline_and_dense_serves_every_sparsity(run, tmp_path):
    run("m", "magnitude", distill="none")
    run("mk", "magnitude", distill="logits")
    run("s", "smp", distill="logits")
    run("d", "dense", 0.0)
    runs = collect([tmp_path]).runs
    gaps = differences.differences(runs, ["magnitude"])
    assert dict(zip(gaps["label"], gaps["against"], strict=True)) == {
        "smp (distill=logits)": "magnitude (distill=logits)",
        "magnitude (distill=none)": "magnitude (distill=logits)",
    }
    assert (
        set(differences.differences(runs, ["dense"])["against"]) == {"dense"}
        and len(differences.differences(runs, ["dense"])) == 3
    )
    assert differences.differences(runs, []).empty


def test_the_baseline_is_the_requested_method_or_magnitude(run, tmp_path):
    run("a", "smp")
    runs = collect([tmp_path]).runs
    assert differences.choose_baselines(runs, []) == [] and differences.choose_baselines(runs, ["smp"]) == ["smp"]
    with pytest.raises(BadInput, match="--baseline=spm: allowed are smp; did you mean smp"):
        differences.choose_baselines(runs, ["spm"])
    run("b", "magnitude")
    assert differences.choose_baselines(collect([tmp_path]).runs, []) == ["magnitude"]
