"""`prunebert compare` on runs with predictions: their agreement beside the masks, and the loyalty to a dense run."""

import json

import numpy as np
import pandas as pd
import pytest
import torch

from prunebert.analysis import comparison
from prunebert.commands import compare, compare_figure, compare_predictions
from prunebert.masks import maskfile
from prunebert.masks.maskfile import MaskFile
from tests.toys import RESULT, write_result

GOLD = np.array([0, 1] * 10)


def write(root, method, seed, wrong, gold=GOLD, model="toy"):
    """Write a run whose first `wrong` predictions are wrong; wrong None: without predictions."""
    (root / ".hydra").mkdir(parents=True)
    random = np.random.default_rng(seed + len(method))
    mask = torch.from_numpy(random.random((9, 9)) >= (0 if method == "dense" else 0.5))
    (root / "masks.safetensors").write_bytes(maskfile.encode(MaskFile({"x.layer.0.a": mask}, model, "h")))
    if wrong is not None:
        prediction = np.where(np.arange(20) < wrong, 1 - gold, gold)
        table = {"split": "v", "id": [str(i) for i in range(20)], "label": gold, "prediction": prediction}
        pd.DataFrame(table | {"scores": list(np.eye(2)[prediction])}).to_parquet(root / "predictions.parquet")
    row = {"method": method, "seed": seed, "model": model, "metric": "accuracy", "sparsity": 0.5}
    write_result(root, RESULT | row)
    return root


@pytest.fixture
def runs(tmp_path):
    """Two runs on the same rows, one on others, one without predictions, and two dense runs."""
    return [
        write(tmp_path / "a", "smp", 0, 4),
        write(tmp_path / "b", "smp", 1, 10),
        write(tmp_path / "c", "imp", 0, 0, gold=1 - GOLD),
        write(tmp_path / "d", "imp", 1, None),
        write(tmp_path / "e", "dense", 0, 2),
        write(tmp_path / "f", "dense", 5, 6),
    ]


def test_predictions_are_compared_where_two_runs_have_the_same_rows(runs):
    result = comparison.comparison(runs)
    square = result["predictions"]
    assert square["agreement"] == [[1, 0.7, None, None], [0.7, 1, None, None], [None, None, 1, None], [None] * 4]
    assert square["independent"][0][1] == pytest.approx(0.8 * 0.5 + 0.2 * 0.5)
    assert square["beyond_accuracy"][0][1] == pytest.approx(0.2 / 0.5) and "correlation" not in square
    assert len(result["without_predictions"]) == 1 and "d/predictions.parquet" in result["without_predictions"][0]
    # Softmax of (1, 0) and (0, 1): e / (1 + e) and 1 / (1 + e), where predictions differ.
    p, q = np.e / (1 + np.e), 1 / (1 + np.e)
    distance = np.sqrt(p * np.log(2 * p) + q * np.log(2 * q))
    same, mean = result["loyalty"][0], result["loyalty"][1]
    assert (same["labels"], same["dense"], same["same_seed"]) == (0.9, 1, True)
    assert same["probabilities"] == pytest.approx(1 - 0.1 * distance) and same["correlation"] is None
    assert (mean["labels"], mean["dense"], mean["same_seed"]) == (pytest.approx((0.6 + 0.8) / 2), 2, False)
    assert result["loyalty"][2:] == [None, None]
    assert (result["dense_loyalty"]["labels"], result["dense_loyalty"]["pairs"]) == (0.8, 1)
    assert json.loads("".join(compare.as_json(result))) == result


def test_a_dense_run_of_another_model_or_none_gives_no_loyalty(tmp_path, capsys):
    runs = [write(tmp_path / "a", "smp", 0, 4), write(tmp_path / "b", "smp", 1, 10)]
    runs.append(write(tmp_path / "e", "dense", 0, 2, model="other"))
    result = comparison.comparison(runs)
    assert result["loyalty"] == [None, None] and result["dense_loyalty"] is None
    compare_predictions.show(result)
    assert "no dense run of this task and model is among the runs" in " ".join(capsys.readouterr().out.split())


def test_the_tables_fit_80_columns_and_have_every_number(runs, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    compare_predictions.show(comparison.comparison(runs))
    lines = capsys.readouterr().out.splitlines()
    assert all(len(line) <= 80 for line in lines if "not in the comparison" not in line)
    pair = next(line.split() for line in lines if line.startswith("smp") and "0.7000" in line)
    assert pair[6:8] == ["0.7000", "0.5000"] and pair[8] == "0.4000"
    loyal = [line.split()[3:] for line in lines if line.startswith("smp seed") and ("same" in line or "mean" in line)]
    assert [line[:-1] for line in loyal] == [["the", "same", "0.9000"], ["mean", "of", "2", "0.7000"]]
    assert "with each other: label loyalty 0.8000" in " ".join(lines)
    assert sum("not in the comparison of predictions: " in line for line in lines) == 1


def test_the_figure_has_a_panel_of_the_agreement_in_the_order_of_the_tree_only_if_there_is_one(runs, tmp_path):
    result = comparison.comparison(runs)
    figure = compare_figure.draw(result)
    panel = next(axes for axes in figure.axes if axes.get_title().startswith("agreement of predictions"))
    shown = np.ma.filled(panel.images[0].get_array(), np.nan)
    assert np.isnan(np.diag(shown)).all() and panel.images[0].get_clim() == (-1, 1)
    places = {run: row for row, run in enumerate(result["order"])}
    expected = np.full((4, 4), np.nan)
    expected[places[0], places[1]] = expected[places[1], places[0]] = 0.4
    assert shown == pytest.approx(expected, nan_ok=True)
    without = compare_figure.draw(comparison.comparison([runs[0], runs[2]]))  # on other rows
    assert not any(axes.get_title().startswith("agreement of predictions") for axes in without.axes)
