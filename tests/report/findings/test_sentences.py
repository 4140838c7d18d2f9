"""The findings of small tables of runs, word for word, and what holds for the findings of any runs."""

import math
import re
from itertools import product

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from prunebert.report.collect import collect
from prunebert.report.findings import results, sentences, text

from .conftest import runs, table

SEPARATED = runs(
    ("dense", 0.0, [0.90, 0.91, 0.92]),
    ("magnitude", 0.5, [0.81, 0.80, 0.82]),
    ("smp", 0.5, [0.905, 0.91, 0.915]),
    ("magnitude", 0.9, [0.71, 0.70, 0.72]),
    ("smp", 0.9, [0.861, 0.850, 0.872]),
)


def say(found):
    return [text.markdown(sentence) for sentence in sentences.sentences(found)]


def test_three_seeds_that_are_separated(results_of):
    """By hand, smp - magnitude: at 0.5 0.095, 0.11, 0.095, t = 20, p = .0025; at 0.9 0.151, 0.150, 0.152, p < .0001."""
    assert say(results_of(SEPARATED)) == [
        "At sparsity 0.9, `smp` has the best mean accuracy, 0.861 ± 0.011 with 3 seeds (`dense`: 0.910 ± 0.010, "
        "constant baseline: 0.500); the test over seeds separates it from the other row.",
        "`smp` has the best mean both at 0.5 and at 0.9; against `dense`, it loses less than a point at 0.5, and 4.9 "
        "points at 0.9.",
        "By the test over seeds, 2 of 2 differences to `magnitude` are significant: `smp` (at 0.5 and 0.9) is better.",
        "Every mean is at least half a point better than the constant baseline.",
        "At 0.9, the largest standard deviation over seeds is 0.011 (`smp`), while the two rows are 0.151 apart.",
    ]


def test_one_method_is_not_ranked(results_of):
    rows = runs(("dense", 0.0, [0.9]), ("smp", 0.5, [0.895]), ("smp", 0.9, [0.502]))
    assert say(results_of(rows)) == [
        "At sparsity 0.9, `smp` has the accuracy of 0.502 with 1 seed (`dense`: 0.900, constant baseline: 0.500).",
        "against `dense`, `smp` loses less than a point at 0.5, and 39.8 points at 0.9.".replace("against", "Against"),
        "`smp` (at 0.9) is no better than the constant baseline: less than half a point above it.",
    ]


def test_a_row_above_dense_loses_nothing(results_of):
    rows = runs(("dense", 0.0, [0.8]), ("smp", 0.5, [0.82]), ("smp", 0.9, [0.813]))
    assert say(results_of(rows))[1] == "`smp` is 1.3 to 2.0 points above `dense` at all 2 sparsities."
    assert say(results_of(rows[:1] + rows[2:]))[1] == "`smp` is 1.3 points above `dense` at 0.9."


def test_two_methods_with_one_seed_are_not_called_significant(results_of):
    found = say(results_of(runs(("magnitude", 0.9, [0.7]), ("smp", 0.9, [0.8]))))
    assert found == [
        "At sparsity 0.9, `smp` has the best accuracy, 0.800 with 1 seed (constant baseline: 0.500); no test of its "
        "lead was possible.",
        "Every mean is at least half a point better than the constant baseline.",
    ]


def test_predictions_allow_the_test_over_examples_which_is_named(run, tmp_path):
    """gmp and smp differ in 40 of 100 predictions, l0 and smp in none."""
    for method, wrong in (("magnitude", 50), ("smp", 10), ("l0", 10)):
        run(method, method, 0.9, wrong=wrong)
    found = say(results.of(collect([tmp_path])))
    assert found[0].startswith("At sparsity 0.9, `l0` and `smp` share the best accuracy, 0.900 with 1 seed (constant")
    assert found[1] == (
        "No difference to `magnitude` has the 3 common seeds that a test over seeds needs; the test over examples "
        "separates 2 of 2 (`l0` and `smp`)."
    )
    run("m", "smp", 0.9, wrong=5, written=9999)  # smp leads now
    found = say(results.of(collect([tmp_path])))
    verdict = "; only the test over examples separates it from 1 of the 2 other rows."
    assert found[0].endswith(verdict) and not [line for line in found if "significant" in line]


def test_ties(results_of):
    same = runs(*((method, 0.9, [0.5, 0.5]) for method in ("magnitude", "smp", "l0")))
    assert say(results_of(same))[:2] == [
        "At sparsity 0.9, all 3 rows have the same mean accuracy, 0.500 ± 0.000 with 2 seeds (constant baseline: "
        "0.500).",
        "`magnitude` (at 0.9), `l0` (at 0.9) and `smp` (at 0.9) are no better than the constant baseline: less than "
        "half a point above it.",
    ]
    two = runs(("gmp", 0.9, [0.6]), *((method, 0.9, [0.7]) for method in ("l0", "smp")))
    assert say(results_of(two))[0].startswith("At sparsity 0.9, `l0` and `smp` share the best accuracy, 0.700 with")


def test_a_failed_method_on_several_tasks_is_counted(results_of):
    rows = [
        row
        for task, level in (("a", 0.8), ("b", 0.7))
        for row in runs(
            ("dense", 0.0, [0.9, 0.9, 0.9]),
            *(("magnitude", s, [level, level - 0.01, level]) for s in (0.5, 0.9)),
            *(("random", s, [0.5, 0.504, 0.502]) for s in (0.5, 0.9)),
            task=task,
        )
    ]
    found = say(results_of(rows))
    assert found[0] == (
        "At sparsity 0.9, `magnitude` has the best mean accuracy on 2 tasks, 0.747 ± 0.006 with 3 seeds (`dense`: "
        "0.900 ± 0.000, constant baseline: 0.500); the tests (over seeds, else over examples) separate it from every "
        "other row on 2 of 2 tasks."
    )
    assert found[2] == (
        "By the test over seeds, 4 of 4 differences to `magnitude` are significant: `random` (4 of 4 means) is worse."
    )
    assert found[3].startswith("`random` (4 of 4 means) is no better than the constant baseline")
    assert found[4] == (
        "At 0.9, the largest standard deviation over seeds is 0.006 (`magnitude` on a), while neighbours in the "
        "ranking of a task are 0.245 apart (median)."
    )


def test_a_lead_that_no_task_confirms(results_of):
    rows = [
        row
        for task in ("a", "b")
        for row in runs(("gmp", 0.9, [0.7, 0.74, 0.66]), ("smp", 0.9, [0.69, 0.75, 0.68]), task=task)
    ]
    assert say(results_of(rows))[0].endswith(
        "; on no task do the tests (over seeds, else over examples) separate it from every other row."
    )


def test_of_different_metrics_only_the_commonest_is_averaged(results_of):
    rows = [
        row
        for task, metric in (("a", "accuracy"), ("b", "accuracy"), ("c", "pearson"))
        for row in runs(("smp", 0.9, [0.8]), ("gmp", 0.9, [0.7]), task=task, metric=metric)
    ]
    found = results_of(rows)
    assert found.overall.tables == ["a, tiny", "b, tiny"]
    assert say(found)[0].startswith("At sparsity 0.9, `smp` has the best mean accuracy on 2 tasks, 0.800 with 1 seed")
    one_of_each = [row for row in rows if row["task"] != "b"]
    assert say(results_of(one_of_each))[0].startswith("At sparsity 0.9, `smp` has the best accuracy on a, 0.800 with")


def test_of_a_perplexity_the_lowest_is_best_and_there_are_no_points(results_of):
    facts = {"metric": "perplexity", "majority_score": 40.0}
    rows = runs(
        ("dense", 0.0, [9.0]), *((m, s, [x]) for s in (0.5, 0.9) for m, x in (("smp", 11), ("gmp", 41))), **facts
    )
    assert say(results_of(rows)) == [
        "At sparsity 0.9, `smp` has the lowest perplexity, 11.000 with 1 seed (`dense`: 9.000, constant baseline: "
        "40.000); no test of its lead was possible.",
        "`smp` has the lowest mean both at 0.5 and at 0.9.",
        "`gmp` (at 0.5 and 0.9) is no better than the constant baseline.",
    ]


def test_hundreds_of_runs_name_few_rows(results_of):
    """Forty methods, each 0.01 above the one before; with the same deviations, all tests over seeds separate them."""
    spread = (0.0, 0.001, 0.003)
    rows = runs(
        *((f"m{i:02}", s, [0.4 + i / 100 + e * (i + 1) for e in spread]) for i, s in product(range(40), (0.5, 0.9))),
        majority_score=0.6,
    )
    found = say(results_of(rows, "m20"))
    assert found[0].startswith("At sparsity 0.9, `m39` has the best mean accuracy, 0.843 ±")
    assert len(found) == 5 and re.search(r"`m\d\d` \(at 0.5 and 0.9\) and 1\d more rows are no better", found[3])
    assert max(map(len, found)) < 420


def test_rows_of_another_denominator_are_not_in_the_sentences(results_of):
    rows = runs(("smp", 0.9, [0.7]), ("gmp", 0.9, [0.6]))
    rows += runs(("magnitude", 0.9, [0.99]), prunable="encoder_pooler_embeddings", of="encoder_pooler_embeddings")
    found = say(results_of(rows))
    assert found[0].startswith("At sparsity 0.9, `smp` has the best accuracy, 0.700")
    assert not [line for line in found if "differences" in line]


def test_runs_that_chose_rates_and_runs_of_dense_alone_have_no_finding(results_of):
    assert say(results_of(runs(("dense", 0.0, [0.9, 0.8])))) == [
        "Every mean is at least half a point better than the constant baseline."
    ]
    tried = runs(("smp", 0.9, [0.9, 0.8]), ("gmp", 0.9, [0.7, 0.7]), **{"tuning.try": 0, "tuning.holdout": 9})
    assert say(results_of(tried)) == []


NAMES = st.sampled_from(["smp", "gmp", "dense", "magnitude", "a|b", "`x`", "<b>", "x`", "-->", "[a](b)", "\x02"])
RUN = st.tuples(
    NAMES, st.sampled_from([0.0, 0.5, 0.9]), st.integers(0, 3), st.sampled_from(["toy", "two", "a|`<b>"]),
    st.sampled_from([0.0, 0.5, 0.502, 0.9, 1.0, math.inf]), st.sampled_from(["accuracy", "perplexity"]),
)  # fmt: skip


@settings(
    max_examples=8, deadline=None, phases=[Phase.generate], suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(RUN, min_size=1, max_size=30))
def test_of_any_runs_there_are_at_most_five_plain_sentences(tmp_path, drawn):
    columns = ("method", "sparsity", "seed", "task", "score", "metric")
    rows = [dict(zip(columns, run, strict=True)) for run in drawn if math.isfinite(run[4])]
    rows = [row | {"sparsity": 0.0 if row["method"] == "dense" else row["sparsity"]} for row in rows]
    rows = [
        row | ({"score": 1 + row["score"], "majority_score": 9.0} if row["metric"] == "perplexity" else {})
        for row in rows
    ]
    if not rows:
        return
    found = sentences.sentences(results.of(collect([table(tmp_path / "results.csv", rows)])))
    assert len(found) <= 5
    for sentence in found:
        plain, shown = text.plain(sentence), text.markdown(sentence)
        assert "nan" not in plain and "inf" not in plain and "\n" not in plain and plain.endswith(".")
        assert not re.search(r"\b1 (tasks|seeds|rows|runs|means|points|differences)\b", plain), plain
        assert plain[0].isupper() or sentence[0] == text.BEGIN
        outside = re.sub(r"(?<![\\`])(`+)(?!`).*?(?<!`)\1(?!`)", "", shown)
        assert not re.search(r"(?<!\\)[<|`]", outside), shown
