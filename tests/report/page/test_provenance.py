"""Every run with its own facts and links, and where the numbers come from, against runs made by hand."""

from prunebert.report.collect import Trouble, collect
from prunebert.report.page import every_run, provenance


def texts(table):
    return [[cell.text for cell in row] for row in table.rows]


def test_every_run_is_shown_with_its_own_facts_and_a_link_to_its_directory(run, tmp_path):
    measured = {"sparsity_encoder": 0.5, "sparsity_encoder_pooler": 0.49, "sparsity_encoder_pooler_embeddings": 0.4}
    commit = {"git_commit": "0123456789abcdef", "git_dirty": True}
    run(
        "lab/a b", "smp", 0.5, 3, wrong=14, sparsity_model=0.3, majority_score=0.55, seconds=12.34, **measured, **commit
    )
    run("lab/b", "smp", 0.5, 4, git_commit=None)
    runs = collect([tmp_path]).runs
    runs.loc[runs["seed"] == 4, "has_files"] = False
    table = every_run.table(runs, tmp_path / "lab/report")
    (first, second) = (dict(zip(table.columns, row, strict=True)) for row in texts(table))
    assert first == {
        **{"method": "smp", "sparsity": "0.5", "seed": "3", "score": "0.8600", "constant baseline": "0.5500"},
        **{"seconds": "12.3", "encoder": "0.5000", "encoder, pooler": "0.4900"},
        **{"encoder, pooler, embeddings": "0.4000", "whole model": "0.3000", "commit": "0123456 with local changes"},
        "command, and directory": "prunebert method=smp sparsity=0.5 seed=3",
    }
    assert second["commit"] == "installed package"
    first_directory, second_directory = (row[-1].below for row in table.rows)
    assert first_directory.text.endswith("lab/a b") and first_directory.link == "../a%20b"
    assert second_directory.text.endswith("lab/b") and second_directory.link == ""


def test_commits_devices_and_versions_are_counted_the_commonest_first(run, tmp_path):
    facts = [("a" * 40, "cpu", "2.0"), ("b" * 40, "cpu", "2.1"), ("b" * 40, "cpu", "2.1"), ("b" * 40, "cpu", None)]
    for seed, (commit, device, torch) in enumerate(facts):
        versions = {"versions": {"torch": torch, "python": "3.12"}} if torch else {}
        run(str(seed), seed=seed, git_commit=commit, device=device, **versions)
    assert texts(provenance._origins(collect([tmp_path]).runs)) == [
        ["commit", "2", "bbbbbbb (3 runs), aaaaaaa (1 run)"],
        ["device", "1", "cpu"],
        ["python", "1", "3.12"],
        ["torch", "2", "2.1 (2 runs), 2.0 (1 run)"],
    ]


def test_troubles_are_counted_by_kind_and_listed_last(run, tmp_path, study_of):
    run("a")
    asked = study_of(collect([tmp_path]).runs)
    troubles = [Trouble("missing", "x", "y"), Trouble("mixed", "z", "w"), Trouble("missing", "u", "v")]
    assert provenance.count(troubles) == (
        "Some runs of a sweep never started. Some means are over runs of different commits or devices."
    )
    assert provenance.count([]) == ""
    failed, _, files = provenance.section(asked, troubles).parts
    assert failed.text == "The tables contain 1 run." and texts(failed.table)[0] == ["missing", "x", "y"]
    names = {"summary.md", "results.csv", "results.parquet", "tables.tex", "figures"}
    assert {row[0].link for row in files.table.rows} == names
    clean = provenance.section(asked, []).parts[0]
    assert clean.text == "The tables contain 1 run, every one that was started." and clean.table is None
