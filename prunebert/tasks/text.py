"""Classify or score texts and pairs of texts: GLUE's nine tasks, the embedded task and your own files."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.nn import functional as F

from prunebert.choices import Padding
from prunebert.errors import BadInput
from prunebert.network.interface import Batch, Form, logits_by_row
from prunebert.ranges import Fraction, Part, Text
from prunebert.tasks import arguments, layouts, sources
from prunebert.tasks.arguments import Folder, Hub, Package, Tokens
from prunebert.tasks.batching import Rows, padding_of, width_of
from prunebert.tasks.cache import tokenised
from prunebert.tasks.holdout import TUNING, hold_out, tuning_part
from prunebert.tasks.labels import given_names, gold_classes, label_names, located, to_numbers, with_hub_names
from prunebert.tasks.metric import compute, find_for

if TYPE_CHECKING:
    from prunebert.network.interface import Outputs
    from prunebert.tasks.augment import Augment


CLASSES_ONLY = ("prunebert.metrics:Accuracy", "prunebert.metrics:AccuracyF1", "prunebert.metrics:Matthews")
FOR_ANY_LABELS = ("prunebert.metrics:Accuracy", "prunebert.metrics:Matthews", "prunebert.metrics:Correlation")


@dataclass
class TextTask:
    """A loaded task over texts (see task.Task)."""

    name: str
    regression: bool
    labels: list[Any]  # the classes' names in order, as given; none for regression
    label_words: list[str] | None
    metric: str  # an evaluate.Metric, as "module:Class"
    main_metric: str | None  # the entry of the metric that is the score; None: the first
    source: str  # a file, a folder, a package or the hub's name
    tables: sources.Tables  # by split
    rows: dict[str, Rows]  # by split
    padding: dict[str, int]  # the padding value of each input column
    max_length: int  # of a row, in tokens
    augmented: int = 0  # the last rows of train that are augmented copies
    pad_to: Padding = "longest"  # what the rows of a batch are padded to
    span = False
    masked_lm = False

    @property
    def outputs(self) -> int:
        return 1 if self.regression else len(self.labels)

    @cached_property
    def score(self) -> str:
        """The main metric, or else the first. With several splits, that of the first (MNLI: accuracy_matched)."""
        if not self.main_metric:
            return next(iter(self.baseline()))
        return self.main_metric if len(self.eval_splits) == 1 else f"{self.main_metric}_{self.eval_splits[0]}"

    @property
    def train_rows(self) -> int:
        return len(self.rows["train"])

    @property
    def eval_splits(self) -> tuple[str, ...]:
        return tuple(split for split in self.tables if split != "train")

    def batches(self, batch_size: int, seed: int) -> Iterator[Batch]:
        return self.rows["train"].shuffled(batch_size, seed, self.padding)

    def eval_batches(self, split: str, batch_size: int) -> Iterator[Batch]:
        return self.rows[split].by_length(batch_size, self.padding)

    def loss(self, out: Outputs, batch: Batch) -> dict[str, Tensor]:
        logits = out.logits.float()
        if self.regression:
            return {"task": F.mse_loss(logits.squeeze(-1), batch.labels)}
        return {"task": F.cross_entropy(logits, batch.labels)}

    def outputs_by_row(self, out: Outputs, batch: Batch) -> dict[int, np.ndarray]:
        return logits_by_row(out, batch)

    def predict(self, split: str, outputs: dict[int, np.ndarray]) -> pd.DataFrame:
        scores = np.stack([outputs[row] for row in range(len(self.tables[split]))])
        return pd.DataFrame(
            {
                "split": split,
                "id": self.tables[split].id.astype(str),
                "label": self.rows[split].labels.numpy(),
                "prediction": scores[:, 0] if self.regression else scores.argmax(1),
                "scores": list(scores),
            }
        )

    def metrics(self, predictions: dict[str, pd.DataFrame]) -> dict[str, float]:
        results: dict[str, float] = {}
        names = [str(label) for label in self.labels]
        for split, rows in predictions.items():
            values = compute(self.metric, rows.prediction.tolist(), rows.label.tolist(), names)
            results |= {k if len(predictions) == 1 else f"{k}_{split}": v for k, v in values.items()}
        return results

    def baseline(self) -> dict[str, float]:
        """Return the metrics of the constant baseline. Augmented copies do not count.

        A long text gets more copies than a short one, so copies would change the labels' frequencies.
        """
        train = self.rows["train"].labels[: self.train_rows - self.augmented]
        constant = float(train.mean()) if self.regression else int(train.bincount().argmax())
        return self.metrics(
            {s: pd.DataFrame({"prediction": constant, "label": self.rows[s].labels.numpy()}) for s in self.eval_splits}
        )

    def facts(self) -> dict[str, Any]:
        facts = {
            "source": self.source,
            "labels": self.labels,
            "rows": {s: len(t) for s, t in self.tables.items()},
            "fingerprint": {s: rows.fingerprint() for s, rows in self.rows.items()},
        }
        return facts | ({"augmented": self.augmented} if self.augmented else {})

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


def text_task(
    *,
    tokenizer: Any,
    positions: int,
    name: Text | None,
    kind: Literal["classification", "regression"],
    hub: Hub | None,
    folder: Folder | None,
    package: Package | None,
    data_dir: Annotated[Text, "read without train"] | None,
    train: Text | None,
    eval: Text | dict[str, Text] | None,
    text: str | int | list[str | int] | None,
    label: str | int,
    labels: list[Any] | None,
    label_words: list[str] | None,
    holdout: Annotated[Fraction, "read without eval"],
    max_length: Tokens,
    metric: Text | None,
    score: Text | None,
    augment: Augment | None = None,
    label_indices: Annotated[bool, "read with labels"] = True,
    overlaps: dict[str, str] | None = None,
    seed_name: str | None = None,
    padding: Padding = "longest",
    tuning_holdout: Part | None = None,
) -> TextTask:
    """Load a TextTask. The source is the first of: your own files (`train`), `data_dir`, a `package`, the hub.

    Args:
        positions: the model's longest sequence, in tokens.
        name: the task's name; None where `seed_name` is given.
        hub, folder, package: arguments of sources.from_hub, from_folder and from_package.
        data_dir: a folder in GLUE's layout.
        train, eval: your own files; `eval` may be {split: file}.
        text, label: the columns of your own files; 0 is the column named "0".
        labels: the classes' names in order; None: those in the training rows.
        holdout: without evaluation data, the fraction of training rows for evaluation. It is stratified and the same
            for every seed and machine.
        metric: an evaluate.Metric, as "module:Class"; None: accuracy, or correlation for regression.
        score: the entry of the metric that is the score; None: the first.
        augment: makes new texts; their rows follow those of train.
        label_indices: a row may have the index of a class in `labels` in place of its name.
        overlaps: not read here (see settings.overlaps).
        seed_name: seeds new heads in place of `name`, which is then a label alone (see settings.task_name).
        padding: what the rows of a batch are padded to: its longest row, or `max_length`.
        tuning_holdout: the fraction or the number of the training rows that replace the evaluation data, for tuning;
            None: evaluate on the evaluation data. It is split as `holdout` is.

    Raises BadInput for a setting outside its range and for data that cannot be used.
    """
    name, width = seed_name or name or "", width_of(padding, max_length)
    if not 8 <= max_length <= positions:
        raise BadInput(
            f"task.max_length={max_length}: the model reads at most {positions} tokens (and at least 8 are needed)"
        )
    if kind == "regression" and labels is not None:
        raise BadInput("task.labels names classes, and task.kind=regression has none; leave it out")
    given = None if labels is None else given_names(labels)
    label_words = arguments.words("task.label_words", label_words)
    text_columns, label = arguments.own_columns(train, eval, text, label)
    if train:
        source, tables = train, sources.from_files(train, eval, text_columns, label)
    elif data_dir:
        if not folder:
            layouts.refuse_without_layout(name, data_dir)
        source, tables = data_dir, sources.from_folder(name, data_dir, **folder)
    elif package:
        source, tables = f"{package['name']}=={package['version']}", sources.from_package(**package)
    elif hub:
        source, tables = hub["path"], sources.from_hub(name, **hub)
    else:
        layouts.refuse_without_source(name)
    regression = kind == "regression"
    metric = metric or f"prunebert.metrics:{'Correlation' if regression else 'Accuracy'}"
    if regression and metric in CLASSES_ONLY:
        raise BadInput(f"task.metric={metric}: needs classes, and task.kind=regression has none; leave it out")
    if regression:
        names = []
        gold = {split: to_numbers(located(table), label, table.attrs["source"]) for split, table in tables.items()}
    else:
        tables = {split: with_hub_names(table, given or []) for split, table in tables.items()}
        names = given or label_names(located(tables["train"]), label, tables["train"].attrs["source"])
        gold = gold_classes(tables, names, label, by_index=given is not None and label_indices, own=bool(train))
    if metric not in FOR_ANY_LABELS:
        find_for(metric, names)  # before anything is tokenised, though `evaluate` takes a second to import
    if len(tables) == 1:
        tables, gold = hold_out(tables["train"], gold["train"], float(holdout), names)
    if tuning_holdout is not None:
        tables, gold = hold_out(tables["train"], gold["train"], tuning_part(tuning_holdout), names, TUNING)
    original_rows = len(tables["train"])
    if augment:
        from prunebert.tasks.augment import with_copies

        tables["train"], origin = with_copies(tables["train"], augment)
        gold["train"] = gold["train"][origin]
    inputs = [c for c in tokenizer.model_input_names if c != "special_tokens_mask"]

    def tokenize(batch: dict[str, list[str]]) -> dict[str, list[list[int]]]:
        encoded = tokenizer(batch["text_a"], batch.get("text_b"), truncation=True, max_length=max_length)
        return {c: encoded[c] for c in inputs}

    rows = {}
    for split, table in tables.items():
        texts = table[[c for c in ("text_a", "text_b") if c in table]]
        mapped = tokenised(texts, tokenize, tokenizer, {"max_length": max_length, "columns": inputs})
        rows[split] = Rows.of(mapped, inputs, torch.tensor(gold[split]), width)
    return TextTask(
        name=name,
        regression=regression,
        labels=labels or names,
        label_words=label_words,
        metric=metric,
        main_metric=score,
        source=source,
        tables=tables,
        rows=rows,
        padding=padding_of(tokenizer),
        max_length=max_length,
        augmented=len(tables["train"]) - original_rows,
        pad_to=padding,
    )
