"""Runs of a few words each, and the findings of a table of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from prunebert.report.collect import collect
from prunebert.report.findings import results
from prunebert.report.findings.results import Results

COLUMNS = ("method", "sparsity", "seed", "score")


def table(file: Path, rows: Sequence[dict[str, Any]]) -> Path:
    """Write a results.csv with a row for each run; a row may have any key of a result.json, groups included."""
    usual = {
        **{"task": "toy", "model": "tiny", "metric": "accuracy", "prunable": "encoder", "fit": "measured"},
        **{"majority_score": 0.5, "steps": 300, "git_commit": "c" * 40, "device": "cpu", "of": "encoder"},
    }
    lines = []
    for given in rows:
        row = usual | given
        row.setdefault("command", f"prunebert method={row['method']} sparsity={row['sparsity']} seed={row['seed']}")
        row.setdefault("sparsity_encoder", row["sparsity"])
        row |= {f"metrics.{row['metric']}": row["score"], "settings.sparsity": 0.1}
        lines.append(row)
    pd.DataFrame(lines).to_csv(file, index=False)
    return file


def runs(*groups: tuple[str, float, Sequence[float]], **facts: Any) -> list[dict[str, Any]]:
    """Return the rows of ("smp", 0.9, [score of seed 0, score of seed 1, …]), …; facts: of all of them."""
    return [
        dict(zip(COLUMNS, (method, sparsity, seed, score), strict=True)) | facts
        for method, sparsity, scores in groups
        for seed, score in enumerate(scores)
    ]


@pytest.fixture
def results_of(tmp_path: Path) -> Callable[..., Results]:
    """Return a function that reads rows as a report does, and computes its rankings and tests."""

    def read(rows: Sequence[dict[str, Any]], *baselines: str) -> Results:
        return results.of(collect([table(tmp_path / "results.csv", rows)]), baselines)

    return read
