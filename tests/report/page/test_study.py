"""The page's first sentences against sentences by hand, the short names of tables, and the sparsity it begins with."""

import pandas as pd
import pytest

from prunebert.report.page import study
from prunebert.report.statistics.ranking import Entry, Ranking, Row


def runs_of(*, methods, tasks=("toy",), models=("m",), sparsities=(0.9,), seeds=(0,)):
    columns = ["method", "task", "model", "sparsity", "seed"]
    rows = [(m, t, o, s, e) for m in methods for t in tasks for o in models for s in sparsities for e in seeds]
    runs = pd.DataFrame(rows, columns=columns).assign(table=lambda d: d["task"] + ", " + d["model"])
    return runs.assign(steps=[300.0 if method == "smp" else 100.0 for method in runs["method"]])


SENTENCES = [
    (
        {"methods": ["smp"]},
        "the method smp on the task toy with the model m, at sparsity 0.9, 1 seed, 300 steps: 1 run.",
    ),
    (
        {"methods": ["dense"], "sparsities": [0.0], "seeds": [0, 1]},
        "the method dense on the task toy with the model m, nothing pruned, 2 seeds, 100 steps: 2 runs.",
    ),
    (
        {"methods": ["smp", "gmp"], "tasks": ["a", "b"], "models": ["/x/m1", "m2/"], "sparsities": [0.0, 0.5, 0.97]},
        "2 methods (smp, gmp) on 2 tasks (a, b) with 2 models (m1, m2), at sparsity 0.5 and 0.97, 1 seed, "
        "100 to 300 steps: 24 runs.",
    ),
    (
        {"methods": [f"m{i}" for i in range(15)], "sparsities": [0.9, 0.5, 0.8]},
        "15 methods on the task toy with the model m, at sparsity 0.5, 0.8 and 0.9, 1 seed, 100 steps: 45 runs.",
    ),
    (
        {"methods": ["smp"], "sparsities": [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7]},
        "the method smp on the task toy with the model m, at 7 sparsities from 0.1 to 0.7, 1 seed, 300 steps: 7 runs.",
    ),
]


@pytest.mark.parametrize(("shape", "expected"), SENTENCES, ids=range(len(SENTENCES)))
def test_the_first_sentence_says_what_was_compared(shape, expected):
    assert study.sentence(runs_of(**shape)) == expected[0].upper() + expected[1:]
    unknown = runs_of(**shape).assign(steps=float("nan"))
    assert "step" not in study.sentence(unknown) and "nan" not in study.sentence(unknown)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["a, tiny", "b, tiny"], ["a", "b"]),
        (["a, tiny", "b, base"], ["a, tiny", "b, base"]),
        (["a, tiny, weights 1", "a, tiny, weights 2"], ["a, tiny, weights 1", "a, tiny, weights 2"]),
        (["a, tiny"], ["a, tiny"]),
        (["tiny", "a, tiny"], ["tiny", "a, tiny"]),
        (["a, x, tiny", "b, x, tiny"], ["a", "b"]),
    ],
)
def test_tables_are_called_by_what_differs_at_the_front_of_their_names(study_of, names, expected):
    assert list(study.short_names(names).values()) == expected


def ranking(sparsity, rows, mark=""):
    cells = {"t": Entry(0.5, 0.1, 2, 1, mark)}
    return Ranking(
        sparsity, ["t"], {"t": "f1"}, [Row(str(i), "smp", "encoder", cells, 1, 1, 0) for i in range(rows)], []
    )


def test_the_page_begins_with_the_sparsity_of_most_rows_then_with_the_nearest_to_nine_tenths():
    assert study.first([ranking(0.5, 3), ranking(0.9, 2)]) == 0
    assert study.first([ranking(0.5, 3), ranking(0.8, 3), ranking(0.97, 3), ranking(0.99, 3)]) == 2
    assert study.first([ranking(0.5, 9, "reference"), ranking(0.6, 2)]) == 1
    assert study.nearest([0.5, 0.84, 0.97]) == 1 and study.nearest([]) == 0
