"""A published number is listed once, and a figure has the numbers of variants that ran."""

import pandas as pd

from prunebert.report.published import numbers as published
from tests.report.published.papers import RECORDS, TABLE, cell


def test_what_a_readme_and_a_table_repeat_is_listed_once_with_the_most_exact_number():
    found = published.comparisons(cell("gmp", "mnli", 0.9, "distill=logits"), RECORDS)
    assert sorted((p["metric"], p["score"]) for p in found) == [
        ("accuracy_matched", 0.783),
        ("accuracy_matched", 0.783),
        ("accuracy_matched", 0.78319),
        ("accuracy_mismatched", 0.79272),
        ("accuracy_mismatched", 0.793),
        ("accuracy_mismatched", 0.793),
    ]
    once = published.merged(found)
    assert [(p["source"], p["score"], sorted(p["also"])) for p in once] == [
        ("movement sheet", 0.78319, ["SMP Table 1", "movement README"]),
        ("movement sheet", 0.79272, ["SMP Table 1", "movement README"]),
    ]


def test_numbers_of_another_origin_or_score_stay():
    def numbers(*rows):
        return [{"metric": "f1", "source": s, "read": r, "score": v} for s, r, v in rows]

    apart = numbers(("A Table", "paper", 0.8), ("B Table", "paper", 0.8), ("A README", "readme", 0.801))
    assert [p["also"] for p in published.merged(apart)] == [[], [], []]
    both = numbers(("A README", "readme", 0.8), ("A Table", "paper", 0.8004), ("B Table", "quoted", 0.8))
    assert [(p["source"], p["also"]) for p in published.merged(both)] == [("A Table", ["A README", "B Table"])]


def test_a_figure_has_no_numbers_of_variants_that_did_not_run():
    points = published.points(TABLE, "bert-base-uncased", "mnli", "accuracy_matched")
    runs = pd.DataFrame({"method": ["smp", "gmp"], "facts": [{"allocation": "score", "head": "label_words"}, {}]})
    shown = published.of_variants(points, runs)
    of_smp = set(shown[shown["method"] == "smp"]["variant"])
    assert of_smp == {"allocation=score", "allocation=uniform|score"}, of_smp
    others = ~points["method"].isin(["smp", "gmp"])
    assert len(shown[~shown["method"].isin(["smp", "gmp"])]) == others.sum() > 100
    assert published.of_variants(points[:0], runs).columns.tolist() == points.columns.tolist()
    everything = runs.assign(facts=[{"allocation": "uniform", "head": "linear"}, {}])
    assert "allocation=uniform;head=linear" in set(published.of_variants(points, everything)["variant"])
