"""Find several tables of one task and model. Their runs were not scored alike, so no mean and no rank joins them."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from prunebert.report import table_names
from prunebert.report.trouble import Trouble

KIND = "not averaged"
WORDS = {  # what the tables may differ in, see `table_names.Key`
    "weights": "the weights of the model",
    "metric": "the metric",
    "evaluation": "the evaluation data",
    "labels": "the labels",
    "unusual": "the configuration of the model",
}


@dataclass(frozen=True)
class Namesakes:
    """Two or more tables of one task and model."""

    task: str
    tables: list[str]  # first the one with most runs at hand, or of these with most runs
    differing: list[str]  # what they differ in, as WORDS has it

    @property
    def reason(self) -> str:
        """Say why no mean joins the tables."""
        parts = self.differing
        listed = " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)
        differ = f"these runs of one task and model differ in {listed}"
        return f"{differ}, so their scores are neither averaged nor ranked together"


def find(runs: pd.DataFrame) -> list[Namesakes]:
    """Return each task and model that has several tables.

    Args:
        runs: the runs of all tables, with the columns table, task, model, row and has_files.
    """
    first = runs.drop_duplicates("table")
    counts = runs.groupby("table")["has_files"].agg(["sum", "size"])
    found = []
    for (task, _), rows in first.groupby(["task", first["model"].map(table_names.base_name)], sort=False):
        if len(rows) < 2:
            continue
        keys = table_names.keys(rows["row"])
        differing = [word for part, word in WORDS.items() if len({getattr(key, part) for key in keys}) > 1]
        order = sorted(rows["table"], key=lambda table: (-counts.at[table, "sum"], -counts.at[table, "size"]))
        found.append(Namesakes(str(task), order, differing or ["the name of the task or model"]))
    return found


def left_out(runs: pd.DataFrame) -> list[str]:
    """Return the tables that no mean over tasks has: of one task and model it has the first table alone."""
    return [table for found in find(runs) for table in found.tables[1:]]


def troubles(runs: pd.DataFrame) -> list[Trouble]:
    """Return a trouble for each task and model that has several tables."""
    return [Trouble(KIND, "; ".join(found.tables), found.reason) for found in find(runs)]
