"""Test the published numbers: counts by source, values of the papers' tables, and which match a run."""

import math

import pytest

from prunebert.report import published
from prunebert.report.collect import collect
from prunebert.report.tables import published_comparisons
from prunebert.settings import checks

TABLE = published.read_table()
KEY = ["source", "model", "task", "metric", "method", "variant", "sparsity", "denominator", "kd", "epochs"]


def test_how_many_numbers_each_source_has():
    assert TABLE["source"].value_counts().to_dict() == {
        "SMP Table 1": 6 + 8 * 6 + 16 * 6,  # the dense model, 8 rows without a teacher, 16 with; 6 metrics each
        "SMP Table 2": 5 * 8,
        "AbP Supp. Table 2": 6 + 6 * 12 + 9 + 6,  # two whole models, six full rows, .999 without random, .9999
        "movement README": 4 * 2 * 6 + 2,
        "BERT-Tickets Table 2": 11 * 2 + 2,
        "oBERT README": 3 + 9 + 6 + 6,
        "SparseBERT slides": 8,
        "SparseBERT README": 8,
    }
    assert set(TABLE["source"]) == set(published.CITED) and set(TABLE["read"]) == set(published.READ)


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
    ("SMP Table 1", "squad", "f1", "smp", "allocation=local", 0.97, "no", 0.81),
    ("SMP Table 1", "qqp", "f1", "gmp", "", 0.9, "logits", 0.759),
    ("SMP Table 1", "squad", "exact", "movement", "", 0.5, "logits", 0.798),
    ("SMP Table 2", "cola", "matthews", "smp", "allocation=local|score", 0.2, "no", 0.615),
    ("AbP Supp. Table 2", "sst2", "accuracy", "abp", "", 0.5, "no", 0.856),
    ("AbP Supp. Table 2", "stsb", "not told", "magnitude", "keep_pretrained=true", 0.99, "no", -0.022),
    ("AbP Supp. Table 2", "mnli", "accuracy_pooled", "abp", "", 0.9, "no", 0.679),
    ("movement README", "qqp", "f1", "gmp", "", 0.9, "logits", 0.65),
    ("movement README", "squad", "exact", "l0", "", 0.97, "logits", 0.643),
    ("BERT-Tickets Table 2", "mnli", "accuracy_mismatched", "random", "", 0.7, "no", 0.675),
    ("BERT-Tickets Table 2", "squad", "f1", "imp", "", 0.4, "no", 0.877),
    ("SparseBERT slides", "qnli", "accuracy", "sparsebert", "", 0.95, "tinybert", 0.906),
    ("SparseBERT README", "mrpc", "f1", "dense", "", 0, "no", 0.9078),
    ("oBERT README", "squad", "f1", "obert", "upstream", 0.97, "logits", 0.8492),
]


@pytest.mark.parametrize("spot", SPOTS, ids=lambda s: f"{s[0]} {s[1]} {s[3]} {s[5]}")
def test_spot_values(spot):
    columns = ["source", "task", "metric", "method", "variant", "sparsity", "kd"]
    rows = TABLE[(TABLE["model"] == "bert-base-uncased") & (TABLE[columns] == list(spot[:-1])).all(axis=1)]
    assert rows["score"].tolist() == [spot[-1]]


def compare(run, tmp_path, method="smp", sparsity=0.9, **changes):
    """Return (published, measured - published) for each number that matches a run."""
    score = changes.pop("score", 0.83)
    facts = {"task": "mnli", "metric": "accuracy_matched", "score": score, "metrics": {"accuracy_matched": score}}
    settings = {"fit": {"steps": 9}, "allocation": "score"}
    run("x", method, sparsity, **facts | {"settings": settings} | changes)
    rows = published_comparisons(collect([tmp_path]).runs, TABLE).rows
    return [(row[4].text, row[5].text) for row in rows]


def test_measured_minus_published_where_everything_matches(run, tmp_path):
    assert compare(run, tmp_path) == [("0.825", "+0.0050")]


@pytest.mark.parametrize(
    "changes",
    [
        {"task": "rte"},
        {"metric": "accuracy", "metrics": {"accuracy": 0.83}},
        {"model": "bert-large-uncased"},
        {"method": "movement", "prunable": "encoder_pooler"},
        {"prunable": "encoder_pooler_embeddings"},
        {"sparsity": 0.91},
        {"distill": "tinybert"},
        {"settings": {"allocation": "global"}},
    ],
    ids=str,
)
def test_a_run_that_differs_matches_no_number(run, tmp_path, changes):
    assert compare(run, tmp_path, **changes) == []


def test_the_teacher_and_the_last_part_of_a_models_path_count(run, tmp_path):
    assert compare(run, tmp_path, distill="logits", model="google-bert/bert-base-uncased") == [("0.837", "-0.0070")]


def test_a_dense_run_matches_every_dense_number_whatever_the_denominator(run, tmp_path):
    assert [p for p, _ in compare(run, tmp_path, "dense", 0.0)] == ["0.845", "0.845", "0.8454"]


def test_missing_facts_stay_empty():
    assert math.isnan(TABLE[TABLE["source"] == "SMP Table 1"]["std"].iloc[0])
    assert (TABLE[TABLE["metric"] == "not told"]["note"] != "").all()
