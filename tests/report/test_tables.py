"""The table of costs tells trained weights from trained scores."""

import pandas as pd

from prunebert.report import tables


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
