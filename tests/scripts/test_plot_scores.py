"""Test the README's picture: what its lines show, and that the script draws it from results/tiny."""

import sys
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from prunebert.report.figures.style import LIGHT
from tests.toys import script

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "results/tiny"


@pytest.fixture
def plot_scores(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "scripts")
    return script("plot_scores")


def runs_by_hand(plot_scores):
    """Two tasks with accuracies and one with a correlation. The methods differ by a tenth at each sparsity."""
    rows = [("dense", task, 0.0, seed, 0.9 + seed / 100) for task in "ab" for seed in (0, 1)]
    for number, method in enumerate(plot_scores.SHOWN):
        rows += [(method, "a", s, seed, 0.8 - number / 10 - s / 10 + seed / 50) for s in (0.5, 0.9) for seed in (0, 1)]
        rows += [(method, "b", s, 0, 0.6 - number / 10) for s in (0.5, 0.9)]
        rows.append((method, "c", 0.5, 0, 0.1))
    runs = pd.DataFrame(rows, columns=["label", "task", "sparsity", "seed", "score"])
    runs["metric"] = runs["task"].map({"a": "accuracy", "b": "accuracy", "c": "pearson"})
    return runs.assign(method=runs["label"], majority_score=runs["task"].map({"a": 0.5, "b": 0.1, "c": 0.0}))


def test_the_lines_are_means_over_tasks_of_means_over_seeds(plot_scores):
    runs = runs_by_hand(plot_scores)
    axes = plot_scores.draw(runs, LIGHT).axes[0]
    lines = [(list(line.get_xdata()), list(line.get_ydata())) for line in axes.lines]
    for number, (x, y) in enumerate(lines[:-2]):
        means = [((0.8 - number / 10 - s / 10 + 0.01) + (0.6 - number / 10)) / 2 for s in (0.5, 0.9)]
        assert x == [0.5, 0.9] and y == pytest.approx(means)
    dense, constant = (y[0] for _, y in lines[-2:])
    assert dense == pytest.approx(0.905) and constant == pytest.approx(0.3)
    assert axes.get_title(loc="left") == "Mean accuracy on 2 tasks, 2-layer BERT, 2 seeds"
    with pytest.raises(ValueError, match=r"a task is missing.*smp"):
        plot_scores.draw(runs[(runs["label"] != "smp") | (runs["task"] != "b")], LIGHT)


def test_labels_of_lines_that_end_together_are_apart(plot_scores):
    gap = plot_scores.LABEL_GAP
    heights = plot_scores.label_heights({"a": 0.7, "b": 0.7 - gap / 4, "c": 0.7 + gap, "d": 0.5})
    assert heights == pytest.approx({"d": 0.5, "b": 0.7 - gap / 4, "a": 0.7 + gap * 3 / 4, "c": 0.7 + gap * 7 / 4})


def test_the_script_draws_the_results_of_the_repository(plot_scores, monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "argv", ["plot_scores.py", str(RESULTS), str(tmp_path)])
    plot_scores.main()
    for name in ("score-light.png", "score-dark.png"):
        drawn, shown = (Image.open(folder / name) for folder in (tmp_path, ROOT / "docs/images"))
        assert drawn.size == shown.size and drawn.size[0] == 1400
        assert len(drawn.convert("RGB").getcolors()) > 8
        assert (ROOT / "docs/images" / name).stat().st_size < 60_000
