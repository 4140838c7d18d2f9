"""The settings of a task over rows of text, whatever its labels are."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from prunebert.choices import Padding
from prunebert.tasks.cache import tokenised
from prunebert.tasks.lengths import cut_rows, log_cut

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    import pyarrow

    from prunebert.tasks.augment import Augment
    from prunebert.tasks.sources import Tables


@dataclass(frozen=True)
class Request:
    """The settings of a task over rows of text, checked, with what they stand for. See text.text_task."""

    name: str  # seeds new heads, and begins messages
    tokenizer: Any
    source: str  # a file, a folder, a package or the hub's name
    own: bool  # the files are the user's own
    label: str  # the column of labels, or the list of them, for messages
    labels: list[Any] | None  # as given
    label_words: list[str] | None
    label_indices: bool
    holdout: float
    tuning_holdout: float | None
    max_length: int
    padding: Padding
    width: int  # Rows.width
    metric: str | None
    score: str | None
    augment: Augment | None
    origin: dict[str, Any] = field(default_factory=dict)  # config and commit of a data set of the hub, for result.json

    def inputs(self) -> list[str]:
        """Return the columns that the network reads."""
        return [c for c in self.tokenizer.model_input_names if c != "special_tokens_mask"]

    def add_copies(self, tables: Tables, gold: dict[str, np.ndarray]) -> int:
        """Append augmented copies to the training rows and their labels, in place. Returns how many there are."""
        if not self.augment:
            return 0
        from prunebert.tasks.augment import with_copies

        original_rows = len(tables["train"])
        tables["train"], origin = with_copies(tables["train"], self.augment)
        gold["train"] = gold["train"][origin]
        return len(tables["train"]) - original_rows

    def tokenised(self, table: pd.DataFrame, split: str = "") -> tuple[pyarrow.Table, list[str]]:
        """Tokenise the texts or pairs of a table, cut to max_length. Returns the rows and `inputs`.

        A line is logged that says how many were cut.

        split: the table's split, for that line.
        """
        inputs = self.inputs()

        def tokenize(batch: dict[str, list[str]]) -> dict[str, list]:
            encoded = self.tokenizer(batch["text_a"], batch.get("text_b"), truncation=True, max_length=self.max_length)
            return {c: encoded[c] for c in inputs} | {"cut": cut_rows(encoded, self.max_length)}

        texts = table[[c for c in ("text_a", "text_b") if c in table]]
        settings = {"max_length": self.max_length, "columns": [*inputs, "cut"]}
        rows = tokenised(texts, tokenize, self.tokenizer, settings)
        cut = rows["cut"].to_numpy()
        log_cut(cut, self.max_length, split, "pairs of texts" if "text_b" in texts else "texts")
        return rows, inputs
