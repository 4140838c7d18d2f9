"""Label every word of a sentence: entities, or parts of speech."""

from __future__ import annotations

import json
import logging
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.nn import functional as F

from prunebert import entities
from prunebert.choices import Padding
from prunebert.entities import OUTSIDE, Scheme
from prunebert.errors import BadInput
from prunebert.network.interface import IGNORED, Batch, Form
from prunebert.tasks import words
from prunebert.tasks.batching import Rows, padding_of
from prunebert.tasks.cache import tokenised
from prunebert.tasks.holdout import split_off
from prunebert.tasks.labels import given_names
from prunebert.tasks.lengths import lengths_of, log_cost
from prunebert.tasks.metric import compute, of_splits
from prunebert.tasks.over_tables import OverTables
from prunebert.tasks.request import Request
from prunebert.tasks.sources import Tables
from prunebert.tasks.word_labels import names_in, with_names

if TYPE_CHECKING:
    from prunebert.network.interface import Outputs

log = logging.getLogger(__name__)
NO_LABEL = ""  # the prediction for a word without tokens, where there is no OUTSIDE
LABELS, WORD = "labels", "word"  # columns of Rows that the network does not read


class WordRows(Rows):
    """Rows whose columns have the words' labels, and for each token the word that it is the first one of."""

    def batch(self, rows: np.ndarray, padding: dict[str, int]) -> Batch:
        """Make one Batch. Its labels are [rows, length], IGNORED except at the first token of each word."""
        batch = super().batch(rows, padding | {LABELS: IGNORED, WORD: words.NO_WORD})
        inputs = {name: values for name, values in batch.inputs.items() if name not in (LABELS, WORD)}
        return Batch(inputs, batch.inputs[LABELS], batch.rows)

    def words_of(self, row: int) -> np.ndarray:
        """Return the positions of the words that have a token in this row, in order."""
        first = self.columns[WORD][self.offsets[row] : self.offsets[row + 1]]
        return first[first != words.NO_WORD]


@dataclass
class TokenTask(OverTables):
    """A loaded task over the words of sentences (see task.Task)."""

    name: str
    labels: list[str]  # the labels' names in order
    scheme: Scheme
    metric: str | None  # an evaluate.Metric, as "module:Class"; None: the scheme's own
    main_metric: str | None  # the entry of the metric that is the score; None: the first
    source: str  # a file, a folder, a package or the hub's name
    tables: Tables  # by split; columns id, words and label (names), each of the last two a list
    rows: dict[str, WordRows]  # by split
    padding: dict[str, int]  # the padding value of each input column
    max_length: int  # of a row, in tokens
    label_words: list[str] | None = None
    pad_to: Padding = "longest"  # what the rows of a batch are padded to
    origin: dict[str, Any] = field(default_factory=dict)  # see Request
    span = False
    regression = False
    masked_lm = False
    tokens = True
    multilabel = False
    choices = 0

    @property
    def outputs(self) -> int:
        return len(self.labels)

    def loss(self, out: Outputs, batch: Batch) -> dict[str, Tensor]:
        """Return the mean cross-entropy of the batch's labelled words; 0 if it has none."""
        logits = out.logits.float().flatten(0, 1)
        total = F.cross_entropy(logits, batch.labels.flatten(), ignore_index=IGNORED, reduction="sum")
        return {"task": total / (batch.labels != IGNORED).sum().clamp(min=1)}

    def outputs_by_row(self, out: Outputs, batch: Batch) -> dict[int, np.ndarray]:
        """Return by row [words with a token, outputs]."""
        first = (batch.labels != IGNORED).cpu().numpy()
        logits = out.logits.float().cpu().numpy()
        return {row: logits[i, first[i]] for i, row in enumerate(batch.rows.tolist())}

    def predict(self, split: str, outputs: dict[int, np.ndarray]) -> pd.DataFrame:
        """Return a row for each sentence. Its words, labels, predictions and scores are lists with an entry for each.

        A word without a token in the row is predicted as "O", or as "" without a scheme. Its score is NaN. A score is
        the largest logit. All but the scores are JSON.
        """
        table = self.tables[split]
        predictions, largest = [], []
        for row, sentence in enumerate(table.words):
            present, logits = self.rows[split].words_of(row), outputs[row]
            names = [self._absent()] * len(sentence)
            scores = np.full(len(sentence), np.nan, np.float32)
            for word, index in zip(present.tolist(), logits.argmax(1).tolist(), strict=True):
                names[word] = self.labels[index]
            scores[present] = logits.max(1) if len(present) else []
            predictions.append(names)
            largest.append(scores)
        return self._predictions(split, predictions).assign(scores=largest)

    def _absent(self) -> str:
        """Return the prediction for a word without a token."""
        return NO_LABEL if self.scheme == "none" else OUTSIDE

    def _predictions(self, split: str, predictions: list[list[str]]) -> pd.DataFrame:
        table = self.tables[split]
        as_json = {"label": table.label, "prediction": predictions, "words": table.words}
        columns = {name: [json.dumps(x, ensure_ascii=False) for x in lists] for name, lists in as_json.items()}
        return pd.DataFrame({"split": split, "id": table.id.astype(str), **columns})

    def metrics(self, predictions: dict[str, pd.DataFrame]) -> dict[str, float]:
        results: dict[str, dict[str, float]] = {}
        for split, rows in predictions.items():
            gold, predicted = ([json.loads(x) for x in rows[c]] for c in ("label", "prediction"))
            if self.metric:
                values = compute(self.metric, predicted, gold, self.labels)
            elif self.scheme == "none":
                values = {"accuracy": entities.accuracy(gold, predicted)}
            else:
                values = entities.scores(gold, predicted, entities.types_of(self.labels))
            results[split] = values
        return of_splits(results)

    def baseline(self) -> dict[str, float]:
        """Return the metrics of the constant baseline: no entity, or the commonest training label."""
        counts = Counter(label for labels in self.tables["train"].label for label in labels)
        constant = OUTSIDE if self.scheme != "none" else max(self.labels, key=lambda label: counts[label])
        splits = {s: [[constant] * len(x) for x in self.tables[s].words] for s in self.eval_splits}
        return self.metrics({s: self._predictions(s, predictions) for s, predictions in splits.items()})

    def facts(self) -> dict[str, Any]:
        return super().facts() | {"scheme": self.scheme}

    def form(self) -> Form:
        return Form(
            name=self.name,
            span=False,
            regression=False,
            masked_lm=False,
            pair=False,
            outputs=self.outputs,
            max_length=self.max_length,
            labels=self.labels,
            padding=self.pad_to,
            tokens=True,
        )


def load(request: Request, tables: Tables, scheme: Scheme | None) -> TokenTask:
    """Make a TokenTask of the tables of its splits (see conll.columns).

    Args:
        request: the settings.
        tables: from sources, by split.
        scheme: how the labels write entities; None: as they show.

    Raises BadInput for labels and settings that do not fit each other.
    """
    if request.augment:
        raise BadInput(
            f"augment=mlm: task={request.name} has a label for each word, and new words would need others; use "
            "augment=none"
        )
    if request.label_words is not None:
        raise BadInput(
            f"task.label_words={request.label_words}: task={request.name} has a label for each word, and label words "
            "are for labels of texts; leave it out, and use method.head=linear"
        )
    given = tables["train"].attrs.get("classes") if request.labels is None else request.labels
    names = given_names(given) if given is not None else names_in(tables["train"], request.label)
    order = names if request.labels and request.label_indices else []
    tables = {s: with_names(t, names, request.label, t.attrs.get("classes") or order) for s, t in tables.items()}
    sentences = tables["train"].label.tolist()
    found = entities.find_scheme(names, sentences, request.label) if scheme is None else scheme
    if scheme is None and found == "none" and (label := entities.other_spelling(names)):
        log.warning(
            "task.label=%s: the label %s is no entity's, because those are written as B-PER and I-PER beside O; the "
            "words are scored one by one. Rename the labels, or set task.scheme=none",
            request.label,
            label,
        )
    if scheme is not None:  # a scheme that was found may have labels of others: every prefix is read
        entities.require_scheme(names, scheme, request.label)
    tables, _ = split_off(request, tables, {split: np.arange(len(table)) for split, table in tables.items()}, [])
    task = TokenTask(
        name=request.name,
        labels=names,
        scheme=found,
        metric=request.metric,
        main_metric=request.score,
        source=request.source,
        tables=tables,
        rows={},
        padding=padding_of(request.tokenizer),
        max_length=request.max_length,
        pad_to=request.padding,
        origin=request.origin,
    )
    cut = {}
    for split, table in tables.items():
        task.rows[split], cut[split] = _rows(request, table, names)
    log_cost(lengths_of(task.rows["train"]), f"task.max_length={request.max_length}")
    if any(cut.values()):
        counts = ", ".join(f"{count:,} of {split}" for split, count in cut.items() if count)
        log.warning(
            "task.max_length=%s cuts words off (%s); they are not trained on, and count as missed in the scores",
            request.max_length,
            counts,
        )
    return task


def _rows(request: Request, table: pd.DataFrame, names: list[str]) -> tuple[WordRows, int]:
    """Return the tokenised rows of a table, and how many words are cut off."""
    inputs, tokenizer = request.inputs(), words.for_words(request.tokenizer)

    def tokenize(batch: dict[str, list[str]]) -> dict[str, list[Any]]:
        sentences = [json.loads(sentence) for sentence in batch["words"]]
        return words.encode(tokenizer, sentences, request.max_length, inputs)

    as_json = pd.DataFrame({"words": [json.dumps(sentence) for sentence in table.words]})
    settings = {"kind": "tokens", "max_length": request.max_length, "columns": inputs}
    arrow = tokenised(as_json, tokenize, tokenizer, settings)
    read = Rows.of(arrow, [*inputs, WORD], torch.empty(len(table), 0), request.width)
    rows = WordRows(read.columns, read.offsets, read.labels, read.width)
    first, index = rows.columns[WORD], {name: i for i, name in enumerate(names)}
    lengths = np.array([len(labels) for labels in table.label])
    starts = np.repeat(lengths.cumsum() - lengths, np.diff(rows.offsets))  # of each token's sentence, in `gold`
    gold = np.array([index[label] for labels in table.label for label in labels], np.int64)
    labels = np.full(len(first), IGNORED, np.int64)
    is_first = first != words.NO_WORD
    labels[is_first] = gold[starts[is_first] + first[is_first]]
    rows.columns[LABELS] = labels
    return rows, int(arrow["cut"].to_numpy().sum())
