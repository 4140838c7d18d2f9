"""Score a run's predictions example by example, to pair it with another run on the same examples."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from prunebert.analysis.predictions import EXAMPLE, REGRESSION, SETS, WORDS
from prunebert.errors import BadInput
from prunebert.measures import question_score
from prunebert.runs import artifacts

if TYPE_CHECKING:
    import pyarrow


@dataclass(frozen=True)
class Scored:
    """A run's predictions. All Series are by split and id."""

    scores: pd.Series  # see `example_scores`
    label: pd.Series
    prediction: pd.Series
    score: float = math.nan  # the metric, as the run recorded it

    @property
    def is_numeric(self) -> bool:
        """Return whether labels are numbers: classes, or a regression's."""
        return pd.api.types.is_numeric_dtype(self.label) and pd.api.types.is_numeric_dtype(self.prediction)


@dataclass
class Known:
    """The examples that were read last. Most runs of a table have the same."""

    metric: str
    columns: pyarrow.Table  # EXAMPLE
    rows: pd.Series | None  # whether the metric's split has the row; None for all rows
    label: pd.Series  # by split and id, without the rows of other splits


class Reader:
    """Reads the scores of runs one after another, and the examples only where they differ from the last run's."""

    def __init__(self, unreadable: dict[Path, str] | None = None) -> None:
        """Start without any examples. unreadable: why predictions cannot be read is added here, by the directory."""
        self.unreadable = {} if unreadable is None else unreadable
        self.known: Known | None = None
        self.kept: dict[tuple[Path, str], Scored] = {}

    def read_and_keep(self, directory: Path, metric: str, row: Mapping[str, Any] | None = None) -> Scored:
        """Return the same as `read`, and keep it: for runs that are compared with several rows."""
        if (directory, metric) not in self.kept:
            self.kept[directory, metric] = self.read(directory, metric, row)
        return self.kept[directory, metric]

    def read(self, directory: Path, metric: str, row: Mapping[str, Any] | None = None) -> Scored:
        """Return a run's predictions with their scores.

        Args:
            directory: the run's directory.
            metric: what the examples are scored by.
            row: the run's verified result; None to read it.

        Raises:
            BadInput: predictions.parquet is missing, damaged or cannot be scored.
        """
        try:
            return self._read(directory, metric, row)
        except BadInput as error:
            self.unreadable[directory] = str(error)
            raise

    def _read(self, directory: Path, metric: str, row: Mapping[str, Any] | None) -> Scored:
        table = artifacts.prediction_columns(directory, (*EXAMPLE, "prediction", WORDS), row)
        if table.num_columns < len(EXAMPLE) + 1 or not table.num_rows:
            raise BadInput(f"{directory}: predictions.parquet lacks its columns")
        columns = table.select(EXAMPLE)
        try:
            if not (self.known and self.known.metric == metric and columns.equals(self.known.columns)):
                self.known = _examples(directory, metric, columns)
            prediction = table["prediction"].to_pandas()
            if self.known.rows is not None:
                prediction = prediction[self.known.rows]
            prediction = prediction.set_axis(self.known.label.index)
            score = _of_sentences if WORDS in table.column_names else _scores
            return Scored(score(prediction, self.known.label, metric), self.known.label, prediction)
        except (ValueError, TypeError, AttributeError) as error:
            raise BadInput(f"{directory}: predictions.parquet cannot be scored: {error}") from error


def aligned(columns: Sequence[pd.Series]) -> np.ndarray:
    """Return the columns as an array columns × examples, in the order of the first; empty if their examples differ."""
    index = columns[0].index
    arrays = []
    for column in columns:
        if column.index is not index and not column.index.equals(index):
            if len(column) != len(index) or not column.index.isin(index).all():
                return np.empty((0, 0))
            column = column.reindex(index)
        arrays.append(column.to_numpy(float))
    return np.stack(arrays)


def example_scores(directory: Path, metric: str) -> pd.Series:
    """Return a score for each (split, id); higher is better.

    - classification: 1 for right, 0 for wrong
    - several labels: 1 where all of them are right, 0 otherwise
    - regression: minus the absolute error
    - questions: the exact match or the F1
    - masked language modelling: the share of a block's hidden tokens that were predicted
    - labels of words: 1 for a sentence whose entities are all right (for accuracy: whose labels are), else 0

    If the metric names a split, as accuracy_matched does, only that split is scored.

    Raises:
        BadInput: predictions.parquet is missing, damaged or cannot be scored.
    """
    return Reader().read(directory, metric).scores


def _examples(directory: Path, metric: str, columns: pyarrow.Table) -> Known:
    table = columns.to_pandas()
    in_split = table["split"].map(lambda split: metric.endswith(f"_{split}"))
    rows = in_split if in_split.any() else None
    label = (table if rows is None else table[rows]).set_index(["split", "id"])["label"]
    if label.index.has_duplicates:
        raise BadInput(f"{directory}: predictions.parquet has an example twice")
    return Known(metric, columns, rows, label)


def _of_sentences(prediction: pd.Series, label: pd.Series, metric: str) -> pd.Series:
    from prunebert.entities import as_iob2

    read = list if metric.startswith("accuracy") else as_iob2
    pairs = zip(prediction.map(json.loads), label.map(json.loads), strict=True)
    return pd.Series([float(read(one) == read(other)) for one, other in pairs], label.index)


def _scores(prediction: pd.Series, label: pd.Series, metric: str) -> pd.Series:
    if pd.api.types.is_numeric_dtype(label):
        predicted, true = prediction.to_numpy(), label.to_numpy()  # without the time of pandas' alignment
        if metric in REGRESSION or pd.api.types.is_float_dtype(label):
            return pd.Series(-np.abs(predicted - true), label.index)
        return pd.Series((predicted == true).astype(float), label.index)
    golds = label.map(json.loads)
    if metric.startswith(SETS):
        right = [{*json.loads(p)} == {*gold} for p, gold in zip(prediction, golds, strict=True)]
        return pd.Series(right, label.index, float)
    if golds.map(lambda g: bool(g) and isinstance(g[0], int)).any():  # token ids: masked language modelling
        hidden = golds[golds.map(len) > 0]
        predicted = prediction[hidden.index].map(json.loads)
        return pd.Series([np.equal(p, g).mean() for p, g in zip(predicted, hidden, strict=True)], hidden.index)
    kind = "exact" if metric == "exact" else "f1"
    no_answer = bool((golds.map(len) == 0).any())
    pairs = zip(prediction, golds, strict=True)
    return pd.Series([question_score(kind, p, g, no_answer) for p, g in pairs], label.index)


def unit(metric: str, task: str) -> str:
    """Name what is compared example by example."""
    if metric in REGRESSION:
        return "absolute error"
    if metric.startswith(SETS):
        return "all labels right or not"
    if task == "mlm":
        return "share of a block's hidden tokens predicted correctly"
    squad_units = {"exact": "exact match", "f1": "F1 of the answer"} if "squad" in task else {}
    return squad_units.get(metric, "right or wrong")
