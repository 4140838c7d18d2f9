"""The tables of scores, costs and runs against numbers by hand."""

import math

import pandas as pd

from prunebert.report import cells
from prunebert.report.collect import collect
from prunebert.report.page import tables
from prunebert.report.statistics import paired


def texts(table):
    return [[cell.text for cell in row] for row in table.rows]


COST = {"device": "cpu", "steps": 9.0, "seconds_per_step": 0.1, "seconds": 1.0, "peak_memory_bytes": 2.0**30}


def test_scores_are_no_weights_and_a_run_of_an_earlier_version_does_not_know():
    cells = [("smp", 400.0, 400.0), ("movement", 700.0, 400.0), ("dense", 300.0, 0.0), ("old", 300.0, math.nan)]
    rows = [
        {"label": n, "sparsity": 0.9, **COST, "trained_parameters": p, "trained_scores": s, "disk_bytes": math.nan}
        for n, p, s in cells
    ]
    table = tables.costs(pd.DataFrame(rows))
    assert table.columns[3:5] == ["trained weights", "trained scores"]
    assert [row[3:5] for row in texts(table)] == [["0", "400"], ["300", "400"], ["300", "0"], ["–", "–"]]
    assert "device" not in table.columns and table.note == "The same in all rows: device: cpu."


def test_a_cost_is_a_mean_over_the_runs_of_one_device_as_is_memory():
    """Seconds per step are the mean of the runs' own, which are without evaluations; not seconds / steps."""
    keys = ("device", "steps", "seconds", "seconds_per_step", "peak_memory_bytes", "disk_bytes")
    costs = [("cpu", 10, 4.0, 0.1, 2**30, 2**20), ("H200", 10, 1.0, 0.01, 7 * 2**30, 2**19)]
    costs += [("cpu", 30, 8.0, 0.3, 3.5 * 2**30, 2**21), ("", 10, 5.0, 0.5, math.nan, math.nan)]
    facts = {"label": "smp", "sparsity": 0.9, "trained_parameters": 5.0, "trained_scores": 2.0}
    rows = pd.DataFrame([facts | dict(zip(keys, cost, strict=True)) for cost in costs])
    table = tables.costs(rows)
    assert [[row[2], *row[5:]] for row in texts(table)] == [
        ["2", "20", "0.2000", "6.0", "2.25", "1.57", "cpu"],
        ["1", "10", "0.0100", "1.0", "7.00", "0.52", "H200"],
        ["1", "10", "0.5000", "5.0", "–", "–", "unknown"],
    ]
    assert table.columns[-2:] == ["MB on disk", "device"]


def test_scores_have_the_steps_of_their_cells_a_sort_value_and_what_all_rows_share_below(run, tmp_path):
    for seed, steps in ((0, 10), (1, 20)):
        run(f"s{seed}", "smp", 0.5, seed, wrong=10 + 2 * seed, steps=steps)
    run("s9", "smp", 0.9, steps=40)
    run("m", "magnitude", 0.5, wrong=30)
    table = tables.scores(cells.cells(collect([tmp_path]).runs))
    assert table.columns == ["method", "steps", "0.5", "0.9"] and table.note.startswith(
        "The same in all rows: sparsity of: encoder."
    )
    assert texts(table) == [
        ["magnitude", "9", "0.7000 (1)", "–"],
        ["smp", "15 to 40", "0.8900 ± 0.0141 (2)", "0.8000 (1)"],  # √2 / 2 · 0.02
    ]
    low, high = (row[2].sort for row in table.rows)
    assert low == 0.7 and abs(high - 0.89) < 1e-12 and table.rows[0][3].sort < 0 and table.rows[1][1].sort == 15
    run("other", "gmp", 0.5, prunable="encoder_pooler_embeddings")
    table = tables.scores(cells.cells(collect([tmp_path]).runs))
    assert [row[1] for row in texts(table)] == ["encoder", "encoder, pooler, embeddings", "encoder"]


def test_where_many_sparsities_leave_no_room_the_deviation_is_below_the_mean(run, tmp_path):
    for k in range(7):
        for seed in (0, 1):
            run(f"{k}{seed}", "smp", 0.1 * (k + 1), seed, wrong=10 + 2 * seed)
    runs = collect([tmp_path]).runs
    cell = tables.scores(cells.cells(runs)).rows[0][3]
    assert (cell.text, cell.below.text) == ("0.8900", "± 0.0141 (2)")
    cell = tables.scores(cells.cells(runs[runs["sparsity"] > 0.15])).rows[0][3]
    assert (cell.text, cell.below) == ("0.8900 ± 0.0141 (2)", None)


def test_a_column_with_one_text_is_said_once_and_one_row_too():
    table = tables.Table(["a", "b", "c"], [[tables.Cell(x) for x in row] for row in ("1xy", "2xz")], "More.")
    found = tables.without_constants(table, ("b", "c"))
    assert found.columns == ["a", "c"] and texts(found) == [["1", "y"], ["2", "z"]]
    assert found.note == "The same in all rows: b: x. More."
    assert tables.without_constants(table, ("a", "c")) == table


def test_a_difference_has_its_intervals_and_bold_below_a_twentieth_after_holm():
    row = {"label": "smp", "sparsity": 0.9, "against": "magnitude", "other_denominator": False, "seeds": 3}
    row |= {"difference": 0.0123, "seeds_low": -0.01, "seeds_high": 0.03, "examples_low": math.nan}
    row |= {"examples_high": math.nan, "why_no_interval": "over examples: f1; over seeds: no"}
    row |= {"examples": paired.Test(0.004, wins="5 : 2"), "by_seed": paired.Test(None, "too few seeds (2)")}
    row |= {"examples_holm": 0.0401, "by_seed_holm": None}
    other = row | {"label": "gmp", "examples_holm": 0.0601, "examples": paired.Test(0.0002), "seeds": 2}
    other |= {"other_denominator": True, "why_no_interval": "", "seeds_low": math.nan}
    table = tables.differences(pd.DataFrame([row, other]))
    assert table.columns == [
        *("method", "seeds", "difference", "95 % interval, seeds", "won : lost", "raw p, examples", "p, examples"),
        "against",
    ]
    dagger = "magnitude\N{NO-BREAK SPACE}†"
    assert texts(table) == [
        ["smp", "3", "+0.0123", "-0.0100 to +0.0300", "5 : 2", ".004", ".040", "magnitude"],
        ["gmp", "2", "+0.0123", "–", "–", "<0.001", ".060", dagger],
    ]
    assert [row[6].kind for row in table.rows] == ["best", ""]
    same = "sparsity: 0.9; 95 % interval, examples: –; raw p, seeds: too few seeds (2); p, seeds: –"
    reasons = "No interval over examples: f1. No interval over seeds: no."
    assert (
        table.note
        == f"The same in all rows: {same}. {reasons} † The two sparsities are fractions of different matrices."
    )
    alone = tables.differences(pd.DataFrame([row]))
    assert len(alone.columns) == 12 and texts(alone)[0][-3:] == ["too few seeds (2)", "–", "magnitude"]
