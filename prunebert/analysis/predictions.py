"""Read what runs predicted, so that any two runs on the same rows can be compared.

Predictions become whole numbers: equal numbers are equal predictions, in all runs that one `Reader` reads. A
regression's predictions stay numbers. Rows are in the order of their split and id, whatever the file's order.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from prunebert.errors import BadInput
from prunebert.runs import artifacts

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow

REGRESSION = ("pearson", "spearman")
SETS = ("micro_f1", "macro_f1", "subset_accuracy")  # metrics of several labels at once, which no other kind of task has
EXAMPLE = ("split", "id", "label")  # the columns that are the same in all runs on the same evaluation data
WORDS = "words"  # a column that only tasks with a label for each word have
QUESTION = "question"  # a column that only tasks which choose one of several texts have
CLASS, NUMBER, LABELS, WORD, TEXT, TOKENS = "class", "number", "labels", "word", "text", "tokens"  # kinds of rows
OPEN = (TEXT, LABELS)  # kinds without a fixed number of classes
KNOWN = 8  # sets of rows that a reader recognises without sorting them


@dataclass(frozen=True)
class Rows:
    """The rows of an evaluation set. A Reader makes one object for all runs on the same rows."""

    kind: str  # what is predicted of a row; of TOKENS nothing is read
    split: list[str]
    id: list[str]
    gold: list[Any]  # the true class, number, names of labels, label of a word, or answers
    text: list[str]  # what the runs stored of each row's text; [] if they stored none

    def __len__(self) -> int:
        return len(self.id)


@dataclass(frozen=True)
class Answers:
    """What one run predicted of each row."""

    rows: Rows
    values: np.ndarray  # [rows] int32 codes of predictions; float64 for NUMBER
    right: np.ndarray  # [rows] whether the prediction is right; empty for NUMBER
    probabilities: np.ndarray | None = None  # float32 [rows, classes]; None if the run stored no score of each class
    classes: int = 2  # how many predictions there are to choose from, of CLASS and WORD

    @property
    def accuracy(self) -> float:
        """The fraction of right rows; NaN for NUMBER."""
        return float(self.right.mean()) if self.right.size else float("nan")

    @cached_property
    def entropy(self) -> np.ndarray:
        """The entropy of each row's probabilities in nats, float64 [rows]."""
        from scipy.special import entr

        if self.probabilities is None:
            raise ValueError("the run stored no score of each class")
        return entr(self.probabilities.astype(float)).sum(1)


@dataclass(frozen=True)
class Layout:
    """The rows of one file, in its own order."""

    metric: str
    columns: pyarrow.Table  # EXAMPLE
    chosen: np.ndarray  # the file's rows that the metric counts, in the order of `rows`
    counts: np.ndarray  # how many of `rows` each of them has: one, or a sentence's words
    rows: Rows
    golds: list[frozenset[str]]  # of TEXT, the right answers of each row in normal form


class Reader:
    """Reads the predictions of one run after another. Each file is read once."""

    def __init__(self) -> None:
        """Start without any rows."""
        self.layouts: list[Layout] = []
        self.rows: dict[str, Rows] = {}  # by the hash of their kind, splits, ids and labels
        self.codes: dict[str, int] = {}

    def read(self, directory: Path, metric: str, row: Mapping[str, Any] | None = None) -> Answers | None:
        """Return what a run predicted; None for masked language modelling, whose rows are not compared.

        If the metric names a split, as accuracy_matched does, only the rows of that split count.

        Args:
            directory: the run's directory.
            metric: the run's metric, which tells a regression and several labels of a row.
            row: the run's verified result; None to read it.

        Raises:
            BadInput: predictions.parquet is missing or damaged, has an example twice, or cannot be understood.
        """
        names = (*EXAMPLE, "prediction", "scores", WORDS, QUESTION)
        table = artifacts.prediction_columns(directory, names, row)
        if not {*EXAMPLE, "prediction"} <= {*table.column_names} or not table.num_rows:
            raise BadInput(f"{directory}: predictions.parquet lacks its columns")
        try:
            layout = self._layout(table, metric)
            return None if layout.rows.kind == TOKENS else self._answers(table, layout)
        except (ValueError, TypeError, AttributeError, LookupError) as error:
            raise BadInput(f"{directory}: predictions.parquet cannot be compared: {error}") from error

    def _layout(self, table: pyarrow.Table, metric: str) -> Layout:
        columns = table.select(EXAMPLE)
        for known in self.layouts:
            if known.metric == metric and columns.equals(known.columns):
                return known
        frame = columns.to_pandas()
        in_split = frame["split"].map(lambda split: metric.endswith(f"_{split}"))
        kept = frame[in_split] if in_split.any() else frame
        kept = kept.assign(length=kept["id"].astype(str).str.len())  # so that row 10 comes after row 9
        kept = kept.sort_values(["split", "length", "id"], kind="stable")
        if kept.duplicated(["split", "id"]).any():
            raise ValueError("it has an example twice")
        kind = _kind(kept["label"], metric, WORDS in table.column_names)
        layout = self._described(table, metric, kept, kind)
        self.layouts = [layout, *self.layouts[: KNOWN - 1]]
        return layout

    def _described(self, table: pyarrow.Table, metric: str, kept: pd.DataFrame, kind: str) -> Layout:
        """Return the layout of a file with new rows, or with known rows in another order."""
        chosen = kept.index.to_numpy()
        split, ids = kept["split"].astype(str).tolist(), kept["id"].astype(str).tolist()
        gold = kept["label"].tolist()
        digest = hashlib.sha256(json.dumps([kind, split, ids, gold]).encode()).hexdigest()
        counts = np.ones(len(kept), np.int64)
        texts = table[QUESTION].to_pandas()[chosen].astype(str).tolist() if QUESTION in table.column_names else []
        golds: list[frozenset[str]] = []
        if kind not in (CLASS, NUMBER):
            gold = [json.loads(label) for label in gold]
        if kind == WORD:
            texts = [word for words in table[WORDS].to_pandas()[chosen] for word in json.loads(words)]
            counts = np.array([len(labels) for labels in gold])
            split = [name for name, number in zip(split, counts, strict=True) for _ in range(number)]
            ids = [f"{name}:{k}" for name, number in zip(ids, counts, strict=True) for k in range(number)]
            gold = [label for labels in gold for label in labels]
        if kind == TEXT:
            golds = [_normal_answers(answers) for answers in gold]
        rows = self.rows.setdefault(digest, Rows(kind, split, ids, gold, texts))
        return Layout(metric, table.select(EXAMPLE), chosen, counts, rows, golds)

    def _answers(self, table: pyarrow.Table, layout: Layout) -> Answers:
        rows, predictions = layout.rows, table["prediction"].to_pandas().to_numpy()[layout.chosen]
        if rows.kind == NUMBER:
            values = predictions.astype(float)
            if not np.isfinite(values).all():
                raise ValueError("a prediction is not a finite number")
            return Answers(rows, values, np.empty(0, bool))
        if rows.kind == CLASS:
            values = predictions.astype(np.int32)
            gold, probabilities = np.array(rows.gold), _probabilities(table, layout.chosen)
            stored = 0 if probabilities is None else probabilities.shape[1]
            classes = max(2, stored, int(gold.max()) + 1, int(values.max()) + 1)
            return Answers(rows, values, values == gold, probabilities, classes)
        if rows.kind == TEXT:
            from prunebert.measures import normalise

            texts = [normalise(text) for text in predictions]
            right = np.array([text in golds for text, golds in zip(texts, layout.golds, strict=True)])
        elif rows.kind == WORD:
            labels = [json.loads(text) for text in predictions]
            if [len(each) for each in labels] != layout.counts.tolist():
                raise ValueError("a sentence has more or fewer predictions than words")
            texts = [label for each in labels for label in each]
            right = np.array([text == gold for text, gold in zip(texts, rows.gold, strict=True)])
        else:
            texts = [_as_set(json.loads(text)) for text in predictions]
            right = np.array([text == _as_set(gold) for text, gold in zip(texts, rows.gold, strict=True)])
        classes = max(2, len({*rows.gold})) if rows.kind == WORD else 2
        return Answers(rows, self._coded(texts), right, classes=classes)

    def _coded(self, texts: Sequence[str]) -> np.ndarray:
        return np.array([self.codes.setdefault(text, len(self.codes)) for text in texts], np.int32)

    def names(self) -> list[str]:
        """Return the prediction that each code stands for; codes of CLASS are the classes themselves."""
        return list(self.codes)


def _kind(label: pd.Series, metric: str, has_words: bool) -> str:
    from pandas.api.types import is_float_dtype, is_numeric_dtype  # compare imports this module before it reads a run

    if is_numeric_dtype(label):
        return NUMBER if metric in REGRESSION or is_float_dtype(label) else CLASS
    if has_words:
        return WORD
    if metric.startswith(SETS):
        return LABELS
    golds = label.map(json.loads)
    return TOKENS if golds.map(lambda gold: bool(gold) and isinstance(gold[0], int)).any() else TEXT


def _normal_answers(answers: list[str]) -> frozenset[str]:
    """Return the right answers in SQuAD's normal form; a question without one is answered by an empty text."""
    from prunebert.measures import normalise

    return frozenset(filter(None, map(normalise, answers))) or frozenset([""])


def _as_set(names: list[str]) -> str:
    return json.dumps(sorted({*names}))


def _probabilities(table: pyarrow.Table, chosen: np.ndarray) -> np.ndarray | None:
    """Return the softmax of the scores, float32 [rows, classes]. Rows with fewer choices end with zeros."""
    if "scores" not in table.column_names:
        return None
    lists = table["scores"].combine_chunks()
    sizes, flat = lists.value_lengths().to_numpy(zero_copy_only=False), lists.flatten().to_numpy(zero_copy_only=False)
    if not np.isfinite(flat).all() or not (sizes > 0).all():
        raise ValueError("a score is not a finite number")
    logits = np.full((len(sizes), int(sizes.max())), -np.inf)
    logits[np.arange(logits.shape[1]) < sizes[:, None]] = flat
    logits = logits[chosen]
    weights = np.exp(logits - logits.max(1, keepdims=True))
    return (weights / weights.sum(1, keepdims=True)).astype(np.float32)
