"""Label or score texts and pairs of texts: a class, or a number, for each row."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.nn import functional as F

from prunebert.choices import Padding
from prunebert.errors import BadInput
from prunebert.network.interface import Batch, Form, logits_by_row
from prunebert.tasks import groups
from prunebert.tasks.batching import Rows, padding_of
from prunebert.tasks.holdout import split_off
from prunebert.tasks.labels import given_names, gold_classes, label_names, located, to_numbers, with_hub_names
from prunebert.tasks.lengths import lengths_of, log_cost
from prunebert.tasks.metric import compute, find_for, of_splits
from prunebert.tasks.over_tables import OverTables
from prunebert.tasks.request import Request
from prunebert.tasks.sources import Tables

if TYPE_CHECKING:
    from prunebert.network.interface import Outputs

CLASSES_ONLY = ("prunebert.metrics:Accuracy", "prunebert.metrics:AccuracyF1", "prunebert.metrics:Matthews")
FOR_ANY_LABELS = ("prunebert.metrics:Accuracy", "prunebert.metrics:Matthews", "prunebert.metrics:Correlation")


@dataclass
class TextTask(OverTables):
    """A loaded task over texts (see task.Task)."""

    name: str
    regression: bool
    labels: list[Any]  # the classes' names in order, as given; none for regression
    label_words: list[str] | None
    metric: str  # an evaluate.Metric, as "module:Class"
    main_metric: str | None  # the entry of the metric that is the score; None: the first
    source: str  # a file, a folder, a package or the hub's name
    tables: Tables  # by split
    rows: dict[str, Rows]  # by split
    padding: dict[str, int]  # the padding value of each input column
    max_length: int  # of a row, in tokens
    augmented: int = 0  # the last rows of train that are augmented copies
    pad_to: Padding = "longest"  # what the rows of a batch are padded to
    origin: dict[str, Any] = field(default_factory=dict)  # see Request
    span = False
    masked_lm = False
    tokens = False
    multilabel = False
    choices = 0

    @property
    def outputs(self) -> int:
        return 1 if self.regression else len(self.labels)

    def loss(self, out: Outputs, batch: Batch) -> dict[str, Tensor]:
        logits = out.logits.float()
        if self.regression:
            return {"task": F.mse_loss(logits.squeeze(-1), batch.labels)}
        return {"task": F.cross_entropy(logits, batch.labels)}

    def outputs_by_row(self, out: Outputs, batch: Batch) -> dict[int, np.ndarray]:
        return logits_by_row(out, batch)

    def predict(self, split: str, outputs: dict[int, np.ndarray]) -> pd.DataFrame:
        scores = np.stack([outputs[row] for row in range(len(self.tables[split]))])
        columns = {
            "split": split,
            "id": self.tables[split].id.astype(str),
            "label": self.rows[split].labels.numpy(),
            "prediction": scores[:, 0] if self.regression else scores.argmax(1),
            "scores": list(scores),
        }
        own_groups = {groups.COLUMN: self.tables[split].group} if groups.COLUMN in self.tables[split] else {}
        return pd.DataFrame(columns | own_groups)

    def metrics(self, predictions: dict[str, pd.DataFrame]) -> dict[str, float]:
        results: dict[str, dict[str, float]] = {}
        names = [str(label) for label in self.labels]
        for split, rows in predictions.items():
            values = compute(self.metric, rows.prediction.tolist(), rows.label.tolist(), names)
            if "group" in self.tables[split]:
                group = self.tables[split].group.to_numpy()
                values |= groups.accuracies(group, rows.prediction.to_numpy(), rows.label.to_numpy(), names)
            results[split] = values
        return of_splits(results)

    def baseline(self) -> dict[str, float]:
        """Return the metrics of the constant baseline. Augmented copies do not count.

        A long text gets more copies than a short one, so copies would change the labels' frequencies.
        """
        train = self.rows["train"].labels[: self.train_rows - self.augmented]
        constant = float(train.mean()) if self.regression else int(train.bincount().argmax())
        return self.metrics(
            {s: pd.DataFrame({"prediction": constant, "label": self.rows[s].labels.numpy()}) for s in self.eval_splits}
        )

    def form(self) -> Form:
        return Form(
            name=self.name,
            span=False,
            regression=self.regression,
            masked_lm=False,
            pair="text_b" in self.tables["train"],
            outputs=self.outputs,
            max_length=self.max_length,
            labels=[str(label) for label in self.labels],
            label_words=self.label_words,
            padding=self.pad_to,
        )


def refuse_classes(labels: list[Any] | None, metric: str | None) -> None:
    """Raise BadInput if the settings of a regression name classes, or a metric that needs some."""
    if labels is not None:
        raise BadInput("task.labels names classes, and task.kind=regression has none; leave it out")
    if metric in CLASSES_ONLY:
        raise BadInput(f"task.metric={metric}: needs classes, and task.kind=regression has none; leave it out")


def load(request: Request, tables: Tables, *, regression: bool) -> TextTask:
    """Make a TextTask of the tables of its splits.

    Args:
        request: the settings.
        tables: from sources, by split.
        regression: the labels are numbers.

    Raises BadInput for labels and settings that do not fit each other.
    """
    of_hub = tables["train"].attrs.get("classes") if request.origin else None
    classes = of_hub if request.labels is None else request.labels
    given = None if classes is None else given_names(classes)
    metric = request.metric or f"prunebert.metrics:{'Correlation' if regression else 'Accuracy'}"
    label = request.label
    if regression:
        names = []
        gold = {split: to_numbers(located(table), label, table.attrs["source"]) for split, table in tables.items()}
    else:
        tables = {split: with_hub_names(table, given or []) for split, table in tables.items()}
        names = given or label_names(located(tables["train"]), label, tables["train"].attrs["source"])
        by_index = request.labels is not None and request.label_indices
        gold = gold_classes(tables, names, label, by_index=by_index, own=request.own)
    if metric not in FOR_ANY_LABELS:
        find_for(metric, names)  # before anything is tokenised
    tables, gold = split_off(request, tables, gold, names)
    copies = request.add_copies(tables, gold)
    rows = {}
    for split, table in tables.items():
        mapped, inputs = request.tokenised(table, split)
        rows[split] = Rows.of(mapped, inputs, torch.tensor(gold[split]), request.width)
    log_cost(lengths_of(rows["train"]), f"task.max_length={request.max_length}")
    return TextTask(
        name=request.name,
        regression=regression,
        labels=request.labels or names,
        label_words=request.label_words,
        metric=metric,
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
