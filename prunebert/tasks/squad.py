"""Extractive question answering in SQuAD's layout, from the hub, a folder, or your own JSON files."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, final

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.nn import functional as F

from prunebert import measures
from prunebert.choices import Padding
from prunebert.errors import BadInput, bad_choice
from prunebert.network.interface import Batch, Form, logits_by_row
from prunebert.ranges import Count, CountOrZero, Fraction, Part, Text
from prunebert.tasks import arguments, questions, spans
from prunebert.tasks.arguments import HubPath, Tokens
from prunebert.tasks.batching import Rows, padding_of, width_of
from prunebert.tasks.cache import tokenised
from prunebert.tasks.holdout import TUNING, tuning_part
from prunebert.tasks.lengths import lengths_of, log_cost

if TYPE_CHECKING:
    from prunebert.network.interface import Outputs
    from prunebert.tasks.augment import Augment


@dataclass(frozen=True)
class Windows:
    """A split's windows."""

    rows: Rows  # a row is a window
    question: np.ndarray  # [windows], each window's question, ascending
    characters: np.ndarray  # [tokens, 2], character ranges in the context, flat as in `rows`

    def offsets(self, window: int) -> np.ndarray:
        """Return [length, 2], the character ranges of this window's tokens."""
        return self.characters[self.rows.offsets[window] : self.rows.offsets[window + 1]]


@final
@dataclass
class SquadTask:
    """A loaded task over questions (see task.Task)."""

    name: str
    label_words: list[str] | None
    score: str
    source: str  # a file, a folder or the hub's name
    max_length: int  # of a window, in tokens
    stride: int  # tokens of the context that consecutive windows share
    n_best: int  # starts and ends to combine in a window
    max_answer: int  # the longest answer, in tokens
    no_answer: bool  # a question may have no answer
    tables: dict[str, pd.DataFrame]  # by split, a row is a question
    windows: dict[str, Windows]  # by split
    padding: dict[str, int]  # the padding value of each input column
    train_rows: int  # windows of the training split
    eval_splits: tuple[str, ...] = ("validation",)
    pad_to: Padding = "longest"  # what the windows of a batch are padded to
    span = True
    masked_lm = False
    tokens = False
    multilabel = False
    choices = 0
    regression = False
    outputs = 2

    def train_lengths(self) -> np.ndarray:
        return lengths_of(self.windows["train"].rows)

    def batches(self, batch_size: int, seed: int) -> Iterator[Batch]:
        return self.windows["train"].rows.shuffled(batch_size, seed, self.padding)

    def eval_batches(self, split: str, batch_size: int) -> Iterator[Batch]:
        return self.windows[split].rows.by_length(batch_size, self.padding)

    def loss(self, out: Outputs, batch: Batch) -> dict[str, Tensor]:
        pad = batch.inputs["attention_mask"] == 0
        logits = out.logits.float().masked_fill(pad[..., None], -torch.inf)
        return {"task": F.cross_entropy(logits, batch.labels)}

    def outputs_by_row(self, out: Outputs, batch: Batch) -> dict[int, np.ndarray]:
        return logits_by_row(out, batch)

    def predict(self, split: str, outputs: dict[int, np.ndarray]) -> pd.DataFrame:
        table, windows = self.tables[split], self.windows[split]
        edges = np.searchsorted(windows.question, np.arange(len(table) + 1)).tolist()
        answers = []
        for context, begin, end in zip(table.context, edges, edges[1:], strict=False):
            offsets = [windows.offsets(window) for window in range(begin, end)]
            logits = [outputs[window] for window in range(begin, end)]
            answers.append(spans.answer(context, logits, offsets, self.n_best, self.max_answer, self.no_answer))
        return self._predictions(split, [a.text for a in answers]).assign(scores=[[a.score, a.null] for a in answers])

    def _predictions(self, split: str, texts: list[str]) -> pd.DataFrame:
        """Return the table of predictions without scores, for one text per question."""
        table = self.tables[split]
        label = [json.dumps(golds, ensure_ascii=False) for golds in table.golds]
        return pd.DataFrame({"split": split, "id": table.id, "label": label, "prediction": texts})

    def metrics(self, predictions: dict[str, pd.DataFrame]) -> dict[str, float]:
        (rows,) = predictions.values()
        texts, golds = measures.paired(
            [{"id": i, "prediction_text": p} for i, p in zip(rows.id, rows.prediction, strict=True)],
            [{"id": i, "answers": json.loads(a)} for i, a in zip(rows.id, rows.label, strict=True)],
        )
        return (measures.v2_metrics if self.no_answer else measures.v1_metrics)(texts, golds)

    def baseline(self) -> dict[str, float]:
        """Return the metrics of the constant baseline: no question has an answer."""
        return self.metrics({s: self._predictions(s, [""] * len(self.tables[s])) for s in self.eval_splits})

    def facts(self) -> dict[str, Any]:
        return {
            "source": self.source,
            "rows": {split: len(table) for split, table in self.tables.items()},
            "windows": {split: len(windows.rows) for split, windows in self.windows.items()},
            "fingerprint": {s: w.rows.fingerprint(self.tables[s].golds.tolist()) for s, w in self.windows.items()},
        }

    def form(self) -> Form:
        return Form(
            name=self.name,
            span=True,
            regression=False,
            masked_lm=False,
            pair=True,
            outputs=self.outputs,
            max_length=self.max_length,
            label_words=self.label_words,
            stride=self.stride,
            n_best=self.n_best,
            max_answer=self.max_answer,
            no_answer=self.no_answer,
            padding=self.pad_to,
        )


def squad_task(
    *,
    tokenizer: Any,
    positions: int,
    name: str,
    hub: HubPath,
    data_dir: Annotated[Text, "read without train"] | None,
    train: Text | None,
    eval: Text | None,
    holdout: Annotated[Fraction, "read without eval"],
    max_length: Tokens,
    stride: CountOrZero,
    n_best: Count,
    max_answer: Count,
    no_answer: bool,
    label_words: list[str] | None,
    score: str,
    augment: Augment | None = None,
    overlaps: dict[str, str] | None = None,
    padding: Padding = "longest",
    tuning_holdout: Part | None = None,
) -> SquadTask:
    """Load a SquadTask. The source is the first of: your own files (`train`), `data_dir`, the hub.

    Args:
        positions: the model's longest sequence, in tokens.
        name: the task's name in result.json, tables and figures.
        hub: the data set's "path" on the hub.
        holdout: without `eval`, the fraction of `train`'s contexts for evaluation; the same for every seed and machine.
        max_length: the longest window, in tokens.
        stride: tokens of the context that consecutive windows share.
        n_best, max_answer, no_answer: as in SquadTask.
        score: "exact" or "f1".
        augment: must be None; these tasks cannot be augmented.
        overlaps: {other task: why} whose rows these data contain; settings.overlaps reads it.
        padding: what the windows of a batch are padded to: its longest window, or `max_length`.
        tuning_holdout: the fraction or the number of the training contexts whose questions replace the evaluation data,
            for tuning; None: evaluate on the evaluation data.

    Raises BadInput for a setting outside its range and for data that cannot be used.
    """
    if augment is not None:
        raise BadInput(
            f"augment=mlm: task={name} has answers inside its texts, and new words would move them; use augment=none"
        )
    if not 8 <= max_length <= positions:
        raise BadInput(f"task.max_length={max_length}: must be at least 8, and at most the model's {positions}")
    if not 0 <= stride < max_length:
        raise BadInput(f"task.stride={stride}: must be at least 0 and below task.max_length={max_length}")
    label_words = arguments.words("task.label_words", label_words)
    if score not in ("exact", "f1"):
        raise bad_choice("task.score", score, ["exact", "f1"])
    if train:
        source, tables = train, questions.from_files(train, eval, holdout, no_answer)
    elif eval:
        raise BadInput(f"task.eval={eval} is given but task.train is not: give both, or neither")
    elif data_dir:
        source, tables = data_dir, questions.from_folder(data_dir, no_answer)
    else:
        source, tables = (
            hub["path"],
            questions.from_hub(name, no_answer, **hub),
        )
    if tuning_holdout is not None:
        tables = questions.hold_out(tables["train"], tuning_part(tuning_holdout), TUNING)
    width = width_of(padding, max_length)
    windows = {split: _windows(table, tokenizer, max_length, stride, width) for split, table in tables.items()}
    log_cost(lengths_of(windows["train"].rows), f"task.max_length={max_length}")
    return SquadTask(
        name=name,
        label_words=label_words,
        no_answer=no_answer,
        score=score,
        source=source,
        max_length=max_length,
        stride=stride,
        n_best=n_best,
        max_answer=max_answer,
        tables=tables,
        windows=windows,
        padding=padding_of(tokenizer),
        train_rows=len(windows["train"].rows),
        pad_to=padding,
    )


def _windows(table: pd.DataFrame, tokenizer: Any, max_length: int, stride: int, width: int) -> Windows:
    inputs = table[["id", "question", "context", "first", "last"]].assign(row=range(len(table)))
    columns = spans.input_columns(tokenizer)
    cut = partial(spans.windows, tokenizer=tokenizer, max_length=max_length, stride=stride)
    settings = {"max_length": max_length, "stride": stride, "columns": columns, "offsets": "without spaces"}
    arrow = tokenised(inputs, cut, tokenizer, settings)
    plain = {name: arrow[name].to_numpy() for name in ("row", "start", "end")}
    labels = torch.from_numpy(np.stack([plain["start"], plain["end"]], axis=1).astype(np.int64))
    characters = Rows.of(arrow, ["char_from", "char_to"], labels).columns
    rows = Rows.of(arrow, columns, labels, width)
    return Windows(rows, np.asarray(plain["row"]), np.stack([characters["char_from"], characters["char_to"]], axis=1))
