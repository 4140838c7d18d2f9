"""Groups of a run's own rows, named after it finished: kept by evaluate, shown by info."""

import json
import shutil

import pandas as pd
import pytest

from prunebert.runs import artifacts
from tests.toys import rows


@pytest.mark.slow
def test_a_run_with_groups_stores_them(finished):
    table = artifacts.predictions(finished("method=magnitude", "sparsity=0.6", "task.groups=position"))
    assert table["group"].tolist() == rows(40, seed=1)["position"].astype(str).tolist()


def test_a_finished_run_is_grouped_by_a_column_later(finished, cli, tmp_path):
    run = shutil.copytree(finished("method=magnitude", "sparsity=0.6"), tmp_path / "run")
    status, printed = cli("evaluate", "run", "task.groups=position", "impl.threads=1", "--keep")
    assert status == 0 and "kept in run/evaluations" in printed, printed
    (file,) = (run / "evaluations").iterdir()
    kept = json.loads(file.read_text())
    table = artifacts.predictions(run)
    right = (table.prediction == table.label).groupby(rows(40, seed=1)["position"]).agg(["size", "sum"])
    expected = {str(g): {"rows": n, "right": r} for g, n, r in right.itertuples()}
    assert kept["groups"] == expected and kept["own_rows"] is True
    status, printed = cli("info", "run")
    lowest = min(expected.values(), key=lambda each: each["right"] / each["rows"])
    shown = " ".join(printed.split()).partition(" groups ")[2]
    assert f"{lowest['right'] / lowest['rows']:.4f} ({lowest['rows']} rows)" in shown[:60]
    assert pd.Series(expected).map(lambda each: each["rows"]).sum() == 40
    assert "nothing is kept" in cli("evaluate", "run", "impl.threads=1", "--keep")[1]  # no groups, nothing new
