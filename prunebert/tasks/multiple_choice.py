"""Choose one of several texts for each question. Every choice is a pair: the question and the choice."""

from __future__ import annotations

from collections.abc import Iterator
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
from prunebert.tasks import choice_table
from prunebert.tasks.batching import Rows, padding_of
from prunebert.tasks.holdout import split_off
from prunebert.tasks.lengths import lengths_of, log_cost
from prunebert.tasks.metric import compute, find_for, of_splits
from prunebert.tasks.over_tables import OverTables
from prunebert.tasks.request import Request
from prunebert.tasks.sources import Tables

if TYPE_CHECKING:
    from prunebert.network.interface import Outputs

ACCURACY = "prunebert.metrics:Accuracy"


@dataclass
class ChoiceTask(OverTables):
    """A loaded task over questions with choices (see task.Task). A label is the position of the right choice."""

    name: str
    choices: int  # of each question
    metric: str  # an evaluate.Metric, as "module:Class"
    main_metric: str | None  # the entry of the metric that is the score; None: the first
    source: str  # a file, a folder, a package or the hub's name
    tables: Tables  # by split, with the columns of choice_table.columns
    rows: dict[str, Rows]  # by split; a row has a text for each choice
    padding: dict[str, int]  # the padding value of each input column
    max_length: int  # of a question with one choice, in tokens
    pad_to: Padding = "longest"  # what the texts of a batch are padded to
    label_words: list[str] | None = None  # always: no word stands for a position
    labels: list[Any] = field(default_factory=list)  # always empty: positions have no names
    origin: dict[str, Any] = field(default_factory=dict)  # see Request
    span = False
    regression = False
    masked_lm = False
    tokens = False
    multilabel = False

    @property
    def outputs(self) -> int:
        return self.choices

    def eval_batches(self, split: str, batch_size: int) -> Iterator[Batch]:
        """Yield batches of whole questions with at most `batch_size` texts, or of one question.

        An evaluation then needs no more memory than that of a task with one text in a row.
        """
        return self.rows[split].by_length(max(1, batch_size // self.choices), self.padding)

    def loss(self, out: Outputs, batch: Batch) -> dict[str, Tensor]:
        return {"task": F.cross_entropy(out.logits.float(), batch.labels)}

    def outputs_by_row(self, out: Outputs, batch: Batch) -> dict[int, np.ndarray]:
        return logits_by_row(out, batch)

    def predict(self, split: str, outputs: dict[int, np.ndarray]) -> pd.DataFrame:
        """Return the predictions as Task.predict, with the columns question (text) and choices (a list of texts)."""
        table = self.tables[split]
        scores = np.stack([outputs[row] for row in range(len(table))])
        return pd.DataFrame(
            {
                "split": split,
                "id": table.id.astype(str),
                "label": self.rows[split].labels.numpy(),
                "prediction": scores.argmax(1),
                "scores": list(scores),
                "question": table.text_a + " " + table.text_b if "text_b" in table else table.text_a,
                "choices": [list(choices) for choices in table.choices],
            }
        )

    def metrics(self, predictions: dict[str, pd.DataFrame]) -> dict[str, float]:
        results: dict[str, dict[str, float]] = {}
        for split, rows in predictions.items():
            values = compute(self.metric, rows.prediction.tolist(), rows.label.tolist(), _names(self.choices))
            results[split] = values
        return of_splits(results)

    def baseline(self) -> dict[str, float]:
        """Return the metrics of the constant baseline: always the commonest position among the training labels."""
        commonest = int(self.rows["train"].labels.bincount().argmax())
        return self.metrics(
            {
                split: pd.DataFrame({"prediction": commonest, "label": self.rows[split].labels.numpy()})
                for split in self.eval_splits
            }
        )

    def form(self) -> Form:
        return Form(
            name=self.name,
            span=False,
            regression=False,
            masked_lm=False,
            pair=True,
            outputs=self.choices,
            max_length=self.max_length,
            padding=self.pad_to,
            choices=self.choices,
        )


def refuse_labels(request: Request) -> None:
    """Raise BadInput for settings of tasks with classes: a label here is the position of a choice."""
    for key, value in (("labels", request.labels), ("label_words", request.label_words)):
        if value is not None:
            raise BadInput(f"task.{key} is for classes, and task.kind=choices has none; leave it out")
    if request.augment:
        raise BadInput("augment makes copies of single texts, and task.kind=choices has several; use augment=none")


def load(request: Request, tables: Tables, of_choices: list[str]) -> ChoiceTask:
    """Make a ChoiceTask of the tables of its splits.

    Args:
        request: the settings.
        tables: by split, from sources with choice_table.columns.
        of_choices: the columns of the choices.

    Raises BadInput for labels and settings that do not fit each other.
    """
    refuse_labels(request)
    count = choice_table.number_of(tables)
    gold = choice_table.gold(tables, request.label, of_choices)
    metric = request.metric or ACCURACY
    if metric != ACCURACY:
        find_for(metric, _names(count))  # before anything is tokenised
    tables, gold = split_off(request, tables, gold, [])
    rows = {}
    for split, table in tables.items():
        mapped, inputs = request.tokenised(pairs(table), split)
        rows[split] = Rows.of(mapped, inputs, torch.tensor(gold[split]), request.width, count)
    log_cost(lengths_of(rows["train"]), f"task.max_length={request.max_length}")
    return ChoiceTask(
        name=request.name,
        choices=count,
        metric=metric,
        main_metric=request.score,
        source=request.source,
        tables=tables,
        rows=rows,
        padding=padding_of(request.tokenizer),
        max_length=request.max_length,
        pad_to=request.padding,
        origin=request.origin,
    )


def pairs(table: pd.DataFrame) -> pd.DataFrame:
    """Return the texts that the network reads, one row for each choice: text_a is the question, text_b the choice.

    Where the question has two texts, the second begins each choice: (text_a, text_b + " " + choice).
    """
    count = len(table.choices.iloc[0])
    choices = [choice for of_row in table.choices for choice in of_row]
    if "text_b" in table:
        begins = np.repeat(table.text_b.to_numpy(), count)
        choices = [f"{begin} {choice}" for begin, choice in zip(begins, choices, strict=True)]
    return pd.DataFrame({"text_a": np.repeat(table.text_a.to_numpy(), count), "text_b": choices})


def _names(count: int) -> list[str]:
    """Return the positions' names, for metrics that need as many classes."""
    return [str(position) for position in range(count)]
