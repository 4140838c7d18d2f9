"""Cache tokenised data in datasets' own cache folder, by content, tokenizer and settings."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pandas as pd
from datasets import Dataset

from prunebert.errors import BadInput
from prunebert.network import tokenizers

log = logging.getLogger(__name__)
VERSION = 1  # raise it when the same text is tokenised in another way


def folder() -> Path:
    """Return the folder for data that several runs can use; make it if necessary. Raises BadInput if that fails."""
    path = Path(datasets.config.HF_DATASETS_CACHE) / "prunebert"
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(f"HF_DATASETS_CACHE={path.parent} cannot be written to: {error.strerror}") from error
    return path


def tokenised(
    table: pd.DataFrame, tokenize: Callable[[dict], dict], tokenizer: Any, settings: dict[str, Any]
) -> Dataset:
    """Map `table` through `tokenize`, or read the result from the cache.

    Args:
        tokenize: a function from a batch of columns to a batch of columns.
        settings: whatever else decides the result; a part of the cache's key.

    The key is the table's content, `settings`, and all that decides the tokenizer's tokens (see tokenizers.definition).
    Two processes may do this at once, because each file appears whole or not at all.

    Raises BadInput for texts that the tokenizer cannot encode, for an id that the model's embeddings lack, and for
    texts of which the vocabulary has no word.
    """
    digest = hashlib.sha256(pd.util.hash_pandas_object(table, index=False).to_numpy().tobytes())
    definition = tokenizers.definition(tokenizer)
    digest.update(json.dumps([VERSION, definition, settings, list(table.columns)], sort_keys=True).encode())
    file = folder() / f"{digest.hexdigest()[:32]}.arrow"
    if not file.exists():
        log.info("tokenising %s rows, once for this data and tokenizer", f"{len(table):,}")
    datasets.disable_progress_bars()
    source = Dataset.from_pandas(table, preserve_index=False)
    with tokenizers.encoding(tokenizer):
        tokens = source.map(
            tokenize,
            batched=True,
            remove_columns=source.column_names,
            cache_file_name=str(file),
            new_fingerprint=digest.hexdigest()[:32],
        )
    ids = {name: _flat(tokens, name) for name in ("input_ids", "token_type_ids") if name in tokens.column_names}
    tokenizers.require_known_ids(tokenizer, ids)
    if "input_ids" in ids:
        tokenizers.require_words(tokenizer, ids["input_ids"])
    return tokens


def _flat(tokens: Dataset, column: str) -> np.ndarray:
    """Return a column of lists as one array, without a copy where the cache file has one part."""
    return np.asarray(tokens.with_format("arrow")[:][column].combine_chunks().flatten())
