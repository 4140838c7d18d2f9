"""The cache of tokenised data: once per content, tokenizer and settings, in datasets' own cache folder."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import pandas as pd
from datasets import Dataset

from prunebert.errors import BadInput

log = logging.getLogger(__name__)
VERSION = 1  # raise it when what is made of the same text changes


def folder() -> Path:
    """Where runs leave what others can use, made if need be. Raises BadInput if it cannot be."""
    found = Path(datasets.config.HF_DATASETS_CACHE) / "prunebert"
    try:
        found.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(f"HF_DATASETS_CACHE={found.parent} cannot be written to: {error.strerror}") from error
    return found


def tokenised(
    table: pd.DataFrame, tokenize: Callable[[dict], dict], tokenizer: Any, settings: dict[str, Any]
) -> Dataset:
    """`table` mapped through `tokenize` (a batched function, columns in, columns out), read back if done before.

    The key is the table's content, the tokenizer's full definition and `settings`; two processes may do it at once,
    each file appears whole or not at all.
    """
    digest = hashlib.sha256(pd.util.hash_pandas_object(table, index=False).to_numpy().tobytes())
    definition = json.loads(tokenizer.backend_tokenizer.to_str())
    definition |= {"truncation": None, "padding": None}  # left behind by earlier calls, no part of the vocabulary
    digest.update(json.dumps([VERSION, definition, settings, list(table.columns)], sort_keys=True).encode())
    file = folder() / f"{digest.hexdigest()[:32]}.arrow"
    if not file.exists():
        log.info("reading %s rows, once for this data and tokenizer", f"{len(table):,}")
    datasets.disable_progress_bars()
    source = Dataset.from_pandas(table, preserve_index=False)
    return source.map(
        tokenize,
        batched=True,
        remove_columns=source.column_names,
        cache_file_name=str(file),
        new_fingerprint=digest.hexdigest()[:32],
    )
