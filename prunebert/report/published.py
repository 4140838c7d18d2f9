"""Published results: numbers that others printed, each with its source, read from published.csv.

Its columns: source; read ("paper" or "readme": there, "slides": the authors', "quoted": `source` quotes others); model,
task, metric, method in prunebert's names, with "not told" where the source leaves a metric open, and other words for
what prunebert has not (method cap, metric accuracy_pooled); variant, settings that the number belongs to
("allocation=local|score": one of them); sparsity, the fraction removed; denominator, what it is a fraction of; kd, the
teacher's kind or "no"; epochs, score, std, seeds where told; note. Scores are fractions, as runs have them.
Left out: averages over tasks, and compressed models of the same tables that prune nothing.
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
READ = {"paper": "read in the paper", "readme": "the repository's README", "slides": "the authors' slides"}
READ["quoted"] = "quoted there from another paper"
TEXT = ("source", "read", "model", "task", "metric", "method", "variant", "denominator", "kd", "note")


def table() -> pd.DataFrame:
    """Every published number, a row each."""
    with (files("prunebert.report") / "published.csv").open(encoding="utf-8") as stream:
        open_ended = {column: [""] for column in ("epochs", "std", "seeds")}
        return pd.read_csv(stream, dtype=dict.fromkeys(TEXT, "str"), keep_default_na=False, na_values=open_ended)


def points(published: pd.DataFrame, model: str, task: str, metric: str) -> pd.DataFrame:
    """The numbers of a model, task and metric. A model's folder or organisation does not count, its name does."""
    name = model.rstrip("/").rpartition("/")[2]
    return published[(published.model == name) & (published.task == task) & (published.metric == metric)]


def beside(cell: pd.DataFrame, published: pd.DataFrame) -> list[dict[str, Any]]:
    """Of one cell (`cell`: the runs of a variant at a sparsity), each metric's mean beside every published number that
    agrees in model, task, metric, method, its variant, sparsity, what that is a fraction of, and teacher or none."""
    run = cell.iloc[0]
    own = settings(run["row"])
    rows = []
    for metric in sorted({m for found in cell["metrics"] for m in found}):
        values = cell["metrics"].map(lambda m, metric=metric: m.get(metric)).dropna()
        near = points(published, run["model"], run["task"], metric)
        near = near[(near.method == run["method"]) & ((near.sparsity - run["sparsity"]).abs() < 5e-5)]
        if run["sparsity"] > 0:
            near = near[near.denominator == run["of"]]
        teacher = "no" if run["distill"] == "none" else run["distill"]
        near = near[near.kd == teacher]
        for _, point in near[near.variant.map(lambda v: _fits(v, own))].iterrows():
            rows.append({"metric": metric, "mean": values.mean(), "sd": values.std(), "n": len(values), **point})
    return rows


def _fits(variant: str, own: dict[str, str]) -> bool:
    """Whether a run's settings are those that a published number belongs to."""
    asked = [word.split("=") for word in variant.split(";") if word]
    return all(own.get(key) in values.split("|") for key, values in asked)
