"""The tables of scores, costs and runs against numbers by hand."""

import pandas as pd
import pytest

from prunebert.report import cells
from prunebert.report.collect import collect
from prunebert.report.page import tables
from prunebert.report.published import numbers as published


def test_scores_are_no_weights_and_a_run_of_an_earlier_version_does_not_know():
    costs = {"device": "cpu", "steps": 9.0, "seconds_per_step": 0.1, "seconds": 1.0, "peak_memory_bytes": 2.0**30}
    cells = [("smp", 400.0, 400.0), ("movement", 700.0, 400.0), ("dense", 300.0, 0.0), ("old", 300.0, float("nan"))]
    rows = [{"label": n, "sparsity": 0.9, **costs, "trained_parameters": p, "trained_scores": s} for n, p, s in cells]
    table = tables.costs(pd.DataFrame(rows))
    assert table.columns[-2:] == ["trained weights", "trained scores"]
    assert [[cell.text for cell in row[-2:]] for row in table.rows] == [
        ["0", "400"],
        ["300", "400"],
        ["300", "0"],
        ["–", "–"],
    ]


def texts(table):
    return [[cell.text for cell in row] for row in table.rows]


def test_a_cost_is_a_mean_over_the_runs_of_one_device_and_memory_is_the_largest_peak():
    """Seconds per step are the mean of the runs' own, which are without evaluations; not seconds / steps."""
    keys = ("device", "steps", "seconds", "seconds_per_step", "peak_memory_bytes")
    costs = [("cpu", 10, 4.0, 0.1, 2**30), ("H200", 10, 1.0, 0.01, 7 * 2**30), ("cpu", 30, 8.0, 0.3, 3.5 * 2**30)]
    costs.append(("", 10, 5.0, 0.5, float("nan")))
    facts = {"label": "smp", "sparsity": 0.9, "trained_parameters": 5.0, "trained_scores": 2.0}
    rows = pd.DataFrame([facts | dict(zip(keys, cost, strict=True)) for cost in costs])
    assert [row[2:8] for row in texts(tables.costs(rows))] == [
        ["cpu", "2", "20", "0.2000", "6.0", "3.50"],
        ["H200", "1", "10", "0.0100", "1.0", "7.00"],
        ["unknown", "1", "10", "0.5000", "5.0", "–"],
    ]


def test_scores_have_the_steps_of_their_cells_a_sort_value_and_the_best_in_bold(run, tmp_path):
    for seed, steps in ((0, 10), (1, 20)):
        run(f"s{seed}", "smp", 0.5, seed, wrong=10 + 2 * seed, steps=steps)
    run("s9", "smp", 0.9, steps=40)
    run("m", "magnitude", 0.5, wrong=30)
    table = tables.scores(cells.cells(collect([tmp_path]).runs), lower_is_better=False)
    assert texts(table) == [
        ["magnitude", "encoder", "9", "0.7000 (1)", "–"],
        ["smp", "encoder", "15 to 40", "0.8900 ± 0.0141 (2)", "0.8000 (1)"],  # √2 / 2 · 0.02
    ]
    assert [[cell.kind for cell in row[3:]] for row in table.rows] == [["", "muted"], ["best", ""]]
    assert table.note.startswith(
        "Bold: the best mean of its column, if tests separate it from all rows with the same “sparsity of”. "
    )
    low, high = (row[3].sort for row in table.rows)
    assert low == 0.7 and abs(high - 0.89) < 1e-12 and table.rows[0][4].sort < 0 and table.rows[1][2].sort == 15


def test_every_run_is_shown_with_its_own_facts(run, tmp_path):
    measured = {"sparsity_encoder": 0.5, "sparsity_encoder_pooler": 0.49, "sparsity_encoder_pooler_embeddings": 0.4}
    commit = {"git_commit": "0123456789abcdef", "git_dirty": True}
    run("a", "smp", 0.5, 3, wrong=14, sparsity_model=0.3, majority_score=0.55, seconds=12.34, **measured, **commit)
    run("b", "smp", 0.5, 4, git_commit=None)
    table = tables.every_run(collect([tmp_path]).runs)
    (first, second) = (dict(zip(table.columns, row, strict=True)) for row in texts(table))
    command, directory = first.pop("command that repeats it"), first.pop("directory")
    assert command == "prunebert method=smp sparsity=0.5 seed=3" and directory.endswith("/a")
    assert first == {
        **{"method": "smp", "sparsity": "0.5", "seed": "3", "score": "0.8600"},
        **{"prunebert at commit": "0123456789 with local changes", "encoder": "0.5000", "encoder, pooler": "0.4900"},
        **{"encoder, pooler, embeddings": "0.4000", "whole model": "0.3000", "constant baseline": "0.5500"},
        "seconds": "12.3",
    }
    assert second["prunebert at commit"] == "installed package"


def number(**changes):
    """Return a published number with the keys that `published.candidates` adds."""
    columns = {"source": "SMP Table 1", "read": "quoted", "where": "row 3", "kind": "measured", "note": ""}
    columns |= {"metric": "f1", "score": 0.75, "std": float("nan"), "seeds": float("nan"), "epochs": 3.0}
    return columns | {"mean": 0.8, "sd": 0.01, "n": 2, "differing": {}} | changes


@pytest.fixture
def beside(monkeypatch):
    """Return a function that gives the texts of both tables of published numbers, for one cell."""
    cell = pd.DataFrame([{"label": "smp", "sparsity": 0.9, "model": "m", "task": "t"}])

    def call(*numbers):
        monkeypatch.setattr(published, "of_task", lambda *_: pd.DataFrame([{"x": 1}]))
        monkeypatch.setattr(published, "comparisons", lambda *_: [n for n in numbers if not n["differing"]])
        monkeypatch.setattr(published, "closest", lambda *_: [n for n in numbers if n["differing"]])
        tables_of_both = (
            tables.published_comparisons(cell, pd.DataFrame()),
            tables.published_with_other_settings(cell, pd.DataFrame()),
        )
        return [texts(table) for table in tables_of_both]

    return call


def test_a_published_number_has_its_deviation_source_kind_note_epochs_and_seeds(beside):
    (second, first, third), _ = beside(  # what was read in the paper itself is listed first
        number(),
        number(score=0.7, std=0.0123, seeds=5.0, epochs=1.0, note="read twice", read="paper"),
        number(kind="interpolated", epochs=float("nan"), seeds=1.0, score=0.85),
    )
    head = ["smp", "0.9", "f1", "0.8000 ± 0.0100 (2)"]
    assert first == [*head, "0.75", "+0.0500", "SMP Table 1 (quoted there from another paper), row 3", "3 epochs"]
    assert second[4:] == [
        *("0.7 ± 0.0123", "+0.1000"),
        *("SMP Table 1 (read in the paper), row 3; read twice", "1 epoch, 5 seeds"),
    ]
    assert third[5] == "-0.0500" and third[7] == "unknown, 1 seed"
    kind = "interpolated: linear between two runs of the movement sheet; no run has this sparsity"
    assert third[6] == f"SMP Table 1 (quoted there from another paper), row 3; {kind}"


def test_settings_that_differ_are_named_the_numbers_first_and_at_most_four(beside):
    differing = {f"fit.k{i}": (str(i), str(i + 10)) for i in range(6)}
    four = dict(list(differing.items())[:4])
    _, (row, whole) = beside(number(differing=differing), number(differing=four))
    named = "; ".join(f"fit.k{i}={i}, here {i + 10}" for i in range(4))
    assert row[3:5] == ["0.75", f"{named}; and 2 more settings"] and whole[4] == named
