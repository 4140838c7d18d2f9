"""Pack the predictions of a table's runs into few bytes, so that a page can compare any two of its runs.

Every run of a table was evaluated on the same examples; their ids and labels are stored once. A class takes 1, 2, 4 or
8 bits, by the number of classes.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from prunebert.analysis.predictions import EXAMPLE, REGRESSION, SETS, WORDS
from prunebert.errors import BadInput, visible
from prunebert.measures import question_score
from prunebert.report.page import sentences
from prunebert.runs import artifacts
from prunebert.system.names import encodable

if TYPE_CHECKING:
    import pyarrow

MAX_ANSWERS = 4  # runs of a task of questions or of several labels: each has a text for every example
MAX_CLASSES = 256
NAMED = 12  # bytes around a run's predictions: its number, quotes and so on
CHOSEN_FROM = ("question", "choices")  # columns of tasks in which one of several texts is chosen
NO_TOKENS = "Predictions of masked tokens are not in the page."


def class_names(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the names of a table's classes, which all its runs share; [] if there are none."""
    for row in rows:
        data = row.get("data")
        if isinstance(data, dict) and isinstance(names := data.get("labels"), list):
            return [str(name) for name in names]
    return []


class Store:
    """Takes the predictions of one run of a table after another, until the bytes are used up.

    Attributes:
        used: the bytes that the predictions take in the page, about.
        note: why the page has no predictions of this table; "" if it may have some.
    """

    def __init__(self, metric: str, names: list[str], most_bytes: int) -> None:
        """Start without runs. names: the classes'. most_bytes: of the whole table."""
        self.metric, self.names, self.most_bytes = metric, names, most_bytes
        self.used, self.note, self.kind = 0, "", ""
        self.classes, self.bits = 0, 0  # how many classes; how many bits one takes
        self.examples: pyarrow.Table | None = None  # the columns EXAMPLE of the first run
        self.rows: np.ndarray = np.empty(0, bool)  # whether the metric's split has the example
        self.label: pd.Series = pd.Series(dtype=object)
        self.ids: list[Any] | int = 0
        self.texts: dict[str, Any] = {}  # by CHOSEN_FROM, if the task has them and they fit into half of the bytes
        self.found: dict[Path, Any] = {}
        self.words: sentences.Sentences | None = None  # of a task with a label for each word

    def add(self, directory: Path, row: Mapping[str, Any]) -> None:
        """Read the predictions of a run, if there is room for them.

        Raises:
            BadInput: predictions.parquet is damaged, or has other examples than the first run.
        """
        if self.note or self.used + self._size() > self.most_bytes:
            return
        if self.kind == "text" and len(self.found) == MAX_ANSWERS:
            return
        texts = CHOSEN_FROM if self.examples is None else ()
        table = artifacts.prediction_columns(directory, (*EXAMPLE, "prediction", WORDS, *texts), row)
        if table.num_columns < len(EXAMPLE) + 1 or not table.num_rows:
            raise BadInput(f"{directory}: predictions.parquet lacks its columns")
        try:
            self._add(directory, table, row)
        except (ValueError, TypeError, AttributeError, LookupError) as error:
            raise BadInput(f"{directory}: predictions.parquet cannot be shown: {error}") from error

    def _add(self, directory: Path, table: pyarrow.Table, row: Mapping[str, Any]) -> None:
        examples = table.select(EXAMPLE)
        if self.examples is None:
            self._start(examples)
            if WORDS in table.column_names:
                words = table[WORDS].to_pandas()[self.rows].map(json.loads)
                has_entities = row.get("data", {}).get("scheme") != "none"
                self.words = sentences.Sentences(words, self.label, self.names, has_entities)
            self.used += len(json.dumps([self.ids, self._labels()]))
            self._take_texts(table)
        elif not examples.equals(self.examples):
            raise ValueError("its examples are not those of the table's other runs")
        if not self.note and self.used + self._size() <= self.most_bytes:
            prediction = table["prediction"].to_pandas()[self.rows]
            self.found[directory] = self._packed(prediction)
            self.used += self._size() if self.kind != "text" else len(json.dumps(self.found[directory]))

    def _start(self, examples: pyarrow.Table) -> None:
        """Take the examples of the first run."""
        frame = examples.to_pandas()
        in_split = frame["split"].map(lambda split: self.metric.endswith(f"_{split}"))
        rows = (in_split if in_split.any() else in_split | True).to_numpy(bool)
        frame = frame[rows]
        label, kind = frame["label"].reset_index(drop=True), "class"
        if not pd.api.types.is_numeric_dtype(label):
            golds = label.map(json.loads)
            if golds.map(lambda gold: bool(gold) and isinstance(gold[0], int)).any():
                self.note = NO_TOKENS
            label, kind = golds, "text"
        elif self.metric in REGRESSION or pd.api.types.is_float_dtype(label):
            kind = "number"
        elif not 0 <= label.min() <= label.max() < MAX_CLASSES:
            raise ValueError(f"a label is not a class from 0 to {MAX_CLASSES - 1}")
        self.examples, self.rows, self.label, self.kind = examples, rows, label, kind
        if kind == "class":
            self.classes = max(2, len(self.names), int(label.max()) + 1)
            self.bits = next(bits for bits in (1, 2, 4, 8) if self.classes <= 2**bits)
        splits = frame["split"].nunique() > 1
        names = [f"{s}/{i}" if splits else str(i) for s, i in zip(frame["split"], frame["id"], strict=True)]
        self.ids = len(names) if names == [str(i) for i in range(len(names))] else [visible(x) for x in names]

    def _take_texts(self, table: pyarrow.Table) -> None:
        """Take the questions and their choices, if the table has some. Positions are then the classes."""
        if not {*CHOSEN_FROM} <= {*table.column_names}:
            return
        frame = table.select(CHOSEN_FROM).to_pandas()[self.rows]
        choices = [[encodable(visible(text)) for text in of_row] for of_row in frame["choices"]]
        texts = {"question": [encodable(visible(text)) for text in frame["question"]], "choices": choices}
        self.classes = max(self.classes, *map(len, choices))
        self.bits = next(bits for bits in (1, 2, 4, 8) if self.classes <= 2**bits)
        if (size := len(json.dumps(texts))) <= self.most_bytes // 2:
            self.texts = texts
            self.used += size

    def _labels(self) -> Any:
        if self.words:
            return self.words.gold_texts()
        if self.kind == "text" and self._has_sets():
            return [_names(names) for names in self.label]
        if self.kind == "text":
            return [encodable(visible(" / ".join(dict.fromkeys(map(str, golds))))) for golds in self.label]
        return self._numbers(self.label) if self.kind == "number" else self._bits_of(self.label)

    def _size(self) -> int:
        """Return about how many bytes another run takes."""
        if self.kind == "text" and self.found:
            return max(len(json.dumps(found)) for found in self.found.values())
        count = len(self.label)
        return NAMED + (4 * -(-count * self.bits // 24) if self.kind == "class" else 9 * count)

    def _packed(self, prediction: pd.Series) -> Any:
        """Return the predictions of one run as the page stores them."""
        if self.kind == "number":
            return self._numbers(prediction)
        if self.kind == "class":
            return self._bits_of(prediction)
        if self.words:
            exact, shown, confusion = self.words.answers(prediction.map(json.loads))
            return {"right": pack(exact, 1), "texts": shown, "confusion": confusion}
        if self._has_sets():
            sets = [json.loads(text) for text in prediction]
            same = [{*ours} == {*gold} for ours, gold in zip(sets, self.label, strict=True)]
            return {"right": pack(np.array(same, np.uint8), 1), "texts": [_names(names) for names in sets]}
        no_answer = bool((self.label.map(len) == 0).any())
        pairs = zip(prediction, self.label, strict=True)
        right = [question_score("exact", text, golds, no_answer) for text, golds in pairs]
        texts = [encodable(visible(text)) for text in prediction]
        return {"right": pack(np.array(right, np.uint8), 1), "texts": texts}

    def _has_sets(self) -> bool:
        """Return whether an example may have several labels. They are JSON lists of names."""
        return self.metric.startswith(SETS)

    def _bits_of(self, values: pd.Series) -> str:
        numbers = values.to_numpy()
        if numbers.min() < 0 or numbers.max() >= self.classes:
            raise ValueError(f"a class is not from 0 to {self.classes - 1}")
        return pack(numbers.astype(np.uint8), self.bits)

    @staticmethod
    def _numbers(values: pd.Series) -> list[float]:
        numbers = values.to_numpy(float)
        if not np.isfinite(numbers).all():
            raise ValueError("a number is not finite")
        return [float(f"{x:.5g}") for x in numbers]

    def content(self, runs: pd.DataFrame) -> dict[str, Any]:
        """Return what the page stores of the table.

        Args:
            runs: the runs that were offered; their index has their numbers.

        Returns:
            kind: "class", "number" or "text"; "" if no run has predictions.
            ids: of the examples; their number if the ids are 0, 1, 2 and so on.
            label: the examples' labels, stored as the predictions are.
            bits: of a class; classes: their names, or numbers.
            question, choices: the texts of each example, if the task chooses one of several and they fit.
            runs: by the run's number its predictions: for "class" packed in base64, for "number" a list, for "text" the
                texts and whether each is an exact match. For labels of words it has the confusion too, and `classes`
                and `unit` say of what.
        """
        numbers = {d: str(n) for n, d in zip(runs.index, runs["directory"], strict=True)}
        found = {numbers[directory]: packed for directory, packed in self.found.items()}
        content: dict[str, Any] = {"kind": self.kind if found else "", "runs": found}
        if found:
            content |= {"ids": self.ids, "label": self._labels()}
        if found and self.kind == "class":
            names = [*self.names, *(str(i) for i in range(len(self.names), self.classes))]
            content |= {"bits": self.bits, "classes": names} | self.texts
        if found and self.words:
            content |= {"classes": self.words.names, "unit": self.words.unit}
        return content


def _names(labels: list[str]) -> str:
    """Return the labels of an example as the page shows them."""
    return encodable(visible(", ".join(labels) or "(no label)"))


def pack(values: np.ndarray, bits: int) -> str:
    """Return small numbers in base64, each in so many bits, the first in the lowest bits of a byte.

    Args:
        values: (n,) uint8, each below 2^bits.
        bits: 1, 2, 4 or 8.
    """
    per_byte = 8 // bits
    padded = np.zeros(-(-len(values) // per_byte) * per_byte, np.uint8)
    padded[: len(values)] = values
    shifts = np.arange(per_byte, dtype=np.uint8) * bits
    packed = np.bitwise_or.reduce(padded.reshape(-1, per_byte) << shifts, axis=1)
    return base64.b64encode(packed.astype(np.uint8).tobytes()).decode()
