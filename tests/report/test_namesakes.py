"""Tables of one task and model whose runs were scored in different ways are neither averaged nor ranked together."""

import math
from typing import Any

import pytest

from prunebert.report import namesakes
from prunebert.report.collect import collect
from prunebert.report.findings import limits, repeat, results, sentences, summary, text
from prunebert.report.statistics import ranking

V: dict[str, Any] = {
    "labels": ["no", "yes"],
    "rows": {"train": 90, "validation": 100},
    "fingerprint": {"validation": "v"},
}
APART: dict[str, dict[str, Any]] = {
    "the evaluation data": {"data": V | {"fingerprint": {"validation": "w"}}},
    "the labels": {"data": V | {"labels": ["yes", "no"]}},
    "the weights of the model": {"weights_hash": "b" * 64},
    "the metric": {"metric": "f1", "metrics": {"f1": 0.9}},
    "the configuration of the model": {"architecture": {"is_decoder": True}},
}


def write(run, folder, wrong, **changes):
    """Write runs of methods at 0.5; wrong: for each method, the number of wrong predictions of each seed."""
    for method, numbers in wrong.items():
        for seed, number in numbers.items():
            run(f"{folder}/{method}-{seed}", method, 0.5, seed, wrong=number, **({"data": V} | changes))


@pytest.fixture(params=APART)
def two_tables(request, run, tmp_path):
    write(run, "mine", {"magnitude": {0: 20, 1: 22}, "smp": {0: 10, 1: 12}})
    write(run, "theirs", {"magnitude": {2: 40}, "smp": {2: 60}}, **APART[request.param])
    return request.param, collect([tmp_path])


def test_they_have_no_mean_and_no_rank_and_are_named(two_tables):
    differing, collected = two_tables
    (trouble,) = [t for t in collected.troubles if t.kind == namesakes.KIND]
    assert f"differ in {differing}, so their scores are neither averaged nor ranked together" in trouble.reason
    found = ranking.rank(collected.runs, 0.5)
    assert len(found.tables) == 2 and {(row.mean, row.mean_rank) for row in found.rows} == {(None, None)}
    assert found.sentences[-1] == f"Of toy, {trouble.reason}."
    mine, theirs = trouble.location.split("; ")
    assert [found.rows[0].cells[table].n for table in (mine, theirs)] == [2, 1]  # that with more runs comes first


def test_the_findings_are_of_the_table_with_most_runs(two_tables):
    _, collected = two_tables
    found = results.of(collected)
    (table,) = found.overall.tables
    assert found.overall.means.set_index("label")["mean"].to_dict() == pytest.approx({"magnitude": 0.79, "smp": 0.89})
    first = text.plain(sentences.sentences(found)[0])
    assert f"smp has the best mean accuracy on {found.title(table)}, 0.890" in first and "tasks" not in first
    assert found.title(table).startswith("toy, ") and "bert" not in found.title(table)
    said = text.plain(" ".join(limits.limits(found)))
    assert f"The best mean is of {found.title(table)}, and leaves out toy, " in said
    assert "another metric or model" not in said
    assert "There is no mean rank." in summary.table(found) and "mean over tasks" not in summary.table(found)
    assert "The commands do not tell the tables of toy apart." in text.plain(repeat.repeat(found))


def test_tables_of_other_tasks_are_averaged(run, tmp_path):
    write(run, "a", {"magnitude": {0: 20, 1: 22}, "smp": {0: 10, 1: 12}})
    write(run, "b", {"magnitude": {0: 40, 1: 42}, "smp": {0: 30, 1: 32}}, task="other")
    collected = collect([tmp_path])
    assert namesakes.find(collected.runs) == [] and not [t for t in collected.troubles if t.kind == namesakes.KIND]
    row = ranking.rank(collected.runs, 0.5).rows[0]
    assert (row.label, row.mean, row.mean_rank) == ("smp", pytest.approx(0.79), 1.0)
    assert results.of(collected).overall.means["n"].tolist() == [2, 2]


def test_a_mean_over_tasks_without_a_common_seed_does_not_claim_one(run, tmp_path):
    write(run, "a", {"magnitude": {0: 20}, "smp": {0: 10}})
    write(run, "b", {"magnitude": {1: 40}, "smp": {1: 30}}, task="other")
    found = results.of(collect([tmp_path]))
    assert found.overall.means["n"].tolist() == [0, 0] and found.overall.means["sd"].map(math.isnan).all()
    assert "0.800 without a seed that all tasks have" in text.plain(sentences.sentences(found)[0])


def test_an_accuracy_and_a_loss_have_no_mean(run, tmp_path):
    write(run, "a", {"magnitude": {0: 20}, "smp": {0: 10}})
    for method in ("magnitude", "smp"):
        run(f"b/{method}", method, 0.5, task="other", metric="mse", score=250.0, metrics={"mse": 250.0})
    row = ranking.rank(collect([tmp_path]).runs, 0.5).rows[0]
    assert row.mean is None and row.mean_rank is not None
