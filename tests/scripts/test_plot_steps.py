"""Test the figure of scores against steps."""

import pandas as pd

from tests.toys import script


def test_a_line_has_a_methods_scores_by_steps():
    """There is a panel for each sparsity and seed. Dense is in each of its seed, and fixed weights are left out."""
    columns = ["method", "task", "sparsity", "seed", "score", "settings.fit.steps", "settings.keep_pretrained"]
    rows = [
        ("smp", "a", 0.9, 0, 0.7, 900, None),
        ("smp", "a", 0.9, 0, 0.6, 90, None),
        ("dense", "a", 0, 0, 0.9, 90, None),
    ]
    rows += [
        ("imp", "a", 0.9, 0, 0.55, 30, False),
        ("magnitude", "a", 0.9, 0, 0.8, 90, True),
        ("smp", "a", 0.5, 0, 0.75, 90, None),
    ]
    rows += [("smp", "a", 0.9, s, 0.65 + s / 10, 300, None) for s in (0, 1)]
    runs = pd.DataFrame(rows, columns=columns).assign(majority_score=0.5, metric="accuracy")
    left, right, other_seed = script("plot_steps").draw(runs).axes
    lines = {line.get_label(): (list(line.get_xdata()), list(line.get_ydata())) for line in right.lines}
    assert right.get_title() == "a at 0.9, seed 0" and right.get_ylabel() == "accuracy"
    assert lines.pop("constant baseline")[1] == [0.5, 0.5]
    assert lines == {"smp": ([90, 300, 900], [0.6, 0.65, 0.7]), "dense": ([90], [0.9]), "imp": ([90], [0.55])}
    assert [tick.get_text() for tick in right.get_xticklabels()] == ["90", "300", "900"]
    assert {line.get_label() for line in left.lines} == {"smp", "dense", "constant baseline"}
    assert {line.get_label() for line in other_seed.lines} == {"smp", "constant baseline"}
