"""Label texts and pairs of texts with any number of labels each, or none."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.nn import functional as F

from prunebert.choices import Padding
from prunebert.errors import BadInput
from prunebert.measures import multilabel_metrics
from prunebert.network.interface import Batch, Form, logits_by_row
from prunebert.tasks.batching import Rows, padding_of
from prunebert.tasks.holdout import split_off
from prunebert.tasks.label_sets import names_and_indicators
from prunebert.tasks.lengths import lengths_of, log_cost
from prunebert.tasks.metric import of_splits
from prunebert.tasks.over_tables import OverTables
from prunebert.tasks.request import Request
from prunebert.tasks.sources import Tables

if TYPE_CHECKING:
    from prunebert.network.interface import Outputs


@dataclass
class MultilabelTask(OverTables):
    """A loaded task over texts with several labels each (see task.Task).

    The labels of a row are those with a logit above 0, which is a probability above 0.5. This threshold is fixed.
    """

    name: str
    labels: list[str]  # the labels' names in the order of the outputs
    label_words: list[str] | None
    main_metric: str | None  # the metric that is the score; None: micro F1
    source: str  # a file, a folder, a package or the hub's name
    tables: Tables  # by split
    rows: dict[str, Rows]  # by split; labels are [rows, outputs] float32, 1 where the row has the label
    padding: dict[str, int]  # the padding value of each input column
    max_length: int  # of a row, in tokens
    augmented: int = 0  # the last rows of train that are augmented copies
    pad_to: Padding = "longest"  # what the rows of a batch are padded to
    origin: dict[str, Any] = field(default_factory=dict)  # see Request
    span = False
    regression = False
    masked_lm = False
    tokens = False
    multilabel = True
    choices = 0

    @property
    def outputs(self) -> int:
        return len(self.labels)

    @cached_property
    def score(self) -> str:
        """The main metric, or else micro F1. With several splits, that of the first."""
        metric = self.main_metric or "micro_f1"
        return metric if len(self.eval_splits) == 1 else f"{metric}_{self.eval_splits[0]}"

    def loss(self, out: Outputs, batch: Batch) -> dict[str, Tensor]:
        """Return the binary cross-entropy, a mean over rows and labels."""
        return {"task": F.binary_cross_entropy_with_logits(out.logits.float(), batch.labels)}

    def outputs_by_row(self, out: Outputs, batch: Batch) -> dict[int, np.ndarray]:
        return logits_by_row(out, batch)

    def predict(self, split: str, outputs: dict[int, np.ndarray]) -> pd.DataFrame:
        """Return the predictions. `label` and `prediction` are JSON lists of names, in the order of the outputs."""
        scores = np.stack([outputs[row] for row in range(len(self.tables[split]))])
        return pd.DataFrame(
            {
                "split": split,
                "id": self.tables[split].id.astype(str),
                "label": self._named(self.rows[split].labels.numpy() > 0),
                "prediction": self._named(scores > 0),
                "scores": list(scores),
            }
        )

    def metrics(self, predictions: dict[str, pd.DataFrame]) -> dict[str, float]:
        results: dict[str, dict[str, float]] = {}
        for split, rows in predictions.items():
            values = multilabel_metrics(self._indicators(rows.prediction), self._indicators(rows.label))
            results[split] = values
        return of_splits(results)

    def baseline(self) -> dict[str, float]:
        """Return the metrics of the constant baseline: the labels that most training rows have.

        Augmented copies do not count: see TextTask.baseline.
        """
        train = self.rows["train"].labels[: self.train_rows - self.augmented].numpy()
        constant = json.dumps([name for name, share in zip(self.labels, train.mean(0), strict=True) if share > 0.5])
        gold = {split: self._named(self.rows[split].labels.numpy() > 0) for split in self.eval_splits}
        return self.metrics({s: pd.DataFrame({"prediction": constant, "label": names}) for s, names in gold.items()})

    def form(self) -> Form:
        return Form(
            name=self.name,
            span=False,
            regression=False,
            masked_lm=False,
            pair="text_b" in self.tables["train"],
            outputs=self.outputs,
            max_length=self.max_length,
            labels=self.labels,
            label_words=self.label_words,
            padding=self.pad_to,
            multilabel=True,
        )

    def _named(self, present: np.ndarray) -> list[str]:
        """Return a JSON list of names for each row of a [rows, outputs] array of truth values."""
        return [json.dumps([self.labels[i] for i in row.nonzero()[0]], ensure_ascii=False) for row in present]

    def _indicators(self, column: pd.Series) -> np.ndarray:
        """Return [rows, outputs] truth values: whether the JSON list of a row has each name."""
        position = {name: i for i, name in enumerate(self.labels)}
        present = np.zeros((len(column), self.outputs), bool)
        for row, names in enumerate(column.map(json.loads)):
            present[row, [position[name] for name in names]] = True
        return present


def refuse_metric(metric: str | None) -> None:
    """Raise BadInput for a metric of the user's: it would get lists of labels, and those have metrics of their own."""
    if metric is not None:
        raise BadInput(
            f"task.metric={metric}: task.kind=multilabel reports micro_f1, macro_f1 and subset_accuracy; leave it out, "
            "and choose one of them with task.score"
        )


def load(request: Request, tables: Tables) -> MultilabelTask:
    """Make a MultilabelTask of the tables of its splits.

    Args:
        request: the settings.
        tables: by split, with the columns that label_sets.columns picks.

    Raises BadInput for labels and settings that do not fit each other.
    """
    names, gold = names_and_indicators(request, tables)
    tables, gold = split_off(request, tables, gold, names)
    copies = request.add_copies(tables, gold)
    rows = {}
    for split, table in tables.items():
        mapped, inputs = request.tokenised(table, split)
        rows[split] = Rows.of(mapped, inputs, torch.tensor(gold[split]), request.width)
    log_cost(lengths_of(rows["train"]), f"task.max_length={request.max_length}")
    return MultilabelTask(
        name=request.name,
        labels=names,
        label_words=request.label_words,
        main_metric=request.score,
        source=request.source,
        tables=tables,
        rows=rows,
        padding=padding_of(request.tokenizer),
        max_length=request.max_length,
        augmented=copies,
        pad_to=request.padding,
        origin=request.origin,
    )
