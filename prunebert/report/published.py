"""Read published.csv: results that papers and repositories report, each with its source.

Its columns:
    source: see `CITED`.
    read: where the number was read: "paper", "readme", "slides" (the authors'), or "quoted" (`source` quotes others).
    model, task, metric, method: prunebert's names. A metric that the source leaves open is "not told". Methods and
        metrics that prunebert lacks have other names (method cap, metric accuracy_pooled).
    variant: settings that the number belongs to; "allocation=local|score" means either of the two.
    sparsity: the fraction removed.
    denominator: what the sparsity is a fraction of.
    kd: the kind of the teacher, or "no".
    epochs, score, std, seeds: empty where the source does not state them. Scores are fractions, as in runs.
    note: free text.
Averages over tasks are left out, and so are compressed models that prune nothing.
"""

from __future__ import annotations

from importlib.resources import files
from typing import Any

import pandas as pd

from prunebert.report.variants import settings

CITED = {
    "SMP Table 1": "Jiang et al., ACL 2023, Table 1",
    "SMP Table 2": "Jiang et al., ACL 2023, Table 2",
    "AbP Supp. Table 2": "Gao, Colombo & Wang, arXiv 2105.03343, Supplementary Table 2",
    "movement README": "Sanh, Wolf & Rush, NeurIPS 2020: README of their code",
    "BERT-Tickets Table 2": "Chen et al., NeurIPS 2020, Table 2, as their repository shows it",
    "SparseBERT slides": "Xu et al., NAACL 2021: the authors' slides and poster",
    "SparseBERT README": "Xu et al., NAACL 2021: README of their code",
    "oBERT README": "Kurtic et al., EMNLP 2022: README of their code",
}
READ = {
    "paper": "read in the paper",
    "readme": "the repository's README",
    "slides": "the authors' slides",
    "quoted": "quoted there from another paper",
}
TEXT_COLUMNS = ("source", "read", "model", "task", "metric", "method", "variant", "denominator", "kd", "note")


def read_table() -> pd.DataFrame:
    """Return published.csv, a row per number."""
    with (files("prunebert.report") / "published.csv").open(encoding="utf-8") as stream:
        empty_is_nan = {column: [""] for column in ("epochs", "std", "seeds")}
        return pd.read_csv(
            stream, dtype=dict.fromkeys(TEXT_COLUMNS, "str"), keep_default_na=False, na_values=empty_is_nan
        )


def points(published: pd.DataFrame, model: str, task: str, metric: str) -> pd.DataFrame:
    """Return the numbers of a model, task and metric. Of a model's path only the last part counts."""
    name = model.rstrip("/").rpartition("/")[2]
    return published[(published.model == name) & (published.task == task) & (published.metric == metric)]


def comparisons(cell: pd.DataFrame, published: pd.DataFrame) -> list[dict[str, Any]]:
    """Return each published number that matches a cell, with the cell's mean of the same metric.

    A number matches if model, task, metric, method, variant, sparsity, denominator and teacher are the same.

    Args:
        cell: the runs of one variant at one sparsity.
        published: see `read_table`.
    """
    run = cell.iloc[0]
    run_settings = settings(run["row"])
    rows = []
    for metric in sorted({m for metrics in cell["metrics"] for m in metrics}):
        values = cell["metrics"].map(lambda m, metric=metric: m.get(metric)).dropna()
        matches = points(published, run["model"], run["task"], metric)
        matches = matches[(matches.method == run["method"]) & ((matches.sparsity - run["sparsity"]).abs() < 5e-5)]
        if run["sparsity"] > 0:
            matches = matches[matches.denominator == run["denominator"]]
        teacher = "no" if run["distill"] == "none" else run["distill"]
        matches = matches[matches.kd == teacher]
        for _, point in matches[matches.variant.map(lambda v: _has_settings(run_settings, v))].iterrows():
            rows.append({"metric": metric, "mean": values.mean(), "sd": values.std(), "n": len(values), **point})
    return rows


def _has_settings(run_settings: dict[str, str], variant: str) -> bool:
    """Return whether a run has the settings that a published number belongs to."""
    required = [word.split("=") for word in variant.split(";") if word]
    return all(run_settings.get(key) in values.split("|") for key, values in required)
