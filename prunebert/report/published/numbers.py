"""Read published.csv: results that papers and repositories report, each with its source.

Its columns:
    source: see `CITED`, which names the file.
    read: where the number was read, see `READ`.
    where: the cell in that file: its table, row and column.
    kind: how the number came about, see `KINDS`.
    model, task, metric, method: prunebert's names. A metric that the source leaves open is "not told". Methods and
        metrics that prunebert lacks have other names (method cap, metric accuracy_pooled).
    variant: the settings in which the number differs from fit=paper, as dotted keys of a result's settings, separated
        by semicolons. "allocation=uniform|score" means either of the two. A word without = is nothing prunebert has.
        Where a setting is itself a method, as sparse_transfer's pruner, that method's own keys replace the default's.
    sparsity: the fraction removed. The movement sheet counts ones of the masks, biases and LayerNorm of the encoder:
        1 - (remaining × 85,054,464 - 119,808) / 84,934,656 is the masks' own sparsity. Where a mask has a fixed size
        and the sheet has one decimal, it is the whole percent that rounds to the sheet's figure.
    denominator: what the sparsity is a fraction of.
    kd: the kind of the teacher, or "no".
    epochs, score, std, seeds: empty where the source does not state them, or where it was not read. Scores are
        fractions, as in runs.
    note: free text.
Averages over tasks are left out, and so are compressed models that prune nothing.
"""

from __future__ import annotations

from importlib.resources import files
from typing import Any

import numpy as np
import pandas as pd

from prunebert.report.published import agreement

CITED = {
    "SMP Table 1": "Jiang et al., ACL 2023, Table 1",
    "SMP Table 2": "Jiang et al., ACL 2023, Table 2",
    "SMP ablations": "Jiang et al., ACL 2023: ablations of masking function, head and penalty R",
    "AbP Supp. Table 2": "Gao, Colombo & Wang, arXiv 2105.03343, Supplementary Table 2",
    "AbP Table 3": "Gao, Colombo & Wang, arXiv 2105.03343, Table 3: shuffled masks and noisy weights",
    "AbP Table 4": "Gao, Colombo & Wang, arXiv 2105.03343, Table 4: no recovery",
    "movement README": "Sanh, Wolf & Rush, NeurIPS 2020: README of their code, in "
    "huggingface/transformers-research-projects, movement-pruning/",
    "movement sheet": "Sanh, Wolf & Rush, NeurIPS 2020: huggingface/nn_pruning, analysis/files/mvmt_pruning.xlsx",
    "movement cache": "Sanh, Wolf & Rush, NeurIPS 2020: huggingface/nn_pruning, "
    "analysis/cache/movementpruning_squadv1.json",
    "BERT-Tickets Table 2": "Chen et al., NeurIPS 2020, Table 2, as their repository VITA-Group/BERT-Tickets shows it",
    "SparseBERT slides": "Xu et al., NAACL 2021: the authors' slides and poster in DerronXu/SparseBERT",
    "SparseBERT README": "Xu et al., NAACL 2021: README of their code, DerronXu/SparseBERT",
    "oBERT README": "Kurtic et al., EMNLP 2022: README of their code, neuralmagic/sparseml",
    "Prune-OFA model card": "Zafrir et al. 2021: Intel's model card of BERT-base at 90 %, commit 57026fb",
    "GMP-star recipe": "Kurtic & Alistarh, arXiv 2210.06384: recipe bert-base-12layers_prune90 of neuralmagic/sparseml",
}
READ = {
    "paper": "read in the paper",
    "readme": "the repository's README",
    "slides": "the authors' slides",
    "sheet": "the authors' file of measurements",
    "quoted": "quoted there from another paper",
}
ANOTHER_SPARSITY = "another sparsity"
KINDS = {
    "measured": "a mean over runs, or one run",
    "interpolated": "linear between two runs of the movement sheet; no run has this sparsity",
    "unexplained": "no run of the movement sheet has this sparsity, and it is no linear interpolation",
    "derived": "the sum of a score and a difference that two tables print",
    "computed": "a dense score times the share of it that the source prints",
    ANOTHER_SPARSITY: "in the movement sheet this is a run at another sparsity than printed",
}
FEWEST_ON_A_CURVE = 3  # sparsities
FIRST_READ = ("sheet", "paper", "readme", "slides", "quoted")  # where a number that several sources print is taken from
ROUNDING = 6e-4  # of scores printed with three decimals, from others of the same runs
TEXT_COLUMNS = (
    *("source", "read", "where", "kind", "model", "task", "metric"),
    *("method", "variant", "denominator", "kd", "note"),
)


def read_table() -> pd.DataFrame:
    """Return published.csv, a row per number."""
    with (files("prunebert.report.published") / "published.csv").open(encoding="utf-8") as stream:
        empty_is_nan = {column: [""] for column in ("epochs", "std", "seeds")}
        return pd.read_csv(
            stream, dtype=dict.fromkeys(TEXT_COLUMNS, "str"), keep_default_na=False, na_values=empty_is_nan
        )


def of_task(published: pd.DataFrame, model: str, task: str) -> pd.DataFrame:
    """Return the numbers of a model and task. Of a model's path only the last part counts."""
    return published[(published.model == _last_part(model)) & (published.task == task)]


def points(published: pd.DataFrame, model: str, task: str, metric: str) -> pd.DataFrame:
    """Return the numbers of a model, task and metric. Of a model's path only the last part counts."""
    numbers = of_task(published, model, task)
    return numbers[numbers.metric == metric]


def _last_part(model: str) -> str:
    return model.rstrip("/").rpartition("/")[2]


def comparisons(cell: pd.DataFrame, numbers: pd.DataFrame | list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the candidates of a cell that agree with it in every setting, see `candidates`."""
    return [point for point in candidates(cell, numbers) if not point["differing"]]


def candidates(cell: pd.DataFrame, numbers: pd.DataFrame | list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return each published number of a cell's model, task, metric, method, sparsity, denominator and kind of teacher.

    Each is a row of published.csv with these keys added:
        mean, sd, n: the cell's mean of the same metric, its standard deviation and the number of runs.
        differing: the settings in which the runs differ from those of the number, see `agreement.differences`.
    Numbers that were measured at another sparsity than they are printed at are left out.

    Args:
        cell: the runs of one variant at one sparsity.
        numbers: rows of published.csv. A list of them is faster than a table.
    """
    keys = ("model", "task", "method", "distill", "sparsity", "denominator")
    run = {key: cell[key].iloc[0] for key in keys}  # a whole row takes longer, and few cells have a number
    facts = {"model": _last_part(run["model"]), "task": run["task"], "method": run["method"]}
    facts["kd"] = "no" if run["distill"] == "none" else run["distill"]
    if run["sparsity"] > 0:
        facts["denominator"] = run["denominator"]
    metrics = {metric for metrics in cell["metrics"] for metric in metrics}
    same = [
        point
        for point in (numbers if isinstance(numbers, list) else numbers.to_dict("records"))
        if point["metric"] in metrics
        and abs(point["sparsity"] - run["sparsity"]) < 5e-5
        and all(point[key] == value for key, value in facts.items())
        and point["kind"] != ANOTHER_SPARSITY
    ]
    found = agreement.of_run(cell.iloc[0].to_dict()) if same else None
    if found is None:
        return []
    rows = []
    for point in sorted(same, key=lambda point: point["metric"]):
        values = cell["metrics"].map(lambda m, metric=point["metric"]: m.get(metric)).dropna()
        measured = {"mean": values.mean(), "sd": values.std(), "n": len(values)}
        rows.append({**point, **measured, "differing": agreement.differences(found, point)})
    return [row for row in rows if row["differing"] is not None]


def merged(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Join numbers of one metric and one origin that are the same but for rounding, as a sheet's and its README's.

    Quoted numbers may be of any origin; others have one if their sources begin with the same word.

    Args:
        found: numbers of one cell, see `comparisons`.

    Returns:
        The numbers, the authors' own before quoted ones. Each has a key more, `also`: the other sources.
    """
    kept: list[dict[str, Any]] = []
    for point in sorted(found, key=lambda point: (point["metric"], FIRST_READ.index(point["read"]))):
        origin = point["source"].split()[0]
        same = (
            other
            for other in kept
            if other["metric"] == point["metric"]
            and abs(other["score"] - point["score"]) < ROUNDING
            and (point["read"] == "quoted" or other["source"].split()[0] == origin)
        )
        if other := next(same, None):
            other["also"].append(point["source"])
        else:
            kept.append({**point, "also": []})
    return kept


def of_variants(numbers: pd.DataFrame, runs: pd.DataFrame) -> pd.DataFrame:
    """Return the numbers without those of variants that did not run, of methods that ran.

    Args:
        numbers: rows of published.csv.
        runs: the runs of one table, with the column `facts`.
    """
    facts: dict[str, list[dict[str, str]]] = {}
    for method, found in zip(runs["method"], runs["facts"], strict=True):
        facts.setdefault(method, []).append(found)

    def ran(method: str, variant: str) -> bool:
        words = [word.partition("=") for word in variant.split(";") if "=" in word]
        return method not in facts or any(
            all(found.get(key) in values.split("|") for key, _, values in words) for found in facts[method]
        )

    words = zip(numbers["method"], numbers["variant"], strict=True)
    return numbers[np.array([ran(method, variant) for method, variant in words], bool)]


def closest(cell: pd.DataFrame, numbers: pd.DataFrame | list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the candidates of a cell that differ in the fewest settings, one of each source and metric.

    A metric has none if a number agrees with the cell in every setting. The arguments are those of `candidates`.
    """
    points = candidates(cell, numbers)
    agreed = {point["metric"] for point in points if not point["differing"]}
    nearest: dict[tuple[str, str], dict[str, Any]] = {}
    for point in sorted(points, key=lambda point: len(point["differing"])):
        if point["metric"] not in agreed:
            nearest.setdefault((point["metric"], point["source"]), point)
    return list(nearest.values())


def split_curves(numbers: pd.DataFrame, cell_means: pd.DataFrame) -> tuple[list[pd.DataFrame], pd.DataFrame]:
    """Return the published curves of the methods that ran, and the numbers to draw as points.

    A curve has at least three sparsities of one source, method, variant and kind of teacher, and the denominator of
    runs of its method. Of the same curve in several sources, only that with the most sparsities is drawn. A curve is
    not drawn either if its method has no runs, or if its variant is nothing that prunebert has.

    Args:
        numbers: the published numbers of a model, task and metric.
        cell_means: the cells of the runs, see `prunebert.report.cells.cells`.
    """
    numbers = numbers[numbers["kind"] != ANOTHER_SPARSITY]
    methods, ran = set(cell_means["method"]), set(zip(cell_means["method"], cell_means["denominator"], strict=True))
    chosen: dict[tuple[str, ...], pd.DataFrame] = {}
    on_curves = pd.Index([])
    for (_, *key), rows in numbers.groupby(["source", "method", "variant", "kd", "denominator"], sort=False):
        method, *_, denominator = key
        is_curve = rows["sparsity"].nunique() >= FEWEST_ON_A_CURVE
        if is_curve and (method not in methods or (method, denominator) in ran):
            on_curves = on_curves.union(rows.index)
            is_possible = all("=" in word for word in key[1].split(";") if word)
            if method in methods and is_possible and len(rows) > len(chosen.get(tuple(key), ())):
                chosen[tuple(key)] = rows.sort_values("sparsity")
    return list(chosen.values()), numbers.drop(on_curves)
