"""Test the published numbers: counts by source, values of the papers' tables, and which match a run."""

import math
from collections import Counter

import numpy as np
import pandas as pd
import pytest

from prunebert.report.collect import collect
from prunebert.report.page.published import agreeing_numbers, numbers_with_other_settings
from prunebert.report.published import numbers as published
from prunebert.settings import checks

from . import papers

TABLE = published.read_table()
KEY = ["source", "model", "task", "metric", "method", "variant", "sparsity", "denominator", "kd", "epochs"]


# Counts, and sums in points, of the numbers as they stand in the sources. Whoever changes a number adds the source up.
SUMS = {
    "SMP Table 1": (6 + 8 * 6 + 16 * 6, 4068.2 + 4394.3 + 3964.3),  # dense, 8 rows without a teacher, 16 with: by task
    "SMP Table 2": (5 * 8, 3393.8),
    "SMP ablations": (9 * 3 + 1, 2319.4),  # three masking functions, head and R on two tasks; two cells are N/A
    "AbP Supp. Table 2": (6 + 6 * 12 + 9 + 6, 4875.2),  # two whole models, six full rows, .999 without random, .9999
    "AbP Table 3": (2 * 3, 252.1),
    "AbP Table 4": (7 * 3, 1487.7 - 138.9),  # AbP's scores of Supp. Table 2 plus the differences of Table 4
    "movement README": (4 * 2 * 6 + 2, 3891.3),
    "movement sheet": (532, 42821.91),
    "movement cache": (2 * 8 + 10, 2084.77),
    "BERT-Tickets Table 2": (11 * 3, 854.6 + 852.1 + 562.6),  # full, IMP, random
    "oBERT README": (3 + 9 + 6 + 6, 2088.13),
    "Prune-OFA model card": (2 + 2 + 2 + 1 + 1, 689.56),  # SQuAD, MNLI, QQP, QNLI, SST-2
    "GMP-star recipe": (1, 87.2),  # 98.4 % of 88.596
    "SparseBERT slides": (8, 606.3),
    "SparseBERT README": (8, 713.1),
}
SHEET = {
    ("mnli", "accuracy_matched"): (92, 72.81459),
    ("mnli", "accuracy_mismatched"): (92, 73.28453),
    ("qqp", "accuracy"): (72, 63.24885),
    ("qqp", "f1"): (72, 60.02213),
    ("squad", "exact"): (102, 74.65755),
    ("squad", "f1"): (102, 84.19145),
}

PERCENT = TABLE["where"].str.extract(r"row ([\d.]+) %;")[0].astype(float)  # that remain, in the movement sheet


def test_each_source_has_all_its_numbers():
    found = {name: (len(rows), 100 * rows["score"].sum()) for name, rows in TABLE.groupby("source")}
    assert found == {name: (count, pytest.approx(total, abs=1e-6)) for name, (count, total) in SUMS.items()}
    assert set(TABLE["source"]) == set(published.CITED) and set(TABLE["read"]) == set(published.READ)
    assert set(TABLE["kind"]) == set(published.KINDS) and (TABLE["where"] != "").all()


def test_the_movement_sheet_has_its_sums_and_its_sparsities():
    sheet = TABLE[TABLE["source"] == "movement sheet"]
    found = {key: (len(rows), rows["score"].sum()) for key, rows in sheet.groupby(["task", "metric"])}
    assert found == {key: (count, pytest.approx(total, abs=1e-6)) for key, (count, total) in SHEET.items()}
    percent = PERCENT[sheet.index]
    assert percent.sum() == pytest.approx(14749.1, abs=0.05)
    kept = (percent / 100 * 85_054_464 - 119_808) / 84_934_656  # of the 72 matrices, without biases and LayerNorm
    gap = (1 - kept - sheet["sparsity"]).abs()
    free = sheet["method"].isin(["l0", "soft_movement"])  # the penalty sets these sparsities; the others are asked for
    assert free.sum() == 240 and gap[free].max() < 1e-6
    assert gap[~free].max() < 0.0014 and gap[~free & (sheet["variant"] == "")].max() < 0.0005
    asked = {0.1, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.92, 0.94, 0.95, 0.97, 0.98, 0.99}
    assert set(sheet["sparsity"][~free]) == asked
    assert sheet["note"][free].str.contains("final λ").all() and set(sheet["seeds"]) == {1}
    epochs = sheet[sheet["method"] != "l0"].groupby("task")["epochs"].unique()
    assert epochs.map(list).to_dict() == {"mnli": [6], "qqp": [10], "squad": [10]}


def test_interpolated_cells_are_linear_between_runs_of_the_sheet():
    sheet = TABLE[(TABLE["source"] == "movement sheet") & (TABLE["variant"] == "")]
    sheet = sheet.assign(percent=PERCENT[sheet.index]).sort_values("percent")
    printed = TABLE[TABLE["source"].isin(["SMP Table 1", "movement README"])]
    printed = printed[printed["method"].isin(["l0", "soft_movement"]) & printed["sparsity"].isin([0.9, 0.97])]
    kinds = []
    for _, cell in printed.iterrows():
        runs = sheet[
            (sheet[["task", "metric", "method", "kd"]] == cell[["task", "metric", "method", "kd"]]).all(axis=1)
        ]
        at = 100 * (1 - cell["sparsity"])
        is_linear = abs(np.interp(at, runs["percent"], runs["score"]) - cell["score"]) < 0.000501  # three decimals
        assert is_linear == (cell["kind"] == "interpolated"), cell["where"]
        kinds.append((cell["task"], cell["kind"]))
    assert dict(Counter(kinds)) == {
        ("mnli", "interpolated"): 18,
        ("squad", "interpolated"): 16,
        ("squad", "unexplained"): 2,
        ("qqp", "interpolated"): 6,
        ("qqp", "unexplained"): 8,
        ("qqp", "another sparsity"): 4,
    }
    at_seven = sheet[(sheet["task"] == "qqp") & (sheet["percent"] == 7.1481)]
    assert sorted(at_seven["score"].round(3)) == [0.868, 0.902]  # QQP's "10 %" of soft movement with a teacher


def test_no_number_occurs_twice():
    assert not TABLE.duplicated(KEY).any()


def test_every_number_is_a_fraction_with_known_names():
    assert TABLE["score"].between(-0.1, 1).all() and TABLE["sparsity"].between(0, 0.9999).all()
    assert (TABLE.loc[TABLE["method"] == "dense", "sparsity"] == 0).all()
    assert set(TABLE["denominator"]) == {*checks.PRUNABLE, "other"}
    assert set(TABLE["kd"]) == {"no", "logits", "tinybert"} and set(TABLE["model"]) == {
        "bert-base-uncased",
        "roberta-base",
    }
    tasks = "cola mlm mnli mrpc qnli qqp rte squad sst2 stsb wnli"
    assert " ".join(sorted(set(TABLE["task"]))) == tasks


SPOTS = [
    ("SMP Table 1", "mnli", "accuracy_matched", "smp", "allocation=score", 0.9, "no", 0.825),
    ("SMP Table 1", "squad", "f1", "smp", "allocation=uniform;fit.epochs=20;prune_steps=22650", 0.97, "no", 0.81),
    ("SMP Table 1", "qqp", "f1", "gmp", "", 0.9, "logits", 0.759),
    ("SMP Table 1", "squad", "exact", "movement", "", 0.5, "logits", 0.798),
    ("SMP Table 2", "cola", "matthews", "smp", "allocation=uniform|score", 0.2, "no", 0.615),
    ("AbP Supp. Table 2", "sst2", "accuracy", "abp", "", 0.5, "no", 0.856),
    (
        "AbP Supp. Table 2",
        "stsb",
        "not told",
        "magnitude",
        "keep_pretrained=true;head=linear|layer_mix",
        0.99,
        "no",
        -0.022,
    ),
    ("AbP Supp. Table 2", "mnli", "accuracy_pooled", "abp", "", 0.9, "no", 0.679),
    ("movement README", "qqp", "f1", "gmp", "", 0.9, "logits", 0.65),
    ("movement README", "squad", "exact", "l0", "", 0.97, "logits", 0.643),
    ("BERT-Tickets Table 2", "mnli", "accuracy_mismatched", "random", "", 0.7, "no", 0.675),
    ("BERT-Tickets Table 2", "squad", "f1", "imp", "", 0.4, "no", 0.877),
    ("SparseBERT slides", "qnli", "accuracy", "sparsebert", "augment=mlm", 0.95, "tinybert", 0.906),
    ("SparseBERT README", "mrpc", "f1", "dense", "", 0, "no", 0.9078),
    ("BERT-Tickets Table 2", "cola", "matthews", "random", "", 0.5, "no", 0.096),
    ("SMP ablations", "mnli", "accuracy_matched", "smp", "allocation=uniform;penalty=0", 0.97, "no", 0.692),
    ("AbP Table 3", "sst2", "accuracy", "abp", "ablation=shuffle", 0.5, "no", 0.808),
    ("AbP Table 4", "sst2", "accuracy", "abp", "recovery=false", 0.999, "no", 0.671),
    ("movement sheet", "qqp", "f1", "gmp", "", 0.9, "logits", 0.75866),
    ("movement sheet", "squad", "f1", "movement", "allocation=global", 0.97, "no", 0.78613),
    ("oBERT README", "squad", "f1", "sparse_transfer", "pruner=prunebert.methods.obert.obert", 0.97, "logits", 0.8492),
    ("GMP-star recipe", "squad", "f1", "gmp_star", "", 0.9, "logits", 0.872),
]


@pytest.mark.parametrize("spot", SPOTS, ids=lambda s: f"{s[0]} {s[1]} {s[3]} {s[5]}")
def test_spot_values(spot):
    columns = ["source", "task", "metric", "method", "variant", "sparsity", "kd"]
    rows = TABLE[(TABLE["model"] == "bert-base-uncased") & (TABLE[columns] == list(spot[:-1])).all(axis=1)]
    assert rows["score"].tolist() == [spot[-1]]


def compare(run, tmp_path, *words, **changes):
    """Return (published, measured - published) for each number that matches a run of SMP with the paper's settings."""
    facts = {"task": "mnli", "metric": "accuracy_matched", "score": 0.83, "metrics": {"accuracy_matched": 0.83}}
    run("x", "smp", 0.9, **facts | {"settings": papers.paper("method=smp", "task=mnli", *words)} | changes)
    runs = collect([tmp_path]).runs
    assert not numbers_with_other_settings(runs, TABLE).rows or not agreeing_numbers(runs, TABLE).rows
    return [(row[4].text, row[5].text) for row in agreeing_numbers(runs, TABLE).rows]


def test_measured_minus_published_where_everything_matches(run, tmp_path):
    assert compare(run, tmp_path) == [
        ("0.825", "+0.0050")
    ]  # of Table 1; the ablation of the masking function repeats it


def test_the_teacher_and_the_last_part_of_a_models_path_count(run, tmp_path):
    found = compare(run, tmp_path, "distill=logits", distill="logits", model="google-bert/bert-base-uncased")
    assert found == [("0.837", "-0.0070")]


def test_a_number_with_other_settings_is_listed_with_them_and_never_compared(run, tmp_path):
    settings = papers.paper("method=smp", "task=mnli", "fit.epochs=3", "fit.lr=1e-4")
    assert compare(run, tmp_path, settings=settings) == []
    rows = numbers_with_other_settings(collect([tmp_path]).runs, TABLE).rows
    assert [row[3].text for row in rows] == ["0.825", "0.825"] and {row[2].text for row in rows} == {"accuracy_matched"}
    assert {row[-1].text for row in rows} == {"fit.epochs=12, here 3; fit.lr=2e-05, here 0.0001"}


def test_a_dense_run_matches_every_dense_number_whatever_the_denominator():
    dense = papers.beside("dense", "mnli", 0.0, metric="accuracy_matched", denominator="encoder_pooler")
    assert [score for *_, score in dense] == [0.845, 0.845, 0.8454]


def test_a_number_printed_at_another_sparsity_than_its_runs_is_no_neighbour():
    found = papers.beside("soft_movement", "qqp", 0.9, "distill=logits")
    assert found == [] and TABLE["kind"].eq("another sparsity").sum() == 5
    assert [s for *_, s in papers.beside("gmp", "qqp", 0.9, "distill=logits", metric="f1")] == [0.759, 0.75866]


def test_missing_facts_stay_empty():
    assert math.isnan(TABLE[TABLE["source"] == "SMP Table 1"]["std"].iloc[0])
    assert (TABLE[TABLE["metric"] == "not told"]["note"] != "").all()


def near(*points):
    """Return what `closest` keeps of numbers with (source, metric, names of the settings that differ)."""
    keys = {"model": "bert-base-uncased", "task": "mnli", "method": "smp", "kd": "hidden_cosine", "sparsity": 0.9}
    keys |= {"denominator": "encoder", "kind": "measured"}
    rows = [keys | {"source": s, "metric": m, "differs": d} for s, m, d in points]
    cell = papers.cell("smp", "mnli", 0.9, distill="hidden_cosine")
    return [(p["source"], p["differs"]) for p in published.closest(cell, rows)]


def test_of_each_source_and_metric_the_number_with_the_fewest_differences_is_closest(monkeypatch):
    differences = {"none": {}, "one": {"a": ("1", "2")}, "two": {"a": ("1", "2"), "b": ("1", "2")}, "never": None}
    monkeypatch.setattr(published.agreement, "of_run", lambda run: {})
    monkeypatch.setattr(published.agreement, "differences", lambda found, point: differences[point["differs"]])
    assert near(("A", "f1", "two"), ("A", "f1", "one"), ("B", "f1", "two")) == [("A", "one"), ("B", "two")]
    assert near(("A", "f1", "one"), ("A", "accuracy", "two")) == [("A", "one"), ("A", "two")]
    assert near(("A", "f1", "one"), ("B", "f1", "none"), ("A", "accuracy", "two")) == [("A", "two")]
    assert near(("A", "f1", "never")) == []


def test_a_measured_number_is_the_mean_over_the_runs_that_have_the_metric():
    runs = pd.concat([papers.cell("smp", "mnli", 0.9) for _ in range(4)], ignore_index=True)
    runs["metrics"] = [{"accuracy_matched": x} for x in (0.80, 0.81, 0.85)] + [{"accuracy_mismatched": 0.1}]
    found = [p for p in published.comparisons(runs, papers.RECORDS) if p["metric"] == "accuracy_matched"]
    assert found and {(p["n"], round(p["mean"], 9)) for p in found} == {(3, 0.82)}
    assert all(p["sd"] == pytest.approx(0.0007**0.5) for p in found)  # (0.02² + 0.01² + 0.03²) / 2


def test_three_numbers_at_two_sparsities_are_no_curve_and_neither_is_what_prunebert_lacks():
    row = {"source": "s", "method": "smp", "variant": "", "kd": "no", "denominator": "encoder", "kind": "measured"}
    cells = pd.DataFrame({"method": ["smp"], "denominator": ["encoder"]})

    def curves(*sparsities, **changes):
        numbers = pd.DataFrame([row | {"sparsity": s, "score": 0.5} | changes for s in sparsities])
        drawn, rest = published.split_curves(numbers, cells)
        return [curve["sparsity"].tolist() for curve in drawn], rest["sparsity"].tolist()

    assert curves(0.5, 0.5, 0.9) == ([], [0.5, 0.5, 0.9])
    assert curves(0.9, 0.5, 0.7) == ([[0.5, 0.7, 0.9]], [])
    assert curves(0.9, 0.5, 0.7, variant="upstream") == ([], [])
    assert curves(0.9, 0.5, 0.7, method="obert") == ([], [])
    assert curves(0.9, 0.5, 0.7, kind="another sparsity") == ([], [])


def split(denominator):
    """Split SQuAD's F1 for a figure with runs of movement pruning."""
    points = published.points(TABLE, "bert-base-uncased", "squad", "f1")
    return published.split_curves(points, pd.DataFrame({"method": ["movement"], "denominator": [denominator]}))


def test_a_curve_needs_runs_of_its_method_and_three_sparsities_and_the_richest_source_has_it():
    curves, rest = split("encoder")
    names = {tuple(curve[["source", "method", "variant", "kd"]].iloc[0]) for curve in curves}
    options = [("", "no"), ("", "logits"), ("allocation=global", "no"), ("allocation=global", "logits")]
    assert names == {("movement sheet", "movement", *option) for option in options} and len(curves) == 4
    assert curves[0]["sparsity"].tolist() == [0.1, 0.3, 0.5, 0.7, 0.9, 0.92, 0.95, 0.97]
    (local,) = (c for c in curves if tuple(c[["variant", "kd"]].iloc[0]) == ("", "no"))
    assert local["score"].iloc[-1] == 0.76276  # not the cache's 0.7628
    left = rest[rest["method"] == "movement"]["source"]
    assert dict(Counter(left)) == {"movement README": 2, "SMP Table 1": 2}  # two sparsities each
    assert not rest["method"].isin(["soft_movement"])[rest["source"] == "movement sheet"].any()


def test_a_curve_of_another_denominator_stays_points():
    curves, rest = split("encoder_pooler")
    assert curves == [] and ((rest["source"] == "movement sheet") & (rest["method"] == "movement")).sum() == 32
