"""A row of a table is left out if a number cannot be, or if two of its numbers contradict each other."""

import shutil

import pandas as pd
import pytest

from prunebert.report import command, plausible, rows
from prunebert.report.collect import collect

HANS = tuple(f"evaluations.hans.{key}" for key in ("task", "metric", "score", "metrics.accuracy"))
EDITS = {
    "identity": ({"identity": "x" * 32}, f"identity is {'x' * 32}, not 32 hexadecimal digits"),
    "identity as a number": ({"identity": "1.2E+31"}, "identity is 1.2E+31, not 32 hexadecimal digits"),
    "checksum": ({"checksum": "ab"}, "checksum is ab, not 64 hexadecimal digits"),
    "prunable": ({"prunable": "all"}, "prunable is all, not encoder or"),
    "sparsity": ({"sparsity": -0.1}, "sparsity is -0.1, not a fraction from 0 to 1"),
    "measured sparsity": ({"sparsity_model": 1.5}, "sparsity_model is 1.5, not a fraction from 0 to 1"),
    "steps": ({"steps": -1}, "steps is -1, which is below 0"),
    "seconds": ({"seconds": -0.5}, "seconds is -0.5, which is below 0"),
    "disk_bytes": ({"disk_bytes": -8}, "disk_bytes is -8, which is below 0"),
    "percent": ({"score": 80, "metrics.accuracy": 80}, "score is 80, and accuracy is from 0 to 1"),
    "constant baseline": ({"majority_score": 50}, "majority_score is 50, and accuracy is from 0 to 1"),
    "another metric": ({"metrics.pearson": -1.2}, "metrics.pearson is -1.2, and pearson is from -1 to 1"),
    "score": ({"score": 0.81}, "score is 0.81, but metrics.accuracy is 0.8"),
    "rounded": ({"score": 0.8049, "metrics.accuracy": 0.8049}, "which no number of right answers out of 100 gives"),
    "seed": ({"seed": 5}, "seed is 5, but seed in its command is 0"),
    "seed in the command": ({"command": "prunebert seed=7"}, "seed is 0, but seed in its command is 7"),
    "sparsity in the command": (
        {"command": "prunebert sparsity=0.6"},
        "sparsity is 0.5, but sparsity in its command is 0.6",
    ),
    "sparsity as asked for": ({"sparsity": 0.6}, "sparsity is 0.6, but sparsity in its command is 0.5"),
    "a removed network": ({"sparsity": 1, "command": "prunebert"}, "sparsity is 1, and no run removes everything"),
    "negative seed": ({"seed": -2, "command": "prunebert seed=-2"}, "seed is -2, which is below 0"),
    "denominator": ({"of": "encoder_pooler"}, "of is encoder_pooler, but prunable is encoder"),
    "rows of data": ({"data.rows.validation": -100}, "data.rows.validation is -100, which is below 0"),
    "steps of a phase": ({"phases.prune.steps": -5}, "phases.prune.steps is -5, which is below 0"),
    "the constant baseline twice": (
        {"majority_score": 0.9, "majority.accuracy": 0.2},
        "majority_score is 0.9, but majority.accuracy is 0.2",
    ),
    "an unknown metric": ({"metric": "acc", "score": 93.5}, "metric is acc, but it has no metrics.acc"),
    "method": ({"method": "smp"}, "method is smp, but method in its command is magnitude"),
    "budget": ({"command": "prunebert fit=smoke"}, "fit is quick, but fit in its command is smoke"),
    "another task": (
        {"evaluations.hans.metric": "accuracy", "evaluations.hans.score": 7},
        "evaluations.hans.score is 7, and accuracy is from 0 to 1",
    ),
    "another task twice": (
        dict(zip(HANS, ("hans", "accuracy", 0.7, 0.6), strict=True)),
        "evaluations.hans.score is 0.7, but evaluations.hans.metrics.accuracy is 0.6",
    ),
    "text for another task": ({"evaluations.hans.score": "high"}, "evaluations.hans.score is high, not a number"),
    "masks": ({"sparsity_encoder": 0.4}, "sparsity_encoder is 0.4, but measured is 0.5"),
}


@pytest.fixture
def table(run, tmp_path):
    """The table of a report on one run whose directory is gone."""
    run("lab/a", identity="a" * 32)
    found = command.flatten(collect([tmp_path / "lab"]).runs).astype(object)
    shutil.rmtree(tmp_path / "lab")
    return found


@pytest.mark.parametrize("name", EDITS)
def test_an_edited_row_is_left_out_and_the_reason_has_the_key_and_the_value(table, tmp_path, name):
    changes, reason = EDITS[name]
    edited = pd.concat([table, table.assign(**changes)])
    file = tmp_path / "edited.csv"
    file.write_text(rows.as_csv(edited))
    collected = collect([file])
    (trouble,) = [t for t in collected.troubles if t.kind != "scores only"]
    assert (trouble.kind, trouble.location) == ("not used", f"{file}, row 2") and reason in trouble.reason
    assert collected.runs["score"].tolist() == [0.8]


RIGHT = {
    "rounded in the last digit": {"score": 0.8 + 1e-11},
    "no measured sparsity": {"measured": None},
    "another task": {"metric": "perplexity", "score": 12.5, "metrics.perplexity": 12.5, "majority_score": 300.0},
    "correlation": {"metric": "pearson", "score": -0.25, "metrics.pearson": -0.25, "majority_score": 0.0},
    "words": {"score": 0.8049, "metrics.accuracy": 0.8049, "form.tokens": True},
    "unknown rows": {"score": 0.8049, "metrics.accuracy": 0.8049, "data.rows.validation": None},
    "dense": {
        "method": "dense",
        **dict.fromkeys(("sparsity", "sparsity_encoder", "measured"), 0.0),
        "command": "prunebert method=dense sparsity=0.9",
    },
    "a method's own seed and sparsity": {"settings.seed": 9, "settings.sparsity": 0.7},
    "a word that ends alike": {"command": "prunebert teacher.seed=9 myseed=8 seed=3,4"},
    "spaces around names": {"method": " magnitude ", "task": "toy ", "metric": " accuracy"},
    "a budget with overrides": {"fit": "quick, steps=9", "command": "prunebert fit=quick fit.steps=9"},
    "a method in a folder": {"method": "mine/pruner", "command": "prunebert method=mine/pruner"},
    "a metric with a dot": {"metric": "rouge.l", "score": 0.3, "metrics.rouge.l": 0.3, "majority_score": 0.1},
    "one more metric": {"metrics.f1": None, "metrics.mine": 77.5},
}


@pytest.mark.parametrize("name", RIGHT)
def test_a_row_that_only_looks_odd_is_used(table, tmp_path, name):
    (tmp_path / "right.csv").write_text(rows.as_csv(table.assign(**RIGHT[name])))
    collected = collect([tmp_path / "right.csv"])
    assert len(collected.runs) == 1 and [t.kind for t in collected.troubles] == ["scores only"]


def test_numbers_are_the_same_but_for_rounding():
    assert plausible.close(0.1 + 0.2, 0.3) and plausible.close(float("nan"), float("nan"))
    assert not plausible.close(0.8, 0.8001) and not plausible.close(0.0, 1e-6)
